// Passes over the logits of a whole vocabulary, fifty thousand numbers a token: what makes choosing a token cost
// microseconds. Compiled once for each instruction set, like the CPU backend's kernels, and chosen at run time.
#pragma once

#include <cstdint>

namespace assay {

// Maxima and sums are kept for each so many tokens, so that later questions need to look into a few blocks only.
inline constexpr std::int64_t kScanBlock = 128;
inline constexpr std::int64_t scan_block_count(std::int64_t vocab_size) {
  return (vocab_size + kScanBlock - 1) / kScanBlock;
}

struct MassAbove {
  double mass = 0;
  std::int64_t count = 0;
};

struct VocabularyScan {
  // The largest of each block, and of all. What is not a number is passed over.
  float (*block_maxima)(const float* logits, std::int64_t count, float* maxima);
  // Σ e^((logit − highest) · factor) of each block, and of all; each term goes to `weights` unless that is null.
  double (*block_sums)(const float* logits, std::int64_t count, float highest, float factor, double* sums,
                       float* weights);
  // How many logits are at least `threshold`, and the sum of their weights; weights may be null.
  MassAbove (*above)(const float* logits, const float* weights, std::int64_t count, float threshold);
  // How many logits of each block are in [at_least, below).
  void (*block_counts)(const float* logits, std::int64_t count, float at_least, float below, std::int32_t* counts);
};

// The fastest that this machine can run.
const VocabularyScan& vocabulary_scan();

const VocabularyScan& vocabulary_scan_baseline();
#if defined(ASSAY_X86_KERNELS)
const VocabularyScan& vocabulary_scan_avx2();
const VocabularyScan& vocabulary_scan_avx512();
#endif

} // namespace assay
