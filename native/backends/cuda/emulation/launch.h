// How kernels and other device work come onto an emulated stream.
#pragma once

#include <functional>
#include <string>

#include "backends/cuda/emulation/block.h"
#include "backends/cuda/emulation/runtime.h"

namespace assay::emulation {

// Queues the kernel on the stream (or records it while that is captured), then does what the stream has queued. Throws
// CUDA_FAILED where the launch is not possible or the kernel does what a kernel must not do.
void launch_kernel(cudaStream_t stream, const Launch& launch, const std::function<void()>& kernel);

// Throws CUDA_FAILED for a pointer that a kernel may not follow; null is no such.
void check_argument(const void* pointer, int number, const std::string& place);
template <class T> void check_argument(const T&, int, const std::string&) {}
template <class T> void check_argument(T* const& pointer, int number, const std::string& place) {
  check_argument(static_cast<const void*>(pointer), number, place);
}

// The same for work of the device that is no kernel here, as a library's product: `work` may touch device memory.
void enqueue(cudaStream_t stream, const std::function<void()>& work);

} // namespace assay::emulation
