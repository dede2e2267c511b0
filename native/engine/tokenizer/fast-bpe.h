// fastBPE's codes (github.com/glample/fastBPE: "left right count" a line, the last symbol of a word marked "</w>") with
// fairseq's dict.txt ("piece count" a line, pieces that go on marked "@@"), as BioGPT is published. Ids are fairseq's:
// its four special tokens, then the dictionary. BioGPT saw text that Moses had cut into words before; whether that is
// done, the files do not say.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"

#include <string>
#include <string_view>

namespace assay {

// Throws FILE_NOT_READABLE or TOKENIZER_INVALID.
TextTokenizerParts read_fast_bpe(const std::string& codes_path, const std::string& dictionary_path, bool with_moses);
TextTokenizerParts parse_fast_bpe(std::string_view codes, const std::string& codes_source, std::string_view dictionary,
                                  const std::string& dictionary_source, bool with_moses);

} // namespace assay
