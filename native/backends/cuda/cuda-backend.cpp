// The backend's memory, copies, workspace and recorded passes.
#include "backends/cuda/cuda-backend.h"

#include <algorithm>
#include <utility>

#include "backends/cuda/attention.h"
#include "backends/cuda/kernels.h"

namespace assay::cuda {

namespace {

// bf16 on tensor cores and cp.async begin with Ampere.
constexpr int kOldestCapability = 80;

std::string readable(std::size_t bytes) {
  const bool is_large = bytes >= std::size_t{1} << 30;
  const double unit = is_large ? 1024.0 * 1024.0 * 1024.0 : 1024.0 * 1024.0;
  char text[32];
  std::snprintf(text, sizeof(text), "%.1f %s", static_cast<double>(bytes) / unit, is_large ? "GiB" : "MiB");
  return text;
}

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp properties{};
  int count = 0;
  if (const cudaError_t status = cudaGetDeviceCount(&count); status != cudaSuccess) {
    cudaGetLastError();
    throw Error("CUDA_NOT_AVAILABLE", std::string("No GPU can be used: CUDA says ") + cudaGetErrorName(status) + " (" +
                                          cudaGetErrorString(status) + "); install or update the NVIDIA driver.");
  }
  if (device < 0 || device >= count) {
    throw Error("CUDA_NOT_AVAILABLE", "There is no device cuda:" + std::to_string(device) + "; this machine has " +
                                          std::to_string(count) + ", counted from 0.");
  }
  check_cuda(cudaGetDeviceProperties(&properties, device), "Asking for the GPU's properties");
  if (properties.major * 10 + properties.minor < kOldestCapability) {
    throw Error("CUDA_NOT_AVAILABLE", std::string(properties.name) + " has compute capability " +
                                          std::to_string(properties.major) + "." + std::to_string(properties.minor) +
                                          "; Assay needs 8.0 (Ampere) or newer, or train on the CPU.");
  }
  return properties;
}

MatrixProductOptions product_options(int device, const CudaOptions& options) {
  const cudaDeviceProp properties = properties_of(device);
  MatrixProductOptions result;
  result.device_name = properties.name;
  result.multiprocessors = properties.multiProcessorCount;
  result.choices_path = options.cache_folder.empty() ? std::string() : options.cache_folder + "/cublaslt-choices.txt";
  result.deterministic = options.deterministic;
  result.measures = options.measures_products;
  return result;
}

} // namespace

CudaBackend::Stream::Stream(int device) {
  properties_of(device);
  check_cuda(cudaSetDevice(device), "Taking the GPU");
  check_cuda(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), "Making a stream");
}

CudaBackend::Stream::~Stream() {
  cudaStreamDestroy(stream);
}

CudaBackend::CudaBackend(int device, const CublasLt& library, const CudaOptions& options)
    : device_(device), stream_(device), products_(library, product_options(device, options)), staging_(stream_.stream),
      graphs_(stream_.stream) {
  const cudaDeviceProp properties = properties_of(device);
  context_.stream = stream_.stream;
  context_.multiprocessors = properties.multiProcessorCount;
  context_.compute_capability = properties.major * 10 + properties.minor;
  device_bytes_ = properties.totalGlobalMem;
  info_.name = "cuda:" + std::to_string(device);
  info_.gemm = "cublaslt";
  info_.library_version = library.version;
  info_.library_path = library.path;
  info_.instruction_set = "sm_" + std::to_string(context_.compute_capability);
  info_.bf16 = "tensor_cores";
  info_.is_device = true;
  info_.device = properties.name;
}

CudaBackend::~CudaBackend() {
  cudaSetDevice(device_);
  cudaStreamSynchronize(stream_.stream);
  graphs_.forget();
  cudaFree(context_.workspace);
}

const KernelContext& CudaBackend::enter() const {
  // Which device is current is a thread's own affair, and the same thread may use several backends.
  int current = -1;
  if (cudaGetDevice(&current) != cudaSuccess || current != device_) {
    check_cuda(cudaSetDevice(device_), "Taking the GPU");
  }
  return context_;
}

