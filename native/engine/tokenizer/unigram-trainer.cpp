#include "engine/tokenizer/unigram-trainer.h"

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/unigram-lattice.h"
#include "engine/tokenizer/unigram-seeds.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <numeric>

namespace assay {

namespace {

// Words are dealt to so many parts, whose sums are added in order: the threads decide nothing.
constexpr std::size_t kParts = 8;
constexpr int kRounds = 2;             // of expectation-maximization before each pruning
constexpr double kLeastExpected = 0.5; // a piece expected less often is dropped at once
constexpr double kKept = 0.75;         // of the pieces at each pruning
constexpr double kBeforeLast = 1.1;    // the last pruning, by score alone, begins at so many times the size
constexpr std::string_view kWordBegin = "\u2581";

// ψ(x), by recurrence to x ≥ 7 and its asymptotic series: what variational Bayes takes in place of the logarithm.
double digamma(double x) {
  double result = 0.0;
  for (; x < 7.0; x += 1.0) {
    result -= 1.0 / x;
  }
  x -= 0.5;
  const double square = 1.0 / (x * x);
  return result + std::log(x) + square * (1.0 / 24.0 - square * (7.0 / 960.0 - square * (31.0 / 8064.0)));
}

class UnigramTrainer {
public:
  UnigramTrainer(UnigramSeeds seeds, const UnigramTrainOptions& options)
      : words_(std::move(seeds.words)), pieces_(std::move(seeds.pieces)), options_(options),
        required_(seeds.character_count) {}

  std::vector<SeedPiece> train(std::size_t wanted) {
    const auto enough = static_cast<std::size_t>(kBeforeLast * static_cast<double>(wanted));
    const std::size_t first = pieces_.size();
    for (;;) {
      for (int round = 0; round < kRounds; ++round) {
        maximize(expect());
      }
      tell(first, wanted);
      if (pieces_.size() <= std::max(enough, wanted)) {
        break;
      }
      const std::size_t before = pieces_.size();
      prune(std::max<std::size_t>(enough, static_cast<std::size_t>(kKept * static_cast<double>(before))));
      if (pieces_.size() == before) {
        break;
      }
    }
    keep_best(wanted);
    return pieces_;
  }

private:
  PieceTree tree() const {
    PieceTree tree;
    for (std::uint32_t id = 0; id < pieces_.size(); ++id) {
      tree.add(pieces_[id].text, id);
    }
    return tree;
  }

  std::vector<double> scores() const {
    std::vector<double> scores;
    for (const SeedPiece& piece : pieces_) {
      scores.push_back(piece.score);
    }
    return scores;
  }

  // Runs body(part, words of the part) over all parts.
  template <class Body> void over_parts(const Body& body) const {
    std::atomic<std::size_t> next{0};
    run_parallel(static_cast<unsigned>(std::min<std::size_t>(std::max(options_.threads, 1U), kParts)), [&](unsigned) {
      for (std::size_t part = next++; part < kParts; part = next++) {
        const std::size_t begin = words_.size() * part / kParts;
        const std::size_t end = words_.size() * (part + 1) / kParts;
        body(part, std::span(words_).subspan(begin, end - begin));
      }
    });
  }

  std::vector<double> expect() const {
    const PieceTree all = tree();
    const std::vector<double> scores = this->scores();
    std::vector<std::vector<double>> sums(kParts, std::vector<double>(pieces_.size(), 0.0));
    over_parts([&](std::size_t part, std::span<const CountedWord> words) {
      UnigramLattice lattice(all, scores);
      for (const CountedWord& word : words) {
        lattice.add_expected(word.text, static_cast<double>(word.count), sums[part]);
      }
    });
    for (std::size_t part = 1; part < kParts; ++part) {
      for (std::size_t id = 0; id < pieces_.size(); ++id) {
        sums[0][id] += sums[part][id];
      }
    }
    return std::move(sums[0]);
  }

