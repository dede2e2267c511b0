// The warp's matrix instructions: the last lane to come does the work of all.
#include "backends/cuda/emulation/matrix.h"

#include <bit>
#include <cstring>

#include "backends/cuda/emulation/meeting.h"

namespace assay::emulation {

namespace {

constexpr std::uint32_t kAllLanes = 0xFFFFFFFFU;

struct MatrixLoad {
  std::uint32_t* registers;
  const std::uint16_t* row;
  int count;
  bool transposed;
};

struct Product {
  float* d;
  const std::uint32_t* a;
  const std::uint32_t* b;
};

void combine_loads(const WarpMeeting& meeting) {
  const auto lane_of = [&](int lane) -> const MatrixLoad& {
    return *static_cast<const MatrixLoad*>(meeting.data[lane]);
  };
  const int count = lane_of(0).count;
  const bool transposed = lane_of(0).transposed;
  for (int matrix = 0; matrix < count; ++matrix) {
    std::uint16_t values[8][8];
    for (int row = 0; row < 8; ++row) {
      std::memcpy(values[row], lane_of(matrix * 8 + row).row, sizeof(values[row]));
    }
    for (int lane = 0; lane < 32; ++lane) {
      const MatrixLoad& load = lane_of(lane);
      if (load.count != count || load.transposed != transposed) {
        fail_thread("lanes of one warp load matrices of different shapes");
      }
      const int major = lane / 4;
      const int minor = lane % 4 * 2;
      const std::uint32_t low = transposed ? values[minor][major] : values[major][minor];
      const std::uint32_t high = transposed ? values[minor + 1][major] : values[major][minor + 1];
      load.registers[matrix] = low | high << 16;
    }
  }
}

float low_half(std::uint32_t pair) {
  return std::bit_cast<float>(pair << 16);
}
float high_half(std::uint32_t pair) {
  return std::bit_cast<float>(pair & 0xFFFF0000U);
}

void combine_products(const WarpMeeting& meeting) {
  float a[16][16];
  float b[16][8];
  float d[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto& part = *static_cast<const Product*>(meeting.data[lane]);
    const int group = lane / 4;
    const int pair = lane % 4 * 2;
    for (int i = 0; i < 4; ++i) {
      const int row = group + i % 2 * 8;
      const int column = pair + i / 2 * 8;
      a[row][column] = low_half(part.a[i]);
      a[row][column + 1] = high_half(part.a[i]);
      d[group + i / 2 * 8][pair + i % 2] = part.d[i];
    }
    for (int i = 0; i < 2; ++i) {
      b[pair + i * 8][group] = low_half(part.b[i]);
      b[pair + i * 8 + 1][group] = high_half(part.b[i]);
    }
  }
  for (int row = 0; row < 16; ++row) {
    for (int k = 0; k < 16; ++k) {
      for (int column = 0; column < 8; ++column) {
        d[row][column] += a[row][k] * b[k][column];
      }
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    const auto& part = *static_cast<const Product*>(meeting.data[lane]);
    for (int i = 0; i < 4; ++i) {
      part.d[i] = d[lane / 4 + i / 2 * 8][lane % 4 * 2 + i % 2];
    }
  }
}

} // namespace

void load_matrices(const char* name, std::uint32_t* registers, int count, bool transposed, const void* shared_row) {
  if (lane_index() < count * 8) {
    check_aligned(shared_row, 16, "the row of ldmatrix");
  }
  MatrixLoad mine{registers, static_cast<const std::uint16_t*>(shared_row), count, transposed};
  meet_warp(name, kAllLanes, &mine, combine_loads, true);
}

void multiply_matrices(float* d, const std::uint32_t* a, const std::uint32_t* b) {
  Product mine{d, a, b};
  meet_warp("mma", kAllLanes, &mine, combine_products, true);
}

} // namespace assay::emulation
