#include "engine/data/data-order.h"

#include "engine/base/error.h"

#include <limits>
#include <string>

namespace assay {

namespace {

constexpr std::uint32_t kGolden = 0x9E3779B9U;

// Wellons' "lowbias32": a bijection of 32 bits in which every input bit flips each output bit about half the time.
std::uint32_t mix32(std::uint32_t x) {
  x ^= x >> 16;
  x *= 0x7FEB352DU;
  x ^= x >> 15;
  x *= 0x846CA68BU;
  x ^= x >> 16;
  return x;
}

std::uint32_t checked_window_count(std::uint64_t window_count) {
  if (window_count == 0 || window_count > std::numeric_limits<std::uint32_t>::max()) {
    throw Error("BAD_ARGUMENT",
                "A data order holds 1 to 4294967295 windows, not " + std::to_string(window_count) + ".");
  }
  return static_cast<std::uint32_t>(window_count);
}

} // namespace

EpochPermutation::EpochPermutation(std::uint64_t window_count, std::uint64_t seed, std::uint32_t epoch)
    : window_count_(checked_window_count(window_count)), half_bits_(1) {
  while ((std::uint64_t{1} << (2 * half_bits_)) < window_count_) {
    ++half_bits_;
  }
  half_mask_ = (1U << half_bits_) - 1U;
  std::uint32_t key = mix32(static_cast<std::uint32_t>(seed) + kGolden);
  key = mix32(key ^ static_cast<std::uint32_t>(seed >> 32));
  key = mix32(key + epoch);
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    round_keys_[round] = mix32(key + (round + 1U) * kGolden);
  }
}

std::uint32_t EpochPermutation::encipher(std::uint32_t value) const {
  std::uint32_t left = value >> half_bits_;
  std::uint32_t right = value & half_mask_;
  for (const std::uint32_t round_key : round_keys_) {
    const std::uint32_t next = left ^ (mix32(right + round_key) & half_mask_);
    left = right;
    right = next;
  }
  return (left << half_bits_) | right;
}

std::uint32_t EpochPermutation::window_at(std::uint32_t position) const {
  // Cycle walking: values past the end are enciphered again until they land inside. The domain is less than four
  // times the window count, so fewer than four rounds are needed on average.
  std::uint32_t value = position;
  do {
    value = encipher(value);
  } while (value >= window_count_);
  return value;
}

SampleSequence::SampleSequence(std::uint64_t window_count, std::uint64_t seed)
    : window_count_(window_count), seed_(seed), permutation_(window_count, seed, 0) {}

std::uint32_t SampleSequence::window_of(std::uint64_t sample) {
  const std::uint64_t epoch = sample / window_count_;
  if (epoch > std::numeric_limits<std::uint32_t>::max()) {
    throw Error("BAD_ARGUMENT", "Sample " + std::to_string(sample) + " lies beyond epoch 4294967295.");
  }
  if (epoch != epoch_) {
    epoch_ = static_cast<std::uint32_t>(epoch);
    permutation_ = EpochPermutation(window_count_, seed_, epoch_);
  }
  return permutation_.window_at(static_cast<std::uint32_t>(sample % window_count_));
}

} // namespace assay
