// CUDA's attention kernels on the emulated device against the CPU backend's attention of the same values, in fp32 and
// bf16, with the threads of a block in different orders. Memory that nobody may read or must write holds NaN.
#include "cuda-memory.h"
#include "test-support-backends.h"

#include "backends/cuda/attention.h"
#include "engine/base/error.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <numeric>
#include <optional>

using namespace assay;
using namespace assay::test;

namespace {

constexpr std::uint64_t kOrders[] = {0, 1, 77};

float rounded_to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  return std::isnan(value) ? value : std::bit_cast<float>((bits + 0x7FFFU + (bits >> 16 & 1U)) & 0xFFFF0000U);
}

// What a type keeps of the values.
Floats kept_by(DataType type, Floats values) {
  if (type == DataType::kBf16) {
    std::transform(values.begin(), values.end(), values.begin(), rounded_to_bf16);
  }
  return values;
}

// Activations on the device, from floats and back.
class DeviceValues {
public:
  DeviceValues(DataType type, const Floats& values) : type_(type), bytes_(packed(type, values)) {}

  Values view() const { return {bytes_.data(), type_}; }
  std::vector<std::byte> bytes() const { return bytes_.to_host(); }
  Floats floats() const {
    const std::vector<std::byte> stored = bytes();
    Floats values(stored.size() / size_of(type_));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (type_ == DataType::kF32) {
        std::memcpy(&values[i], stored.data() + 4 * i, 4);
      } else {
        std::uint16_t half = 0;
        std::memcpy(&half, stored.data() + 2 * i, 2);
        values[i] = std::bit_cast<float>(std::uint32_t{half} << 16);
      }
    }
    return values;
  }

private:
  static std::vector<std::byte> packed(DataType type, const Floats& values) {
    std::vector<std::byte> stored(values.size() * size_of(type));
    for (std::size_t i = 0; i < values.size(); ++i) {
      if (type == DataType::kF32) {
        std::memcpy(stored.data() + 4 * i, &values[i], 4);
      } else {
        const auto half = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(values[i]) >> 16);
        std::memcpy(stored.data() + 2 * i, &half, 2);
      }
    }
    return stored;
  }
  DataType type_;
  DeviceArray<std::byte> bytes_;
};

struct Ranges {
  std::string title;
  std::vector<std::int32_t> begin, end; // by row, both empty: none
};

struct Shape {
  std::int64_t batch, seq_len, heads, head_size;
  float probability = 0.0F;
  bool causal = true;
  Ranges ranges = {};
  int compute_capability = 80;

  std::int64_t channels() const { return heads * head_size; }
  std::int64_t rows() const { return batch * seq_len; }
  std::size_t count(std::int64_t columns) const { return static_cast<std::size_t>(rows() * columns); }
  Dropout dropout() const { return {probability, 0x123456789ABCDEFULL, 9, 4, 2}; }
  WorkspaceRequest request() const {
    return {.rows = rows(), .seq_len = seq_len, .channels = channels(), .heads = heads, .training = true};
  }
  std::string title() const {
    return std::to_string(batch) + "×" + std::to_string(seq_len) + "×" + std::to_string(heads) + "×" +
           std::to_string(head_size) + (causal ? "" : " both ways") + (probability > 0 ? " with dropout" : "") +
           ranges.title + (compute_capability > 80 ? " on a larger device" : "");
  }
};

// Texts packed into sequences of `seq_len`; a negative length is padding, whose queries see nothing.
Ranges texts(std::int64_t batch, std::int64_t seq_len, const std::vector<std::int64_t>& lengths) {
  Ranges ranges{" within texts", {}, {}};
  std::size_t next = 0;
  for (std::int64_t sample = 0; sample < batch; ++sample) {
    for (std::int64_t begin = 0; begin < seq_len;) {
      const std::int64_t length = lengths[next++ % lengths.size()];
      const std::int64_t end = std::min(begin + std::abs(length), seq_len);
      for (std::int64_t at = begin; at < end; ++at) {
        ranges.begin.push_back(static_cast<std::int32_t>(length < 0 ? 0 : begin));
        ranges.end.push_back(static_cast<std::int32_t>(length < 0 ? 0 : end));
      }
      begin = end;
    }
  }
  return ranges;
}

