// The emulated device finds what a real one would punish or hide: threads that wait for ever, missing barriers, memory
// that is not the kernel's, copies that have not arrived. Each kernel here is wrong on purpose.
#include <bit>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/ptx.h"
#include "tests/check.h"
#include "tests/cuda-memory.h"

namespace assay {

namespace {

using test::add_case;
using test::check_same_in_all_orders;
using test::DeviceArray;

// Runs `body`, which must throw an Error of the device whose sentence contains each of the texts.
template <class Body> void expect_error(const Body& body, const std::vector<std::string>& texts) {
  try {
    body();
  } catch (const Error& error) {
    CHECK_EQ(error.code(), "CUDA_FAILED");
    for (const std::string& text : texts) {
      if (std::string(error.what()).find(text) == std::string::npos) {
        test::fail_check(__FILE__, __LINE__, "expected \"" + text + "\" in: " + error.what());
      }
    }
    return;
  }
  test::fail_check(__FILE__, __LINE__, "no error where one with \"" + texts[0] + "\" was expected");
}

template <class... Parameters, class... Arguments>
void run(void (*kernel)(Parameters...), int blocks, int threads, Arguments... arguments) {
  launch(KernelContext(), kernel, blocks, threads, 1024, arguments...);
}

// --- meetings ---

__global__ void wait_in_two_places(int* output) {
  if (blockIdx.x == 1 && threadIdx.x < 32) {
    __syncwarp();
    if (threadIdx.x == 3) {
      output[0] = __shfl_sync(3U << 3, 1, 3); // lane 4 never comes
    }
  }
  __syncthreads();
}

__global__ void fill_seven(int* output) {
  *output = 7;
}

const bool deadlock = add_case("threads that wait for ever are an error that names the block and where they wait", [] {
  DeviceArray<int> output(1);
  expect_error([&] { run(wait_in_two_places, 2, 64, output.data()); },
               {"test-cuda-emulation.cpp:", "block (1, 0, 0)", "wait for ever", "0 to 2 in __syncthreads",
                "3 to 3 in __shfl_sync (mask 0x00000018)", "4 to 63 in __syncthreads"});
  // The device lives on.
  run(fill_seven, 1, 1, output.data());
  CHECK(output.to_host().at(0) == 7);
});

__global__ void diverge_in_warp() {
  if (threadIdx.x < 16) {
    __syncwarp();
  } else {
    __ballot_sync(kAllLanes, 1);
  }
}
__global__ void diverge_in_block() {
  if (threadIdx.x < 32) {
    __syncthreads();
  } else {
    __syncthreads_or(1);
  }
}
__global__ void leave_itself_out() {
  __syncwarp(0xFFFFU);
}

const bool divergence = add_case("threads that meet in different calls are an error", [] {
  expect_error([] { run(diverge_in_warp, 1, 32); }, {"different calls", "__syncwarp", "__ballot_sync"});
  expect_error([] { run(diverge_in_block, 1, 64); }, {"different barriers", "__syncthreads_or"});
  expect_error([] { run(leave_itself_out, 1, 32); }, {"thread (16, 0, 0)", "mask that leaves it out"});
});

__global__ void meet_without_some(int* output) {
  if (threadIdx.x % 2 == 1) {
    return;
  }
  // Those that have ended need not come, neither to the block's barrier nor to the warp's calls.
  const int count = __syncthreads_count(threadIdx.x < 10);
  const int sum = __popc(__ballot_sync(kAllLanes, 1));
  output[threadIdx.x / 2] = count * 100 + sum;
}

const bool early_end = add_case("threads that have ended are not waited for", [] {
  DeviceArray<int> output(32);
  run(meet_without_some, 1, 64, output.data());
  CHECK(output.to_host() == std::vector<int>(32, 516));
});

// --- races ---

template <bool kBarrier> __global__ void rotate(int* output) {
  int* shared = dynamic_shared<int>();
  shared[threadIdx.x] = static_cast<int>(threadIdx.x);
  if (kBarrier) {
    __syncthreads();
  }
  output[threadIdx.x] = shared[(threadIdx.x + 1) % blockDim.x];
}

template <bool kBarrier> std::vector<int> rotated() {
  DeviceArray<int> output(96);
  run(rotate<kBarrier>, 1, 96, output.data());
  return output.to_host();
}

// One warp overwrites what the others may still read.
template <bool kBarrier> __global__ void reuse(float* output) {
  __shared__ float turn;
  float sum = 0.0F;
  for (int i = 0; i < 4; ++i) {
    if (threadIdx.x == 0) {
      turn = static_cast<float>(i);
    }
    __syncthreads();
    sum = sum * 10.0F + turn;
    if (kBarrier) {
      __syncthreads();
    }
  }
  output[threadIdx.x] = sum;
}

template <bool kBarrier> std::vector<float> reused() {
  DeviceArray<float> output(128);
  run(reuse<kBarrier>, 1, 128, output.data());
  return output.to_host();
}

template <class Body> bool depends_on_order(const Body& body) {
  try {
    check_same_in_all_orders(body);
    return false;
  } catch (const std::runtime_error&) {
    return true;
  }
}

const bool races = add_case("a missing barrier changes the result in some order of the threads", [] {
  CHECK(depends_on_order(rotated<false>));
  CHECK(!depends_on_order(rotated<true>));
  CHECK(depends_on_order(reused<false>));
  CHECK(!depends_on_order(reused<true>));
  CHECK(reused<true>().at(127) == 123.0F);
});

// --- shared memory ---

__global__ void write_shared(int place) {
  dynamic_shared<float>()[place] = 1.0F;
}

const bool shared_end = add_case("dynamic shared memory ends where the launch said", [] {
  run(write_shared, 1, 1, 255);
  expect_error([] { run(write_shared, 1, 1, 256); }, {"byte 1024 of 1024 of dynamic shared memory"});
  expect_error([] { launch(KernelContext(), write_shared, 1, 1, 100, 25); }, {"Byte 100 of 100"});
});

__global__ void read_unwritten(float* output) {
  __shared__ float fixed[8];
  float* dynamic = dynamic_shared<float>();
  output[blockIdx.x * 2] = fixed[5];
  output[blockIdx.x * 2 + 1] = dynamic[255];
  fixed[5] = 1.0F;
  dynamic[255] = 1.0F;
}

template <int kStaticFloats> __global__ void write_both() {
  __shared__ float fixed[kStaticFloats];
  for (int i = 0; i < kStaticFloats; ++i) {
    fixed[i] = 1.0F;
  }
  dynamic_shared<float>()[0] = fixed[kStaticFloats - 1];
}

const bool both_shared = add_case("static and dynamic shared memory together are asked for, and bounded", [] {
  launch(KernelContext(), write_both<256>, 1, 1, kSharedBytesWithoutAsking);
  launch(KernelContext(), write_both<256>, 1, 1, kSharedBytesWithoutAsking - 1024);
  expect_error([] { launch(KernelContext(), write_both<257>, 1, 1, kSharedBytesWithoutAsking - 1024); },
               {"none were asked for", "has 1028 of static", "may be 49152"});
  const int generation = emulation::device().compute_capability;
  emulation::device().compute_capability = 86;
  launch(KernelContext(), write_both<256>, 1, 1, kLargestSharedBytes - 1024);
  expect_error([] { launch(KernelContext(), write_both<257>, 1, 1, kLargestSharedBytes - 1024); },
               {"100352 were asked for", "has 1028 of static", "may be 101376"});
  emulation::device().compute_capability = generation;
});

const bool poison = add_case("shared memory holds NaNs when a block begins, whatever the block before left", [] {
  DeviceArray<float> output(8);
  run(read_unwritten, 4, 1, output.data());
  for (const float value : output.to_host()) {
    CHECK(std::isnan(value));
  }
});

template <int kGroupsLeft> __global__ void read_after_wait(float* output, const float* input) {
  float* shared = dynamic_shared<float>();
  cp_async_16(shared, input);
  cp_async_commit();
  cp_async_16(shared + 4, input + 4);
  cp_async_commit();
  cp_async_wait<kGroupsLeft>();
  output[0] = shared[0];
  output[1] = shared[4];
  cp_async_wait<0>();
}
__global__ void never_wait(const float* input) {
  cp_async_16(dynamic_shared<float>(), input);
}

const bool asynchronous = add_case("an asynchronous copy arrives at the wait for its group and not before", [] {
  const DeviceArray<float> input(std::vector<float>(8, 2.0F));
  DeviceArray<float> output(2);
  run(read_after_wait<2>, 1, 1, output.data(), input.data());
  CHECK(std::isnan(output.to_host().at(0)) && std::isnan(output.to_host().at(1)));
  run(read_after_wait<1>, 1, 1, output.data(), input.data());
  CHECK(output.to_host().at(0) == 2.0F && std::isnan(output.to_host().at(1)));
  run(read_after_wait<0>, 1, 1, output.data(), input.data());
  CHECK(output.to_host() == std::vector<float>(2, 2.0F));
  expect_error([&] { run(never_wait, 1, 1, input.data()); }, {"has not waited for"});
});

// --- memory ---

__global__ void write_at(float* values, int place) {
  values[place] = 1.0F;
}
__global__ void load_at(const float* values, int place) {
  static_cast<void>(load_packed(values + place));
}
__global__ void overflow(float* output, int depth) {
  volatile char large[16384];
  large[depth] = 1;
  if (depth < 1000) {
    overflow(output, depth + 1);
  }
  output[0] = static_cast<float>(large[0]);
}

const bool guards = add_case("memory outside of an allocation is an error that says how far", [] {
  DeviceArray<float> values(64);
  DeviceArray<float> odd(3);
  expect_error([&] { run(write_at, 1, 2, values.data(), 64); },
               {"thread (0, 0, 0)", "byte 256 of an allocation of 256"});
  expect_error([&] { run(write_at, 1, 1, values.data(), -100000); }, {"touches"});
  expect_error([&] { run(write_at, 1, 1, odd.data(), 3); }, {"Byte 12 of an allocation of 12 bytes"});
  expect_error([&] { run(load_at, 1, 1, values.data(), 1); }, {"not aligned to 16"});
  expect_error([&] { run(overflow, 1, 1, values.data(), 0); }, {"stack"});
  float on_host = 0.0F;
  expect_error([&] { run(write_at, 1, 1, &on_host, 0); }, {"Argument 1", "memory of the host"});
  float* freed = nullptr;
  CHECK_EQ(cudaMalloc(&freed, 256), cudaSuccess);
  CHECK_EQ(cudaFree(freed), cudaSuccess);
  expect_error([&] { run(write_at, 1, 1, freed, 0); }, {"touches"});
});

const bool sizes = add_case("a launch that no device takes is an error", [] {
  DeviceArray<float> values(64);
  const auto launch_as = [&](dim3 grid, dim3 block, std::size_t shared_bytes) {
    launch(KernelContext(), write_at, grid, block, shared_bytes, values.data(), 0);
  };
  expect_error([&] { launch_as(1, 1025, 0); }, {"1 to 1024 threads"});
  expect_error([&] { launch_as(0, 32, 0); }, {"grid"});
  expect_error([&] { launch_as(dim3(1, 65536), 32, 0); }, {"65536"});
  expect_error([&] { launch_as(1, 32, 200 * 1024); }, {"204800 bytes of shared memory"});
  launch_as(1, 32, 160 * 1024);
});

} // namespace

} // namespace assay

int main() {
  return assay::test::run_cases();
}
