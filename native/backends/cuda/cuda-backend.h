// The CUDA backend: one device, one stream, everything in the order of the calls. Kernels are in the .cu files,
// products in matrix-products.h; here are memory, copies, recording, and the operations put together from those.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "backends/cuda/cublaslt.h"
#include "backends/cuda/device.h"
#include "backends/cuda/graphs.h"
#include "backends/cuda/loader/cuda-options.h"
#include "backends/cuda/matrix-products.h"
#include "backends/cuda/staging.h"
#include "engine/ops/backend.h"

namespace assay::cuda {

class CudaBackend final : public Backend {
public:
  // Throws CUDA_NOT_AVAILABLE when there is no such device or it is too old.
  CudaBackend(int device, const CublasLt& library, const CudaOptions& options);
  ~CudaBackend() override;

  const BackendInfo& info() const override { return info_; }
  void* allocate(std::size_t size_bytes) override;
  void release(void* memory) noexcept override;
  void copy_to_backend(void* target, const void* host_source, std::size_t size_bytes) override;
  void copy_to_host(void* host_target, const void* source, std::size_t size_bytes) override;
  void zero(void* values, std::size_t size_bytes) override;
  DataType activation_type(bool bf16) const override { return bf16 ? DataType::kBf16 : DataType::kF32; }
  void repeat(std::uint64_t key, const std::function<void()>& body) override;
  void synchronize() override;
  std::size_t workspace_bytes(const WorkspaceRequest& request) const override;
  void reserve_workspace(std::size_t size_bytes) override;
  std::size_t reserved_workspace_bytes() const override { return context_.workspace_bytes; }
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
  void classifier_train(const Classifier& call) override;
  void classifier_evaluate(const Classifier& call) override;
  void logits(ConstValues hidden, const WeightView& weight, const float* bias, float* output, std::int64_t rows,
              std::int64_t channels, std::int64_t vocab_size, bool bf16) override;
  void square_sum(const float* values, std::int64_t count, double* sum) override;
  void adamw_step(const AdamWStep& call) override;

  const Graphs& graphs() const noexcept { return graphs_; }

private:
  // Owns the stream, and is made before and gone after all that uses it.
  struct Stream {
    explicit Stream(int device);
    ~Stream();
    Stream(const Stream&) = delete;
    Stream& operator=(const Stream&) = delete;
    cudaStream_t stream = nullptr;
  };
  // A part of the workspace for the operation itself; its kernels get the rest as their context.
  class Scratch {
  public:
    explicit Scratch(const KernelContext& context) : context_(context) {}
    void* take(std::size_t size_bytes);
    const KernelContext& context() const { return context_; }

  private:
    KernelContext context_;
  };

  // Makes the device this thread's; every call starts with it.
  const KernelContext& enter() const;
  // The weight in the wanted type, converted into scratch if it is of another.
  const void* weight_as(DataType type, const WeightView& weight, std::int64_t rows, std::int64_t columns,
                        bool scales_by_row, Scratch& scratch);
  std::int64_t classifier_most_chunk_rows(std::int64_t vocab_size, DataType type) const;
  std::int64_t classifier_chunk_rows(std::int64_t rows, std::int64_t vocab_size, DataType type) const;
  std::size_t classifier_workspace(const WorkspaceRequest& request) const;
  // Loss and, with d_hidden, gradients of one call; the same code evaluates.
  void classify(const Classifier& call, bool trains);
  void evaluate_other_weight(const Classifier& call);

  int device_;
  Stream stream_;
  KernelContext context_;
  std::size_t device_bytes_ = 0;
  BackendInfo info_;
  MatrixProducts products_;
  Staging staging_;
  Graphs graphs_;
};

} // namespace assay::cuda
