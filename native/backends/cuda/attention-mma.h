// Tiles of attention on tensor cores: bf16 operands in shared memory, products by mma.sync m16n8k16 with fp32 sums in
// registers. A warp has 16 · kRowBlocks rows of a tile of scores for itself, so that softmax needs four lanes only, and
// the weights of the second product (probabilities, or their gradients) go from one product to the next in registers.
// With two row blocks each fragment that ldmatrix brings serves two products: shared memory's 128 bytes a cycle would
// otherwise hold the tensor cores back. Rows lie as chunks of 16 bytes whose order is permuted by row, such that
// ldmatrix's eight rows meet all banks. On Hopper wgmma would read operands from shared memory without ldmatrix and
// reach the last third of the tensor cores' speed; mma.sync runs on all devices from sm_80 on, so it comes first.
#pragma once

#include "backends/cuda/attention-arguments.h"
#include "backends/cuda/ptx.h"

namespace assay::cuda {

template <int kHeadSize, int kWarps, int kRowBlocks, int kColumnCount, bool kHoldRows, bool kDrop> struct MmaEngine {
  using Element = Bf16;
  using Shared = Bf16;
  static constexpr bool kDrops = kDrop;
  static constexpr int kHead = kHeadSize; // heads that are smaller are filled up with zeros
  static constexpr int kThreads = 32 * kWarps;
  static constexpr int kWarpRows = 16 * kRowBlocks;
  static constexpr int kRows = kWarpRows * kWarps;
  static constexpr int kColumns = kColumnCount;
  static constexpr int kStages = 2;
  static constexpr int kRowTile = kRows * kHead; // values in shared memory
  static constexpr int kColumnTile = kColumns * kHead;
  static constexpr int kScratch = 0;
  static constexpr int kThreadRows = 2 * kRowBlocks; // of scores, in one thread
  static constexpr int kThreadColumns = kColumns / 4;
  static constexpr int kThreadScores = kThreadRows * kThreadColumns;
  static constexpr int kChunks = kHead / 8;
  static_assert(kHead % 16 == 0 && kColumns % 16 == 0 && kThreadScores <= 64);

  struct Scores {
    float values[kRowBlocks][kColumns / 8][4];
  };
  struct Output {
    float values[kRowBlocks][kHead / 8][4];
  };
  // The left operand of a product of rows: fragments in registers, or where they lie.
  struct Rows {
    const Shared* tile;
    std::uint32_t held[kHoldRows ? kHead / 16 : 1][kRowBlocks][4];
  };

  __device__ static __forceinline__ int lane() { return static_cast<int>(threadIdx.x) % 32; }
  __device__ static __forceinline__ int warp_row() { return static_cast<int>(threadIdx.x) / 32 * kWarpRows; }
  // Row and column in the tile of this thread's scores.
  __device__ static __forceinline__ int row_of(int r) { return warp_row() + r / 2 * 16 + r % 2 * 8 + lane() / 4; }
  __device__ static __forceinline__ int column_of(int c) { return c / 2 * 8 + lane() % 4 * 2 + c % 2; }
  __device__ static __forceinline__ float& at(Scores& scores, int r, int c) {
    return scores.values[r / 2][c / 2][r % 2 * 2 + c % 2];
  }
  __device__ static __forceinline__ bool leads_row() { return lane() % 4 == 0; }
  __device__ static __forceinline__ float row_maximum(float value) {
    value = fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, 1));
    return fmaxf(value, __shfl_xor_sync(0xFFFFFFFFU, value, 2));
  }
  __device__ static __forceinline__ float row_sum(float value) {
    value += __shfl_xor_sync(0xFFFFFFFFU, value, 1);
    return value + __shfl_xor_sync(0xFFFFFFFFU, value, 2);
  }

  // Where a chunk of a row lies. A row of an odd multiple of 32 or 64 bytes spreads over the banks by itself in part.
  __device__ static __forceinline__ int place(int row, int chunk) {
    const int turn = kChunks % 8 == 0 ? row & 7 : kChunks % 4 == 0 ? (row >> 1) & 3 : (row >> 2) & 1;
    return (row * kChunks + (chunk ^ turn)) * 8;
  }

  // Starts the copy of rows first … of `source` into a tile; rows from `limit` on, and what the head lacks, are zeros.
  template <int kCount>
  __device__ static __forceinline__ void load_tile(Shared* tile, const Element* source, std::int64_t stride, int first,
                                                   int limit, int head_size) {
    constexpr int kCopies = kCount * kChunks;
#pragma unroll 1
    for (int step = 0; step < (kCopies + kThreads - 1) / kThreads; ++step) {
      const int i = step * kThreads + static_cast<int>(threadIdx.x);
      const int row = i / kChunks;
      const int chunk = i % kChunks;
      const bool valid = first + row < limit && chunk * 8 < head_size;
      const Element* from = source + (valid ? static_cast<std::int64_t>(first + row) * stride + chunk * 8 : 0);
      if (kCopies % kThreads == 0 || i < kCopies) {
        cp_async_16(tile + place(row, chunk), from, valid);
      }
    }
  }

  __device__ static __forceinline__ void load_fragment(std::uint32_t (&fragment)[4], const Shared* tile, int k, int m) {
    ldmatrix_x4(fragment, tile + place(warp_row() + m * 16 + (lane() & 15), 2 * k + (lane() >> 4)));
  }
  __device__ static __forceinline__ void take_rows(Rows& rows, const Shared* tile) {
    rows.tile = tile;
    if constexpr (kHoldRows) {
#pragma unroll
      for (int k = 0; k < kHead / 16; ++k) {
#pragma unroll
        for (int m = 0; m < kRowBlocks; ++m) {
          load_fragment(rows.held[k][m], tile, k, m);
        }
      }
    }
  }

  // scores = rows · columnsᵀ
  __device__ static __forceinline__ void multiply(Scores& scores, const Rows& rows, const Shared* columns) {
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int n = 0; n < kColumns / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          scores.values[m][n][i] = 0.0F;
        }
      }
    }