  // New scores from the expected counts; pieces that are hardly expected go, but for the characters.
  void maximize(const std::vector<double>& expected) {
    std::vector<SeedPiece> kept;
    std::vector<double> counts;
    for (std::size_t id = 0; id < pieces_.size(); ++id) {
      if (id < required_ || expected[id] >= kLeastExpected) {
        kept.push_back(std::move(pieces_[id]));
        counts.push_back(std::max(expected[id], kLeastExpected));
      }
    }
    const double of_all = digamma(std::accumulate(counts.begin(), counts.end(), 0.0));
    for (std::size_t id = 0; id < kept.size(); ++id) {
      kept[id].score = digamma(counts[id]) - of_all;
    }
    pieces_ = std::move(kept);
  }

  // Keeps the characters and those pieces without which the text would lose the most likelihood: each is replaced by
  // its own best segmentation into others.
  void prune(std::size_t size) {
    const PieceTree all = tree();
    const std::vector<double> scores = this->scores();
    std::vector<std::vector<double>> used(kParts, std::vector<double>(pieces_.size(), 0.0));
    over_parts([&](std::size_t part, std::span<const CountedWord> words) {
      UnigramLattice lattice(all, scores);
      for (const CountedWord& word : words) {
        for (const std::uint32_t id : lattice.best(word.text)) {
          used[part][id] += static_cast<double>(word.count);
        }
      }
    });
    for (std::size_t part = 1; part < kParts; ++part) {
      for (std::size_t id = 0; id < pieces_.size(); ++id) {
        used[0][id] += used[part][id];
      }
    }
    const std::vector<double>& counts = used[0];
    const double total = std::accumulate(counts.begin(), counts.end(), 0.0);
    UnigramLattice lattice(all, scores);
    struct Candidate {
      std::size_t id;
      double loss;
    };
    std::vector<Candidate> candidates;
    for (std::size_t id = required_; id < pieces_.size(); ++id) {
      if (counts[id] == 0.0) {
        continue; // no best segmentation uses it
      }
      const std::vector<std::uint32_t> others = lattice.best(pieces_[id].text, static_cast<std::uint32_t>(id));
      if (others.empty()) {
        candidates.push_back({id, std::numeric_limits<double>::infinity()});
        continue;
      }
      const double log_total = std::log(total);
      // Its occurrences go to the others; what that costs in log likelihood.
      const double log_after = std::log(total + counts[id] * static_cast<double>(others.size() - 1));
      double log_others = 0.0;
      for (const std::uint32_t other : others) {
        log_others += std::log(counts[other] + counts[id]) - log_after;
      }
      candidates.push_back({id, counts[id] / total * (std::log(counts[id]) - log_total - log_others)});
    }
    std::sort(candidates.begin(), candidates.end(), [&](const Candidate& a, const Candidate& b) {
      return a.loss != b.loss ? a.loss > b.loss : pieces_[a.id].text < pieces_[b.id].text;
    });
    const std::size_t room = size > required_ ? size - required_ : 0;
    if (candidates.size() > room) {
      candidates.resize(room);
    }
    // In their old order, so that the characters stay first.
    std::sort(candidates.begin(), candidates.end(), [](const Candidate& a, const Candidate& b) { return a.id < b.id; });
    std::vector<SeedPiece> kept(std::make_move_iterator(pieces_.begin()),
                                std::make_move_iterator(pieces_.begin() + static_cast<std::ptrdiff_t>(required_)));
    for (const Candidate& each : candidates) {
      kept.push_back(std::move(pieces_[each.id]));
    }
    pieces_ = std::move(kept);
  }

  void keep_best(std::size_t wanted) {
    const auto by_score = [](const SeedPiece& a, const SeedPiece& b) {
      return a.score != b.score ? a.score > b.score : a.text < b.text;
    };
    const auto characters_end = pieces_.begin() + static_cast<std::ptrdiff_t>(required_);
    std::sort(characters_end, pieces_.end(), by_score);
    if (pieces_.size() > wanted) {
      pieces_.resize(std::max(wanted, required_));
    }
    std::sort(pieces_.begin(), pieces_.end(), by_score);
  }