void* CudaBackend::allocate(std::size_t size_bytes) {
  enter();
  require_not_recording(context_.stream);
  void* memory = nullptr;
  const std::size_t bytes = std::max<std::size_t>(size_bytes, 1);
  const cudaError_t status = cudaMalloc(&memory, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError(); // it is dealt with here, and not the next call's
    std::size_t free_bytes = 0;
    std::size_t total_bytes = 0;
    cudaMemGetInfo(&free_bytes, &total_bytes);
    throw Error("OUT_OF_MEMORY", "Cannot allocate " + std::to_string(size_bytes) + " bytes (" + readable(size_bytes) +
                                     ") on " + info_.name + ", " + info_.device + ", of whose " +
                                     readable(total_bytes) + " " + readable(free_bytes) +
                                     " are free; lower the microbatch size, the sequence length or the model's size, "
                                     "or close what else uses the GPU.");
  }
  check_cuda(status, "Allocating " + std::to_string(size_bytes) + " bytes of GPU memory");
  const cudaError_t cleared = cudaMemsetAsync(memory, 0, bytes, context_.stream);
  if (cleared != cudaSuccess) {
    cudaFree(memory);
    check_cuda(cleared, "Clearing GPU memory");
  }
  return memory;
}

void CudaBackend::release(void* memory) noexcept {
  if (memory == nullptr) {
    return;
  }
  // A recorded pass may hold the address.
  cudaSetDevice(device_);
  graphs_.forget();
  cudaStreamSynchronize(context_.stream);
  cudaFree(memory);
}

void CudaBackend::copy_to_backend(void* target, const void* host_source, std::size_t size_bytes) {
  enter();
  staging_.to_device(target, host_source, size_bytes);
}

void CudaBackend::copy_to_host(void* host_target, const void* source, std::size_t size_bytes) {
  enter();
  staging_.to_host(host_target, source, size_bytes);
}

void CudaBackend::zero(void* values, std::size_t size_bytes) {
  cuda::zero(enter(), values, size_bytes);
}

void CudaBackend::repeat(std::uint64_t key, const std::function<void()>& body) {
  enter();
  graphs_.repeat(key, body);
}

void CudaBackend::synchronize() {
  enter();
  require_not_recording(context_.stream);
  check_cuda(cudaStreamSynchronize(context_.stream), "The GPU's work");
}

std::size_t CudaBackend::workspace_bytes(const WorkspaceRequest& request) const {
  const std::int64_t widest = std::max({request.inner_channels, 3 * request.channels, request.vocab_size});
  std::size_t bytes = attention_workspace_bytes(request);
  bytes = std::max(bytes, cross_entropy_workspace(request.rows));
  bytes = std::max(bytes, classifier_workspace(request));
  // A linear layer's bias as bf16 and, of weights that are stored narrow, the weight.
  const std::int64_t inner = std::max(request.inner_channels, 3 * request.channels);
  const std::int64_t converted = request.training && !request.narrow_weights ? 0 : inner * request.channels;
  bytes = std::max(bytes, static_cast<std::size_t>(converted) * sizeof(float) +
                              static_cast<std::size_t>(widest) * sizeof(float) + 512);
  if (request.training) {
    const int multiprocessors = context_.multiprocessors;
    bytes = std::max(bytes, embedding_backward_workspace(request.rows, request.channels));
    bytes = std::max(bytes, layer_norm_backward_workspace(request.rows, request.channels, multiprocessors));
    for (const std::int64_t columns :
         {request.channels, 3 * request.channels, request.inner_channels, request.vocab_size}) {
      bytes = std::max(bytes, column_sums_workspace(request.rows, columns, multiprocessors));
    }
    bytes = std::max(bytes, square_sum_workspace());
  }
  return bytes;
}

void CudaBackend::reserve_workspace(std::size_t size_bytes) {
  if (size_bytes <= context_.workspace_bytes) {
    return;
  }
  release_workspace();
  context_.workspace = allocate(size_bytes);
  context_.workspace_bytes = size_bytes;
}

void CudaBackend::release_workspace() noexcept {
  release(std::exchange(context_.workspace, nullptr));
  context_.workspace_bytes = 0;
}

void* CudaBackend::Scratch::take(std::size_t size_bytes) {
  const std::size_t rounded = (size_bytes + 255) / 256 * 256;
  check_workspace(context_, rounded);
  void* taken = context_.workspace;
  context_.workspace = static_cast<std::byte*>(taken) + rounded;
  context_.workspace_bytes -= rounded;
  return taken;
}

} // namespace assay::cuda
