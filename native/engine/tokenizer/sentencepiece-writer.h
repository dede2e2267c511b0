// A Unigram tokenizer as SentencePiece's .model (google/sentencepiece, src/sentencepiece_model.proto), so that its own
// library reads it and makes the same ids.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"

#include <string>

namespace assay {

// Throws NOT_SUPPORTED where a .model cannot say what the tokenizer does.
std::string format_sentencepiece_model(const TextTokenizer& tokenizer);
void write_sentencepiece_model(const TextTokenizer& tokenizer, const std::string& path);

} // namespace assay
