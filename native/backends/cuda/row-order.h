// The rows sorted by a key, rows of one key ascending.
#pragma once

#include "backends/cuda/device.h"

#include <cstdint>

namespace assay::cuda {

// Numbers of scratch that order_rows() needs.
constexpr std::int64_t row_order_scratch_count(std::int64_t rows) {
  return rows;
}

// `keys` are not negative. `order` and `scratch` are device memory of as many numbers as there are rows.
void order_rows(const KernelContext& context, const std::int32_t* keys, std::int64_t rows, std::int32_t* order,
                std::int32_t* scratch);

} // namespace assay::cuda
