// Applying merges to a word. Three ways that give the same ids: a scan for the lowest rank (short words), a heap (longer ones:
// n log n), and buckets by rank (very long ones such as sequences, when the merges are in order: near linear).
#include "engine/tokenizer/encoder.h"

#include "engine/base/error.h"

#include <algorithm>
#include <functional>
#include <queue>

namespace assay {

namespace {

constexpr std::uint32_t kNoRank = ~std::uint32_t{0};
constexpr std::uint32_t kNowhere = ~std::uint32_t{0};
// Up to here scanning for the lowest rank beats keeping order.
constexpr std::size_t kMaxScannedWord = 64;
// From here on it pays to set up one bucket a rank.
constexpr std::size_t kMinBucketedWord = 4096;
// Positions are 32 bits wide; words of more bytes cannot come from a text this engine accepts.
constexpr std::size_t kMaxWord = std::size_t{1} << 31;

void merge_by_scanning(const Tokenizer& tokenizer, std::string_view word, TokenIds& ids) {
  std::uint32_t symbols[kMaxScannedWord];
  std::uint32_t ranks[kMaxScannedWord];
  std::uint32_t results[kMaxScannedWord];
  std::size_t count = word.size();
  for (std::size_t i = 0; i < count; ++i) {
    symbols[i] = tokenizer.id_of_byte(static_cast<unsigned char>(word[i]));
  }
  const auto rate = [&](std::size_t i) {
    const Tokenizer::RankedMerge* merge = tokenizer.find_merge(symbols[i], symbols[i + 1]);
    ranks[i] = merge == nullptr ? kNoRank : merge->rank;
    results[i] = merge == nullptr ? 0 : merge->result;
  };
  for (std::size_t i = 0; i + 1 < count; ++i) {
    rate(i);
  }
  while (count > 1) {
    // The first of equal ranks, so that a rank is applied from left to right.
    const std::size_t best = static_cast<std::size_t>(std::min_element(ranks, ranks + count - 1) - ranks);
    if (ranks[best] == kNoRank) {
      break;
    }
    symbols[best] = results[best];
    --count;
    std::copy(symbols + best + 2, symbols + count + 1, symbols + best + 1);
    if (best + 1 < count) {
      std::copy(ranks + best + 2, ranks + count, ranks + best + 1);
      std::copy(results + best + 2, results + count, results + best + 1);
      rate(best);
    }
    if (best > 0) {
      rate(best - 1);
    }
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

// The symbols of a long word as a doubly linked list over the positions of its bytes.
class SymbolList {
public:
  SymbolList(const Tokenizer& tokenizer, std::string_view word)
      : tokenizer_(tokenizer), symbols_(word.size()), next_(word.size()), previous_(word.size()), ranks_(word.size()) {
    const auto count = static_cast<std::uint32_t>(word.size());
    for (std::uint32_t at = 0; at < count; ++at) {
      symbols_[at] = tokenizer.id_of_byte(static_cast<unsigned char>(word[at]));
      next_[at] = at + 1 < count ? at + 1 : kNowhere;
      previous_[at] = at > 0 ? at - 1 : kNowhere;
    }
    for (std::uint32_t at = 0; at < count; ++at) {
      rate(at);
    }
  }

  std::uint32_t size() const { return static_cast<std::uint32_t>(symbols_.size()); }
  std::uint32_t symbol(std::uint32_t at) const { return symbols_[at]; }
  // Of the pair that begins at `at`; kNoRank when there is none to merge or the symbol has been taken into another.
  std::uint32_t rank(std::uint32_t at) const { return ranks_[at]; }

  // Merges the pair that begins at `at` and calls changed(position) for the pairs that got a new rank.
  template <typename Changed> void merge(std::uint32_t at, std::uint32_t result, const Changed& changed) {
    const std::uint32_t taken = next_[at];
    const std::uint32_t after = next_[taken];
    symbols_[at] = result;
    ranks_[taken] = kNoRank;
    next_[at] = after;
    if (after != kNowhere) {
      previous_[after] = at;
    }
    rate(at);
    changed(at);
    if (const std::uint32_t before = previous_[at]; before != kNowhere) {
      rate(before);
      changed(before);
    }
  }

  void append_to(TokenIds& ids) const {
    for (std::uint32_t at = 0; at != kNowhere; at = next_[at]) {
      ids.push_back(symbols_[at]);
    }
  }

private:
  void rate(std::uint32_t at) {
    const std::uint32_t after = next_[at];
    const Tokenizer::RankedMerge* merge =
        after == kNowhere ? nullptr : tokenizer_.find_merge(symbols_[at], symbols_[after]);
    ranks_[at] = merge == nullptr ? kNoRank : merge->rank;
  }

  const Tokenizer& tokenizer_;
  std::vector<std::uint32_t> symbols_;
  std::vector<std::uint32_t> next_;
  std::vector<std::uint32_t> previous_;
  std::vector<std::uint32_t> ranks_;
};

// Every new pair ranks after the merge that made it, so ranks can be worked off in one upward pass: a list of positions
// a rank, and a bit a rank that says whether its list holds any. Positions of one rank can only get in each other's way
// when both halves of the pair are the same token ("aa" in "aaa"); those are put in order first.
void merge_by_buckets(const Tokenizer& tokenizer, std::string_view word, TokenIds& ids) {
  const std::span<const Merge> merges = tokenizer.merges();
  SymbolList list(tokenizer, word);
  struct Entry {
    std::uint32_t position;
    std::uint32_t next;
  };
  std::vector<Entry> entries;
  entries.reserve(word.size() * 2);
  std::vector<std::uint32_t> heads(merges.size(), kNowhere);
  std::vector<std::uint64_t> filled(merges.size() / 64 + 1, 0);
  const auto put = [&](std::uint32_t at) {
    const std::uint32_t rank = list.rank(at);
    if (rank != kNoRank) {
      entries.push_back({at, heads[rank]});
      heads[rank] = static_cast<std::uint32_t>(entries.size() - 1);
      filled[rank / 64] |= std::uint64_t{1} << (rank % 64);
    }
  };
  // Backwards, because a list is read from its newest entry.
  for (std::uint32_t at = list.size(); at-- > 0;) {
    put(at);
  }
  std::vector<std::uint32_t> positions;
  for (std::size_t group = 0; group < filled.size(); ++group) {
    while (filled[group] != 0) {
      const auto rank = static_cast<std::uint32_t>(group * 64 + static_cast<unsigned>(std::countr_zero(filled[group])));
      filled[group] &= filled[group] - 1;
      positions.clear();
      for (std::uint32_t entry = heads[rank]; entry != kNowhere; entry = entries[entry].next) {
        positions.push_back(entries[entry].position);
      }
      if (merges[rank].left == merges[rank].right) {
        std::sort(positions.begin(), positions.end());
      }
      for (const std::uint32_t at : positions) {
        if (list.rank(at) == rank) {
          list.merge(at, merges[rank].result, put);
        }
      }
    }
  }
  list.append_to(ids);
}

void merge_by_heap(const Tokenizer& tokenizer, std::string_view word, TokenIds& ids) {
  SymbolList list(tokenizer, word);
  // Rank, then position: the smallest is the next to merge. Stale entries are those whose rank is no longer the pair's.
  std::priority_queue<std::uint64_t, std::vector<std::uint64_t>, std::greater<>> queue;
  const auto put = [&](std::uint32_t at) {
    if (list.rank(at) != kNoRank) {
      queue.push(static_cast<std::uint64_t>(list.rank(at)) << 32 | at);
    }
  };
  for (std::uint32_t at = 0; at < list.size(); ++at) {
    put(at);
  }
  while (!queue.empty()) {
    const auto rank = static_cast<std::uint32_t>(queue.top() >> 32);
    const auto at = static_cast<std::uint32_t>(queue.top());
    queue.pop();
    if (list.rank(at) == rank) {
      list.merge(at, tokenizer.merges()[rank].result, put);
    }
  }
  list.append_to(ids);
}

} // namespace

void merge_long_word(const Tokenizer& tokenizer, std::string_view word, TokenIds& ids) {
  if (word.size() >= kMaxWord) {
    throw Error("TEXT_TOO_LONG", "Cannot encode a text with a word of " + std::to_string(word.size()) +
                                     " bytes: a word may have at most 2 GiB. Cut the text.");
  }
  if (tokenizer.has_ordered_merges() && word.size() >= kMinBucketedWord) {
    merge_by_buckets(tokenizer, word, ids);
  } else {
    merge_by_heap(tokenizer, word, ids);
  }
}

void merge_word(const Tokenizer& tokenizer, std::string_view word, TokenIds& ids) {
  if (tokenizer.ignore_merges()) {
    if (const auto whole = tokenizer.id_of_bytes(word); whole.has_value() && !tokenizer.is_special(*whole)) {
      ids.push_back(*whole);
      return;
    }
  }
  if (word.size() <= kMaxScannedWord) {
    merge_by_scanning(tokenizer, word, ids);
  } else {
    merge_long_word(tokenizer, word, ids);
  }
}

} // namespace assay
