// Long words in windows. Tokens are what merging gives exactly when every two neighbours, merged alone, stay those two:
// the first merge across a border, were there one, would also happen in the two alone. So a word may be merged window
// by window, and only what lies around a border has to be merged again, until the neighbours on both sides of it hold.
// This needs merges in order of rank, which WordMerger has made sure of.
#include "engine/tokenizer/word-merger.h"

#include <algorithm>

namespace assay {

namespace {

// A window's symbols and buckets fit the first two levels of cache.
constexpr std::size_t kWindowBytes = 2048;
// Joining begins with so many tokens on either side of the border, and doubles.
constexpr std::size_t kFirstReach = 4;
// A border that needs more than this is a sign of text that has no local answer; it is then merged as a whole.
constexpr std::size_t kMaxJointBytes = 8 * kWindowBytes;

} // namespace

// False when the word is short or has no local answer; `ids` is then as before.
bool WordMerger::merge_in_windows(std::string_view word, TokenIds& ids) {
  if (word.size() <= 2 * kWindowBytes) {
    return false;
  }
  const std::size_t first = ids.size();
  for (std::size_t begin = 0; begin < word.size(); begin += kWindowBytes) {
    window_.clear();
    merge_without_windows(word.substr(begin, kWindowBytes), window_);
    if (!join(word, begin, first, ids)) {
      ids.resize(first);
      return false;
    }
  }
  return true;
}

// Appends window_, whose bytes begin at `middle` of the word, to the ids of the bytes before, which begin at
// ids[first].
bool WordMerger::join(std::string_view word, std::size_t middle, std::size_t first, TokenIds& ids) {
  const std::size_t available_back = ids.size() - first;
  std::size_t back = 0;
  std::size_t front = 0;
  joint_.clear();
  if (available_back > 0 && !stays_apart(ids.back(), window_.front())) {
    back = kFirstReach;
    front = kFirstReach;
    for (;;) {
      back = std::min(back, available_back);
      front = std::min(front, window_.size());
      std::size_t begin = middle;
      for (std::size_t index = ids.size() - back; index < ids.size(); ++index) {
        begin -= tokenizer_.token_length(ids[index]);
      }
      std::size_t end = middle;
      for (std::size_t index = 0; index < front; ++index) {
        end += tokenizer_.token_length(window_[index]);
      }
      if (end - begin > kMaxJointBytes) {
        return false;
      }
      joint_.clear();
      merge_without_windows(word.substr(begin, end - begin), joint_);
      const bool holds_left = back == available_back || stays_apart(ids[ids.size() - back - 1], joint_.front());
      const bool holds_right = front == window_.size() || stays_apart(joint_.back(), window_[front]);
      if (holds_left && holds_right) {
        break;
      }
      back *= holds_left ? 1 : 2;
      front *= holds_right ? 1 : 2;
    }
  }
  ids.resize(ids.size() - back);
  ids.insert(ids.end(), joint_.begin(), joint_.end());
  ids.insert(ids.end(), window_.begin() + static_cast<std::ptrdiff_t>(front), window_.end());
  return true;
}

bool WordMerger::stays_apart(std::uint32_t left, std::uint32_t right) {
  pair_bytes_.assign(tokenizer_.token_bytes(left)).append(tokenizer_.token_bytes(right));
  pair_.clear();
  merge_without_windows(pair_bytes_, pair_);
  return pair_.size() == 2 && pair_[0] == left && pair_[1] == right;
}

} // namespace assay
