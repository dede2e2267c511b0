// tokenizer.json, Hugging Face's file (docs: huggingface.co/docs/tokenizers): read and written for byte-level BPE.
// Whatever the file asks for that this engine would do differently is refused by name; nothing is left out silently.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <string>
#include <string_view>

namespace assay {

// Merges are written "a b" in files up to tokenizers 0.19, ["a", "b"] since; every version reads the former.
enum class MergeSpelling { kText, kPairs };

// Throws FILE_NOT_READABLE, JSON_INVALID, TOKENIZER_INVALID (damaged or contradictory) or NOT_SUPPORTED (names
// the field that asks for something else).
Tokenizer read_tokenizer_json(const std::string& path);
Tokenizer parse_tokenizer_json(std::string_view text, const std::string& source);

// The same tokenizer gives the same bytes.
std::string format_tokenizer_json(const Tokenizer& tokenizer, MergeSpelling spelling = MergeSpelling::kText);
// Written and fsynced.
void write_tokenizer_json(const Tokenizer& tokenizer, const std::string& path,
                          MergeSpelling spelling = MergeSpelling::kText);

} // namespace assay