// Ranges in no order, some empty, some reaching outside the sequence.
Ranges scattered(std::int64_t batch, std::int64_t seq_len) {
  Ranges ranges{" of ranges in no order", {}, {}};
  std::mt19937 random(29);
  for (std::int64_t row = 0; row < batch * seq_len; ++row) {
    const auto place = [&] { return static_cast<std::int32_t>(random() % static_cast<unsigned>(seq_len + 8)) - 4; };
    ranges.begin.push_back(place());
    ranges.end.push_back(place());
  }
  return ranges;
}

struct Result {
  std::vector<std::byte> output, d_qkv;
  Floats output_values, d_qkv_values, log_sum_exp;
};

AttentionForward forward_call(const Shape& shape, ConstValues qkv, Values output, float* log_sum_exp,
                              const std::int32_t* key_begin, const std::int32_t* key_end) {
  AttentionForward call{qkv,           output,      log_sum_exp,     shape.batch,
                        shape.seq_len, shape.heads, shape.head_size, shape.dropout()};
  call.causal = shape.causal;
  call.key_begin = key_begin;
  call.key_end = key_end;
  return call;
}

AttentionBackward backward_call(const Shape& shape, ConstValues d_output, ConstValues qkv, ConstValues output,
                                const float* log_sum_exp, Values d_qkv, const std::int32_t* key_begin,
                                const std::int32_t* key_end) {
  AttentionBackward call{d_output,    qkv,           output,      log_sum_exp,     d_qkv,
                         shape.batch, shape.seq_len, shape.heads, shape.head_size, shape.dropout()};
  call.causal = shape.causal;
  call.key_begin = key_begin;
  call.key_end = key_end;
  return call;
}

Result on_cpu(const Shape& shape, const Floats& qkv, const Floats& d_output, DataType type) {
  const auto backend = create_cpu_backend({1, GemmChoice::kPortable, KernelChoice::kAutomatic});
  backend->reserve_workspace(backend->workspace_bytes(shape.request()));
  Result result;
  result.output_values.assign(shape.count(shape.channels()), NAN);
  result.d_qkv_values.assign(shape.count(3 * shape.channels()), NAN);
  result.log_sum_exp.assign(shape.count(shape.heads), NAN);
  const bool has_ranges = !shape.ranges.begin.empty();
  const std::int32_t* begin = has_ranges ? shape.ranges.begin.data() : nullptr;
  const std::int32_t* end = has_ranges ? shape.ranges.end.data() : nullptr;
  backend->attention_forward(
      forward_call(shape, qkv.data(), result.output_values.data(), result.log_sum_exp.data(), begin, end));
  // Both backends' gradients start from what the type keeps of the output.
  const Floats output = kept_by(type, result.output_values);
  backend->attention_backward(backward_call(shape, d_output.data(), qkv.data(), output.data(),
                                            result.log_sum_exp.data(), result.d_qkv_values.data(), begin, end));
  return result;
}

Result on_device(const Shape& shape, const Floats& qkv, const Floats& d_output, const Result& cpu, DataType type) {
  const DeviceValues device_qkv(type, qkv);
  const DeviceValues device_d_output(type, d_output);
  const DeviceValues output(type, Floats(shape.count(shape.channels()), NAN));
  const DeviceValues output_of_cpu(type, kept_by(type, cpu.output_values));
  const DeviceValues d_qkv(type, Floats(shape.count(3 * shape.channels()), NAN));
  const DeviceArray<float> log_sum_exp(Floats(shape.count(shape.heads), NAN));
  const DeviceArray<float> log_sum_exp_of_cpu(cpu.log_sum_exp);
  const bool has_ranges = !shape.ranges.begin.empty();
  const DeviceArray<std::int32_t> begin(has_ranges ? shape.ranges.begin : std::vector<std::int32_t>{0});
  const DeviceArray<std::int32_t> end(has_ranges ? shape.ranges.end : std::vector<std::int32_t>{0});
  const DeviceArray<std::byte> workspace(cuda::attention_workspace_bytes(shape.request()));
  KernelContext context;
  context.workspace = workspace.data();
  context.compute_capability = shape.compute_capability;
  context.workspace_bytes = workspace.size();
  cuda::attention_forward(context,
                          forward_call(shape, device_qkv.view(), output.view(), log_sum_exp.data(),
                                       has_ranges ? begin.data() : nullptr, has_ranges ? end.data() : nullptr));
  cuda::attention_backward(context,
                           backward_call(shape, device_d_output.view(), device_qkv.view(), output_of_cpu.view(),
                                         log_sum_exp_of_cpu.data(), d_qkv.view(), has_ranges ? begin.data() : nullptr,
                                         has_ranges ? end.data() : nullptr));
  return {output.bytes(), d_qkv.bytes(), output.floats(), d_qkv.floats(), log_sum_exp.to_host()};
}

