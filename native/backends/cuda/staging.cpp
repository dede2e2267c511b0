// The pieces of a large copy follow each other through the ring: while one is on its way, the next is filled.
#include "backends/cuda/staging.h"

#include <algorithm>
#include <cstring>

#include "backends/cuda/graphs.h"

namespace assay::cuda {

namespace {
constexpr std::size_t kBlockBytes = std::size_t{4} << 20; // longer ones copy no faster
} // namespace

Staging::Staging(cudaStream_t stream) : stream_(stream) {}

Staging::~Staging() {
  for (const Block& block : blocks_) {
    if (block.memory != nullptr) {
      cudaEventSynchronize(block.free);
      cudaEventDestroy(block.free);
      cudaFreeHost(block.memory);
    }
  }
}

Staging::Block& Staging::next() {
  Block& block = blocks_[next_++ % kBlocks];
  if (block.memory == nullptr) {
    if (block.free == nullptr) {
      check_cuda(cudaEventCreateWithFlags(&block.free, cudaEventDisableTiming), "Making an event");
    }
    void* memory = nullptr;
    if (cudaMallocHost(&memory, kBlockBytes) != cudaSuccess) {
      cudaGetLastError();
      throw Error("OUT_OF_MEMORY", "There is no room for 4 MiB of pinned host memory, through which data goes to the "
                                   "GPU; close other programs.");
    }
    block.memory = static_cast<std::byte*>(memory);
  }
  check_cuda(cudaEventSynchronize(block.free), "The GPU's work before a copy");
  return block;
}

void Staging::to_device(void* target, const void* source, std::size_t size_bytes) {
  require_not_recording(stream_);
  for (std::size_t done = 0; done < size_bytes; done += kBlockBytes) {
    const std::size_t bytes = std::min(kBlockBytes, size_bytes - done);
    const Block& block = next();
    std::memcpy(block.memory, static_cast<const std::byte*>(source) + done, bytes);
    check_cuda(
        cudaMemcpyAsync(static_cast<std::byte*>(target) + done, block.memory, bytes, cudaMemcpyHostToDevice, stream_),
        "Copying to the GPU");
    check_cuda(cudaEventRecord(block.free, stream_), "Copying to the GPU");
  }
}

void Staging::to_host(void* target, const void* source, std::size_t size_bytes) {
  require_not_recording(stream_);
  const std::size_t pieces = (size_bytes + kBlockBytes - 1) / kBlockBytes;
  std::array<const Block*, kBlocks> on_their_way{};
  const auto bytes_of = [&](std::size_t piece) { return std::min(kBlockBytes, size_bytes - piece * kBlockBytes); };
  for (std::size_t piece = 0; piece < pieces + kBlocks - 1; ++piece) {
    // Of a ring of n, n − 1 are on their way when the oldest is taken out.
    if (piece + 1 >= kBlocks && piece + 1 - kBlocks < pieces) {
      const std::size_t oldest = piece + 1 - kBlocks;
      const Block& block = *on_their_way[oldest % kBlocks];
      check_cuda(cudaEventSynchronize(block.free), "Copying from the GPU");
      std::memcpy(static_cast<std::byte*>(target) + oldest * kBlockBytes, block.memory, bytes_of(oldest));
    }
    if (piece < pieces) {
      const Block& block = next();
      on_their_way[piece % kBlocks] = &block;
      check_cuda(cudaMemcpyAsync(block.memory, static_cast<const std::byte*>(source) + piece * kBlockBytes,
                                 bytes_of(piece), cudaMemcpyDeviceToHost, stream_),
                 "Copying from the GPU");
      check_cuda(cudaEventRecord(block.free, stream_), "Copying from the GPU");
    }
  }
  check_cuda(cudaStreamSynchronize(stream_), "The GPU's work");
}

} // namespace assay::cuda
