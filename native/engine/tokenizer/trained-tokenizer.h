// What a trained vocabulary needs to be a tokenizer: the pipeline its words came through, in training and in use alike,
// and the parts around the model.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"
#include "engine/tokenizer/word-statistics.h"

#include <memory>
#include <string>
#include <vector>

namespace assay {

// BERT's: control characters go, CJK characters stand alone, and where `lowercase` accents and capitals go; words end
// at white space and punctuation.
TextPipeline wordpiece_pipeline(bool lowercase);
// NFKC; words end at white space and begin with "▁".
TextPipeline unigram_pipeline();

// `specials` are among the pieces. Throws TOKENIZER_INVALID.
std::shared_ptr<const TextTokenizer> make_wordpiece(std::vector<std::string> pieces, bool lowercase,
                                                    const std::vector<std::string>& specials);
// The first piece is the unknown token.
std::shared_ptr<const TextTokenizer> make_unigram(std::vector<std::string> pieces, std::vector<double> scores,
                                                  const std::vector<std::string>& specials);

} // namespace assay
