#include "engine/tokenizer/token-matcher.h"

#include <algorithm>
#include <bit>

namespace assay {

namespace {

// A node's children lie within so many places.
constexpr std::uint32_t kBytes = 256;
constexpr std::size_t kPlacesAMerge = 4;

std::size_t place_of(std::uint32_t left, std::uint32_t right) {
  return (pair_key(left, right) * 0x9E3779B97F4A7C15U) >> 32;
}

// Free places of the array, found in ever later parts of it: what is nearly full is not searched again.
class Places {
public:
  static bool has(const std::vector<bool>& bits, std::size_t at) { return at < bits.size() && bits[at]; }
  static void set(std::vector<bool>& bits, std::size_t at) {
    if (at >= bits.size()) {
      bits.resize(std::max(at + 1, bits.size() * 2), false);
    }
    bits[at] = true;
  }
  bool is_free(std::size_t at) const { return !has(taken_, at); }
  void take(std::size_t at) { set(taken_, at); }
  // Where children with these bytes, in ascending order, all fit.
  std::uint32_t fit(std::span<const unsigned char> bytes) {
    while (!is_free(first_free_)) {
      ++first_free_;
    }
    std::size_t tries = 0;
    for (std::size_t at = first_free_;; ++at, ++tries) {
      if (!is_free(at)) {
        continue;
      }
      const std::size_t base = at - bytes[0];
      if (!has(bases_, base) &&
          std::all_of(bytes.begin() + 1, bytes.end(), [&](unsigned char byte) { return is_free(base + byte); })) {
        if (tries > kBytes) {
          first_free_ += tries / 4;
        }
        set(bases_, base);
        return static_cast<std::uint32_t>(base);
      }
    }
  }

private:
  std::vector<bool> taken_;
  std::vector<bool> bases_;
  // Not below the number of bytes, so that base = place - byte never is negative.
  std::size_t first_free_ = kBytes;
};

} // namespace

TokenMatcher::TokenMatcher(const Tokenizer& tokenizer)
    : earliest_(std::bit_ceil(tokenizer.merges().size() * kPlacesAMerge + 1), kNoMerge),
      rank_step_(static_cast<std::uint32_t>(tokenizer.merges().size() / (kNoMerge - 1) + 1)),
      no_limit_(static_cast<std::uint32_t>(tokenizer.merges().size() + 2)), tokens_(tokenizer.vocab_size()),
      shorter_(tokenizer.vocab_size()) {
  std::uint32_t made_after = 0;
  for (const Merge& merge : tokenizer.merges()) {
    std::uint8_t& place = earliest_[place_of(merge.left, merge.right) & (earliest_.size() - 1)];
    place = std::min(place, static_cast<std::uint8_t>(++made_after / rank_step_));
  }
  const std::vector<std::uint32_t> ordered = sound_tokens(tokenizer);
  // In order of bytes, the tokens that one begins with are on the way to it.
  std::vector<std::uint32_t> open;
  for (const std::uint32_t id : ordered) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    while (!open.empty() && !bytes.starts_with(tokenizer.token_bytes(open.back()))) {
      open.pop_back();
    }
    if (!open.empty()) {
      shorter_[id] = {open.back(), tokenizer.token_length(open.back())};
    }
    open.push_back(id);
  }
  build_trie(tokenizer, ordered);
}

std::vector<std::uint32_t> TokenMatcher::sound_tokens(const Tokenizer& tokenizer) {
  std::vector<std::uint32_t> sound;
  std::vector<bool> is_sound(tokens_.size(), false);
  for (unsigned byte = 0; byte < kBytes; ++byte) {
    const std::uint32_t id = tokenizer.id_of_byte(static_cast<unsigned char>(byte));
    is_sound[id] = true;
    sound.push_back(id);
  }
  // Parts before what is made of them.
  std::uint32_t rank = 0;
  for (const Merge& merge : tokenizer.merges()) {
    Token& token = tokens_[merge.result];
    token.left = merge.left;
    token.right = merge.right;
    token.made_after = ++rank;
    if (is_sound[merge.left] && is_sound[merge.right] &&
        are_apart(tokenizer, merge.left, merge.right, token.made_after)) {
      is_sound[merge.result] = true;
      sound.push_back(merge.result);
    }
  }
  std::sort(sound.begin(), sound.end(), [&](std::uint32_t left, std::uint32_t right) {
    return tokenizer.token_bytes(left) < tokenizer.token_bytes(right);
  });
  return sound;
}

