// Tiles of attention without tensor cores: fp32 in shared memory, products by fused multiply-adds, for fp32 activations
// and for heads that the tensor cores' tiles do not take. It has the interface of MmaEngine. Sixteen lanes share a row
// of scores, and each thread has four rows; columns go round the lanes, so that neighbours read neighbouring banks.
#pragma once

#include "backends/cuda/attention-arguments.h"

namespace assay::cuda {

template <class T, int kHeadSize> struct SimtEngine {
  using Element = T;
  using Shared = float;
  static constexpr bool kDrops = true; // decided when the kernel runs
  static constexpr int kHead = kHeadSize;
  static constexpr int kRows = kHead <= 128 ? 32 : 16; // four tiles fit the 99 KiB that the smallest devices have
  static constexpr int kColumns = kRows;
  static constexpr int kThreads = kRows / 4 * 16;
  static constexpr int kStages = 1;
  static constexpr int kStride = kHead + 4; // an odd number of 16 bytes: rows begin in different banks
  static constexpr int kRowTile = kRows * kStride;
  static constexpr int kColumnTile = kRowTile;
  static constexpr int kScratchStride = kColumns + 4;
  static constexpr int kScratch = kRows * kScratchStride; // floats, for the weights of the second product
  static constexpr int kThreadRows = 4;
  static constexpr int kThreadColumns = kColumns / 16;

  struct Scores {
    float values[kThreadRows][kThreadColumns];
  };
  struct Output {
    float values[kThreadRows][kHead / 16];
  };
  struct Rows {
    const Shared* tile;
  };

  __device__ static __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % 16; }
  __device__ static __forceinline__ int row_of(int r) { return static_cast<int>(threadIdx.x) / 16 * 4 + r; }
  __device__ static __forceinline__ int column_of(int c) { return lane() + 16 * c; }
  __device__ static __forceinline__ float& at(Scores& scores, int r, int c) { return scores.values[r][c]; }
  __device__ static __forceinline__ bool leads_row() { return lane() == 0; }
  __device__ static __forceinline__ float row_maximum(float value) {
#pragma unroll
    for (int step = 1; step < 16; step *= 2) {
      value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, step));
    }
    return value;
  }
  __device__ static __forceinline__ float row_sum(float value) {
#pragma unroll
    for (int step = 1; step < 16; step *= 2) {
      value += __shfl_xor_sync(0xFFFFFFFFU, value, step);
    }
    return value;
  }

  template <int kCount>
  __device__ static __forceinline__ void load_tile(Shared* tile, const Element* source, std::int64_t stride, int first,
                                                   int limit, int head_size) {
    for (int i = static_cast<int>(threadIdx.x); i < kCount * kHead; i += kThreads) {
      const int row = i / kHead;
      const int d = i % kHead;
      const bool valid = first + row < limit && d < head_size;
      tile[row * kStride + d] = valid ? load(source + static_cast<std::int64_t>(first + row) * stride + d) : 0.0F;
    }
  }
  __device__ static __forceinline__ void take_rows(Rows& rows, const Shared* tile) {
    rows.tile = tile;
  }

  __device__ static __forceinline__ void multiply(Scores& scores, const Rows& rows, const Shared* columns) {
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
      for (int c = 0; c < kThreadColumns; ++c) {
        scores.values[r][c] = 0.0F;
      }
    }
#pragma unroll 2
    for (int d = 0; d < kHead; d += 4) {
      Packed<float> left[kThreadRows];
#pragma unroll
      for (int r = 0; r < kThreadRows; ++r) {
        left[r] = four_of(rows.tile + row_of(r) * kStride + d);
      }
#pragma unroll
      for (int c = 0; c < kThreadColumns; ++c) {
        const Packed<float> right = four_of(columns + column_of(c) * kStride + d);
#pragma unroll
        for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            scores.values[r][c] = fmaf(left[r].values[i], right.values[i], scores.values[r][c]);
          }
        }
      }
    }
  }

  // The weights of a row are written and read by the same sixteen lanes, so the warp waits for itself only.
  __device__ static __forceinline__ void accumulate(Output& output, const Scores& weights, const Shared* columns,
                                                    float* scratch) {
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
      for (int c = 0; c < kThreadColumns; ++c) {
        scratch[row_of(r) * kScratchStride + column_of(c)] = weights.values[r][c];
      }
    }
    __syncwarp();
    for (int k = 0; k < kColumns; k += 4) {
      Packed<float> left[kThreadRows];
#pragma unroll
      for (int r = 0; r < kThreadRows; ++r) {
        left[r] = four_of(scratch + row_of(r) * kScratchStride + k);
      }
#pragma unroll
      for (int i = 0; i < 4; ++i) {
#pragma unroll
        for (int j = 0; j < kHead / 16; ++j) {
          const float right = columns[(k + i) * kStride + lane() + 16 * j];
#pragma unroll
          for (int r = 0; r < kThreadRows; ++r) {
            output.values[r][j] = fmaf(left[r].values[i], right, output.values[r][j]);
          }
        }
      }
    }
    __syncwarp();
  }

  __device__ static __forceinline__ void clear(Output& output) {
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
      for (int j = 0; j < kHead / 16; ++j) {
        output.values[r][j] = 0.0F;
      }
    }
  }
  __device__ static __forceinline__ void scale_row(Output& output, int r, float factor) {
#pragma unroll
    for (int j = 0; j < kHead / 16; ++j) {
      output.values[r][j] *= factor;
    }
  }
  __device__ static __forceinline__ void store_rows(const Output& output, Shared* /*tile*/, Element* target,
                                                    std::int64_t stride, int first, int limit, int head_size) {
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
      for (int j = 0; j < kHead / 16; ++j) {
        const int d = lane() + 16 * j;
        if (first + row_of(r) < limit && d < head_size) {
          store(target + static_cast<std::int64_t>(first + row_of(r)) * stride + d, output.values[r][j]);
        }
      }
    }
  }
  template <bool kRowsAreKeys>
  __device__ static __forceinline__ std::uint64_t kept_scores(const DropoutMask& mask, const TilePlace& tile) {
    std::uint64_t kept = 0;
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
      for (int c = 0; c < kThreadColumns; ++c) {
        const int row = row_of(r);
        const int column = column_of(c);
        const bool keeps = kRowsAreKeys ? is_kept(mask, tile, column, row) : is_kept(mask, tile, row, column);
        kept |= keeps ? std::uint64_t{1} << bit_of(r, c) : 0U;
      }
    }
    return kept;
  }
  // Of the score in kept_scores().
  __device__ static __forceinline__ int bit_of(int r, int c) {
    return r * kThreadColumns + c;
  }

private:
  __device__ static __forceinline__ Packed<float> four_of(const float* shared) {
    return *reinterpret_cast<const Packed<float>*>(shared);
  }
};

} // namespace assay::cuda
