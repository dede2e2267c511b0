// vocab.json and merges.txt, the two files GPT-2 was published with. They say nothing of special tokens: <|endoftext|>
// is taken for one where the vocabulary has it.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <string>

namespace assay {

// Throws FILE_NOT_READABLE, JSON_INVALID or TOKENIZER_INVALID.
Tokenizer read_vocab_and_merges(const std::string& vocab_path, const std::string& merges_path);

// Writes <directory>/vocab.json and <directory>/merges.txt, fsynced; the directory must exist. Throws
// NOT_SUPPORTED for special tokens that these files could not tell from ordinary ones.
void write_vocab_and_merges(const Tokenizer& tokenizer, const std::string& directory);

} // namespace assay
