// How layer norm's rows are divided among threads, forward and backward alike.
#pragma once

#include "backends/cuda/access.h"

#include <cstdint>
#include <type_traits>

namespace assay::cuda {

// 16-byte groups of a row that each thread of its team keeps.
inline constexpr int kGroups = 4;
inline constexpr int kLongestRow = 8192; // channels; longer rows take the plain kernels
inline constexpr int kPlainThreads = 256;

// Teams of one warp share a block.
template <int kThreads> inline constexpr int kRowsPerBlock = kThreads == 32 ? 4 : 1;

// Calls body(std::integral_constant<int, threads>) with the smallest team that holds a row; false when none does.
template <class T, class Body> bool with_team(std::int64_t channels, const Body& body) {
  constexpr int kValuesPerThread = kGroups * kPackedWidth<T>;
  if (channels % kPackedWidth<T> != 0) {
    return false;
  }
  if (channels <= 32 * kValuesPerThread) {
    body(std::integral_constant<int, 32>{});
  } else if (channels <= 128 * kValuesPerThread) {
    body(std::integral_constant<int, 128>{});
  } else if (channels <= kLongestRow) {
    body(std::integral_constant<int, kLongestRow / kValuesPerThread>{});
  } else {
    return false;
  }
  return true;
}

} // namespace assay::cuda
