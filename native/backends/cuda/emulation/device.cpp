// Properties of the emulated device and the names of errors.
#include "backends/cuda/emulation/device.h"

#include <cstdio>

namespace assay::emulation {

namespace {
cudaError_t g_last_error = cudaSuccess;
} // namespace

Device& device() {
  static Device one;
  return one;
}

// Of one block, when asked for (CUDA C++ Programming Guide, table "Technical specifications per compute capability").
std::size_t shared_bytes_limit() {
  switch (device().compute_capability) {
  case 80:
    return std::size_t{163} * 1024;
  case 90:
  case 100:
    return std::size_t{227} * 1024;
  default:
    return std::size_t{99} * 1024;
  }
}

cudaError_t report(cudaError_t status) {
  if (status != cudaSuccess) {
    g_last_error = status;
  }
  return status;
}

} // namespace assay::emulation

using namespace assay::emulation;

cudaError_t cudaGetLastError() {
  const cudaError_t last = g_last_error;
  g_last_error = cudaSuccess;
  return last;
}

cudaError_t cudaPeekAtLastError() {
  return g_last_error;
}

const char* cudaGetErrorName(cudaError_t error) {
  switch (error) {
#define ASSAY_ERROR_NAME(name)                                                                                         \
  case name:                                                                                                           \
    return #name;
    ASSAY_ERROR_NAME(cudaSuccess)
    ASSAY_ERROR_NAME(cudaErrorInvalidValue)
    ASSAY_ERROR_NAME(cudaErrorMemoryAllocation)
    ASSAY_ERROR_NAME(cudaErrorInvalidConfiguration)
    ASSAY_ERROR_NAME(cudaErrorNoDevice)
    ASSAY_ERROR_NAME(cudaErrorInvalidDevice)
    ASSAY_ERROR_NAME(cudaErrorInvalidResourceHandle)
    ASSAY_ERROR_NAME(cudaErrorIllegalState)
    ASSAY_ERROR_NAME(cudaErrorNotReady)
    ASSAY_ERROR_NAME(cudaErrorLaunchFailure)
    ASSAY_ERROR_NAME(cudaErrorNotSupported)
    ASSAY_ERROR_NAME(cudaErrorStreamCaptureUnsupported)
    ASSAY_ERROR_NAME(cudaErrorStreamCaptureInvalidated)
    ASSAY_ERROR_NAME(cudaErrorStreamCaptureUnmatched)
    ASSAY_ERROR_NAME(cudaErrorStreamCaptureUnjoined)
    ASSAY_ERROR_NAME(cudaErrorStreamCaptureIsolation)
    ASSAY_ERROR_NAME(cudaErrorStreamCaptureImplicit)
#undef ASSAY_ERROR_NAME
  }
  return "unrecognized error code";
}

const char* cudaGetErrorString(cudaError_t error) {
  switch (error) {
  case cudaSuccess:
    return "no error";
  case cudaErrorMemoryAllocation:
    return "out of memory";
  case cudaErrorNoDevice:
    return "no device";
  default:
    return "emulated error";
  }
}

cudaError_t cudaGetDeviceCount(int* count) {
  *count = device().count;
  return device().count > 0 ? cudaSuccess : report(cudaErrorNoDevice);
}

cudaError_t cudaGetDevice(int* number) {
  *number = 0;
  return cudaSuccess;
}

cudaError_t cudaSetDevice(int number) {
  return number >= 0 && number < device().count ? cudaSuccess : report(cudaErrorInvalidDevice);
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp* properties, int number) {
  if (number < 0 || number >= device().count) {
    return report(cudaErrorInvalidDevice);
  }
  *properties = {};
  std::snprintf(properties->name, sizeof(properties->name), "Emulated device");
  properties->totalGlobalMem = device().memory_bytes;
  properties->sharedMemPerBlock = std::size_t{48} * 1024;
  properties->sharedMemPerBlockOptin = shared_bytes_limit();
  properties->sharedMemPerMultiprocessor = shared_bytes_limit() + 1024;
  properties->regsPerBlock = 65536;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->maxThreadsPerMultiProcessor = 2048;
  properties->maxGridSize[0] = 2147483647;
  properties->maxGridSize[1] = 65535;
  properties->maxGridSize[2] = 65535;
  properties->major = device().compute_capability / 10;
  properties->minor = device().compute_capability % 10;
  properties->multiProcessorCount = device().multiprocessors;
  properties->l2CacheSize = 32 << 20;
  properties->memoryBusWidth = 4096;
  properties->asyncEngineCount = 2;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int* version) {
  *version = device().count > 0 ? 13000 : 0;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int* version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void*, cudaFuncAttribute attribute, int value) {
  const bool fits = attribute != cudaFuncAttributeMaxDynamicSharedMemorySize ||
                    (value >= 0 && static_cast<std::size_t>(value) <= shared_bytes_limit());
  return fits ? cudaSuccess : report(cudaErrorInvalidValue);
}
