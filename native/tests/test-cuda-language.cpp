// The layer through which kernels are written, tried by small kernels of each kind: sums, shuffles, tiles copied
// asynchronously, and the matrix product, each against a plain loop on the host.
#include <bit>
#include <cmath>
#include <cstdint>
#include <vector>

#include "backends/cuda/ptx.h"
#include "engine/base/philox.h"
#include "tests/check.h"
#include "tests/cuda-memory.h"

namespace assay {

namespace {

using test::add_case;
using test::DeviceArray;

__global__ void add_vectors(float* sum, const float* left, const float* right, std::int64_t count) {
  const std::int64_t i = static_cast<std::int64_t>(blockIdx.x) * blockDim.x + threadIdx.x;
  if (i < count) {
    sum[i] = left[i] + right[i];
  }
}

const bool adds = add_case("a kernel adds vectors of a length that is no multiple of its blocks", [] {
  const std::vector<float> left(1000, 1.5F);
  const std::vector<float> right(1000, 2.0F);
  const DeviceArray<float> a(left);
  const DeviceArray<float> b(right);
  DeviceArray<float> sum(1000);
  launch(KernelContext(), add_vectors, 8, 128, 0, sum.data(), a.data(), b.data(), 1000);
  CHECK(sum.to_host() == std::vector<float>(1000, 3.5F));
});

__global__ void reduce_rows(float* sums, float* maxima, const float* rows, int columns) {
  __shared__ float scratch[kWarpSize];
  float sum = 0.0F;
  float maximum = -INFINITY;
  for (int i = static_cast<int>(threadIdx.x); i < columns; i += static_cast<int>(blockDim.x)) {
    const float value = rows[blockIdx.x * columns + i];
    sum += value;
    maximum = fmaxf(maximum, value);
  }
  sum = block_sum(sum, scratch);
  maximum = block_max(maximum, scratch);
  if (threadIdx.x == blockDim.x - 1) {
    sums[blockIdx.x] = sum;
    maxima[blockIdx.x] = maximum;
  }
}

const bool reduces = add_case("sums and maxima over a block reach all of its threads for every number of warps", [] {
  constexpr int kRows = 3;
  constexpr int kColumns = 1031;
  std::vector<float> rows(kRows * kColumns);
  for (std::size_t i = 0; i < rows.size(); ++i) {
    rows[i] = static_cast<float>(i * 37 % 101);
  }
  const DeviceArray<float> input(rows);
  for (const int threads : {32, 96, 256, 1024}) {
    DeviceArray<float> sums(kRows);
    DeviceArray<float> maxima(kRows);
    launch(KernelContext(), reduce_rows, kRows, threads, 0, sums.data(), maxima.data(), input.data(), kColumns);
    const std::vector<float> found_sums = sums.to_host();
    const std::vector<float> found_maxima = maxima.to_host();
    for (int row = 0; row < kRows; ++row) {
      float sum = 0.0F;
      float maximum = 0.0F;
      for (int i = 0; i < kColumns; ++i) {
        sum += rows[row * kColumns + i];
        maximum = std::max(maximum, rows[row * kColumns + i]);
      }
      CHECK_EQ(found_sums[row], sum);
      CHECK_EQ(found_maxima[row], maximum);
    }
  }
});

__global__ void shuffle_lanes(int* output) {
  const int lane = static_cast<int>(threadIdx.x);
  const int value = lane * 10;
  output[lane] = __shfl_down_sync(kAllLanes, value, 1);
  output[32 + lane] = __shfl_up_sync(kAllLanes, value, 2, 8);
  output[64 + lane] = __shfl_sync(kAllLanes, value, 3, 16);
  output[96 + lane] = static_cast<int>(__ballot_sync(kAllLanes, lane < 5));
  output[128 + lane] = __any_sync(kAllLanes, lane == 31) * 2 + __all_sync(kAllLanes, lane != 31);
}

const bool shuffles = add_case("lanes take values from each other as CUDA's shuffles and votes say", [] {
  DeviceArray<int> output(160);
  launch(KernelContext(), shuffle_lanes, 1, 32, 0, output.data());
  const std::vector<int> values = output.to_host();
  for (int lane = 0; lane < 32; ++lane) {
    CHECK_EQ(values[lane], lane == 31 ? 310 : lane * 10 + 10);
    CHECK_EQ(values[32 + lane], lane % 8 < 2 ? lane * 10 : lane * 10 - 20);
    CHECK_EQ(values[64 + lane], lane < 16 ? 30 : 190);
    CHECK_EQ(values[96 + lane], 31);
    CHECK_EQ(values[128 + lane], 2);
  }
});

// One 16×8 product of two tiles that are copied asynchronously; `right` lies as (k, n), so its fragment is transposed.
__global__ void multiply_tiles(float* product, const Bf16* left, const Bf16* right, int valid_rows) {
  Bf16* a = dynamic_shared<Bf16>();
  Bf16* b = a + 16 * 16;
  const int lane = static_cast<int>(threadIdx.x);
  cp_async_16(a + lane * 8, left + lane * 8, lane / 2 < valid_rows);
  if (lane < 16) {
    cp_async_16(b + lane * 8, right + lane * 8);
  }
  cp_async_commit();
  cp_async_wait<0>();
  __syncthreads();
  std::uint32_t a_fragment[4];
  std::uint32_t b_fragment[2];
  ldmatrix_x4(a_fragment, a + lane % 16 * 16 + lane / 16 * 8);
  ldmatrix_x2_trans(b_fragment, b + lane % 16 * 8);
  float sum[4] = {0.0F, 0.0F, 0.0F, 0.0F};
  mma_m16n8k16_bf16(sum, a_fragment, b_fragment);
  const int row = lane / 4;
  const int column = lane % 4 * 2;
  product[row * 8 + column] = sum[0];
  product[row * 8 + column + 1] = sum[1];
  product[(row + 8) * 8 + column] = sum[2];
  product[(row + 8) * 8 + column + 1] = sum[3];
}

Bf16 small_bf16(int value) {
  return Bf16{static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(static_cast<float>(value)) >> 16)};
}

const bool multiplies = add_case("a tile is copied, loaded and multiplied as by a plain loop", [] {
  std::vector<Bf16> left(256);
  std::vector<Bf16> right(128);
  const auto left_value = [](int row, int k) { return row < 13 ? (row * 5 + k * 3) % 11 - 5 : 0; };
  const auto right_value = [](int k, int column) { return (k * 7 + column * 2) % 13 - 6; };
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      left[row * 16 + k] = small_bf16((row * 5 + k * 3) % 11 - 5);
    }
  }
  for (int k = 0; k < 16; ++k) {
    for (int column = 0; column < 8; ++column) {
      right[k * 8 + column] = small_bf16(right_value(k, column));
    }
  }
  const DeviceArray<Bf16> a(left);
  const DeviceArray<Bf16> b(right);
  DeviceArray<float> product(128);
  launch(KernelContext(), multiply_tiles, 1, 32, (256 + 128) * sizeof(Bf16), product.data(), a.data(), b.data(), 13);
  const std::vector<float> values = product.to_host();
  for (int row = 0; row < 16; ++row) {
    for (int column = 0; column < 8; ++column) {
      int sum = 0;
      for (int k = 0; k < 16; ++k) {
        sum += left_value(row, k) * right_value(k, column);
      }
      CHECK_EQ(values[row * 8 + column], static_cast<float>(sum));
    }
  }
});

