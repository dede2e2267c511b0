#include "engine/tokenizer/merge-learner.h"

#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/pair-table.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

namespace assay {

namespace {

constexpr std::uint32_t kNone = ~std::uint32_t{0};
constexpr std::uint32_t kArrayBase = 1024;
constexpr std::size_t kProgressInterval = 256;
constexpr std::uint64_t kWordsAhead = 6;

struct Pair {
  std::uint32_t left = 0;
  std::uint32_t right = 0;
  std::uint64_t count = 0;
  // The words that held the pair when it came up, in postings_. Some may have lost it since.
  std::uint64_t postings_begin = 0;
  std::uint32_t postings_count = 0;
};

// Counts in the queue may be too high, never too low: a pair's count only falls once the step that made it is over.
struct Candidate {
  std::uint64_t count = 0;
  std::uint64_t key = 0;
  std::uint32_t pair = 0;
};

bool is_worse(const Candidate& left, const Candidate& right) {
  return left.count != right.count ? left.count < right.count : left.key > right.key;
}

class MergeLearner {
public:
  MergeLearner(WordList words, const LearnOptions& options)
      : words_(std::move(words)), options_(options), min_count_(std::max<std::uint64_t>(options.min_frequency, 1)),
        pair_with_new_on_right_(words_.base() + options.max_merges, kNone),
        pair_with_new_on_left_(words_.base() + options.max_merges, kNone) {
    count_first_pairs();
  }

  std::vector<LearnedMerge> learn() {
    std::vector<LearnedMerge> merges;
    while (merges.size() < options_.max_merges && !queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), is_worse);
      Candidate best = queue_.back();
      queue_.pop_back();
      const Pair pair = pairs_[best.pair];
      if (pair.count != best.count) {
        if (pair.count >= min_count_) {
          best.count = pair.count;
          push(best);
        }
        continue;
      }
      const auto made = static_cast<std::uint32_t>(words_.base() + merges.size());
      merges.push_back({{pair.left, pair.right, made}, pair.count});
      apply(pair, made);
      pairs_[best.pair].count = 0;
      if (options_.on_progress && merges.size() % kProgressInterval == 0) {
        options_.on_progress(merges.size());
      }
    }
    return merges;
  }

private:
  // A pair that the step under way has made.
  struct NewPair {
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    std::uint64_t count = 0;
    std::uint32_t last_word = kNone;
    std::uint32_t word_count = 0;
  };
  // That a word holds a new pair.
  struct Sighting {
    std::uint32_t pair = 0;
    std::uint32_t word = 0;
  };

  void push(const Candidate& candidate) {
    queue_.push_back(candidate);
    std::push_heap(queue_.begin(), queue_.end(), is_worse);
  }

  // Notes that `word` holds the new pair in `slot` (kNone: the first sighting of all).
  void sight(std::uint32_t& slot, std::uint32_t left, std::uint32_t right, std::uint32_t word, std::uint64_t count) {
    if (slot == kNone) {
      slot = static_cast<std::uint32_t>(new_pairs_.size());
      new_pairs_.push_back({left, right, 0, kNone, 0});
    }
    NewPair& pair = new_pairs_[slot];
    pair.count += count;
    if (pair.last_word != word) {
      pair.last_word = word;
      ++pair.word_count;
      sightings_.push_back({slot, word});
    }
  }

  // Gives the new pairs that are frequent enough a place in the table and the queue, with their words side by side. The
  // others can be forgotten: counts never rise again.
  void admit_new_pairs() {
    std::vector<std::uint64_t>& cursors = cursors_;
    cursors.assign(new_pairs_.size(), 0);
    std::uint64_t end = postings_.size();
    for (std::size_t index = 0; index < new_pairs_.size(); ++index) {
      const NewPair& pair = new_pairs_[index];
      if (pair.count < min_count_) {
        cursors[index] = std::numeric_limits<std::uint64_t>::max();
        continue;
      }
      cursors[index] = end;
      const auto id = static_cast<std::uint32_t>(pairs_.size());
      const std::uint64_t key = pair_key(pair.left, pair.right);
      pairs_.push_back({pair.left, pair.right, pair.count, end, pair.word_count});
      pair_ids_.insert(key, id);
      push({pair.count, key, id});
      end += pair.word_count;
    }
    postings_.resize(end);
    for (const Sighting& sighting : sightings_) {
      if (cursors[sighting.pair] != std::numeric_limits<std::uint64_t>::max()) {
        postings_[cursors[sighting.pair]++] = sighting.word;
      }
    }
    new_pairs_.clear();
    sightings_.clear();
  }

