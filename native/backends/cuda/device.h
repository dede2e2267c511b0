// What kernels and host code of the CUDA backend include in place of CUDA's headers: the real ones, or an emulation on
// the host (folder emulation/), with which the same sources are built and tested where there is no GPU. Kernels are
// launched through launch() and take dynamic shared memory through dynamic_shared(), because both differ there.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <type_traits>
#include <utility>

#include "engine/base/error.h"

#if defined(ASSAY_CUDA_EMULATION)
#include "backends/cuda/emulation/language.h"
#include "backends/cuda/emulation/launch.h"
#include "backends/cuda/emulation/runtime.h"
#else
#include <cuda_runtime.h>
#endif

namespace assay {

// What every launch needs. The workspace holds whatever a call wants besides its arguments.
struct KernelContext {
  cudaStream_t stream = nullptr;
  int multiprocessors = 1;
  int compute_capability = 80; // 80, 86, 89, 90, 100, 120
  void* workspace = nullptr;
  std::size_t workspace_bytes = 0;
};

// A kernel context with the place of the launch, which the compiler fills in where the context is converted.
struct LaunchPlace {
  const KernelContext& context;
  const char* file;
  int line;

  LaunchPlace(const KernelContext& kernel_context, const char* file_name = __builtin_FILE(),
              int line_number = __builtin_LINE())
      : context(kernel_context), file(file_name), line(line_number) {}

  std::string text() const {
    std::string name = file;
    const std::size_t slash = name.find_last_of('/');
    return (slash == std::string::npos ? name : name.substr(slash + 1)) + ":" + std::to_string(line);
  }
};

inline void check_cuda(cudaError_t status, const std::string& what) {
  if (status != cudaSuccess) {
    throw Error("CUDA_FAILED", what + " failed with " + cudaGetErrorName(status) + " (" + cudaGetErrorString(status) +
                                   "); restart, and if it happens again update the NVIDIA driver.");
  }
}

// Of static and dynamic shared memory together: what a block has unasked, and what it may ask for on every device from
// sm_80 on.
inline constexpr std::size_t kSharedBytesWithoutAsking = 48 * 1024;
inline constexpr std::size_t kLargestSharedBytes = 99 * 1024;
// What a kernel with dynamic shared memory may have of static besides.
inline constexpr std::size_t kMostStaticSharedBytes = 1024;

// Starts kernel(arguments...) on the context's stream, with the arguments converted to the kernel's parameters.
template <class... Parameters, class... Arguments>
void launch(const LaunchPlace& place, void (*kernel)(Parameters...), dim3 grid, dim3 block, std::size_t shared_bytes,
            Arguments&&... arguments) {
  static_assert(sizeof...(Parameters) == sizeof...(Arguments), "a kernel takes all of its parameters");
  std::tuple<std::remove_cv_t<Parameters>...> values{static_cast<Parameters>(std::forward<Arguments>(arguments))...};
  // What is asked for holds for the kernel, not for the launch, and another thread may start the same kernel with more
  // meanwhile: so as much as all devices have.
  constexpr std::size_t kUsuallyAsked = kLargestSharedBytes - kMostStaticSharedBytes;
  const std::size_t asked_bytes = shared_bytes + kMostStaticSharedBytes <= kSharedBytesWithoutAsking ? 0
                                  : shared_bytes < kUsuallyAsked                                     ? kUsuallyAsked
                                                                                                     : shared_bytes;
#if defined(ASSAY_CUDA_EMULATION)
  int number = 0;
  std::apply([&](const auto&... value) { (emulation::check_argument(value, ++number, place.text()), ...); }, values);
  emulation::launch_kernel(place.context.stream, {grid, block, shared_bytes, place.text(), asked_bytes},
                           [kernel, values] { std::apply(kernel, values); });
#else
  if (asked_bytes > 0) {
    check_cuda(cudaFuncSetAttribute(reinterpret_cast<const void*>(kernel), cudaFuncAttributeMaxDynamicSharedMemorySize,
                                    static_cast<int>(asked_bytes)),
               "Asking for the shared memory of the kernel at " + place.text());
  }
  const cudaError_t status = std::apply(
      [&](auto&... value) {
        // One more than there may be, so that a kernel without parameters is no array of none.
        void* pointers[sizeof...(Parameters) + 1] = {&value...};
        return cudaLaunchKernel(reinterpret_cast<const void*>(kernel), grid, block, pointers, shared_bytes,
                                place.context.stream);
      },
      values);
  if (status != cudaSuccess) {
    check_cuda(status, "Starting the kernel at " + place.text());
  }
#endif
}

// The block's dynamic shared memory, aligned to 128 bytes.
template <class T> __device__ inline T* dynamic_shared() {
#if defined(ASSAY_CUDA_EMULATION)
  return static_cast<T*>(emulation::dynamic_shared_memory());
#else
  extern __shared__ __align__(128) unsigned char dynamic_shared_bytes[];
  return reinterpret_cast<T*>(dynamic_shared_bytes);
#endif
}

} // namespace assay