__global__ void draw_words(std::uint32_t* words, DropoutMask mask, float* factors) {
  const std::uint32_t group = threadIdx.x;
  const RandomWords four = mask.words(group, 2);
  for (int i = 0; i < 4; ++i) {
    words[group * 4 + i] = four.words[i];
    factors[group * 4 + i] = mask.factor_of(group * 4 + i, 2);
  }
}

const bool draws = add_case("dropout draws the words that the engine's Philox draws", [] {
  const Dropout dropout{0.25F, 0x123456789ABCDEFULL, 7, 40, 3};
  DeviceArray<std::uint32_t> words(256);
  DeviceArray<float> factors(256);
  launch(KernelContext(), draw_words, 1, 64, 0, words.data(), DropoutMask(dropout), factors.data());
  const std::vector<std::uint32_t> found_words = words.to_host();
  const std::vector<float> found_factors = factors.to_host();
  for (std::uint32_t i = 0; i < 256; ++i) {
    const std::uint32_t word = philox4x32({i / 4, 42, 7, 3}, {0x89ABCDEFU, 0x1234567U})[i % 4];
    CHECK_EQ(found_words[i], word);
    CHECK_EQ(found_factors[i], word >= 0x40000000U ? 1.0F / 0.75F : 0.0F);
  }
});

} // namespace

} // namespace assay

int main() {
  return assay::test::run_cases();
}
