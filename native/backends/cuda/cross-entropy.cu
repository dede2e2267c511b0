// Cross-entropy. Of the whole vocabulary: a block takes a row of logits, keeps as much of it in registers as they hold,
// finds maximum and sum in one reading, and writes the gradient over the logits. Of small heads: a warp a row. The
// rows' losses lie in the workspace and are added in order, in double.
#include "backends/cuda/access.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/reduce.h"

#include <cmath>

namespace assay::cuda {

namespace {

constexpr int kRowThreads = 1024; // a warp of warps
constexpr int kKept = 7;          // groups of a row that a thread keeps: 57,344 values of bf16 in a block

// Logits as they are stored: kept in half the registers where that is bf16.
template <class T> struct Single { T values[1]; };
template <class T, int kWidth> using Group = std::conditional_t<kWidth == 1, Single<T>, Packed<T>>;

template <class T> __device__ __forceinline__ void load_group(Packed<T>& group, const T* source) {
  group = load_packed_streaming(source);
}
template <class T> __device__ __forceinline__ void load_group(Single<T>& group, const T* source) {
  group.values[0] = *source;
}

// The logits of one group with their biases; −∞ behind the vocabulary's end.
template <class T, int kWidth>
__device__ __forceinline__ void logits_of(float (&logits)[kWidth], const Group<T, kWidth>& group,
                                          const VocabularyLoss& call, std::int64_t first) {
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    logits[i] = load(&group.values[i]);
  }
  if (first + kWidth <= call.vocab_size) {
    if (call.bias != nullptr) {
      float bias[kWidth];
      load_values(bias, call.bias + first);
#pragma unroll
      for (int i = 0; i < kWidth; ++i) {
        logits[i] += bias[i];
      }
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if (first + i >= call.vocab_size) {
      logits[i] = -INFINITY;
    } else if (call.bias != nullptr) {
      logits[i] += call.bias[first + i];
    }
  }
}

struct RowSums {
  float maximum = -INFINITY;
  float exponentials = 0.0F; // Σ e^(logit − maximum)
  float logits = 0.0F;       // for the smoothed part of the loss

  template <int kWidth> __device__ __forceinline__ void add(const float (&values)[kWidth]) {
    float highest = maximum;
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      highest = fmaxf(highest, values[i]);
    }
    if (highest > maximum) {
      exponentials *= __expf(maximum - highest);
      maximum = highest;
    }
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      if (values[i] != -INFINITY) { // adds nothing, and before any other logit −∞ − (−∞) would be no number
        exponentials += __expf(values[i] - maximum);
        logits += values[i];
      }
    }
  }

  __device__ __forceinline__ void join_warp() {
    const float highest = warp_max(maximum);
    exponentials = warp_sum(maximum == highest ? exponentials : exponentials * __expf(maximum - highest));
    logits = warp_sum(logits);
    maximum = highest;
  }
};

