// Operations whose every element stands alone: sums, activations, conversions, and dropout. Runs of values are taken
// 16 bytes at a time where they are aligned; the few at the end that fill no group go one by one.
#include "backends/cuda/access.h"
#include "backends/cuda/activation.h"
#include "backends/cuda/dropout.h"
#include "backends/cuda/kernels.h"

#include "engine/base/error.h"

#include <algorithm>

namespace assay::cuda {

namespace {

constexpr int kThreads = 256;

// Calls body(integral constant width, first value) for this thread's groups of a run.
template <int kWidth, class Body> __device__ __forceinline__ void for_groups(std::int64_t count, const Body& body) {
  const std::int64_t thread = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  const std::int64_t step = std::int64_t{gridDim.x} * kThreads;
  const std::int64_t groups = count / kWidth;
  for (std::int64_t group = thread; group < groups; group += step) {
    body(std::integral_constant<int, kWidth>{}, group * kWidth);
  }
  if (kWidth > 1 && thread < count - groups * kWidth) {
    body(std::integral_constant<int, 1>{}, groups * kWidth + thread);
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) add_kernel(T* target, const T* values, std::int64_t count) {
  for_groups<kWidth>(count, [&](auto width, std::int64_t at) {
    float sum[decltype(width)::value];
    float more[decltype(width)::value];
    load_values(sum, target + at);
    load_values<Reuse::kNever>(more, values + at);
    for (int i = 0; i < decltype(width)::value; ++i) {
      sum[i] += more[i];
    }
    store_values(target + at, sum);
  });
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    activation_forward_kernel(T* output, const T* input, std::int64_t count, Activation activation) {
  for_groups<kWidth>(count, [&](auto width, std::int64_t at) {
    float values[decltype(width)::value];
    load_values(values, input + at);
    for (int i = 0; i < decltype(width)::value; ++i) {
      values[i] = activation_value(activation, values[i]);
    }
    store_values(output + at, values);
  });
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads)
    activation_backward_kernel(T* gradient, const T* input, std::int64_t count, Activation activation) {
  for_groups<kWidth>(count, [&](auto width, std::int64_t at) {
    float values[decltype(width)::value];
    float inputs[decltype(width)::value];
    load_values(values, gradient + at);
    load_values<Reuse::kNever>(inputs, input + at);
    for (int i = 0; i < decltype(width)::value; ++i) {
      values[i] *= activation_slope(activation, inputs[i]);
    }
    store_values(gradient + at, values);
  });
}

template <class Source, class Target, int kWidth>
__global__ void __launch_bounds__(kThreads) convert_kernel(const Source* source, Target* target, std::int64_t count) {
  for_groups<kWidth>(count, [&](auto width, std::int64_t at) {
    float values[decltype(width)::value];
    load_values<Reuse::kNever>(values, source + at);
    store_values(target + at, values);
  });
}

__global__ void __launch_bounds__(kThreads) zero_kernel(unsigned char* target, std::int64_t size_bytes) {
  // Up to 15 bytes, then groups of 16, then what is left.
  const std::int64_t misaligned = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(target) % 16);
  const std::int64_t ahead = misaligned == 0 ? 0 : 16 - misaligned;
  const std::int64_t before = ahead < size_bytes ? ahead : size_bytes;
  const std::int64_t thread = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (thread < before) {
    target[thread] = 0;
  }
  target += before;
  size_bytes -= before;
  const std::int64_t groups = size_bytes / 16;
  const float zeros[4] = {};
  for (std::int64_t group = thread; group < groups; group += std::int64_t{gridDim.x} * kThreads) {
    store_values(reinterpret_cast<float*>(target) + group * 4, zeros);
  }
  if (thread < size_bytes - groups * 16) {
    target[groups * 16 + thread] = 0;
  }
}

template <class T, int kWidth>
__global__ void __launch_bounds__(kThreads) dropout_kernel(T* values, std::int64_t rows, std::int64_t channels,
                                                           std::int64_t rows_per_sample, DropoutMask mask) {
  // A sample's rows lie together, so its elements count through them.
  const std::int64_t sample_size = rows_per_sample * channels;
  for_groups<kWidth>(rows * channels, [&](auto width, std::int64_t at) {
    float own[decltype(width)::value];
    load_values(own, values + at);
    apply_dropout(own, mask, static_cast<std::uint32_t>(at / sample_size), at % sample_size);
    store_values(values + at, own);
  });
}

// Enough blocks to fill the device, each with a few groups for every thread.
dim3 grid_for(const KernelContext& context, std::int64_t groups) {
  const std::int64_t most = std::int64_t{context.multiprocessors} * 16;
  return grid_of(std::clamp<std::int64_t>(divide_up(groups, kThreads), 1, most));
}

[[noreturn]] void fail_int8() {
  throw Error("NOT_SUPPORTED", "Values cannot be converted to or from int8 without scales; quantize them by channel.");
}

} // namespace

void add(const KernelContext& context, Values target, ConstValues values, std::int64_t count) {
  with_type(target.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const auto kernel = are_aligned(target.data, values.data) ? add_kernel<T, kWidth> : add_kernel<T, 1>;
    launch(context, kernel, grid_for(context, divide_up(count, kWidth)), kThreads, 0, pointer<T>(target),
           pointer<T>(values), count);
  });
}

void activation_forward(const KernelContext& context, Values output, ConstValues input, std::int64_t count,
                        Activation activation) {
  if (activation == Activation::kNone && output.data == input.data) {
    return;
  }
  with_type(output.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const auto kernel =
        are_aligned(output.data, input.data) ? activation_forward_kernel<T, kWidth> : activation_forward_kernel<T, 1>;
    launch(context, kernel, grid_for(context, divide_up(count, kWidth)), kThreads, 0, pointer<T>(output),
           pointer<T>(input), count, activation);
  });
}