// Relative to the largest value: rounding of fp32 sums, or two units of bf16.
double tolerance_of(DataType type) {
  return type == DataType::kF32 ? 2e-5 : 0x1.0p-7;
}

std::string name_of(DataType type) {
  return type == DataType::kF32 ? " in fp32" : " in bf16";
}

void check_training(const Shape& shape, DataType type) {
  const Floats qkv = kept_by(type, random_floats(shape.count(3 * shape.channels()), 1.0, 3));
  const Floats d_output = kept_by(type, random_floats(shape.count(shape.channels()), 1.0, 5));
  const Result expected = on_cpu(shape, qkv, d_output, type);
  std::optional<Result> first;
  for (const std::uint64_t order : kOrders) {
    set_thread_order(order);
    const Result found = on_device(shape, qkv, d_output, expected, type);
    if (first.has_value()) {
      CHECK(found.output == first->output);
      CHECK(found.d_qkv == first->d_qkv);
      CHECK(found.log_sum_exp == first->log_sum_exp);
      continue;
    }
    check_close("output", doubled(expected.output_values), found.output_values, tolerance_of(type));
    check_close("log_sum_exp", doubled(expected.log_sum_exp), found.log_sum_exp, 2e-5);
    check_close("d_qkv", doubled(expected.d_qkv_values), found.d_qkv_values, tolerance_of(type));
    first = found;
  }
  set_thread_order(0);
}

struct CachedShape {
  std::vector<std::int32_t> past;
  std::int64_t count, heads, head_size;
  std::int64_t spare = 3; // places of the caches behind the longest sequence

  std::int64_t sequences() const { return static_cast<std::int64_t>(past.size()); }
  std::int64_t longest() const { return *std::max_element(past.begin(), past.end()) + count; }
  std::int64_t capacity() const { return longest() + spare; }
  std::int64_t channels() const { return heads * head_size; }
  std::size_t cache_count() const { return static_cast<std::size_t>(sequences() * capacity() * channels()); }
  WorkspaceRequest request() const {
    return {.rows = sequences() * count, .seq_len = capacity(), .channels = channels(), .heads = heads};
  }
  std::string title() const {
    std::string pasts;
    for (const std::int32_t each : past) {
      pasts += (pasts.empty() ? "" : ", ") + std::to_string(each);
    }
    return std::to_string(count) + " new positions after " + pasts + ", " + std::to_string(heads) + "×" +
           std::to_string(head_size);
  }
};

// A cache of random values up to each sequence's past and NaN from there on.
Floats cache_of(const CachedShape& shape, DataType type, std::uint32_t seed) {
  Floats cache = kept_by(type, random_floats(shape.cache_count(), 1.0, seed));
  for (std::int64_t row = 0; row < shape.sequences() * shape.heads; ++row) {
    const auto begin = cache.begin() + row * shape.capacity() * shape.head_size;
    std::fill(begin + shape.past[static_cast<std::size_t>(row / shape.heads)] * shape.head_size,
              begin + shape.capacity() * shape.head_size, NAN);
  }
  return cache;
}

// Nothing but NaN stays NaN, and the rest has the same bits.
void check_same(const std::string& what, const Floats& expected, const Floats& found) {
  CHECK_EQ(expected.size(), found.size());
  for (std::size_t i = 0; i < expected.size(); ++i) {
    if (!(expected[i] == found[i] || (std::isnan(expected[i]) && std::isnan(found[i])))) {
      fail_check(__FILE__, __LINE__, what + " differs at " + std::to_string(i));
    }
  }
}

