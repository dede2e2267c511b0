// SentencePiece's .model file (github.com/google/sentencepiece, sentencepiece_model.proto), of the types unigram and
// bpe: its pieces, its character map and its treatment of spaces become the steps of a text tokenizer.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"

#include <string>
#include <string_view>

namespace assay {

// Throws FILE_NOT_READABLE, TOKENIZER_INVALID, or NOT_SUPPORTED (model types word and char, unused pieces of bpe).
TextTokenizerParts read_sentencepiece_model(const std::string& path);
TextTokenizerParts parse_sentencepiece_model(std::string_view bytes, const std::string& source);

// Unicode's LOWER ONE EIGHTH BLOCK, which stands for a space.
inline constexpr std::string_view kMetaspace = "\u2581";

} // namespace assay
