// A tokenizer from tiktoken's form: token bytes by rank, no merges. The merge behind each token is found again by
// merging its bytes with the tokens before it: two parts must remain, and they are the merge.
#pragma once

#include "engine/tokenizer/tokenizer.h"

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace assay {

// ranks[id] is the bytes of token id, which is also its rank; ids that `specials` names are empty there or beyond its
// end. Throws TOKENIZER_INVALID.
Tokenizer tokenizer_from_ranks(std::vector<std::string> ranks,
                               std::span<const std::pair<std::string, std::uint32_t>> specials);

} // namespace assay
