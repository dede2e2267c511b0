// One pass of DecoupledAdamW: reads parameter, gradient and both moments, writes all but the gradient, and where asked
// the parameter's bf16 copy, rounded to nearest or by chance. With moments in 8-bit blocks a warp takes a block of 256
// parameters. The segments travel in the kernel's parameters, some at a launch.
#include "backends/cuda/access.h"
#include "backends/cuda/kernels.h"
#include "backends/cuda/reduce.h"

#include "engine/base/error.h"
#include "engine/optim/moment-codes.h"

#include <cmath>
#include <string>

namespace assay::cuda {

namespace {

constexpr int kThreads = 256;
constexpr int kWidth = 8; // parameters of a thread
constexpr std::int64_t kBlockParameters = std::int64_t{kThreads} * kWidth;

// Kernel parameters may be 4 KiB.
constexpr int kSegmentsAtOnce = 96;
struct SegmentList {
  std::int64_t offsets[kSegmentsAtOnce];
  std::int64_t counts[kSegmentsAtOnce];
  std::uint32_t first_blocks[kSegmentsAtOnce];
  bool decays[kSegmentsAtOnce];
  int size;
};

struct Step {
  float* parameters;
  const float* gradients;
  float* first_moment; // or the scales
  float* second_moment;
  Bf16* copy; // or null
  std::uint8_t* first_codes;
  std::uint8_t* second_codes;
  float step_size; // lr / first_correction
  float beta1, beta2, epsilon;
  float decay_factor;
  float gradient_scale;
  float inverse_root_correction; // 1 / √second_correction
  bool rounds_by_chance;
  std::uint32_t key0, key1, step;
  std::int64_t first_parameter;
};

// What a block works on: parameters [begin, end) of the arena.
struct BlockRange {
  std::int64_t begin, end;
  float decay_factor;
};

__device__ __forceinline__ BlockRange range_of_block(const SegmentList& segments, const Step& step) {
  int low = 0; // the last segment that begins at or before this block
  int high = segments.size;
  while (high - low > 1) {
    const int middle = (low + high) / 2;
    if (segments.first_blocks[middle] <= blockIdx.x) {
      low = middle;
    } else {
      high = middle;
    }
  }
  const std::int64_t begin = std::int64_t{blockIdx.x - segments.first_blocks[low]} * kBlockParameters;
  const std::int64_t end = begin + kBlockParameters;
  return {segments.offsets[low] + begin,
          segments.offsets[low] + (end < segments.counts[low] ? end : segments.counts[low]),
          segments.decays[low] ? step.decay_factor : 1.0F};
}

__device__ __forceinline__ void update(float& parameter, float raw_gradient, float& first, float& second, const Step& s,
                                       float decay_factor) {
  const float gradient = raw_gradient * s.gradient_scale;
  first = s.beta1 * first + (1.0F - s.beta1) * gradient;
  second = s.beta2 * second + (1.0F - s.beta2) * gradient * gradient;
  const float denominator = sqrtf(second) * s.inverse_root_correction + s.epsilon;
  parameter = parameter * decay_factor - s.step_size * first / denominator;
}

// `low_word`: the lower 16 of the parameter's random bits.
__device__ __forceinline__ Bf16 rounded_by_chance(float value, std::uint32_t low_word) {
  std::uint32_t bits = __float_as_uint(value);
  if ((bits & 0x7F800000U) == 0x7F800000U) {
    return to_bf16(value); // infinities and what is no number have nothing to round
  }
  const bool goes_up = low_word < (bits & 0xFFFFU);
  return Bf16{static_cast<std::uint16_t>((bits >> 16) + (goes_up ? 1U : 0U))};
}

__device__ __forceinline__ RandomWords rounding_words(const Step& step, std::uint64_t group) {
  return philox(static_cast<std::uint32_t>(group), 0U, step.step, kRoundingSite, step.key0, step.key1);
}

__device__ __forceinline__ Bf16 copy_of(const Step& step, std::int64_t parameter, float value) {
  if (!step.rounds_by_chance) {
    return to_bf16(value);
  }
  const auto number = static_cast<std::uint64_t>(step.first_parameter + parameter);
  const RandomWords random = rounding_words(step, number / 4);
  const std::uint32_t place = static_cast<std::uint32_t>(number % 4);
  const std::uint32_t low = (place & 1U) != 0U ? random.words[1] : random.words[0];
  const std::uint32_t high = (place & 1U) != 0U ? random.words[3] : random.words[2];
  return rounded_by_chance(value, ((place & 2U) != 0U ? high : low) & 0xFFFFU);
}

// The copies of kWidth parameters from `at` on, which is a multiple of kWidth.
__device__ __forceinline__ void store_copies(const Step& step, std::int64_t at, const float (&values)[kWidth]) {
  Packed<Bf16> copies;
  if (step.rounds_by_chance && (step.first_parameter + at) % 4 == 0) {
#pragma unroll
    for (int four = 0; four < kWidth / 4; ++four) {
      const RandomWords random = rounding_words(step, static_cast<std::uint64_t>(step.first_parameter + at) / 4 + four);
#pragma unroll
      for (int i = 0; i < 4; ++i) {
        copies.values[4 * four + i] = rounded_by_chance(values[4 * four + i], random.words[i] & 0xFFFFU);
      }
    }
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      copies.values[i] = copy_of(step, at + i, values[i]);
    }
  }
  store_group(step.copy + at, copies);
}

__global__ void __launch_bounds__(kThreads) adamw_kernel(Step step, SegmentList segments, bool is_aligned) {
  const BlockRange range = range_of_block(segments, step);
  if (is_aligned && range.begin % kWidth == 0 && range.end - range.begin == kBlockParameters) {
    const std::int64_t at = range.begin + std::int64_t{threadIdx.x} * kWidth;
    float parameters[kWidth];
    float gradients[kWidth];
    float first[kWidth];
    float second[kWidth];
    load_values<Reuse::kNever>(parameters, step.parameters + at);
    load_values<Reuse::kNever>(gradients, step.gradients + at);
    load_values<Reuse::kNever>(first, step.first_moment + at);
    load_values<Reuse::kNever>(second, step.second_moment + at);
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      update(parameters[i], gradients[i], first[i], second[i], step, range.decay_factor);
    }
    store_values<Reuse::kNever>(step.parameters + at, parameters);
    store_values<Reuse::kNever>(step.first_moment + at, first);
    store_values<Reuse::kNever>(step.second_moment + at, second);
    if (step.copy != nullptr) {
      store_copies(step, at, parameters);
    }
    return;
  }
  for (std::int64_t at = range.begin + threadIdx.x; at < range.end; at += kThreads) {
    float parameter = step.parameters[at];
    update(parameter, step.gradients[at], step.first_moment[at], step.second_moment[at], step, range.decay_factor);
    step.parameters[at] = parameter;
    if (step.copy != nullptr) {
      step.copy[at] = copy_of(step, at, parameter);
    }
  }
}

