// The order in which training sees its windows (docs/formats/data-order.md): a keyed permutation of each epoch that
// can be indexed at any point, so that resuming is arithmetic and nothing but seed and epoch decides the order.
// src/shared/domain/data-order.ts and bench/parity/data_order.py say the same; test/golden/data-order.json holds them
// together.
#pragma once

#include <array>
#include <cstdint>

namespace assay {

class EpochPermutation {
public:
  // At most 2^32 - 1 windows; zero throws BAD_ARGUMENT.
  EpochPermutation(std::uint64_t window_count, std::uint64_t seed, std::uint32_t epoch);

  // The window at `position` (below window_count) of this epoch.
  std::uint32_t window_at(std::uint32_t position) const;

private:
  static constexpr int kRounds = 8;

  std::uint32_t encipher(std::uint32_t value) const;

  std::uint32_t window_count_;
  std::uint32_t half_bits_;
  std::uint32_t half_mask_;
  std::array<std::uint32_t, kRounds> round_keys_;
};

// Sample s of the endless sequence epoch 0, 1, 2, … Keeps the permutation of the epoch last asked for, so reading in
// order costs one key schedule an epoch. Not for use by two threads at once.
class SampleSequence {
public:
  SampleSequence(std::uint64_t window_count, std::uint64_t seed);

  std::uint32_t window_of(std::uint64_t sample);

private:
  std::uint64_t window_count_;
  std::uint64_t seed_;
  std::uint32_t epoch_ = 0;
  EpochPermutation permutation_;
};

} // namespace assay
