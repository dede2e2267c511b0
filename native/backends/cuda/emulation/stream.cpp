// Streams of the emulated device, and the work that is put on them.
#include "backends/cuda/emulation/stream.h"

#include <exception>
#include <string>
#include <utility>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/launch.h"
#include "engine/base/error.h"

namespace assay::emulation {

namespace {

struct Streams {
  CUstream_st default_stream;
  std::vector<std::unique_ptr<CUstream_st>> created;
};

Streams& streams() {
  static Streams all;
  return all;
}

// Why a launch cannot be; empty if it can.
std::string launch_problem(const Launch& launch) {
  const dim3 block = launch.block;
  const dim3 grid = launch.grid;
  if (std::uint64_t{block.x} * block.y * block.z - 1 >= 1024 || block.z > 64) {
    return "a block has 1 to 1024 threads, 64 of them in z";
  }
  if (grid.x - 1U >= 2147483647U || grid.y - 1U >= 65535 || grid.z - 1U >= 65535) {
    return "a grid has 1 to 2147483647 · 65535 · 65535 blocks, here " + std::to_string(grid.x) + " · " +
           std::to_string(grid.y) + " · " + std::to_string(grid.z);
  }
  if (launch.shared_bytes > shared_bytes_limit()) {
    return "it asks for " + std::to_string(launch.shared_bytes) + " bytes of shared memory of " +
           std::to_string(shared_bytes_limit());
  }
  return {};
}

} // namespace

CUstream_st& stream_of(cudaStream_t stream) {
  return stream == nullptr ? streams().default_stream : *stream;
}

void finish(CUstream_st& stream, std::uint64_t position) {
  while (!stream.queued.empty() && stream.done_count < position) {
    const Work work = std::move(stream.queued.front());
    stream.queued.pop_front();
    ++stream.done_count;
    try {
      work();
    } catch (...) {
      stream.done_count += stream.queued.size();
      stream.queued.clear();
      throw;
    }
  }
}

void queue(CUstream_st& stream, Work work) {
  if (stream.capture) {
    if (&stream != stream.capture->origin) {
      stream.capture->unjoined.insert(&stream);
    }
    stream.capture->work.push_back(std::move(work));
    return;
  }
  // The default stream and those that were not made without it wait for each other.
  if (&stream == &streams().default_stream) {
    for (const auto& other : streams().created) {
      if (other->waits_for_default) {
        finish(*other);
      }
    }
  } else if (stream.waits_for_default) {
    finish(streams().default_stream);
  }
  stream.queued.push_back(std::move(work));
  ++stream.queued_count;
}

cudaError_t finish_all_streams() {
  cudaError_t status = cudaSuccess;
  const auto finish_one = [&status](CUstream_st& stream) {
    try {
      finish(stream);
    } catch (const std::exception&) {
      status = cudaErrorLaunchFailure;
    }
  };
  finish_one(streams().default_stream);
  for (const auto& stream : streams().created) {
    finish_one(*stream);
  }
  return status;
}

bool capture_forbids_waiting() {
  bool forbidden = false;
  for (const auto& stream : streams().created) {
    if (stream->capture && stream->capture->mode != cudaStreamCaptureModeRelaxed) {
      stream->capture->invalid = true;
      forbidden = true;
    }
  }
  return forbidden;
}

void leave_capture(Capture& capture) {
  capture.ended = true;
  for (const auto& stream : streams().created) {
    if (stream->capture.get() == &capture) {
      stream->capture.reset();
    }
  }
}

void enqueue(cudaStream_t stream, const Work& work) {
  CUstream_st& target = stream_of(stream);
  queue(target, [work] {
    const DeviceAccess access;
    work();
    check_allocation_ends();
  });
  if (!target.capture) {
    finish(target);
  }
}

void check_argument(const void* pointer, int number, const std::string& place) {
  if (pointer != nullptr && !is_reserved_address(pointer) && !is_pinned_memory(pointer, 0)) {
    throw Error("CUDA_FAILED", "Argument " + std::to_string(number) + " of the kernel launched at " + place +
                                   " points to memory of the host that the device cannot read.");
  }
}

void launch_kernel(cudaStream_t stream, const Launch& launch, const std::function<void()>& kernel) {
  const std::string problem = launch_problem(launch);
  if (!problem.empty()) {
    throw Error("CUDA_FAILED", "The kernel at " + launch.place + " cannot be launched: " + problem + ".");
  }
  enqueue(stream, [launch, kernel] { run_grid(launch, kernel); });
}

} // namespace assay::emulation

using namespace assay::emulation;

cudaError_t cudaStreamCreateWithFlags(cudaStream_t* stream, unsigned int flags) {
  streams().created.push_back(std::make_unique<CUstream_st>());
  *stream = streams().created.back().get();
  (*stream)->waits_for_default = (flags & cudaStreamNonBlocking) == 0;
  return cudaSuccess;
}

cudaError_t cudaStreamCreate(cudaStream_t* stream) {
  return cudaStreamCreateWithFlags(stream, cudaStreamDefault);
}

cudaError_t cudaStreamCreateWithPriority(cudaStream_t* stream, unsigned int flags, int) {
  return cudaStreamCreateWithFlags(stream, flags);
}

cudaError_t cudaStreamDestroy(cudaStream_t stream) {
  const cudaError_t status = finish_all_streams();
  forget_stream(stream);
  const std::size_t count =
      std::erase_if(streams().created, [stream](const auto& each) { return each.get() == stream; });
  return report(count > 0 ? status : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  if (stream_of(stream).capture) {
    stream->capture->invalid = true;
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  finish(stream_of(stream));
  return cudaSuccess;
}

cudaError_t cudaStreamQuery(cudaStream_t stream) {
  CUstream_st& queried = stream_of(stream);
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (queried.queued.empty()) {
    return cudaSuccess;
  }
  finish(queried);
  return cudaErrorNotReady;
}

cudaError_t cudaDeviceSynchronize() {
  if (capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  finish(streams().default_stream);
  for (const auto& stream : streams().created) {
    finish(*stream);
  }
  return cudaSuccess;
}

cudaError_t cudaLaunchHostFunc(cudaStream_t stream, cudaHostFn_t function, void* argument) {
  queue(stream_of(stream), [=] { function(argument); });
  return cudaSuccess;
}
