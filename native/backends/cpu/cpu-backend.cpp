// Choice of kernels and matrix product, memory, and the workspace.
#include "backends/cpu/cpu-backend-class.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <sched.h>
#include <string>
#include <sys/mman.h>
#include <utility>

namespace assay {

namespace {

constexpr std::size_t kHugePage = std::size_t{2} << 20;

const KernelTable& choose_kernels([[maybe_unused]] KernelChoice choice) {
#if defined(ASSAY_X86_KERNELS)
  __builtin_cpu_init();
  if (choice == KernelChoice::kAutomatic && __builtin_cpu_supports("x86-64-v4")) {
    return kernels_avx512();
  }
  if (choice != KernelChoice::kBaseline && __builtin_cpu_supports("x86-64-v3")) {
    return kernels_avx2();
  }
#endif
  return kernels_baseline();
}

// The wide products only beside the widest kernels: whoever chose narrower ones wants a processor without them.
ProductKernels choose_products([[maybe_unused]] const KernelTable& kernels, const OneDnnLibrary* onednn) {
  ProductKernels chosen;
  chosen.sgemm = onednn != nullptr ? onednn->sgemm : nullptr;
#if defined(ASSAY_X86_KERNELS)
  if (&kernels == &kernels_avx512()) {
    chosen.fp32 = &fp32_gemm_avx512();
    chosen.bf16 = __builtin_cpu_supports("avx512bf16") ? &bf16_gemm_avx512() : nullptr;
  }
#endif
  return chosen;
}

int usable_cores() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) == 0) {
    return std::max(1, CPU_COUNT(&set));
  }
  return std::max(1, omp_get_num_procs());
}

// What Linux says it could give without swapping; 0 when it does not say.
std::size_t available_memory_bytes() {
  std::size_t kibibytes = 0;
  if (std::FILE* file = std::fopen("/proc/meminfo", "re")) {
    char line[128];
    while (std::fgets(line, sizeof line, file) != nullptr) {
      if (std::sscanf(line, "MemAvailable: %zu kB", &kibibytes) == 1) {
        break;
      }
    }
    std::fclose(file);
  }
  return kibibytes * 1024;
}

[[noreturn]] void fail_allocation(std::size_t wanted, std::size_t available) {
  std::string message = "Cannot allocate " + std::to_string(wanted) + " bytes of memory";
  if (available > 0) {
    message += " (" + std::to_string(available) + " are free)";
  }
  throw Error("OUT_OF_MEMORY", message + "; lower the microbatch size, the sequence length or the model's size.");
}

} // namespace

CpuBackend::CpuBackend(const KernelTable& kernels, const OneDnnLibrary* onednn, int threads)
    : kernels_(kernels), product_(kernels, choose_products(kernels, onednn)), threads_(threads),
      partial_sums_(static_cast<std::size_t>(threads)) {
  info_.name = "cpu";
  info_.gemm = onednn != nullptr ? "onednn" : "portable";
  if (onednn != nullptr) {
    info_.library_version = onednn->version;
    info_.library_path = onednn->path;
  }
  info_.instruction_set = kernels.name;
  info_.bf16 = product_.has_bf16() ? "avx512_bf16" : "emulated";
  info_.threads = threads;
}

CpuBackend::~CpuBackend() {
  release(workspace_);
}

void* CpuBackend::allocate(std::size_t size_bytes) {
  // Linux promises memory it does not have and kills the process that uses it; ask first.
  const std::size_t available = size_bytes >= (std::size_t{64} << 20) ? available_memory_bytes() : 0;
  if (available > 0 && size_bytes > available) {
    fail_allocation(size_bytes, available);
  }
  if (size_bytes > SIZE_MAX - 2 * kHugePage) {
    fail_allocation(size_bytes, available);
  }
  const bool is_large = size_bytes >= 4 * kHugePage;
  const std::size_t alignment = is_large ? kHugePage : 64;
  const std::size_t rounded = (std::max<std::size_t>(size_bytes, 1) + alignment - 1) / alignment * alignment;
  void* memory = is_large ? map_large(rounded) : std::aligned_alloc(alignment, rounded);
  if (memory == nullptr) {
    fail_allocation(size_bytes, available);
  }
  // Touches every page now, on the threads that will use it, and never during a step.
  zero(memory, rounded);
  return memory;
}

// Straight from the system, not from malloc: inside Electron malloc is Chromium's, which ends the process when it is
// asked for an alignment above 1 MiB or for more than 2 GiB. `size_bytes` is whole huge pages; null when refused.
void* CpuBackend::map_large(std::size_t size_bytes) {
  const std::scoped_lock lock(mappings_mutex_);
  mappings_.reserve(mappings_.size() + 1);
  void* const mapping =
      ::mmap(nullptr, size_bytes + kHugePage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapping == MAP_FAILED) {
    return nullptr;
  }
  auto* const begin = static_cast<std::byte*>(mapping);
  const std::size_t over = reinterpret_cast<std::uintptr_t>(mapping) % kHugePage;
  const std::size_t before = over == 0 ? 0 : kHugePage - over;
  if (before > 0) {
    ::munmap(begin, before);
  }
  ::munmap(begin + before + size_bytes, kHugePage - before);
  // Advice: pages of 2 MiB spare the matrix products their address translation misses.
  ::madvise(begin + before, size_bytes, MADV_HUGEPAGE);
  mappings_.push_back({begin + before, size_bytes});
  return begin + before;
}

