// The CPU backend dressed as a device, for the code above the table of operations. Its memory cannot be touched outside
// operations; what is repeated under a key is recorded and played back, never run again; and where it is asked to,
// activations are bf16: operations then work on widened copies, whose results are rounded.
#pragma once

#include "backends/cpu/cpu-backend.h"
#include "check.h"
#include "engine/model/weight-values.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <sys/mman.h>
#include <utility>
#include <vector>

namespace assay::test {

class DeviceLikeBackend final : public Backend {
public:
  explicit DeviceLikeBackend(bool has_bf16 = false) : has_bf16_(has_bf16), info_(inner_->info()) {
    info_.name = "device-like";
    info_.is_device = true;
  }

  std::size_t replay_count() const { return replay_count_; }
  const BackendInfo& info() const override { return info_; }
  DataType activation_type(bool bf16) const override { return bf16 && has_bf16_ ? DataType::kBf16 : DataType::kF32; }

  void* allocate(std::size_t size_bytes) override {
    constexpr std::size_t kPage = 4096;
    const std::size_t rounded = (std::max<std::size_t>(size_bytes, 1) + kPage - 1) / kPage * kPage;
    void* memory = ::mmap(nullptr, rounded, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    CHECK(memory != MAP_FAILED);
    blocks_[memory] = rounded;
    return memory;
  }
  void release(void* memory) noexcept override {
    const auto found = blocks_.find(memory);
    if (found != blocks_.end()) {
      ::munmap(found->first, found->second);
      blocks_.erase(found);
      recordings_.clear();
    }
  }
  void copy_to_backend(void* target, const void* host_source, std::size_t size_bytes) override {
    CHECK(recording_ == nullptr);
    const Open open(*this);
    inner_->copy_to_backend(target, host_source, size_bytes);
  }
  void copy_to_host(void* host_target, const void* source, std::size_t size_bytes) override {
    CHECK(recording_ == nullptr);
    const Open open(*this);
    inner_->copy_to_host(host_target, source, size_bytes);
  }
  void zero(void* values, std::size_t size_bytes) override {
    perform([=, this] { inner_->zero(values, size_bytes); });
  }
  void repeat(std::uint64_t key, const std::function<void()>& body) override {
    const auto found = recordings_.find(key);
    if (found != recordings_.end()) {
      ++replay_count_;
      for (const auto& operation : found->second) {
        const Open open(*this);
        operation();
      }
      return;
    }
    Recording recording;
    recording_ = &recording;
    body();
    recording_ = nullptr;
    recordings_[key] = std::move(recording);
  }

  std::size_t workspace_bytes(const WorkspaceRequest& request) const override {
    return inner_->workspace_bytes(request);
  }
  void reserve_workspace(std::size_t size_bytes) override {
    if (size_bytes > inner_->reserved_workspace_bytes()) {
      recordings_.clear();
    }
    inner_->reserve_workspace(size_bytes);
  }
  std::size_t reserved_workspace_bytes() const override { return inner_->reserved_workspace_bytes(); }
  void release_workspace() noexcept override { inner_->release_workspace(); }

  void embedding_forward(const EmbeddingForward& call) override {
    perform([=, this] {
      Widened w;
      EmbeddingForward c = call;
      c.output = w.changed(call.output, call.batch * call.seq_len * call.channels);
      inner_->embedding_forward(c);
    });
  }
  void embedding_backward(const EmbeddingBackward& call) override {
    perform([=, this] {
      check_order(call);
      Widened w;
      EmbeddingBackward c = call;
      c.d_output = w.read(call.d_output, call.batch * call.seq_len * call.channels);
      inner_->embedding_backward(c);
    });
  }
  void layer_norm_forward(const LayerNormForward& call) override {
    perform([=, this] {
      Widened w;
      LayerNormForward c = call;
      const std::int64_t count = call.rows * call.channels;
      c.residual = w.read(call.residual, count);
      c.branch = w.read(call.branch, count);
      c.residual_output = w.changed(call.residual_output, count);
      c.output = w.changed(call.output, count);
      inner_->layer_norm_forward(c);
    });
  }
  void layer_norm_backward(const LayerNormBackward& call) override {
    perform([=, this] {
      Widened w;
      LayerNormBackward c = call;
      const std::int64_t count = call.rows * call.channels;
      c.d_output = w.read(call.d_output, count);
      c.d_output_2 = w.read(call.d_output_2, count);
      c.input = w.read(call.input, count);
      c.d_residual = w.read(call.d_residual, count);
      c.d_residual_output = w.changed(call.d_residual_output, count);
      c.d_branch = w.changed(call.d_branch, count);
      inner_->layer_norm_backward(c);
    });
  }
  void linear_forward(const LinearForward& call) override {
    check_weight(call.input, call.weight);
    perform([=, this] {
      Widened w;
      LinearForward c = call;
      c.input = w.read(call.input, call.rows * call.in);
      c.output = w.changed(call.output, call.rows * call.out);
      c.pre_activation = w.changed(call.pre_activation, call.rows * call.out);
      inner_->linear_forward(c);
    });
  }
  void linear_backward(const LinearBackward& call) override {
    check_weight(call.input, call.weight);
    perform([=, this] {
      Widened w;
      LinearBackward c = call;
      c.d_output = w.read(call.d_output, call.rows * call.out);
      c.input = w.read(call.input, call.rows * call.in);
      c.input_pre_activation = w.read(call.input_pre_activation, call.rows * call.in);
      c.d_input = w.changed(call.d_input, call.rows * call.in);
      inner_->linear_backward(c);
    });
  }
  void attention_forward(const AttentionForward& call) override {
    perform([=, this] {
      Widened w;
      AttentionForward c = call;
      const std::int64_t count = call.batch * call.seq_len * call.heads * call.head_size;
      c.qkv = w.read(call.qkv, 3 * count);
      c.output = w.changed(call.output, count);
      inner_->attention_forward(c);
    });
  }
  void attention_backward(const AttentionBackward& call) override {
    perform([=, this] {
      Widened w;
      AttentionBackward c = call;
      const std::int64_t count = call.batch * call.seq_len * call.heads * call.head_size;
      c.d_output = w.read(call.d_output, count);
      c.qkv = w.read(call.qkv, 3 * count);
      c.output = w.read(call.output, count);
      c.d_qkv = w.changed(call.d_qkv, 3 * count);
      inner_->attention_backward(c);
    });
  }
  void attention_cached(const AttentionCached& call) override {
    perform([=, this] {
      for (std::int64_t s = 0; s < call.sequences; ++s) {
        CHECK(call.past[s] >= 0 && call.past[s] + call.count <= call.longest && call.longest <= call.capacity);
      }
      Widened w;
      AttentionCached c = call;
      const std::int64_t channels = call.heads * call.head_size;
      c.qkv = w.read(call.qkv, call.sequences * call.count * 3 * channels);
      c.key_cache = w.changed(call.key_cache, call.sequences * call.capacity * channels);
      c.value_cache = w.changed(call.value_cache, call.sequences * call.capacity * channels);
      c.output = w.changed(call.output, call.sequences * call.count * channels);
      inner_->attention_cached(c);
    });
  }
  void add(Values target, ConstValues values, std::int64_t count) override {
    perform([=, this] {
      Widened w;
      inner_->add(w.changed(target, count), w.read(values, count), count);
    });
  }
  void dropout(Values values, std::int64_t rows, std::int64_t channels, std::int64_t rows_per_sample,
               const Dropout& dropout) override {
    perform([=, this] {
      Widened w;
      inner_->dropout(w.changed(values, rows * channels), rows, channels, rows_per_sample, dropout);
    });
  }
  void copy_columns(Values target, std::int64_t target_stride, ConstValues source, std::int64_t source_stride,
                    std::int64_t rows, std::int64_t columns, bool add) override {
    perform([=, this] {
      Widened w;
      inner_->copy_columns(w.changed(target, (rows - 1) * target_stride + columns), target_stride,
                           w.read(source, (rows - 1) * source_stride + columns), source_stride, rows, columns, add);
    });
  }
  void activation_forward(Values output, ConstValues input, std::int64_t count, Activation activation) override {
    perform([=, this] {
      Widened w;
      inner_->activation_forward(w.changed(output, count), w.read(input, count), count, activation);
    });
  }
  void activation_backward(Values gradient, ConstValues pre_activation, std::int64_t count,
                           Activation activation) override {
    perform([=, this] {
      Widened w;
      inner_->activation_backward(w.changed(gradient, count), w.read(pre_activation, count), count, activation);
    });
  }
  void gather_rows(ConstValues source, const std::int32_t* indices, Values output, std::int64_t rows,
                   std::int64_t channels) override {
    perform([=, this] {
      Widened w;
      inner_->gather_rows(w.read(source, reach_of(indices, rows) * channels), indices,
                          w.changed(output, rows * channels), rows, channels);
    });
  }
  void scatter_add_rows(ConstValues values, const std::int32_t* indices, Values target, std::int64_t rows,
                        std::int64_t channels) override {
    perform([=, this] {
      Widened w;
      inner_->scatter_add_rows(w.read(values, rows * channels), indices,
                               w.changed(target, reach_of(indices, rows) * channels), rows, channels);
    });
  }
  void convert(ConstValues source, Values target, std::int64_t count) override {
    perform([=, this] { inner_->convert(source, target, count); });
  }
  void cross_entropy(const CrossEntropy& call) override {
    perform([=, this] {
      Widened w;
      CrossEntropy c = call;
      const std::int64_t count = (call.rows - 1) * call.row_stride + (call.classes - 1) * call.class_stride + 1;
      c.logits = w.read(call.logits, count);
      c.d_logits = w.changed(call.d_logits, count);
      inner_->cross_entropy(c);
    });
  }
  void classifier_train(const Classifier& call) override {
    check_weight(call.hidden, call.weight);
    perform([=, this] {
      Widened w;
      inner_->classifier_train(widened(w, call));
    });
  }
  void classifier_evaluate(const Classifier& call) override {
    check_weight(call.hidden, call.weight);
    perform([=, this] {
      Widened w;
      inner_->classifier_evaluate(widened(w, call));
    });
  }
  void logits(ConstValues hidden, const WeightView& weight, const float* bias, float* output, std::int64_t rows,
              std::int64_t channels, std::int64_t vocab_size, bool bf16) override {
    check_weight(hidden, weight);
    perform([=, this] {
      Widened w;
      inner_->logits(w.read(hidden, rows * channels), weight, bias, output, rows, channels, vocab_size, bf16);
    });
  }
  void square_sum(const float* values, std::int64_t count, double* sum) override {
    perform([=, this] { inner_->square_sum(values, count, sum); });
  }
  void adamw_step(const AdamWStep& call) override {
    CHECK(recording_ == nullptr);
    const Open open(*this);
    inner_->adamw_step(call);
  }

private:
  using Recording = std::vector<std::function<void()>>;

  // Memory may be touched while one lives.
  class Open {
  public:
    explicit Open(DeviceLikeBackend& backend) : backend_(backend) { backend_.protect(PROT_READ | PROT_WRITE); }
    ~Open() { backend_.protect(PROT_NONE); }
    Open(const Open&) = delete;
    Open& operator=(const Open&) = delete;

  private:
    DeviceLikeBackend& backend_;
  };

  // fp32 copies of one operation's bf16 arguments; what is changed is rounded back at the end.
  class Widened {
  public:
    ConstValues read(ConstValues values, std::int64_t count) {
      return values.type == DataType::kF32 || !values ? values : ConstValues(widen(values, count));
    }
    Values changed(Values values, std::int64_t count) {
      if (values.type == DataType::kF32 || !values) {
        return values;
      }
      float* copy = widen(values, count);
      changed_.push_back({values.bf16(), copy, count});
      return copy;
    }
    ~Widened() {
      for (const Changed& each : changed_) {
        std::transform(each.copy, each.copy + each.count, each.values, to_bf16);
      }
    }

  private:
    struct Changed {
      std::uint16_t* values;
      const float* copy;
      std::int64_t count;
    };
    float* widen(ConstValues values, std::int64_t count) {
      std::vector<float>& copy = copies_.emplace_back(static_cast<std::size_t>(count));
      std::transform(values.bf16(), values.bf16() + count, copy.begin(), from_bf16);
      return copy.data();
    }
    std::deque<std::vector<float>> copies_;
    std::vector<Changed> changed_;
  };

  void protect(int how) {
    for (const auto& [memory, size_bytes] : blocks_) {
      CHECK_EQ(::mprotect(memory, size_bytes, how), 0);
    }
  }
  template <class Operation> void perform(const Operation& operation) {
    {
      const Open open(*this);
      operation();
    }
    if (recording_ != nullptr) {
      recording_->push_back(operation);
    }
  }
  static Classifier widened(Widened& w, const Classifier& call) {
    Classifier c = call;
    c.hidden = w.read(call.hidden, call.rows * call.channels);
    c.d_hidden = w.changed(call.d_hidden, call.rows * call.channels);
    return c;
  }
  static std::int64_t reach_of(const std::int32_t* indices, std::int64_t rows) {
    return rows > 0 ? std::int64_t{*std::max_element(indices, indices + rows)} + 1 : 0;
  }
  // A device multiplies bf16 with bf16 or with int8, and fp32 with anything.
  static void check_weight(ConstValues activations, const WeightView& weight) {
    CHECK(activations.type == DataType::kF32 || weight.type != DataType::kF32);
  }
  static void check_order(const EmbeddingBackward& call) {
    const std::int64_t rows = call.batch * call.seq_len;
    CHECK(call.token_order != nullptr);
    const std::set<std::int32_t> seen(call.token_order, call.token_order + rows);
    CHECK(std::cmp_equal(seen.size(), rows) && *seen.begin() == 0 && *seen.rbegin() == rows - 1);
    for (std::int64_t i = 1; i < rows; ++i) {
      const std::int32_t before = call.token_order[i - 1], here = call.token_order[i];
      CHECK(std::pair(call.tokens[before], before) < std::pair(call.tokens[here], here));
    }
  }

  std::unique_ptr<Backend> inner_ = create_cpu_backend({.threads = 2});
  bool has_bf16_;
  BackendInfo info_;
  std::map<void*, std::size_t> blocks_;
  std::map<std::uint64_t, Recording> recordings_;
  Recording* recording_ = nullptr;
  std::size_t replay_count_ = 0;
};

} // namespace assay::test