void check_cached(const CachedShape& shape, DataType type) {
  const auto rows = static_cast<std::size_t>(shape.sequences() * shape.count);
  const Floats qkv = kept_by(type, random_floats(rows * static_cast<std::size_t>(3 * shape.channels()), 1.0, 3));
  Floats keys = cache_of(shape, type, 5);
  Floats values = cache_of(shape, type, 7);
  const Floats keys_before = keys;
  const Floats values_before = values;
  Floats expected(rows * static_cast<std::size_t>(shape.channels()), NAN);

  const auto backend = create_cpu_backend({1, GemmChoice::kPortable, KernelChoice::kAutomatic});
  backend->reserve_workspace(backend->workspace_bytes(shape.request()));
  backend->attention_cached({qkv.data(), keys.data(), values.data(), expected.data(), shape.past.data(),
                             shape.sequences(), shape.count, shape.capacity(), shape.heads, shape.head_size,
                             shape.longest()});

  std::optional<std::vector<std::byte>> first;
  for (const std::uint64_t order : kOrders) {
    set_thread_order(order);
    const DeviceValues device_qkv(type, qkv);
    const DeviceValues device_keys(type, keys_before);
    const DeviceValues device_values(type, values_before);
    const DeviceValues output(type, Floats(expected.size(), NAN));
    const DeviceArray<std::int32_t> past(shape.past);
    // The last run has room for one sequence at a time.
    const std::size_t planned = std::max<std::size_t>(cuda::attention_workspace_bytes(shape.request()), 1);
    const DeviceArray<std::byte> workspace(
        order == kOrders[2] && shape.count <= 16 ? planned / static_cast<std::size_t>(shape.sequences()) : planned);
    KernelContext context;
    context.workspace = workspace.data();
    context.workspace_bytes = workspace.size();
    cuda::attention_cached(context, {device_qkv.view(), device_keys.view(), device_values.view(), output.view(),
                                     past.data(), shape.sequences(), shape.count, shape.capacity(), shape.heads,
                                     shape.head_size, shape.longest()});
    if (!first.has_value()) {
      check_close("output", doubled(expected), output.floats(), tolerance_of(type));
      first = output.bytes();
    }
    CHECK(output.bytes() == *first);
    check_same("the keys' cache", keys, device_keys.floats());
    check_same("the values' cache", values, device_values.floats());
  }
  set_thread_order(0);
}

std::string code_of(const std::function<void()>& body) {
  try {
    body();
  } catch (const Error& error) {
    return error.code();
  }
  return "none";
}

void add_training_cases() {
  const std::vector<Shape> shapes = {
      {1, 1, 1, 8},
      {2, 7, 3, 24, 0.2F},
      {1, 130, 2, 64},
      {1, 132, 1, 64, 0.1F},
      {1, 131, 1, 64, 0.1F},
      {1, 70, 2, 64, 0.1F, false},
      {1, 300, 1, 32},
      {1, 64, 1, 80, 0.1F},
      {1, 140, 1, 80},
      {1, 70, 1, 96},
      {1, 72, 1, 96, 0.3F, false},
      {1, 132, 1, 128},
      {1, 100, 1, 128, 0.1F, false},
      {1, 140, 1, 128, 0.0F, true, {}, 90},
      {1, 40, 1, 72, 0.1F},
      {1, 40, 2, 5, 0.2F},   // no 16 bytes
      {1, 40, 1, 136, 0.2F}, // more than the tensor cores' tiles take
      {1, 35, 1, 256},
      {2, 130, 1, 64, 0.1F, true, texts(2, 130, {20, 1, 30, -9, 40})},
      {2, 132, 1, 64, 0.1F, false, texts(2, 132, {70, 1, 30, -9, 40})},
      {1, 330, 1, 32, 0.0F, true, texts(1, 330, {200, -70, 100})},
      {1, 330, 1, 32, 0.0F, false, texts(1, 330, {30, -270, 30})},
      // A text that ends with the first key of a tile.
      {1, 300, 1, 32, 0.0F, false, texts(1, 300, {129, 64, 200})},
      {2, 9, 1, 64, 0.0F, false, texts(2, 9, {-9})},
      {1, 130, 1, 64, 0.3F, true, scattered(1, 130)},
      {1, 200, 1, 16, 0.0F, false, scattered(1, 200)},
  };
  for (const Shape& shape : shapes) {
    for (const DataType type : {DataType::kF32, DataType::kBf16}) {
      add_case("attention on the device equals the CPU's, forward and backward: " + shape.title() + name_of(type),
               [=] { check_training(shape, type); });
    }
  }
}

void add_cached_cases() {
  const std::vector<CachedShape> shapes = {
      {{0}, 1, 1, 64},         {{63, 64, 5}, 1, 2, 64}, {{200}, 1, 1, 128},    {{70, 0, 190}, 3, 2, 24},
      {{62, 10}, 16, 2, 64},   {{40}, 5, 1, 80, 0},     {{3, 9}, 2, 1, 5},     {{66}, 1, 1, 256},
      {{30}, 16, 1, 256},      {{0}, 17, 2, 64},        {{5, 130}, 70, 1, 64}, {{33, 0}, 40, 2, 5, 1},
      {{100}, 130, 1, 128, 0},
  };
  for (const CachedShape& shape : shapes) {
    for (const DataType type : {DataType::kF32, DataType::kBf16}) {
      add_case("attention against caches on the device equals the CPU's: " + shape.title() + name_of(type),
               [=] { check_cached(shape, type); });
    }
  }
}

