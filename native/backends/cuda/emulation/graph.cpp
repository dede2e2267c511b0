// Recording a stream as a graph and playing it again, and copies, which both queue and record.
#include <cstring>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/stream.h"

struct CUgraph_st {
  std::vector<assay::emulation::Work> work;
};

struct CUgraphExec_st {
  std::shared_ptr<const std::vector<assay::emulation::Work>> work;
};

using namespace assay::emulation;

namespace {

// Whether the copy's ends are where its kind says.
bool is_valid_copy(const void* target, const void* source, std::size_t size_bytes, cudaMemcpyKind kind) {
  const bool to_device = is_device_memory(target, size_bytes);
  const bool from_device = is_device_memory(source, size_bytes);
  switch (kind) {
  case cudaMemcpyHostToHost:
    return !to_device && !from_device;
  case cudaMemcpyHostToDevice:
    return to_device && !from_device;
  case cudaMemcpyDeviceToHost:
    return !to_device && from_device;
  case cudaMemcpyDeviceToDevice:
    return to_device && from_device;
  case cudaMemcpyDefault:
    return true;
  }
  return false;
}

} // namespace

cudaError_t cudaMemcpyAsync(void* target, const void* source, std::size_t size_bytes, cudaMemcpyKind kind,
                            cudaStream_t stream) {
  if (size_bytes == 0) {
    return cudaSuccess;
  }
  if (!is_valid_copy(target, source, size_bytes, kind)) {
    return report(cudaErrorInvalidValue);
  }
  CUstream_st& queued = stream_of(stream);
  const auto may_record = [size_bytes](const void* address) {
    return is_device_memory(address, size_bytes) || is_pinned_memory(address, size_bytes);
  };
  if (queued.capture && !(may_record(target) && may_record(source))) {
    queued.capture->invalid = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  queue(queued, [=] {
    const DeviceAccess access;
    std::memmove(target, source, size_bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemsetAsync(void* target, int value, std::size_t size_bytes, cudaStream_t stream) {
  if (size_bytes == 0) {
    return cudaSuccess;
  }
  if (!is_device_memory(target, size_bytes)) {
    return report(cudaErrorInvalidValue);
  }
  queue(stream_of(stream), [=] {
    const DeviceAccess access;
    std::memset(target, value, size_bytes);
  });
  return cudaSuccess;
}

cudaError_t cudaMemcpy(void* target, const void* source, std::size_t size_bytes, cudaMemcpyKind kind) {
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureImplicit);
  }
  const cudaError_t status = cudaMemcpyAsync(target, source, size_bytes, kind, nullptr);
  return status == cudaSuccess ? cudaStreamSynchronize(nullptr) : status;
}

cudaError_t cudaMemset(void* target, int value, std::size_t size_bytes) {
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureImplicit);
  }
  return cudaMemsetAsync(target, value, size_bytes, nullptr);
}

cudaError_t cudaStreamBeginCapture(cudaStream_t stream, cudaStreamCaptureMode mode) {
  if (stream == nullptr) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (stream->capture) {
    return report(cudaErrorIllegalState);
  }
  stream->capture = std::make_shared<Capture>();
  stream->capture->origin = stream;
  stream->capture->mode = mode;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t stream, cudaGraph_t* graph) {
  *graph = nullptr;
  if (stream == nullptr || !stream->capture) {
    return report(cudaErrorIllegalState);
  }
  const std::shared_ptr<Capture> capture = stream->capture;
  if (capture->origin != stream) {
    return report(cudaErrorStreamCaptureUnmatched);
  }
  leave_capture(*capture);
  if (capture->invalid) {
    return report(cudaErrorStreamCaptureInvalidated);
  }
  if (!capture->unjoined.empty()) {
    return report(cudaErrorStreamCaptureUnjoined);
  }
  *graph = new CUgraph_st{capture->work};
  return cudaSuccess;
}

cudaError_t cudaStreamIsCapturing(cudaStream_t stream, cudaStreamCaptureStatus* status) {
  const auto& capture = stream_of(stream).capture;
  *status = !capture           ? cudaStreamCaptureStatusNone
            : capture->invalid ? cudaStreamCaptureStatusInvalidated
                               : cudaStreamCaptureStatusActive;
  return cudaSuccess;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{std::make_shared<const std::vector<Work>>(graph->work)};
  return cudaSuccess;
}

cudaError_t cudaGraphUpload(cudaGraphExec_t, cudaStream_t) {
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t stream) {
  CUstream_st& queued = stream_of(stream);
  queue(queued, [work = executable->work] {
    const DeviceAccess access; // opened once for all of it
    for (const Work& each : *work) {
      each();
    }
  });
  if (!queued.capture) {
    finish(queued);
  }
  return cudaSuccess;
}

cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