template <class T, int kWidth>
__global__ void __launch_bounds__(kRowThreads) vocabulary_loss_kernel(VocabularyLoss call, double* losses) {
  __shared__ float shared[3][32];
  const std::int64_t row = blockIdx.x;
  T* row_logits = static_cast<T*>(call.logits.data) + row * call.stride;
  const std::int64_t words_end = (call.vocab_size + kWidth - 1) / kWidth * kWidth;
  const std::int32_t target = call.targets[row];
  if (target < 0) {
    const float zeros[kWidth] = {};
    for (std::int64_t first = threadIdx.x * kWidth; call.writes_gradient && first < call.stride;
         first += kRowThreads * kWidth) {
      store_values(row_logits + first, zeros);
    }
    if (threadIdx.x == 0) {
      losses[row] = 0.0;
    }
    return;
  }

  Group<T, kWidth> kept[kKept];
  constexpr std::int64_t kFirstNotKept = std::int64_t{kKept} * kRowThreads * kWidth;
#pragma unroll
  for (int g = 0; g < kKept; ++g) {
    const std::int64_t first = (g * kRowThreads + std::int64_t{threadIdx.x}) * kWidth;
    if (first < words_end) {
      load_group(kept[g], row_logits + first);
    }
  }
  const float target_logit = load(row_logits + target) + (call.bias != nullptr ? call.bias[target] : 0.0F);
  RowSums sums;
  float logits[kWidth];
#pragma unroll
  for (int g = 0; g < kKept; ++g) {
    const std::int64_t first = (g * kRowThreads + std::int64_t{threadIdx.x}) * kWidth;
    if (first < words_end) {
      logits_of<T>(logits, kept[g], call, first);
      sums.add(logits);
    }
  }
  for (std::int64_t first = kFirstNotKept + threadIdx.x * kWidth; first < words_end; first += kRowThreads * kWidth) {
    Group<T, kWidth> group;
    load_group(group, row_logits + first);
    logits_of<T>(logits, group, call, first);
    sums.add(logits);
  }

  // Every warp joins the warps' sums; nobody writes before all have read the target's logit.
  const int lane = static_cast<int>(threadIdx.x % 32);
  sums.join_warp();
  if (lane == 0) {
    shared[0][threadIdx.x / 32] = sums.maximum;
    shared[1][threadIdx.x / 32] = sums.exponentials;
    shared[2][threadIdx.x / 32] = sums.logits;
  }
  __syncthreads();
  sums.maximum = shared[0][lane];
  sums.exponentials = shared[1][lane];
  sums.logits = shared[2][lane];
  sums.join_warp();
  const float log_sum_exp = sums.maximum + logf(sums.exponentials);
  const float smoothing = call.label_smoothing;
  if (threadIdx.x == 0) {
    const float mean = sums.logits / static_cast<float>(call.vocab_size);
    const float nll = log_sum_exp - target_logit;
    losses[row] =
        static_cast<double>(smoothing > 0.0F ? (1.0F - smoothing) * nll + smoothing * (log_sum_exp - mean) : nll);
  }
  if (!call.writes_gradient) {
    return;
  }

  const float share = call.gradient_scale * smoothing / static_cast<float>(call.vocab_size);
  const auto store_gradient = [&](const Group<T, kWidth>& group, std::int64_t first) {
    logits_of<T>(logits, group, call, first);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      const float expected = first + i == target ? call.gradient_scale * (1.0F - smoothing) + share : share;
      const float gradient = __expf(logits[i] - log_sum_exp) * call.gradient_scale - expected;
      logits[i] = first + i < call.vocab_size ? gradient : 0.0F;
    }
    store_values(row_logits + first, logits);
  };
#pragma unroll
  for (int g = 0; g < kKept; ++g) {
    const std::int64_t first = (g * kRowThreads + std::int64_t{threadIdx.x}) * kWidth;
    if (first < words_end) {
      store_gradient(kept[g], first);
    }
  }
  for (std::int64_t first = kFirstNotKept + threadIdx.x * kWidth; first < words_end; first += kRowThreads * kWidth) {
    Group<T, kWidth> group;
    load_group(group, row_logits + first);
    store_gradient(group, first);
  }
  const float zeros[kWidth] = {};
  for (std::int64_t first = words_end + threadIdx.x * kWidth; first < call.stride; first += kRowThreads * kWidth) {
    store_values(row_logits + first, zeros);
  }
}