void activation_backward(const KernelContext& context, Values gradient, ConstValues pre_activation, std::int64_t count,
                         Activation activation) {
  if (activation == Activation::kNone) {
    return;
  }
  with_type(gradient.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const auto kernel = are_aligned(gradient.data, pre_activation.data) ? activation_backward_kernel<T, kWidth>
                                                                        : activation_backward_kernel<T, 1>;
    launch(context, kernel, grid_for(context, divide_up(count, kWidth)), kThreads, 0, pointer<T>(gradient),
           pointer<T>(pre_activation), count, activation);
  });
}

void convert(const KernelContext& context, ConstValues source, Values target, std::int64_t count) {
  if (source.type == DataType::kInt8 || target.type == DataType::kInt8) {
    fail_int8();
  }
  with_type(source.type, [&](auto source_type) {
    with_type(target.type, [&](auto target_type) {
      using Source = decltype(source_type);
      using Target = decltype(target_type);
      constexpr int kWidth = std::max(kPackedWidth<Source>, kPackedWidth<Target>);
      const auto kernel = are_aligned(source.data, target.data) ? convert_kernel<Source, Target, kWidth>
                                                                : convert_kernel<Source, Target, 1>;
      launch(context, kernel, grid_for(context, divide_up(count, kWidth)), kThreads, 0, pointer<Source>(source),
             pointer<Target>(target), count);
    });
  });
}

void zero(const KernelContext& context, void* values, std::size_t size_bytes) {
  const auto bytes = static_cast<std::int64_t>(size_bytes);
  launch(context, zero_kernel, grid_for(context, divide_up(bytes, 16)), kThreads, 0,
         static_cast<unsigned char*>(values), bytes);
}

void dropout(const KernelContext& context, Values values, std::int64_t rows, std::int64_t channels,
             std::int64_t rows_per_sample, const Dropout& dropout) {
  if (dropout.probability <= 0.0F || rows == 0) {
    return;
  }
  with_type(values.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    // A group must not cross from one sample into the next.
    const bool is_packed = are_aligned(values.data) && rows_per_sample * channels % kWidth == 0;
    const auto kernel = is_packed ? dropout_kernel<T, kWidth> : dropout_kernel<T, 1>;
    launch(context, kernel, grid_for(context, divide_up(rows * channels, kWidth)), kThreads, 0, pointer<T>(values),
           rows, channels, rows_per_sample, DropoutMask(dropout));
  });
}

} // namespace assay::cuda
