// Runs the blocks of a launch: the threads of a block are fibers that go on until they wait for each other.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "backends/cuda/emulation/language.h"

namespace assay::emulation {

struct Launch {
  dim3 grid, block;
  std::size_t shared_bytes = 0;
  std::string place; // file and line
  // Dynamic shared memory that was asked for (cudaFuncAttributeMaxDynamicSharedMemorySize); 0: nothing was.
  std::size_t asked_shared_bytes = 0;
};

// Runs the whole grid. Throws CUDA_FAILED with the launch, the block and the threads where threads wait for ever, meet
// in different calls, or use a misaligned address.
void run_grid(const Launch& launch, const std::function<void()>& kernel);

// 0 runs blocks and threads ascending; any other seed shuffles them, the threads again after each round.
void set_order(std::uint64_t seed);

} // namespace assay::emulation