void CpuBackend::release(void* memory) noexcept {
  {
    const std::scoped_lock lock(mappings_mutex_);
    const auto found = std::find_if(mappings_.begin(), mappings_.end(),
                                    [memory](const Mapping& mapping) { return mapping.memory == memory; });
    if (found != mappings_.end()) {
      ::munmap(found->memory, found->size_bytes);
      mappings_.erase(found);
      return;
    }
  }
  std::free(memory);
}

void CpuBackend::copy_to_backend(void* target, const void* host_source, std::size_t size_bytes) {
  if (size_bytes > 0) { // nothing may lie nowhere
    std::memcpy(target, host_source, size_bytes);
  }
}

void CpuBackend::copy_to_host(void* host_target, const void* source, std::size_t size_bytes) {
  if (size_bytes > 0) {
    std::memcpy(host_target, source, size_bytes);
  }
}

void CpuBackend::zero(void* values, std::size_t size_bytes) {
  const auto count = static_cast<std::int64_t>(size_bytes);
  parallel(count / 4, [&](int part) {
    const Range range = share(count, threads_, part, 64);
    std::memset(static_cast<std::byte*>(values) + range.begin, 0, static_cast<std::size_t>(range.count()));
  });
}

std::size_t CpuBackend::workspace_bytes(const WorkspaceRequest& r) const {
  const std::int64_t threads = threads_;
  std::int64_t count = attention_workspace_count(r, threads_);
  count = std::max(count, classifier_workspace_count(r.rows, r.vocab_size));
  count = std::max(count, cross_entropy_workspace_count(r.rows));
  if (r.training) {
    // Layer norm's partial sums and embedding's masked rows.
    count = std::max(count, 2 * threads * r.channels);
  }
  return static_cast<std::size_t>(threads * product_.scratch_count() + count) * sizeof(float);
}

void CpuBackend::reserve_workspace(std::size_t size_bytes) {
  if (size_bytes <= workspace_bytes_) {
    return;
  }
  release_workspace();
  workspace_ = static_cast<float*>(allocate(size_bytes));
  workspace_bytes_ = size_bytes;
}

void CpuBackend::release_workspace() noexcept {
  release(std::exchange(workspace_, nullptr));
  workspace_bytes_ = 0;
}

float* CpuBackend::operation_workspace(std::int64_t count) const {
  const std::int64_t before = threads_ * product_.scratch_count();
  if (static_cast<std::size_t>(before + count) * sizeof(float) > workspace_bytes_) {
    throw Error("WORKSPACE_TOO_SMALL", "An operation needs " + std::to_string((before + count) * 4) +
                                           " bytes of workspace but " + std::to_string(workspace_bytes_) +
                                           " were reserved; call reserve_workspace() with its shape first.");
  }
  return workspace_ + before;
}

CpuBackend::Tile CpuBackend::tile_of(const Product& product, int part) const {
  const TileGrid grid = tile_grid(product.m, product.n, threads_);
  const Range rows = share(product.m, grid.row_parts, part / grid.column_parts, 8);
  const Range columns = share(product.n, grid.column_parts, part % grid.column_parts, 16);
  return {product.tile(rows.begin, rows.count(), columns.begin, columns.count()), rows, columns};
}

void CpuBackend::multiply(const Product& product) const {
  product_.run(product, product_scratch(omp_get_thread_num()));
}

void fail_activation_type() {
  throw Error("NOT_SUPPORTED", "The CPU backend keeps activations in fp32 and was given another type; ask "
                               "activation_type() what it takes.");
}

DropoutRow dropout_row(const Dropout& dropout, std::int64_t sample_in_call) {
  DropoutRow row;
  row.key0 = static_cast<std::uint32_t>(dropout.seed);
  row.key1 = static_cast<std::uint32_t>(dropout.seed >> 32);
  row.sample = dropout.first_sample + static_cast<std::uint32_t>(sample_in_call);
  row.step = dropout.step;
  row.site = dropout.site;
  row.threshold =
      static_cast<std::uint32_t>(std::min(static_cast<double>(dropout.probability) * 0x1.0p32, 4294967295.0));
  row.scale = 1.0F / (1.0F - dropout.probability);
  return row;
}

std::unique_ptr<Backend> create_cpu_backend(const CpuBackendOptions& options) {
  if (options.threads < 0 || options.threads > 1024) {
    throw Error("THREADS_INVALID", "The CPU backend cannot use " + std::to_string(options.threads) +
                                       " threads; give 1 to 1024, or 0 for as many as there are cores.");
  }
  const OneDnnLibrary* library = nullptr;
  if (options.gemm != GemmChoice::kPortable) {
    library = onednn_library().sgemm != nullptr ? &onednn_library() : nullptr;
    if (library == nullptr && options.gemm == GemmChoice::kOneDnn) {
      throw Error("ONEDNN_NOT_FOUND",
                  "oneDNN was asked for but libdnnl.so.3 and libdnnl.so.2 cannot be loaded; install it "
                  "(Debian: apt-get install libdnnl2) or let the engine choose.");
    }
  }
  return std::make_unique<CpuBackend>(choose_kernels(options.kernels), library,
                                      options.threads > 0 ? options.threads : usable_cores());
}

} // namespace assay
