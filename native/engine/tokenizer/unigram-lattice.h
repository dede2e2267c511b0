// Pieces with log probabilities in a tree, and what one word's segmentations into them add up to: the best one, and the
// expected count of every piece over all of them (forward and backward sums). For training the unigram language model.
#pragma once

#include "engine/tokenizer/pair-table.h"

#include <cstdint>
#include <limits>
#include <span>
#include <string_view>
#include <vector>

namespace assay {

// Pieces as strings of code points, found by walking from any place of a word.
class PieceTree {
public:
  static constexpr std::uint32_t kNone = ~std::uint32_t{0};

  void add(std::u32string_view piece, std::uint32_t id);
  // Calls take(length, id) for every piece that begins at `at`, the shortest first.
  template <class Take> void for_each_prefix(std::u32string_view word, std::size_t at, const Take& take) const {
    std::uint32_t node = 0;
    for (std::size_t end = at; end < word.size(); ++end) {
      const std::uint32_t* next = children_.find(pair_key(node, static_cast<std::uint32_t>(word[end])));
      if (next == nullptr) {
        return;
      }
      node = *next;
      if (ids_[node] != kNone) {
        take(end + 1 - at, ids_[node]);
      }
    }
  }

private:
  PairTable<std::uint32_t> children_;
  std::vector<std::uint32_t> ids_ = {kNone};
};

class UnigramLattice {
public:
  UnigramLattice(const PieceTree& tree, std::span<const double> scores) : tree_(tree), scores_(scores) {}

  // Adds count · (expected occurrences of each piece) to `expected` and returns the word's log probability; −∞ where no
  // segmentation exists.
  double add_expected(std::u32string_view word, double count, std::span<double> expected);
  // The ids of the best segmentation; of equal ones that with the longer last pieces. `without` is not used, as if it
  // were no piece. Empty where there is none.
  std::vector<std::uint32_t> best(std::u32string_view word, std::uint32_t without = PieceTree::kNone);

private:
  const PieceTree& tree_;
  std::span<const double> scores_;
  std::vector<double> forward_, backward_;
  std::vector<std::uint32_t> last_piece_;
  std::vector<std::size_t> last_begin_;
};

} // namespace assay