#pragma unroll
    for (int k = 0; k < kHead / 16; ++k) {
      std::uint32_t a[kRowBlocks][4];
#pragma unroll
      for (int m = 0; m < kRowBlocks; ++m) {
        if constexpr (kHoldRows) {
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            a[m][i] = rows.held[k][m][i];
          }
        } else {
          load_fragment(a[m], rows.tile, k, m);
        }
      }
#pragma unroll
      for (int n = 0; n < kColumns / 16; ++n) {
        std::uint32_t b[4];
        ldmatrix_x4(b, columns + place(n * 16 + (lane() & 7) + (lane() >> 4) * 8, 2 * k + ((lane() >> 3) & 1)));
        const std::uint32_t left[2] = {b[0], b[1]};
        const std::uint32_t right[2] = {b[2], b[3]};
#pragma unroll
        for (int m = 0; m < kRowBlocks; ++m) {
          mma_m16n8k16_bf16(scores.values[m][2 * n], a[m], left);
          mma_m16n8k16_bf16(scores.values[m][2 * n + 1], a[m], right);
        }
      }
    }
  }

  // output += weights · columns, the weights rounded to bf16.
  __device__ static __forceinline__ void accumulate(Output& output, const Scores& weights, const Shared* columns,
                                                    float* /*scratch*/) {
#pragma unroll
    for (int k = 0; k < kColumns / 16; ++k) {
      std::uint32_t a[kRowBlocks][4];
#pragma unroll
      for (int m = 0; m < kRowBlocks; ++m) {
        const float(&left)[4] = weights.values[m][2 * k];
        const float(&right)[4] = weights.values[m][2 * k + 1];
        a[m][0] = pack_bf16(left[0], left[1]);
        a[m][1] = pack_bf16(left[2], left[3]);
        a[m][2] = pack_bf16(right[0], right[1]);
        a[m][3] = pack_bf16(right[2], right[3]);
      }
#pragma unroll
      for (int n = 0; n < kHead / 16; ++n) {
        std::uint32_t b[4];
        ldmatrix_x4_trans(b, columns + place(k * 16 + (lane() & 15), 2 * n + (lane() >> 4)));
        const std::uint32_t left[2] = {b[0], b[1]};
        const std::uint32_t right[2] = {b[2], b[3]};
#pragma unroll
        for (int m = 0; m < kRowBlocks; ++m) {
          mma_m16n8k16_bf16(output.values[m][2 * n], a[m], left);
          mma_m16n8k16_bf16(output.values[m][2 * n + 1], a[m], right);
        }
      }
    }
  }

  __device__ static __forceinline__ void clear(Output& output) {
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int n = 0; n < kHead / 8; ++n) {
#pragma unroll
        for (int i = 0; i < 4; ++i) {
          output.values[m][n][i] = 0.0F;
        }
      }
    }
  }
  __device__ static __forceinline__ void scale_row(Output& output, int r, float factor) {
#pragma unroll
    for (int n = 0; n < kHead / 8; ++n) {
      output.values[r / 2][n][r % 2 * 2] *= factor;
      output.values[r / 2][n][r % 2 * 2 + 1] *= factor;
    }
  }

  // Writes the rows below `limit`, by way of the tile that held the left operand: a warp's rows were read by it alone.
  __device__ static __forceinline__ void store_rows(const Output& output, Shared* tile, Element* target,
                                                    std::int64_t stride, int first, int limit, int head_size) {
    __syncwarp();
#pragma unroll
    for (int r = 0; r < kThreadRows; ++r) {
#pragma unroll
      for (int n = 0; n < kHead / 8; ++n) {
        const float(&values)[4] = output.values[r / 2][n];
        *reinterpret_cast<std::uint32_t*>(tile + place(row_of(r), n) + lane() % 4 * 2) =
            pack_bf16(values[r % 2 * 2], values[r % 2 * 2 + 1]);
      }
    }
    __syncwarp();
    for (int i = lane(); i < kWarpRows * kChunks; i += 32) {
      const int row = warp_row() + i / kChunks;
      const int chunk = i % kChunks;
      if (first + row < limit && chunk * 8 < head_size) {
        store_packed(target + static_cast<std::int64_t>(first + row) * stride + chunk * 8,
                     *reinterpret_cast<const Packed<Element>*>(tile + place(row, chunk)));
      }
    }
  }

  // Of a score in kept_scores().
  __device__ static __forceinline__ int bit_of(int r, int c) {
    return ((r / 2) * (kColumns / 8) + c / 2) * 4 + r % 2 * 2 + c % 2;
  }
  // A bit for each of this thread's scores. Rows are queries, or keys where kRowsAreKeys. Four
  // neighbouring keys share one draw: where no such four straddle two rows, each lane draws for four scores and hands
  // words to the lanes that have the others.
  template <bool kRowsAreKeys>
  __device__ static __forceinline__ std::uint64_t kept_scores(const DropoutMask& mask, const TilePlace& tile) {
    std::uint64_t kept = 0;
    const bool aligned = tile.seq_len % 4 == 0;
#pragma unroll
    for (int m = 0; m < kRowBlocks; ++m) {
#pragma unroll
      for (int n = 0; n < kColumns / 8; ++n) {
        std::uint32_t four;
        if (!aligned) {
          four = 0;
#pragma unroll
          for (int i = 0; i < 4; ++i) {
            const int row = row_of(2 * m + i / 2);
            const int column = column_of(2 * n + i % 2);
            four |= (kRowsAreKeys ? is_kept(mask, tile, column, row) : is_kept(mask, tile, row, column)) ? 1U << i : 0U;
          }
        } else if constexpr (kRowsAreKeys) {
          four = four_by_keys(mask, tile, warp_row() + m * 16, n * 8);
        } else {
          four = four_by_queries(mask, tile, warp_row() + m * 16, n * 8);
        }
        kept |= static_cast<std::uint64_t>(four) << ((m * (kColumns / 8) + n) * 4);
      }
    }
    return kept;
  }