// --- moments in 8-bit blocks ---

static_assert(kMomentBlock == 32 * kWidth);
static_assert(kBlockParameters % kMomentBlock == 0);

__device__ const MomentValues device_first_values = kFirstMomentValues;
__device__ const MomentValues device_second_values = kSecondMomentValues;

struct Decades {
  MomentDecades first, second;
};

__device__ __forceinline__ int nearest_code(float magnitude, const MomentDecades& decades) {
  float factor = decades.factor[0];
  float steps = decades.steps[0];
#pragma unroll
  for (int z = 1; z < MomentDecades::kCount; ++z) {
    const bool is_below = magnitude < decades.below[z];
    factor = is_below ? decades.factor[z] : factor;
    steps = is_below ? decades.steps[z] : steps;
  }
  const float fraction = magnitude * factor - steps * (1.0F / 9.0F);
  const float bounded = fminf(fmaxf(fraction, 0.0F), steps - 1.0F);
  return static_cast<int>(steps) + static_cast<int>(bounded);
}

__device__ __forceinline__ std::uint8_t first_code(float value, const MomentDecades& decades) {
  const float magnitude = fabsf(value);
  int code = nearest_code(magnitude, decades);
  code = magnitude < decades.zero_below ? 0 : (value < 0.0F ? code | 128 : code);
  return static_cast<std::uint8_t>(value > decades.one_above ? 128 : code);
}

