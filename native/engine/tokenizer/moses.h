// Moses' tokenizer and detokenizer for English, as Transformers puts them around BioGPT's BPE: sacremoses 0.0.45 with
// aggressive_dash_splits and escape. Words come out with a space between, signs as words of their own, a hyphen within
// a word as "@-@", and & | < > ' " [ ] as XML's entities. Every byte keeps its place in the original.
#pragma once

#include "engine/tokenizer/aligned-text.h"

#include <string>
#include <string_view>

namespace assay {

void moses_tokenize(AlignedText& text);

// The text of words that white space stands between.
std::string moses_detokenize(std::string_view words);

} // namespace assay
