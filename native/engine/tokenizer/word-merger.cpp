#include "engine/tokenizer/word-merger.h"

#include "engine/base/error.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <queue>

namespace assay {

namespace {

constexpr std::uint32_t kNoRank = ~std::uint32_t{0};
constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
// Up to here scanning for the lowest rank beats keeping order.
constexpr std::size_t kMaxScannedWord = 48;
// Positions are 32 bits wide.
constexpr std::size_t kMaxWord = std::size_t{1} << 31;

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
  if (!tokenizer_.has_ordered_merges() && word.size() > kMaxScannedWord) {
    merge_by_heap(word, ids);
  } else if (!merge_in_windows(word, ids)) {
    merge_without_windows(word, ids);
  }
}

void WordMerger::merge_without_windows(std::string_view word, TokenIds& ids) {
  if (word.size() <= kMaxScannedWord) {
    merge_by_scanning(word, ids);
  } else {
    merge_by_buckets(word, ids);
  }
}

void WordMerger::merge_by_scanning(std::string_view word, TokenIds& ids) {
  std::uint32_t symbols[kMaxScannedWord];
  std::uint32_t ranks[kMaxScannedWord];
  std::uint32_t results[kMaxScannedWord];
  std::size_t count = word.size();
  for (std::size_t i = 0; i < count; ++i) {
    symbols[i] = tokenizer_.id_of_byte(static_cast<unsigned char>(word[i]));
  }
  const auto rate_pair = [&](std::size_t i) {
    const Tokenizer::RankedMerge* merge = tokenizer_.find_merge(symbols[i], symbols[i + 1]);
    ranks[i] = merge == nullptr ? kNoRank : merge->rank;
    results[i] = merge == nullptr ? 0 : merge->result;
  };
  for (std::size_t i = 0; i + 1 < count; ++i) {
    rate_pair(i);
  }
  while (count > 1) {
    // The first of equal ranks, so that a rank is applied from left to right.
    const auto best = static_cast<std::size_t>(std::min_element(ranks, ranks + count - 1) - ranks);
    if (ranks[best] == kNoRank) {
      break;
    }
    symbols[best] = results[best];
    --count;
    std::copy(symbols + best + 2, symbols + count + 1, symbols + best + 1);
    if (best + 1 < count) {
      std::copy(ranks + best + 2, ranks + count, ranks + best + 1);
      std::copy(results + best + 2, results + count, results + best + 1);
      rate_pair(best);
    }
    if (best > 0) {
      rate_pair(best - 1);
    }
  }
  ids.insert(ids.end(), symbols, symbols + count);
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

void WordMerger::append_list(TokenIds& ids) const {
  for (std::uint32_t at = symbols_.empty() ? kNowhere : 0; at != kNowhere; at = symbols_[at].next) {
    ids.push_back(symbols_[at].id);
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
  append_list(ids);
}

// With merges in order, every new pair ranks after the merge that made it. So ranks are worked off in one upward pass:
// a list of positions a rank, and a bit a rank that says whether its list holds any. Positions of one rank only get in
// each other's way when both halves of the pair are the same token ("aa" in "aaa"); those are put in order first.
void WordMerger::merge_by_buckets(std::string_view word, TokenIds& ids) {
  const std::span<const Merge> merges = tokenizer_.merges();
  // Every pass leaves its buckets empty, so they are set up once.
  bucket_heads_.resize(merges.size(), kNowhere);
  filled_buckets_.resize(merges.size() / 64 + 1, 0);
  bucket_entries_.clear();
  start_list(word);
  const auto put = [&](std::uint32_t at) {
    const std::uint32_t rank = symbols_[at].rank;
    if (rank != kNoRank) {
      bucket_entries_.push_back({at, bucket_heads_[rank]});
      bucket_heads_[rank] = static_cast<std::uint32_t>(bucket_entries_.size() - 1);
      filled_buckets_[rank / 64] |= std::uint64_t{1} << (rank % 64);
    }
  };
  // Backwards, because a list is read from its newest entry.
  for (auto at = static_cast<std::uint32_t>(symbols_.size()); at-- > 0;) {
    put(at);
  }
  for (std::size_t group = 0; group < filled_buckets_.size(); ++group) {
    while (filled_buckets_[group] != 0) {
      const auto rank =
          static_cast<std::uint32_t>(group * 64 + static_cast<unsigned>(std::countr_zero(filled_buckets_[group])));
      filled_buckets_[group] &= filled_buckets_[group] - 1;
      positions_.clear();
      for (std::uint32_t entry = bucket_heads_[rank]; entry != kNowhere; entry = bucket_entries_[entry].next) {
        positions_.push_back(bucket_entries_[entry].position);
      }
      bucket_heads_[rank] = kNowhere;
      if (merges[rank].left == merges[rank].right) {
        std::sort(positions_.begin(), positions_.end());
      }
      for (const std::uint32_t at : positions_) {
        if (symbols_[at].rank == rank) {
          merge_at(at, merges[rank].result, put);
        }
      }
    }
  }
  append_list(ids);
}

} // namespace assay
