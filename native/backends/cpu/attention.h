// What the three attention operations share: block sizes, and which keys a query may attend to.
#pragma once

#include "backends/cpu/cpu-backend-class.h"

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace assay {

constexpr std::int64_t kQueryBlock = 64;
constexpr std::int64_t kKeyBlock = 256; // a multiple of kQueryBlock: then a block of keys never starts after a query

// Floats a thread needs for forward: scores, and a running maximum and sum for each query.
constexpr std::int64_t kForwardScratch = kQueryBlock * kKeyBlock + 2 * kQueryBlock;

// The keys of one sequence that each of its queries sees. Ranges are cut to the sequence: whatever they hold, no
// memory beyond it is read.
struct VisibleKeys {
  std::int64_t key_count;
  bool causal;
  const std::int32_t* begin = nullptr; // by query, both or neither
  const std::int32_t* end = nullptr;

  Range of(std::int64_t query) const {
    Range seen{0, causal ? std::min(query + 1, key_count) : key_count};
    if (begin != nullptr) {
      seen.begin = std::max<std::int64_t>(begin[query], 0);
      seen.end = std::max(std::min<std::int64_t>(end[query], seen.end), seen.begin);
    }
    return seen;
  }
  // The part of them that lies in [first, first + count), counted from `first`.
  Range of(std::int64_t query, std::int64_t first, std::int64_t count) const {
    const Range seen = of(query);
    const std::int64_t from = std::clamp<std::int64_t>(seen.begin - first, 0, count);
    return {from, std::clamp<std::int64_t>(seen.end - first, from, count)};
  }
};

inline VisibleKeys visible_keys(std::int64_t seq_len, bool causal, const std::int32_t* begin, const std::int32_t* end,
                                std::int64_t sample) {
  const bool has_ranges = begin != nullptr && end != nullptr;
  return {seq_len, causal, has_ranges ? begin + sample * seq_len : nullptr,
          has_ranges ? end + sample * seq_len : nullptr};
}

// Queries first_query … first_query + queries − 1 of a sequence, and where everything lies.
struct CpuBackend::QueryBlock {
  const float* query;
  std::int64_t query_stride;
  const float* key;
  std::int64_t key_stride;
  const float* value;
  std::int64_t value_stride;
  float* output;
  std::int64_t output_stride;
  float* log_sum_exp; // or null
  std::int64_t first_query, queries, head_size;
  bool bf16 = false;
  VisibleKeys visible;
  const DropoutRow* dropout = nullptr; // or null
  std::uint64_t first_element = 0;     // of row first_query's key 0
  std::int64_t elements_per_query = 0;
};

inline float attention_scale(std::int64_t head_size) {
  return 1.0F / std::sqrt(static_cast<float>(head_size));
}

// In the measure of kWorthATeam: two products of T²/2 · C a sequence, and the softmax between them.
inline std::int64_t attention_work(std::int64_t batch, std::int64_t seq_len, std::int64_t channels) {
  return batch * seq_len * seq_len * channels / 8;
}

std::int64_t attention_backward_count(std::int64_t seq_len, std::int64_t head_size, int threads);
std::int64_t attention_cached_count(std::int64_t rows, std::int64_t context, std::int64_t channels, std::int64_t heads);

} // namespace assay
