// The class behind create_cpu_backend(), private to this folder: its operations are spread over linear.cpp,
// attention.cpp, classifier.cpp and elementwise.cpp.
//
// One OpenMP team, whose size is fixed when the backend is made, runs everything; oneDNN is called from inside the team
// and so stays on the calling thread. What a thread computes depends on its number and the team's size alone, or
// (attention) does not depend on the thread at all: equal inputs give equal bits.
#pragma once

#include "backends/cpu/cpu-backend.h"
#include "backends/cpu/kernels/table.h"
#include "backends/cpu/matrix-product.h"
#include "engine/ops/backend.h"

#include <cstddef>
#include <cstdint>
#include <mutex>
#include <omp.h>
#include <vector>
#if defined(__SSE2__)
#include <xmmintrin.h>
#endif

namespace assay {

class CpuBackend final : public Backend {
public:
  CpuBackend(const KernelTable& kernels, const OneDnnLibrary* onednn, int threads);
  ~CpuBackend() override;

  const BackendInfo& info() const override { return info_; }
  void* allocate(std::size_t size_bytes) override;
  void release(void* memory) noexcept override;
  void copy_to_backend(void* target, const void* host_source, std::size_t size_bytes) override;
  void copy_to_host(void* host_target, const void* source, std::size_t size_bytes) override;
  void zero(void* values, std::size_t size_bytes) override;
  std::size_t workspace_bytes(const WorkspaceRequest& request) const override;
  void reserve_workspace(std::size_t size_bytes) override;
  std::size_t reserved_workspace_bytes() const override { return workspace_bytes_; }
  void release_workspace() noexcept override;

  void embedding_forward(const EmbeddingForward& call) override;
  void embedding_backward(const EmbeddingBackward& call) override;
  void layer_norm_forward(const LayerNormForward& call) override;
  void layer_norm_backward(const LayerNormBackward& call) override;
  void linear_forward(const LinearForward& call) override;
  void linear_backward(const LinearBackward& call) override;
  void attention_forward(const AttentionForward& call) override;
  void attention_backward(const AttentionBackward& call) override;
  void attention_cached(const AttentionCached& call) override;
  void classifier_train(const Classifier& call) override;
  void classifier_evaluate(const Classifier& call) override;
  void logits(ConstValues hidden, const WeightView& weight, const float* bias, float* output, std::int64_t rows,
              std::int64_t channels, std::int64_t vocab_size, bool bf16) override;
  void add(Values target, ConstValues values, std::int64_t count) override;
  void dropout(Values values, std::int64_t rows, std::int64_t channels, std::int64_t rows_per_sample,
               const Dropout& dropout) override;
  void copy_columns(Values target, std::int64_t target_stride, ConstValues source, std::int64_t source_stride,
                    std::int64_t rows, std::int64_t columns, bool add) override;
  void activation_forward(Values output, ConstValues input, std::int64_t count, Activation activation) override;
  void activation_backward(Values gradient, ConstValues pre_activation, std::int64_t count,
                           Activation activation) override;
  void gather_rows(ConstValues source, const std::int32_t* indices, Values output, std::int64_t rows,
                   std::int64_t channels) override;
  void scatter_add_rows(ConstValues values, const std::int32_t* indices, Values target, std::int64_t rows,
                        std::int64_t channels) override;
  void convert(ConstValues source, Values target, std::int64_t count) override;
  void cross_entropy(const CrossEntropy& call) override;
  void square_sum(const float* values, std::int64_t count, double* sum) override;
  void adamw_step(const AdamWStep& call) override;

private:
  struct QueryBlock;
  struct Mapping {
    void* memory;
    std::size_t size_bytes;
  };

  void* map_large(std::size_t size_bytes);

  // Work is counted in floats visited (a product: floating-point operations / 32). Below this a team costs more than it
  // gains, and much more where other processes hold a core that a member of the team would wait for.
  static constexpr std::int64_t kWorthATeam = 16384;
  static std::int64_t work_of(const Product& product) { return product.m * product.n * product.k / 16; }

  // Runs body(part) for every part in [0, threads), one a thread. Parts, not threads, decide what is computed, so the
  // result is the same when the system grants fewer threads than asked, or when the caller's thread does it all.
  template <class Body> void parallel(std::int64_t work, const Body& body) const {
    if (work < kWorthATeam) {
      const ThreadCountScope scope(1);
      const FlushDenormalsScope flush;
      for (int part = 0; part < threads_; ++part) {
        body(part);
      }
    } else {
      const ThreadCountScope scope(threads_);
#pragma omp parallel num_threads(threads_)
      {
        const FlushDenormalsScope flush;
        for (int part = omp_get_thread_num(); part < threads_; part += omp_get_num_threads()) {
          body(part);
        }
      }
    }
    product_.check();
  }