void add_refusals() {
  add_case("heads of more than 256 values are refused", [] {
    const DeviceArray<float> memory(3 * 257);
    AttentionForward call{memory.data(), memory.data(), nullptr, 1, 1, 1, 257, {}};
    CHECK_EQ(code_of([&] { cuda::attention_forward({}, call); }), std::string("NOT_SUPPORTED"));
  });
  add_case("a workspace that is too small is refused", [] {
    const Shape shape{1, 4, 1, 8};
    const DeviceArray<float> memory(3 * 32);
    CHECK_EQ(code_of([&] {
               cuda::attention_backward({}, backward_call(shape, memory.data(), memory.data(), memory.data(),
                                                          memory.data(), memory.data(), nullptr, nullptr));
             }),
             std::string("WORKSPACE_TOO_SMALL"));
    const DeviceArray<std::int32_t> past(std::vector<std::int32_t>{0});
    CHECK_EQ(code_of([&] {
               cuda::attention_cached(
                   {}, {memory.data(), memory.data(), memory.data(), memory.data(), past.data(), 1, 1, 1, 1, 8, 1});
             }),
             std::string("WORKSPACE_TOO_SMALL"));
  });
  add_case("a sequence's result against its cache does not depend on the others'", [] {
    const CachedShape together{{150, 3}, 1, 1, 64};
    const CachedShape alone{{3}, 1, 1, 64, 150};
    const Floats qkv = random_floats(2 * 3 * 64, 1.0, 3);
    const Floats keys = cache_of(together, DataType::kF32, 5);
    const auto output_of = [&](const CachedShape& shape, std::int64_t first, std::int64_t longest) {
      const std::int64_t size = shape.capacity() * 64;
      const auto begin = keys.begin() + first * size;
      const DeviceArray<float> cache(Floats(begin, begin + shape.sequences() * size));
      const DeviceArray<float> values(Floats(begin, begin + shape.sequences() * size));
      const DeviceArray<float> input(
          Floats(qkv.begin() + first * 192, qkv.begin() + (first + shape.sequences()) * 192));
      const DeviceArray<float> output(static_cast<std::size_t>(shape.sequences() * 64));
      const DeviceArray<std::int32_t> past(shape.past);
      const DeviceArray<std::byte> workspace(cuda::attention_workspace_bytes(shape.request()));
      KernelContext context;
      context.workspace = workspace.data();
      context.workspace_bytes = workspace.size();
      cuda::attention_cached(context, {input.data(), cache.data(), values.data(), output.data(), past.data(),
                                       shape.sequences(), 1, shape.capacity(), 1, 64, longest});
      return output.to_host();
    };
    CHECK_EQ(together.capacity(), alone.capacity());
    const Floats both = output_of(together, 0, together.longest());
    CHECK((Floats(both.begin() + 64, both.end()) == output_of(alone, 1, alone.longest())));
  });
  add_case("positions beyond a full cache attend to all of it and change nothing", [] {
    const Floats cached = random_floats(8 * 64, 1.0, 5);
    const auto output_of = [&](std::int32_t past) {
      const DeviceArray<float> keys(cached);
      const DeviceArray<float> values(cached);
      const DeviceArray<float> input(random_floats(3 * 64, 1.0, 3));
      const DeviceArray<float> output(64);
      const DeviceArray<std::int32_t> pasts(std::vector<std::int32_t>{past});
      const DeviceArray<std::byte> workspace(
          cuda::attention_workspace_bytes({.rows = 1, .seq_len = 8, .channels = 64, .heads = 1}));
      KernelContext context;
      context.workspace = workspace.data();
      context.workspace_bytes = workspace.size();
      cuda::attention_cached(
          context, {input.data(), keys.data(), values.data(), output.data(), pasts.data(), 1, 1, 8, 1, 64, 8});
      CHECK((keys.to_host() == cached && values.to_host() == cached));
      return output.to_host();
    };
    CHECK((output_of(8) == output_of(1 << 27)));
  });
}

} // namespace

int main() {
  add_training_cases();
  add_cached_cases();
  add_refusals();
  return run_cases();
}
