// Recording, playing and forgetting of graphs.
#include "backends/cuda/graphs.h"

namespace assay::cuda {

namespace {
constexpr std::size_t kMostGraphs = 64; // some hundred KiB of GPU memory each
} // namespace

bool is_recording(cudaStream_t stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  check_cuda(cudaStreamIsCapturing(stream, &status), "Asking whether a graph is recorded");
  return status != cudaStreamCaptureStatusNone;
}

void require_not_recording(cudaStream_t stream) {
  if (is_recording(stream)) {
    throw CannotRecord{};
  }
}

void Graphs::repeat(std::uint64_t key, const std::function<void()>& body) {
  if (is_recording(stream_)) { // a part of what is recorded
    body();
    return;
  }
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    // The first time libraries load kernels, products are measured, and memory may be reserved.
    body();
    entries_.push_front({key});
    by_key_[key] = entries_.begin();
    if (entries_.size() > kMostGraphs) {
      if (entries_.back().graph != nullptr) {
        cudaGraphExecDestroy(entries_.back().graph); // one still playing goes when it is done
      }
      by_key_.erase(entries_.back().key);
      entries_.pop_back();
    }
    return;
  }
  Entry& entry = *found->second;
  entries_.splice(entries_.begin(), entries_, found->second);
  if (entry.graph == nullptr && entry.is_recordable) {
    cudaGraphExec_t recorded = record(body);
    entry.graph = recorded;
    entry.is_recordable = recorded != nullptr;
  }
  if (entry.graph != nullptr) {
    play(entry.graph);
  } else {
    body();
  }
}

cudaGraphExec_t Graphs::record(const std::function<void()>& body) {
  check_cuda(cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal), "Recording a graph");
  cudaGraph_t graph = nullptr;
  try {
    body();
  } catch (const CannotRecord&) {
    cudaStreamEndCapture(stream_, &graph);
    if (graph != nullptr) {
      cudaGraphDestroy(graph);
    }
    cudaGetLastError();
    return nullptr;
  } catch (...) {
    cudaStreamEndCapture(stream_, &graph);
    if (graph != nullptr) {
      cudaGraphDestroy(graph);
    }
    cudaGetLastError();
    throw;
  }
  cudaGraphExec_t executable = nullptr;
  if (cudaStreamEndCapture(stream_, &graph) != cudaSuccess || graph == nullptr) {
    cudaGetLastError();
    return nullptr;
  }
  const cudaError_t status = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  if (status != cudaSuccess) {
    cudaGetLastError();
    return nullptr;
  }
  ++recorded_count_;
  return executable;
}

void Graphs::play(cudaGraphExec_t graph) {
  check_cuda(cudaGraphLaunch(graph, stream_), "Playing a recorded graph");
  ++played_count_;
}

void Graphs::forget() noexcept {
  for (const Entry& entry : entries_) {
    if (entry.graph != nullptr) {
      cudaGraphExecDestroy(entry.graph);
    }
  }
  entries_.clear();
  by_key_.clear();
}

} // namespace assay::cuda
