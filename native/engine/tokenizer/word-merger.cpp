#include "engine/tokenizer/word-merger.h"

#include "engine/base/error.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace assay {

namespace {

constexpr std::uint32_t kNoRank = ~std::uint32_t{0};
constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
// Positions are 32 bits wide.
constexpr std::size_t kMaxWord = std::size_t{1} << 31;
// 64 KiB: it shares the second-level cache with the merges asked for most.
constexpr std::size_t kVerdicts = std::size_t{1} << 13;

} // namespace

void WordMerger::merge(std::string_view word, TokenIds& ids) {
  if (word.size() >= kMaxWord) {
    throw Error("BAD_ARGUMENT", "Cannot encode a text with a word of " + std::to_string(word.size()) +
                                    " bytes: a word may have at most 2 GiB. Cut the text.");
  }
  if (tokenizer_.ignore_merges()) {
    if (const auto whole = tokenizer_.id_of_bytes(word); whole.has_value() && !tokenizer_.is_special(*whole)) {
      ids.push_back(*whole);
      return;
    }
  }
  if (tokenizer_.has_ordered_merges()) {
    merge_by_trying(word, ids);
  } else {
    merge_by_heap(word, ids);
  }
}

// Each beginning of the word has one sequence of tokens (token-matcher.h), so a position from which no token goes on is
// closed for good, and each is visited at most once by each token that ends there.
void WordMerger::merge_by_trying(std::string_view word, TokenIds& ids) {
  if (word.empty()) {
    return;
  }
  if (matcher_ == nullptr) {
    matcher_ = &tokenizer_.matcher();
    verdicts_.assign(kVerdicts, 0);
  }
  const TokenMatcher& matcher = *matcher_;
  if (!matcher.is_usable()) {
    merge_by_heap(word, ids);
    return;
  }
  open_.assign(word.size() / 64 + 1, ~std::uint64_t{0});
  const std::size_t first = ids.size();
  std::size_t at = 0;
  TokenMatcher::Match next = matcher.longest(word);
  for (;;) {
    const std::size_t end = at + next.length;
    if (((open_[end / 64] >> (end % 64)) & 1U) != 0 && (ids.size() == first || stay_apart(ids.back(), next.token))) {
      ids.push_back(next.token);
      if (end == word.size()) {
        return;
      }
      at = end;
      next = matcher.longest(word.substr(at));
      continue;
    }
    // The next shorter one here, or, where that was the last, the next shorter one before.
    next = matcher.shorter(next.token);
    while (next.token == TokenMatcher::kNone) {
      open_[at / 64] &= ~(std::uint64_t{1} << (at % 64));
      const std::uint32_t before = ids.back();
      ids.pop_back();
      at -= tokenizer_.token_length(before);
      next = matcher.shorter(before);
    }
  }
}

bool WordMerger::stay_apart(std::uint32_t left, std::uint32_t right) {
  // Ids have at most 28 bits; no key is 0.
  const std::uint64_t key = (std::uint64_t{left} << 36 | std::uint64_t{right} << 8) | 2U;
  std::uint64_t& verdict = verdicts_[(key * 0x9E3779B97F4A7C15U) >> 51];
  if ((verdict & ~std::uint64_t{1}) != key) {
    verdict = key | (matcher_->stay_apart(tokenizer_, left, right) ? 1U : 0U);
  }
  return (verdict & 1U) != 0;
}

void WordMerger::start_list(std::string_view word) {
  const auto count = static_cast<std::uint32_t>(word.size());
  symbols_.resize(count);
  for (std::uint32_t at = 0; at < count; ++at) {
    symbols_[at] = {tokenizer_.id_of_byte(static_cast<unsigned char>(word[at])), at + 1 < count ? at + 1 : kNowhere,
                    at > 0 ? at - 1 : kNowhere, kNoRank};
  }
  for (std::uint32_t at = 0; at < count; ++at) {
    rate(at);
  }
}

void WordMerger::rate(std::uint32_t at) {
  Symbol& symbol = symbols_[at];
  const Tokenizer::RankedMerge* merge =
      symbol.next == kNowhere ? nullptr : tokenizer_.find_merge(symbol.id, symbols_[symbol.next].id);
  symbol.rank = merge == nullptr ? kNoRank : merge->rank;
}

// Merges the pair that begins at `at` and calls changed(position) for the pairs that have a new rank.
template <typename Changed> void WordMerger::merge_at(std::uint32_t at, std::uint32_t result, const Changed& changed) {
  Symbol& symbol = symbols_[at];
  Symbol& taken = symbols_[symbol.next];
  symbol.id = result;
  symbol.next = taken.next;
  taken.rank = kNoRank;
  if (symbol.next != kNowhere) {
    symbols_[symbol.next].previous = at;
  }
  rate(at);
  changed(at);
  if (symbol.previous != kNowhere) {
    rate(symbol.previous);
    changed(symbol.previous);
  }
}

void WordMerger::merge_by_heap(std::string_view word, TokenIds& ids) {
  start_list(word);
  // Rank, then position: the smallest is the next to merge. An entry is stale when its rank is no longer the pair's.
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue;
  const auto put = [&](std::uint32_t at) {
    if (symbols_[at].rank != kNoRank) {
      queue.push(static_cast<std::uint64_t>(symbols_[at].rank) << 32 | at);
    }
  };
  for (std::uint32_t at = 0; at < symbols_.size(); ++at) {
    put(at);
  }
  while (!queue.empty()) {
    const auto rank = static_cast<std::uint32_t>(queue.top() >> 32);
    const auto at = static_cast<std::uint32_t>(queue.top());
    queue.pop();
    if (symbols_[at].rank == rank) {
      merge_at(at, tokenizer_.merges()[rank].result, put);
    }
  }
  for (std::uint32_t at = symbols_.empty() ? kNowhere : 0; at != kNowhere; at = symbols_[at].next) {
    ids.push_back(symbols_[at].id);
  }
}

} // namespace assay