__device__ __forceinline__ std::uint8_t second_code(float value, const MomentDecades& decades) {
  const int code = value > 0.0F ? nearest_code(value, decades) : 0;
  return static_cast<std::uint8_t>(value > decades.one_above ? 1 : code);
}

// A warp's block: its scale is the value of the largest magnitude, with its sign; of two as large the positive one.
// `inverse` is 0 where the block counts as zeros.
__device__ __forceinline__ float block_scale(const float (&values)[kWidth], float& inverse) {
  float top = 0.0F;
  float bottom = 0.0F; // of the negative values, their magnitude
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    top = fmaxf(top, values[i]);
    bottom = fmaxf(bottom, -values[i]);
  }
  top = warp_max(top);
  bottom = warp_max(bottom);
  const float largest = top >= bottom ? top : -bottom;
  const bool is_zero = fabsf(largest) < kSmallestMomentScale;
  inverse = is_zero ? 0.0F : 1.0F / largest;
  return is_zero ? 0.0F : largest;
}

union Codes {
  std::uint64_t word;
  std::uint8_t codes[kWidth];
};

__global__ void __launch_bounds__(kThreads)
    adamw_blocks_kernel(Step step, SegmentList segments, Decades decades, bool is_aligned) {
  // Tables that each lane reads at a place of its own.
  __shared__ float first_values[256];
  __shared__ float second_values[256];
  for (int i = static_cast<int>(threadIdx.x); i < 256; i += kThreads) {
    first_values[i] = device_first_values.values[i];
    second_values[i] = device_second_values.values[i];
  }
  __syncthreads();
  const BlockRange range = range_of_block(segments, step);
  const std::int64_t at = range.begin + std::int64_t{threadIdx.x} * kWidth;
  const std::int64_t block = (range.begin + std::int64_t{threadIdx.x / 32} * kMomentBlock) / kMomentBlock;
  if (block * kMomentBlock >= range.end) {
    return; // the whole warp
  }
  const float first_scale = step.first_moment[block];
  const float second_scale = step.second_moment[block];
  const std::int64_t rest = range.end - at;
  const int here = rest >= kWidth ? kWidth : rest > 0 ? static_cast<int>(rest) : 0;
  const bool is_whole = is_aligned && here == kWidth;
  float parameters[kWidth] = {};
  float gradients[kWidth] = {};
  Codes first_codes;
  Codes second_codes;
  first_codes.word = 0;
  second_codes.word = 0;
  if (is_whole) {
    load_values<Reuse::kNever>(parameters, step.parameters + at);
    load_values<Reuse::kNever>(gradients, step.gradients + at);
    first_codes.word = *reinterpret_cast<const std::uint64_t*>(step.first_codes + at);
    second_codes.word = *reinterpret_cast<const std::uint64_t*>(step.second_codes + at);
  } else {
#pragma unroll
    for (int i = 0; i < kWidth; ++i) {
      if (i < here) {
        parameters[i] = step.parameters[at + i];
        gradients[i] = step.gradients[at + i];
        first_codes.codes[i] = step.first_codes[at + i];
        second_codes.codes[i] = step.second_codes[at + i];
      }
    }
  }
  float first[kWidth] = {};
  float second[kWidth] = {};
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if (i < here) { // behind a short block's end the moments stay 0
      first[i] = first_values[first_codes.codes[i]] * first_scale;
      second[i] = second_values[second_codes.codes[i]] * second_scale;
      update(parameters[i], gradients[i], first[i], second[i], step, range.decay_factor);
    }
  }
  float first_inverse;
  float second_inverse;
  const float new_first_scale = block_scale(first, first_inverse);
  const float new_second_scale = block_scale(second, second_inverse);
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    first_codes.codes[i] = first_code(first[i] * first_inverse, decades.first);
    second_codes.codes[i] = second_code(second[i] * second_inverse, decades.second);
  }
  if (threadIdx.x % 32 == 0) {
    step.first_moment[block] = new_first_scale;
    step.second_moment[block] = new_second_scale;
  }
  if (is_whole) {
    store_values<Reuse::kNever>(step.parameters + at, parameters);
    *reinterpret_cast<std::uint64_t*>(step.first_codes + at) = first_codes.word;
    *reinterpret_cast<std::uint64_t*>(step.second_codes + at) = second_codes.word;
    if (step.copy != nullptr) {
      store_copies(step, at, parameters);
    }
    return;
  }
