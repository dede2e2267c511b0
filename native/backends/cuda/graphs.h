// Passes that were recorded as CUDA graphs, to be played again with one call: small kernels are over before the host
// has started the next.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <unordered_map>

#include "backends/cuda/device.h"

namespace assay::cuda {

// Thrown by what must not be part of a recording, as it would be done once only: copies from and to the host, waiting,
// memory, measuring. Nobody sees it: the pass is then run instead.
struct CannotRecord {};

bool is_recording(cudaStream_t stream);
// Throws CannotRecord while the stream is recorded.
void require_not_recording(cudaStream_t stream);

class Graphs {
public:
  explicit Graphs(cudaStream_t stream) : stream_(stream) {}
  ~Graphs() { forget(); }
  Graphs(const Graphs&) = delete;
  Graphs& operator=(const Graphs&) = delete;

  // Runs the body, records it the second time a key comes, and plays it from then on.
  void repeat(std::uint64_t key, const std::function<void()>& body);
  void forget() noexcept;

  std::size_t recorded_count() const noexcept { return recorded_count_; }
  std::size_t played_count() const noexcept { return played_count_; }

private:
  struct Entry {
    std::uint64_t key;
    cudaGraphExec_t graph = nullptr;
    bool is_recordable = true;
  };

  // Null if the body cannot be recorded.
  cudaGraphExec_t record(const std::function<void()>& body);
  void play(cudaGraphExec_t graph);

  cudaStream_t stream_;
  std::list<Entry> entries_; // the latest used first
  std::unordered_map<std::uint64_t, std::list<Entry>::iterator> by_key_;
  std::size_t recorded_count_ = 0;
  std::size_t played_count_ = 0;
};

} // namespace assay::cuda