  void count_first_pairs() {
    std::unordered_map<std::uint64_t, std::uint32_t> slots;
    // An alphabet of bytes has few enough pairs for an array.
    const std::uint32_t base = words_.base();
    std::vector<std::uint32_t> array(base <= kArrayBase ? static_cast<std::size_t>(base) * base : 0, kNone);
    for (std::uint32_t word = 0; word < words_.size(); ++word) {
      const WordList::Word& place = words_.words()[word];
      const std::uint32_t* symbols = words_.symbols().data() + place.begin;
      for (std::uint32_t i = 0; i + 1 < place.length; ++i) {
        std::uint32_t& slot = array.empty()
                                  ? slots.try_emplace(pair_key(symbols[i], symbols[i + 1]), kNone).first->second
                                  : array[static_cast<std::size_t>(symbols[i]) * base + symbols[i + 1]];
        sight(slot, symbols[i], symbols[i + 1], word, words_.counts()[word]);
      }
    }
    admit_new_pairs();
  }

  void apply(const Pair& pair, std::uint32_t made) {
    // By neighbour: the new pair of that neighbour with the symbol made, on either side. (made, made) is with the
    // former.
    const std::uint64_t end = pair.postings_begin + pair.postings_count;
    for (std::uint64_t posting = pair.postings_begin; posting < end; ++posting) {
      // Words lie all over the memory; those to come are asked for ahead.
      if (posting + 2 * kWordsAhead < end) {
        __builtin_prefetch(&words_.words()[postings_[posting + 2 * kWordsAhead]]);
        __builtin_prefetch(&words_.counts()[postings_[posting + 2 * kWordsAhead]]);
      }
      if (posting + kWordsAhead < end) {
        __builtin_prefetch(words_.symbols().data() + words_.words()[postings_[posting + kWordsAhead]].begin);
      }
      apply_to_word(postings_[posting], pair, made);
    }
    for (const NewPair& each : new_pairs_) {
      (each.right == made ? pair_with_new_on_right_[each.left] : pair_with_new_on_left_[each.right]) = kNone;
    }
    admit_new_pairs();
  }

  // Rewrites one word in place. A pair of neighbours changes where either of them is new: the old pair loses the word's
  // count, the new one gains it.
  void apply_to_word(std::uint32_t word, const Pair& pair, std::uint32_t made) {
    WordList::Word& place = words_.words()[word];
    std::uint32_t* symbols = words_.symbols().data() + place.begin;
    const std::uint32_t length = place.length;
    const std::uint64_t count = words_.counts()[word];
    std::uint32_t out = 0;
    while (out + 1 < length && !(symbols[out] == pair.left && symbols[out + 1] == pair.right)) {
      ++out;
    }
    // What stood last before the position read, and whether it went into a symbol made.
    std::uint32_t old_before = out > 0 ? symbols[out - 1] : kNone;
    bool before_is_new = false;
    for (std::uint32_t in = out; in < length;) {
      const bool matches = in + 1 < length && symbols[in] == pair.left && symbols[in + 1] == pair.right;
      const std::uint32_t old_first = symbols[in];
      const std::uint32_t old_last = matches ? pair.right : old_first;
      const std::uint32_t symbol = matches ? made : old_first;
      in += matches ? 2 : 1;
      if (out > 0 && (matches || before_is_new)) {
        lose(old_before, old_first, count);
        const std::uint32_t before = symbols[out - 1];
        sight(symbol == made ? pair_with_new_on_right_[before] : pair_with_new_on_left_[symbol], before, symbol, word,
              count);
      }
      symbols[out++] = symbol;
      old_before = old_last;
      before_is_new = matches;
    }
    place.length = out;
  }

  void lose(std::uint32_t left, std::uint32_t right, std::uint64_t count) {
    // Pairs that were too rare to be admitted are not there.
    if (const std::uint32_t* id = pair_ids_.find(pair_key(left, right)); id != nullptr) {
      pairs_[*id].count -= count;
    }
  }

  WordList words_;
  const LearnOptions& options_;
  std::uint64_t min_count_;
  std::vector<Pair> pairs_;
  PairTable<std::uint32_t> pair_ids_;
  std::vector<std::uint32_t> postings_;
  std::vector<Candidate> queue_;
  std::vector<std::uint32_t> pair_with_new_on_right_;
  std::vector<std::uint32_t> pair_with_new_on_left_;
  std::vector<NewPair> new_pairs_;
  std::vector<Sighting> sightings_;
  std::vector<std::uint64_t> cursors_;
};

} // namespace

void WordList::add(std::string_view word, std::uint64_t count) {
  words_.push_back({symbols_.size(), static_cast<std::uint32_t>(word.size())});
  counts_.push_back(count);
  for (const char byte : word) {
    symbols_.push_back(kIdOfByte[static_cast<unsigned char>(byte)]);
  }
}

void WordList::add(std::span<const std::uint32_t> symbols, std::uint64_t count) {
  words_.push_back({symbols_.size(), static_cast<std::uint32_t>(symbols.size())});
  counts_.push_back(count);
  symbols_.insert(symbols_.end(), symbols.begin(), symbols.end());
}

std::vector<LearnedMerge> learn_merges(WordList words, const LearnOptions& options) {
  return MergeLearner(std::move(words), options).learn();
}

} // namespace assay