#pragma unroll
  for (int i = 0; i < kWidth; ++i) {
    if (i < here) {
      step.parameters[at + i] = parameters[i];
      step.first_codes[at + i] = first_codes.codes[i];
      step.second_codes[at + i] = second_codes.codes[i];
      if (step.copy != nullptr) {
        step.copy[at + i] = copy_of(step, at + i, parameters[i]);
      }
    }
  }
}

Step step_of(const AdamWStep& call) {
  Step step;
  step.parameters = call.parameters;
  step.gradients = call.gradients;
  step.first_moment = call.first_moment;
  step.second_moment = call.second_moment;
  step.copy = reinterpret_cast<Bf16*>(call.bf16_parameters);
  step.first_codes = call.first_codes;
  step.second_codes = call.second_codes;
  step.step_size = call.learning_rate / call.first_correction;
  step.beta1 = call.beta1;
  step.beta2 = call.beta2;
  step.epsilon = call.epsilon;
  step.decay_factor = call.decay_factor;
  step.gradient_scale = call.gradient_scale;
  step.inverse_root_correction = 1.0F / std::sqrt(call.second_correction);
  step.rounds_by_chance = call.stochastic_rounding;
  step.key0 = static_cast<std::uint32_t>(call.seed);
  step.key1 = static_cast<std::uint32_t>(call.seed >> 32);
  step.step = call.step;
  step.first_parameter = call.first_parameter;
  return step;
}

} // namespace

void adamw_step(const KernelContext& context, const AdamWStep& call) {
  const bool has_blocks = call.first_codes != nullptr;
  const Step step = step_of(call);
  const bool is_aligned =
      are_aligned(call.parameters, call.gradients, call.bf16_parameters, call.first_codes, call.second_codes) &&
      (has_blocks || are_aligned(call.first_moment, call.second_moment));
  SegmentList segments{};
  std::int64_t blocks = 0;
  const auto run = [&] {
    if (blocks > 0) {
      if (has_blocks) {
        launch(context, adamw_blocks_kernel, grid_of(blocks), kThreads, 0, step, segments,
               Decades{kFirstMomentDecades, kSecondMomentDecades}, is_aligned);
      } else {
        launch(context, adamw_kernel, grid_of(blocks), kThreads, 0, step, segments, is_aligned);
      }
    }
    segments.size = 0;
    blocks = 0;
  };
  for (const AdamWSegment& segment : call.segments) {
    if (has_blocks && segment.offset % kMomentBlock != 0) {
      throw Error("BAD_ARGUMENT", "Parameters with moments in 8-bit blocks begin at " + std::to_string(segment.offset) +
                                      ", which is no multiple of a block's " + std::to_string(kMomentBlock) + ".");
    }
  }
  for (const AdamWSegment& segment : call.segments) {
    const std::int64_t own_blocks = divide_up(segment.count, kBlockParameters);
    if (own_blocks == 0) {
      continue;
    }
    if (segments.size == kSegmentsAtOnce) {
      run();
    }
    segments.offsets[segments.size] = segment.offset;
    segments.counts[segments.size] = segment.count;
    segments.first_blocks[segments.size] = static_cast<std::uint32_t>(blocks);
    segments.decays[segments.size] = segment.decays;
    ++segments.size;
    blocks += own_blocks;
  }
  run();
}

} // namespace assay::cuda
