// The scheduler of a block. Each round gives every thread that can go on one turn; when no one can, the block has ended
// or hangs, which is an error that says who waits where.
#include "backends/cuda/emulation/block.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <memory>
#include <random>
#include <thread>
#include <utility>
#include <vector>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/faults.h"
#include "backends/cuda/emulation/fiber.h"
#include "backends/cuda/emulation/static-shared.h"
#include "engine/base/error.h"

namespace assay::emulation {

namespace {

constexpr int kWarpLanes = 32;
constexpr std::byte kPoison{0xFF}; // a NaN in fp32 and bf16, −1 as an integer

enum class State : std::uint8_t { kReady, kAtBarrier, kInWarpCall, kDone };

struct AsyncCopy {
  void* shared;
  const void* global;
  std::size_t size_bytes;
  bool valid;
  int group;
};

struct Thread {
  Fiber fiber;
  int number = 0;
  uint3 index{};
  State state = State::kReady;
  // In a warp call:
  const char* call = "";
  std::uint32_t mask = 0;
  Combine combine = nullptr;
  bool whole_warp = false;
  void* data = nullptr;
  // Copies that have not arrived, of groups numbered as they were begun.
  std::vector<AsyncCopy> copies;
  int group = 0;
};

struct Block {
  const Launch* launch = nullptr;
  const std::function<void()>* kernel = nullptr;
  std::vector<std::unique_ptr<Thread>> threads; // kept for the next block
  int count = 0;
  int alive = 0;
  int at_barrier = 0;
  int predicates = 0;
  int barrier_result = 0;
  BarrierKind barrier_kind = BarrierKind::kPlain;
  std::vector<std::byte> shared;
  std::byte* shared_start = nullptr;
  std::exception_ptr error;
};

Block g_block;
Thread* g_thread = nullptr;
std::uint64_t g_order_seed = 0;

const char* name_of(BarrierKind kind) {
  switch (kind) {
  case BarrierKind::kPlain:
    return "__syncthreads";
  case BarrierKind::kCount:
    return "__syncthreads_count";
  case BarrierKind::kAnd:
    return "__syncthreads_and";
  case BarrierKind::kOr:
    return "__syncthreads_or";
  }
  return "";
}

std::string place_text() {
  char text[160];
  std::snprintf(text, sizeof(text), ", block (%u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z);
  return "the kernel launched at " + g_block.launch->place + text;
}

std::string call_text(const Thread& thread) {
  if (thread.state == State::kAtBarrier) {
    return name_of(g_block.barrier_kind);
  }
  char text[160];
  std::snprintf(text, sizeof(text), "%s (mask 0x%08x)", thread.call, thread.mask);
  return text;
}

void release_barrier() {
  Block& block = g_block;
  block.barrier_result = block.predicates;
  block.at_barrier = 0;
  block.predicates = 0;
  for (int i = 0; i < block.count; ++i) {
    if (block.threads[i]->state == State::kAtBarrier) {
      block.threads[i]->state = State::kReady;
    }
  }
}

// Lets the lanes of the call go on in which `thread` waits, when all of them are there.
void complete_warp_call(Thread& thread) {
  const int first = thread.number / kWarpLanes * kWarpLanes;
  WarpMeeting meeting{{}, 0};
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    if ((thread.mask >> lane & 1U) == 0) {
      continue;
    }
    Thread* other = first + lane < g_block.count ? g_block.threads[first + lane].get() : nullptr;
    if (other == nullptr || other->state == State::kDone) {
      if (thread.whole_warp) {
        fail_thread(std::string(thread.call) + " needs all 32 lanes, but lane " + std::to_string(lane) + " has ended");
      }
      continue;
    }
    if (other->state == State::kInWarpCall && (other->mask != thread.mask || other->combine != thread.combine)) {
      fail_thread("lanes of one warp meet in different calls: thread " + std::to_string(thread.number) + " in " +
                  call_text(thread) + ", thread " + std::to_string(other->number) + " in " + call_text(*other));
    }
    if (other->state != State::kInWarpCall) {
      return;
    }
    meeting.data[lane] = other->data;
    meeting.mask |= 1U << lane;
  }
  thread.combine(meeting);
  for (int lane = 0; lane < kWarpLanes; ++lane) {
    if ((meeting.mask >> lane & 1U) != 0) {
      g_block.threads[first + lane]->state = State::kReady;
    }
  }
}

void run_thread(void* argument) {
  auto& thread = *static_cast<Thread*>(argument);
  try {
    (*g_block.kernel)();
    for (const AsyncCopy& copy : thread.copies) {
      static_cast<void>(copy);
      fail_thread("the thread ends with asynchronous copies it has not waited for");
    }
    thread.state = State::kDone;
    --g_block.alive;
    if (g_block.at_barrier > 0 && g_block.at_barrier == g_block.alive) {
      release_barrier();
    }
    // A call that waited only for this lane can be made now.
    const int first = thread.number / kWarpLanes * kWarpLanes;
    for (int i = first; i < std::min(first + kWarpLanes, g_block.count); ++i) {
      if (g_block.threads[i]->state == State::kInWarpCall &&
          (g_block.threads[i]->mask >> (thread.number - first) & 1U)) {
        complete_warp_call(*g_block.threads[i]);
      }
    }
  } catch (...) {
    g_block.error = std::current_exception();
  }
}

void resume(Thread& thread) {
  g_thread = &thread;
  threadIdx = thread.index;
  const Fault fault = thread.fiber.resume();
  if (fault.happened && thread.fiber.is_guard(fault.address)) {
    fail_thread("the thread needs more stack than the emulation gives it");
  }
  if (fault.happened) {
    fail_thread("the thread touches " + describe_address(fault.address));
  }
  g_thread = nullptr;
  if (g_block.error) {
    std::rethrow_exception(std::exchange(g_block.error, nullptr));
  }
}

[[noreturn]] void fail_deadlock() {
  // Runs of threads that wait in the same call.
  std::string text;
  for (int i = 0; i < g_block.count;) {
    if (g_block.threads[i]->state == State::kDone) {
      ++i;
      continue;
    }
    const std::string call = call_text(*g_block.threads[i]);
    int end = i + 1;
    while (end < g_block.count && g_block.threads[end]->state != State::kDone &&
           call_text(*g_block.threads[end]) == call) {
      ++end;
    }
    text += (text.empty() ? "" : ", ") + std::to_string(i) + " to " + std::to_string(end - 1) + " in " + call;
    i = end;
  }
  throw Error("CUDA_FAILED", "Threads wait for ever in " + place_text() + ": " + text + ".");
}

// One block from its first thread to its last.
void run_block(std::minstd_rand& random) {
  Block& block = g_block;
  block.alive = block.count;
  block.at_barrier = 0;
  block.predicates = 0;
  std::fill(block.shared.begin(), block.shared.end(), kPoison);
  const dim3 size = block.launch->block;
  for (int i = 0; i < block.count; ++i) {
    Thread& thread = *block.threads[i];
    const auto number = static_cast<unsigned int>(i);
    thread.number = i;
    thread.index = {number % size.x, number / size.x % size.y, number / size.x / size.y};
    thread.state = State::kReady;
    thread.copies.clear();
    thread.group = 0;
    thread.fiber.start(run_thread, &thread);
  }
  const int warps = (block.count + kWarpLanes - 1) / kWarpLanes;
  std::vector<int> warp_order(warps);
  std::vector<int> lane_order(kWarpLanes);
  for (int i = 0; i < warps; ++i) {
    warp_order[i] = i;
  }
  for (int i = 0; i < kWarpLanes; ++i) {
    lane_order[i] = i;
  }
  while (block.alive > 0) {
    // A warp may run ahead of the others until it waits for them, or keep step with them.
    bool run_ahead = false;
    if (g_order_seed != 0) {
      std::shuffle(warp_order.begin(), warp_order.end(), random);
      std::shuffle(lane_order.begin(), lane_order.end(), random);
      run_ahead = random() % 2 == 0;
    }
    bool progress = false;
    for (const int warp : warp_order) {
      bool moved;
      do {
        moved = false;
        for (const int lane : lane_order) {
          const int number = warp * kWarpLanes + lane;
          if (number < block.count && block.threads[number]->state == State::kReady) {
            resume(*block.threads[number]);
            moved = true;
          }
        }
        progress = progress || moved;
      } while (run_ahead && moved);
    }
    if (!progress) {
      fail_deadlock();
    }
  }
}

// All blocks, one after another.
void run_blocks() {
  const FaultsOfThread faults;
  StaticShared static_shared;
  std::minstd_rand random(static_cast<unsigned int>(g_order_seed));
  const Launch& launch = *g_block.launch;
  for (unsigned int z = 0; z < launch.grid.z; ++z) {
    for (unsigned int y = 0; y < launch.grid.y; ++y) {
      for (unsigned int x = 0; x < launch.grid.x; ++x) {
        blockIdx = {x, y, z};
        static_shared.poison();
        run_block(random);
      }
    }
  }
}

} // namespace

void run_grid(const Launch& launch, const std::function<void()>& kernel) {
  Block& block = g_block;
  block.launch = &launch;
  block.kernel = &kernel;
  block.count = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  while (block.threads.size() < static_cast<std::size_t>(block.count)) {
    block.threads.push_back(std::make_unique<Thread>());
  }
  constexpr std::size_t kSharedAlignment = 128;
  block.shared.resize(launch.shared_bytes + kSharedAlignment);
  const auto address = reinterpret_cast<std::uintptr_t>(block.shared.data());
  block.shared_start = block.shared.data() + (kSharedAlignment - address % kSharedAlignment) % kSharedAlignment;
  gridDim = launch.grid;
  blockDim = launch.block;
  // On a thread of its own, for the sake of its static shared variables.
  std::exception_ptr error;
  std::thread([&error] {
    try {
      run_blocks();
    } catch (...) {
      error = std::current_exception();
    }
  }).join();
  if (error) {
    block.error = nullptr;
    std::rethrow_exception(error);
  }
}

void set_order(std::uint64_t seed) {
  g_order_seed = seed;
}

void* dynamic_shared_memory() {
  return g_block.shared_start;
}

int meet_block(BarrierKind kind, bool predicate) {
  Block& block = g_block;
  if (block.at_barrier > 0 && block.barrier_kind != kind) {
    fail_thread(std::string("the threads of a block meet in different barriers, ") + name_of(block.barrier_kind) +
                " and " + name_of(kind));
  }
  block.barrier_kind = kind;
  ++block.at_barrier;
  block.predicates += predicate ? 1 : 0;
  g_thread->state = State::kAtBarrier;
  if (block.at_barrier == block.alive) {
    release_barrier();
  } else {
    Fiber::suspend();
  }
  return block.barrier_result;
}

void meet_warp(const char* name, std::uint32_t mask, void* data, Combine combine, bool whole_warp) {
  Thread& thread = *g_thread;
  thread.call = name;
  thread.mask = mask;
  thread.combine = combine;
  thread.whole_warp = whole_warp;
  thread.data = data;
  if ((mask >> lane_index() & 1U) == 0) {
    fail_thread(std::string("a lane calls ") + name + " with a mask that leaves it out");
  }
  thread.state = State::kInWarpCall;
  complete_warp_call(thread);
  if (thread.state == State::kInWarpCall) {
    Fiber::suspend();
  }
}

int lane_index() {
  return g_thread->number % kWarpLanes;
}

void copy_async(void* shared, const void* global, std::size_t size_bytes, bool valid) {
  check_aligned(shared, size_bytes, "the target of cp.async");
  check_aligned(global, size_bytes, "the source of cp.async");
  std::memset(shared, static_cast<int>(kPoison), size_bytes);
  g_thread->copies.push_back({shared, global, size_bytes, valid, g_thread->group});
}

void commit_async() {
  ++g_thread->group;
}

void wait_async(int groups_left) {
  Thread& thread = *g_thread;
  const int first_left = thread.group - groups_left;
  std::size_t kept = 0;
  for (const AsyncCopy& copy : thread.copies) {
    if (copy.group >= first_left) {
      thread.copies[kept++] = copy;
    } else if (copy.valid) {
      std::memcpy(copy.shared, copy.global, copy.size_bytes);
    } else {
      std::memset(copy.shared, 0, copy.size_bytes);
    }
  }
  thread.copies.resize(kept);
}

void check_aligned(const void* address, std::size_t alignment, const char* what) {
  if (reinterpret_cast<std::uintptr_t>(address) % alignment != 0) {
    fail_thread(std::string(what) + " is not aligned to " + std::to_string(alignment) + " bytes");
  }
}

void fail_thread(const std::string& what) {
  char text[80];
  std::snprintf(text, sizeof(text), ", thread (%u, %u, %u): ", threadIdx.x, threadIdx.y, threadIdx.z);
  throw Error("CUDA_FAILED", "In " + place_text() + text + what + ".");
}

} // namespace assay::emulation