  // Runs body(item, thread) for every item, in any order on any thread; for items whose result does not depend on it.
  template <class Body> void parallel_items(std::int64_t work, std::int64_t items, const Body& body) const {
    if (work < kWorthATeam) {
      const ThreadCountScope scope(1);
      const FlushDenormalsScope flush;
      for (std::int64_t item = 0; item < items; ++item) {
        body(item, 0);
      }
    } else {
      const ThreadCountScope scope(threads_);
#pragma omp parallel num_threads(threads_)
      {
        const FlushDenormalsScope flush;
#pragma omp for schedule(dynamic, 1) nowait
        for (std::int64_t item = 0; item < items; ++item) {
          body(item, omp_get_thread_num());
        }
      }
    }
    product_.check();
  }

  // One thread's share of a product, and where it lies in C.
  struct Tile {
    Product product;
    Range rows, columns;
  };
  Tile tile_of(const Product& product, int part) const;
  void multiply(const Product& product) const;
  // Columns of output = input · weight for a few rows, one thread.
  void multiply_few(const Product& product, const Range& columns) const;

  // Moments that decay towards zero end as denormal numbers, on which some processors compute a hundred times slower.
  class FlushDenormalsScope {
  public:
#if defined(__SSE2__)
    FlushDenormalsScope() : before_(_mm_getcsr()) {
      _mm_setcsr(before_ | 0x8040U);
    }
    ~FlushDenormalsScope() {
      _mm_setcsr(before_);
    }

  private:
    unsigned before_;
#else
    FlushDenormalsScope() {}
#endif
  };

  // oneDNN asks OpenMP how many threads it may use when the team has one member only.
  class ThreadCountScope {
  public:
    explicit ThreadCountScope(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
    ~ThreadCountScope() { omp_set_num_threads(before_); }
    ThreadCountScope(const ThreadCountScope&) = delete;
    ThreadCountScope& operator=(const ThreadCountScope&) = delete;

  private:
    int before_;
  };

  // Workspace: first the product's scratch of every thread, then what the operation asks for.
  float* product_scratch(int thread) const {
    return workspace_ + thread * product_.scratch_count();
  }
  float* operation_workspace(std::int64_t count) const;
  void attend(const QueryBlock& block, float* scores, float* scratch) const;
  void attend_few(const AttentionCached& call) const;

  const KernelTable& kernels_;
  MatrixProduct product_;
  int threads_;
  BackendInfo info_;
  float* workspace_ = nullptr;
  std::size_t workspace_bytes_ = 0;
  std::vector<double> partial_sums_;
  std::mutex mappings_mutex_;
  std::vector<Mapping> mappings_; // large blocks, which release() gives back to the system itself
};

// The kernels of an activation; both null for kNone.
struct ActivationKernels {
  void (*forward)(float* output, const float* input, std::int64_t count);
  void (*backward)(float* gradient, const float* input, std::int64_t count);
};
ActivationKernels activation_kernels(const KernelTable& kernels, Activation activation);

// Texts decoded side by side: each row is then multiplied in fp32 as if it were alone, and every weight is read once.
// With more rows a product that packs the weights is faster; of narrower weights it rounds the rows too, so it is put
// off further.
inline bool is_few_rows(std::int64_t rows, const WeightView& weight, bool bf16) {
  const bool is_narrow = weight.type != DataType::kF32;
  return bf16 ? is_narrow && rows == 1 : rows <= (is_narrow ? 32 : 16);
}

// B of a product is this weight; int8 scales go by row of an embedding and by column of a linear weight.
inline void set_weight(Product& product, const WeightView& weight, bool is_embedding) {
  product.b = weight.values;
  product.b_type = weight.type == DataType::kF32    ? NarrowType::kF32
                   : weight.type == DataType::kBf16 ? NarrowType::kBf16
                                                    : NarrowType::kInt8;
  product.b_scales = weight.scales;
  product.b_scales_by_row = is_embedding;
}

// Activations are fp32 here; another type is the caller's mistake, and must not be read as floats.
[[noreturn]] void fail_activation_type();
template <class Pointer> auto* floats(const Pointer& values) {
  if (values.type != DataType::kF32 && values) {
    fail_activation_type();
  }
  return values.f32();
}

// What a dropout call needs for one sample.
DropoutRow dropout_row(const Dropout& dropout, std::int64_t sample_in_call);

// Floats of operation workspace, for planning and for use alike.
std::int64_t attention_workspace_count(const WorkspaceRequest& request, int threads);
std::int64_t cross_entropy_workspace_count(std::int64_t rows);
std::int64_t classifier_chunk_rows(std::int64_t rows, std::int64_t vocab_size);
std::int64_t classifier_workspace_count(std::int64_t rows, std::int64_t vocab_size);

} // namespace assay