// With p the softmax over the classes that count, y the target, ε the smoothing and w the class weights,
//   loss = (1 − ε) w_y nll_y + ε/classes Σ_k w_k nll_k,
//   d loss / d logit_k = p_k ((1 − ε) w_y + ε/classes Σ_j w_j) − ε/classes w_k − (1 − ε) w_y [k = y].
constexpr int kHeadWarps = 4;
template <class T>
__global__ void __launch_bounds__(32 * kHeadWarps) cross_entropy_kernel(CrossEntropy call, double* losses) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const std::int64_t row = std::int64_t{blockIdx.x} * kHeadWarps + threadIdx.x / 32;
  if (row >= call.rows) {
    return;
  }
  const T* logits = static_cast<const T*>(call.logits.data) + row * call.row_stride;
  T* gradient = call.d_logits.data != nullptr ? static_cast<T*>(call.d_logits.data) + row * call.row_stride : nullptr;
  const std::int64_t target = call.targets[row];
  std::int64_t classes = call.classes;
  if (call.valid != nullptr) {
    classes = call.valid[row] < classes ? call.valid[row] : classes;
  }
  // A target among the classes that do not count is not scored either.
  const bool is_scored = target >= 0 && target < classes;
  const std::int64_t first_zero = is_scored ? classes : 0;
  for (std::int64_t k = first_zero + lane; gradient != nullptr && k < call.classes; k += 32) {
    store(gradient + k * call.class_stride, 0.0F);
  }
  if (!is_scored) {
    if (lane == 0) {
      losses[row] = 0.0;
    }
    return;
  }

  const auto weight = [&](std::int64_t k) { return call.class_weights != nullptr ? call.class_weights[k] : 1.0F; };
  const auto logit = [&](std::int64_t k) { return load(logits + k * call.class_stride); };
  const float target_logit = logit(target);
  float highest = -INFINITY;
  for (std::int64_t k = lane; k < classes; k += 32) {
    highest = fmaxf(highest, logit(k));
  }
  highest = warp_max(highest);
  float sum = 0.0F;
  float weights = 0.0F;
  float weighted = 0.0F; // Σ w_k (logit_k − highest)
  for (std::int64_t k = lane; k < classes; k += 32) {
    const float above = logit(k) - highest;
    sum += expf(above);
    weights += weight(k);
    weighted += weight(k) * above;
  }
  sum = warp_sum(sum);
  weights = warp_sum(weights);
  weighted = warp_sum(weighted);
  const float log_sum = logf(sum); // above `highest`
  const float share = call.label_smoothing / static_cast<float>(classes);
  const float target_weight = (1.0F - call.label_smoothing) * weight(target);
  if (lane == 0) {
    float loss = target_weight * (log_sum - (target_logit - highest));
    if (share > 0.0F) {
      loss += share * (weights * log_sum - weighted);
    }
    losses[row] = static_cast<double>(loss);
  }
  if (gradient == nullptr) {
    return;
  }
  const float factor = target_weight + share * weights;
  for (std::int64_t k = lane; k < classes; k += 32) {
    const float expected = share * weight(k) + (k == target ? target_weight : 0.0F);
    const float slope = factor * expf(logit(k) - highest - log_sum) - expected;
    store(gradient + k * call.class_stride, slope * call.gradient_scale);
  }
}

// One block: *loss += the sum of all rows' losses.
__global__ void __launch_bounds__(kRowThreads)
    add_losses_kernel(const double* losses, std::int64_t rows, double* loss) {
  __shared__ double shared[kRowThreads / 32];
  double sum = 0.0;
  for (std::int64_t row = threadIdx.x; row < rows; row += kRowThreads) {
    sum += losses[row];
  }
  sum = team_sum<kRowThreads>(sum, shared);
  if (threadIdx.x == 0) {
    *loss += sum;
  }
}

void add_losses(const KernelContext& context, std::int64_t rows, double* loss) {
  launch(context, add_losses_kernel, 1, kRowThreads, 0, static_cast<const double*>(context.workspace), rows, loss);
}

} // namespace

std::size_t cross_entropy_workspace(std::int64_t rows) {
  return static_cast<std::size_t>(rows) * sizeof(double);
}

void vocabulary_loss(const KernelContext& context, const VocabularyLoss& call) {
  if (call.rows == 0) {
    return;
  }
  check_workspace(context, cross_entropy_workspace(call.rows));
  with_type(call.logits.type, [&](auto type) {
    using T = decltype(type);
    constexpr int kWidth = kPackedWidth<T>;
    const bool is_packed = call.stride % kWidth == 0 && are_aligned(call.logits.data, call.bias);
    const auto kernel = is_packed ? vocabulary_loss_kernel<T, kWidth> : vocabulary_loss_kernel<T, 1>;
    launch(context, kernel, grid_of(call.rows), kRowThreads, 0, call, static_cast<double*>(context.workspace));
  });
  add_losses(context, call.rows, call.loss);
}

void cross_entropy(const KernelContext& context, const CrossEntropy& call) {
  if (call.rows == 0) {
    return;
  }
  check_workspace(context, cross_entropy_workspace(call.rows));
  with_type(call.logits.type, [&](auto type) {
    launch(context, cross_entropy_kernel<decltype(type)>, grid_of(divide_up(call.rows, kHeadWarps)), 32 * kHeadWarps, 0,
           call, static_cast<double*>(context.workspace));
  });
  add_losses(context, call.rows, call.loss);
}

} // namespace assay::cuda
