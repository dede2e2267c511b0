#include "engine/tokenizer/unigram-lattice.h"

#include <algorithm>
#include <cmath>

namespace assay {

namespace {

constexpr double kNever = -std::numeric_limits<double>::infinity();

// log(e^a + e^b)
double add_logs(double a, double b) {
  if (a < b) {
    std::swap(a, b);
  }
  return b == kNever ? a : a + std::log1p(std::exp(b - a));
}

} // namespace

void PieceTree::add(std::u32string_view piece, std::uint32_t id) {
  std::uint32_t node = 0;
  for (const char32_t character : piece) {
    const std::uint64_t key = pair_key(node, static_cast<std::uint32_t>(character));
    if (const std::uint32_t* next = children_.find(key); next != nullptr) {
      node = *next;
    } else {
      const auto made = static_cast<std::uint32_t>(ids_.size());
      children_.insert(key, made);
      ids_.push_back(kNone);
      node = made;
    }
  }
  ids_[node] = id;
}

double UnigramLattice::add_expected(std::u32string_view word, double count, std::span<double> expected) {
  const std::size_t size = word.size();
  forward_.assign(size + 1, kNever);
  backward_.assign(size + 1, kNever);
  forward_[0] = 0.0;
  for (std::size_t at = 0; at < size; ++at) {
    if (forward_[at] == kNever) {
      continue;
    }
    tree_.for_each_prefix(word, at, [&](std::size_t length, std::uint32_t id) {
      forward_[at + length] = add_logs(forward_[at + length], forward_[at] + scores_[id]);
    });
  }
  const double total = forward_[size];
  if (total == kNever) {
    return total;
  }
  backward_[size] = 0.0;
  for (std::size_t at = size; at-- > 0;) {
    tree_.for_each_prefix(word, at, [&](std::size_t length, std::uint32_t id) {
      const double after = backward_[at + length];
      if (after == kNever) {
        return;
      }
      backward_[at] = add_logs(backward_[at], after + scores_[id]);
      if (forward_[at] != kNever) {
        expected[id] += count * std::exp(forward_[at] + scores_[id] + after - total);
      }
    });
  }
  return total;
}

std::vector<std::uint32_t> UnigramLattice::best(std::u32string_view word, std::uint32_t without) {
  const std::size_t size = word.size();
  forward_.assign(size + 1, kNever);
  last_piece_.assign(size + 1, PieceTree::kNone);
  last_begin_.assign(size + 1, 0);
  forward_[0] = 0.0;
  for (std::size_t at = 0; at < size; ++at) {
    if (forward_[at] == kNever) {
      continue;
    }
    tree_.for_each_prefix(word, at, [&](std::size_t length, std::uint32_t id) {
      const double score = forward_[at] + scores_[id];
      if (id != without && score > forward_[at + length]) {
        forward_[at + length] = score;
        last_piece_[at + length] = id;
        last_begin_[at + length] = at;
      }
    });
  }
  std::vector<std::uint32_t> ids;
  if (forward_[size] == kNever) {
    return ids;
  }
  for (std::size_t end = size; end > 0; end = last_begin_[end]) {
    ids.push_back(last_piece_[end]);
  }
  std::reverse(ids.begin(), ids.end());
  return ids;
}

} // namespace assay