// The merges that made the two are undone, the latest first; at each state one asks whether the pair at the border
// merges before that state was left. `limit` is the made_after of the merge that left it. A merge of the same rank on
// the left goes first.
bool TokenMatcher::are_apart(const Tokenizer& tokenizer, std::uint32_t left, std::uint32_t right,
                             std::uint32_t limit) const {
  const std::size_t mask = earliest_.size() - 1;
  Token left_parts = tokens_[left];
  Token right_parts = tokens_[right];
  for (;;) {
    if (earliest_[place_of(left, right) & mask] * rank_step_ < limit) {
      const Tokenizer::RankedMerge* merge = tokenizer.find_merge(left, right);
      if (merge != nullptr && merge->rank + 1 < limit) {
        return false;
      }
    }
    if (left_parts.made_after > right_parts.made_after) {
      limit = left_parts.made_after;
      left = left_parts.right;
      left_parts = tokens_[left];
    } else if (right_parts.made_after > 0) {
      limit = right_parts.made_after + 1;
      right = right_parts.left;
      right_parts = tokens_[right];
    } else {
      return true;
    }
  }
}

void TokenMatcher::build_trie(const Tokenizer& tokenizer, std::span<const std::uint32_t> ordered) {
  // A node is a range of the ordered tokens that share its bytes.
  struct Range {
    std::uint32_t node = 0;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t depth = 0;
  };
  nodes_.assign(kBytes, 0);
  node_tokens_.assign(kBytes, kNone);
  Places places;
  std::vector<Range> open;
  std::vector<unsigned char> bytes;
  std::vector<std::size_t> begins;
  const auto byte_at = [&](std::size_t index, std::size_t depth) {
    return static_cast<unsigned char>(tokenizer.token_bytes(ordered[index])[depth]);
  };
  const auto split = [&](const Range& range) {
    bytes.clear();
    begins.clear();
    for (std::size_t index = range.begin; index < range.end; ++index) {
      const unsigned char byte = byte_at(index, range.depth);
      if (bytes.empty() || bytes.back() != byte) {
        bytes.push_back(byte);
        begins.push_back(index);
      }
    }
    begins.push_back(range.end);
  };
  const auto place = [&](std::size_t depth, std::uint32_t base) {
    for (std::size_t child = 0; child < bytes.size(); ++child) {
      const std::uint32_t node = base + bytes[child];
      places.take(node);
      if (node >= nodes_.size()) {
        nodes_.resize(std::max<std::size_t>(node + 1, nodes_.size() * 2), 0);
        node_tokens_.resize(nodes_.size(), kNone);
      }
      nodes_[node] = (kTaken | bytes[child]) << kLabelShift;
      Range range{node, begins[child], begins[child + 1], depth + 1};
      if (tokenizer.token_length(ordered[range.begin]) == range.depth) {
        nodes_[node] |= kIsToken;
        node_tokens_[node] = ordered[range.begin++];
      }
      open.push_back(range);
      if (depth == 0) {
        first_nodes_[bytes[child]] = node;
      }
    }
  };
  const Range root{0, 0, ordered.size(), 0};
  split(root);
  place(0, places.fit(bytes));
  for (std::size_t index = 0; index < open.size(); ++index) {
    const Range range = open[index];
    if (range.begin < range.end) {
      split(range);
      const std::uint32_t base = places.fit(bytes);
      if (base > kChildren) {
        is_usable_ = false;
        return;
      }
      nodes_[range.node] |= base;
      place(range.depth, base);
    }
  }
  // A byte beyond the children of the last node still reads within the array.
  nodes_.resize(nodes_.size() + kBytes, 0);
}

} // namespace assay