private:
  // Even lanes draw for the upper of their two rows, odd ones for the lower.
  __device__ static __forceinline__ std::uint32_t four_by_queries(const DropoutMask& mask, const TilePlace& tile,
                                                                  int row, int column) {
    const bool odd = (lane() & 1) != 0;
    const std::uint64_t element = tile.element(row + (odd ? 8 : 0) + lane() / 4, column + (lane() & 2) * 2);
    const RandomWords own = tile.words(mask, element);
    const std::uint32_t first = __shfl_xor_sync(0xFFFFFFFFU, odd ? own.words[0] : own.words[2], 1);
    const std::uint32_t second = __shfl_xor_sync(0xFFFFFFFFU, odd ? own.words[1] : own.words[3], 1);
    const std::uint32_t words[4] = {odd ? first : own.words[0], odd ? second : own.words[1], odd ? own.words[2] : first,
                                    odd ? own.words[3] : second};
    return bits_of(words, mask.threshold);
  }
  // The four lanes that hold neighbouring keys of the same queries draw for one of their four scores each.
  __device__ static __forceinline__ std::uint32_t four_by_keys(const DropoutMask& mask, const TilePlace& tile, int row,
                                                               int column) {
    const int own_index = lane() / 4 % 4;
    const int key = row + own_index / 2 * 8 + lane() / 16 * 4;
    const int query = column + lane() % 4 * 2 + own_index % 2;
    const RandomWords own = tile.words(mask, tile.element(query, key));
    std::uint32_t four = 0;
#pragma unroll
    for (int step = 0; step < 4; ++step) {
      const int index = own_index ^ step;
      const std::uint32_t word = __shfl_xor_sync(0xFFFFFFFFU, word_at(own, index), step * 4);
      four |= word >= mask.threshold ? 1U << index : 0U;
    }
    return four;
  }
  __device__ static __forceinline__ std::uint32_t bits_of(const std::uint32_t (&words)[4], std::uint32_t threshold) {
    std::uint32_t bits = 0;
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      bits |= words[i] >= threshold ? 1U << i : 0U;
    }
    return bits;
  }
};

} // namespace assay::cuda
