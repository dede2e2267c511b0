// Copies between any host memory and the device through a ring of pinned blocks, so that the copy runs beside the host
// and the caller may reuse its memory at once.
#pragma once

#include <array>
#include <cstddef>

#include "backends/cuda/device.h"

namespace assay::cuda {

class Staging {
public:
  explicit Staging(cudaStream_t stream);
  ~Staging();
  Staging(const Staging&) = delete;
  Staging& operator=(const Staging&) = delete;

  // Returns when the source may be changed; the copy is done in the order of the stream.
  void to_device(void* target, const void* source, std::size_t size_bytes);
  // Returns when the copy is done.
  void to_host(void* target, const void* source, std::size_t size_bytes);

private:
  struct Block {
    std::byte* memory = nullptr;
    cudaEvent_t free = nullptr; // happens when the device has done with it
  };
  static constexpr std::size_t kBlocks = 4;

  Block& next();

  cudaStream_t stream_;
  std::array<Block, kBlocks> blocks_{};
  std::size_t next_ = 0;
};

} // namespace assay::cuda