  void tell(std::size_t first, std::size_t wanted) const {
    if (options_.on_progress && first > wanted) {
      options_.on_progress(first - pieces_.size(), first - wanted);
    }
  }

  std::vector<CountedWord> words_;
  std::vector<SeedPiece> pieces_; // the characters first
  const UnigramTrainOptions& options_;
  std::size_t required_;
};

// A word's piece scores at least a little more than the best the others can do, so that it is always taken.
void protect_words(const std::vector<std::string>& words, std::vector<SeedPiece>& pieces) {
  for (const std::string& word : words) {
    PieceTree tree;
    std::vector<double> scores;
    std::u32string text = to_code_points(std::string(kWordBegin) + word);
    std::size_t own = pieces.size();
    for (std::uint32_t id = 0; id < pieces.size(); ++id) {
      own = pieces[id].text == text ? id : own;
      tree.add(pieces[id].text, id);
      scores.push_back(pieces[id].score);
    }
    double others = 0.0;
    for (const std::uint32_t id : UnigramLattice(tree, scores).best(text, static_cast<std::uint32_t>(own))) {
      others += scores[id];
    }
    if (own == pieces.size()) {
      pieces.push_back({std::move(text), others + 0.1});
    } else {
      pieces[own].score = std::max(pieces[own].score, others + 0.1);
    }
  }
}

} // namespace

UnigramTrainResult train_unigram(const WordStatistics& words, const UnigramTrainOptions& options) {
  std::vector<std::string> specials = options.special_tokens;
  specials.insert(specials.end(), options.last_tokens.begin(), options.last_tokens.end());
  check_special_tokens(specials);
  if (options.special_tokens.empty()) {
    throw Error("BAD_ARGUMENT", "A unigram tokenizer needs its unknown token as the first special token.");
  }
  for (const std::string& word : options.protected_words) {
    if (word.empty() || word.find_first_of(" \t\n\v\f\r") != std::string::npos) {
      throw Error("BAD_ARGUMENT",
                  "Cannot protect \"" + word +
                      "\": a piece never crosses the border of a word; protect one word without spaces.");
    }
  }
  if (words.word_count() == 0) {
    throw Error("CORPUS_EMPTY", "Cannot train a tokenizer: the input has no text.");
  }
  UnigramSeeds seeds = find_seeds(words, options);
  const std::size_t fixed = specials.size() + options.protected_words.size();
  const std::size_t least = fixed + seeds.character_count;
  if (options.vocab_size < least) {
    throw Error("BAD_ARGUMENT", "Cannot train a tokenizer with " + std::to_string(options.vocab_size) +
                                    " tokens: the special tokens, the characters and the protected words alone are " +
                                    std::to_string(least) + "; ask for more, or lower the coverage of characters.");
  }
  UnigramTrainResult result;
  result.min_word_count = seeds.gathered.min_word_count;
  result.words_left_out = seeds.gathered.words_left_out;
  std::vector<SeedPiece> pieces = UnigramTrainer(std::move(seeds), options).train(options.vocab_size - fixed);
  protect_words(options.protected_words, pieces);
  std::stable_sort(pieces.begin(), pieces.end(),
                   [](const SeedPiece& a, const SeedPiece& b) { return a.score > b.score; });
  result.pieces = options.special_tokens;
  result.scores.assign(options.special_tokens.size(), 0.0);
  for (const SeedPiece& piece : pieces) {
    std::string text = to_utf8(piece.text);
    if (std::find(specials.begin(), specials.end(), text) == specials.end()) {
      result.pieces.push_back(std::move(text));
      result.scores.push_back(piece.score);
    }
  }
  result.pieces.insert(result.pieces.end(), options.last_tokens.begin(), options.last_tokens.end());
  result.scores.resize(result.pieces.size(), 0.0);
  return result;
}

} // namespace assay
