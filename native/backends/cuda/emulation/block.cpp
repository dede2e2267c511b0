// The scheduler of a block. Each round gives every thread that can go on one turn; when no one can, the block has ended
// or hangs, which is an error that says who waits where.
#include "backends/cuda/emulation/block.h"

#include <sys/mman.h>

#include <algorithm>
#include <new>
#include <numeric>
#include <random>
#include <thread>
#include <utility>

#include "backends/cuda/emulation/block-state.h"
#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/faults.h"
#include "backends/cuda/emulation/static-shared.h"
#include "engine/base/error.h"

namespace assay::emulation {

namespace {

constexpr std::size_t kSharedBytes = 256 * 1024; // no device has more for a block
constexpr std::size_t kSharedGuardBytes = 1024 * 1024;
constexpr std::size_t kSharedBytesUnasked = 48 * 1024; // what any kernel may have

std::uint64_t g_order_seed = 0;

// Dynamic shared memory lies before this, unreadable pages after it.
std::byte* end_of_shared_memory() {
  static std::byte* const end = [] {
    void* memory = mmap(nullptr, kSharedBytes + kSharedGuardBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED || mprotect(memory, kSharedBytes, PROT_READ | PROT_WRITE) != 0) {
      throw std::bad_alloc();
    }
    return static_cast<std::byte*>(memory) + kSharedBytes;
  }();
  return end;
}

// Whether what pads dynamic shared memory was written.
void check_shared_padding() {
  const Block& all = block();
  for (const std::byte* byte = all.shared_start + all.launch->shared_bytes; byte < all.shared_end; ++byte) {
    if (*byte != kPoison) {
      throw Error("CUDA_FAILED", "Byte " + std::to_string(byte - all.shared_start) + " of " +
                                     std::to_string(all.launch->shared_bytes) +
                                     " of dynamic shared memory was written in " + place_text() + ".");
    }
  }
}

void run_thread(void*) {
  try {
    (*block().kernel)();
    end_thread();
  } catch (...) {
    block().error = std::current_exception();
  }
}

void resume(Thread& thread) {
  Block& all = block();
  all.running = &thread;
  threadIdx = thread.index;
  const Fault fault = thread.fiber.resume();
  if (fault.happened && thread.fiber.is_guard(fault.address)) {
    fail_thread("the thread needs more stack than the emulation gives it");
  }
  const auto* touched = static_cast<const std::byte*>(fault.address);
  if (fault.happened && touched >= all.shared_end && touched < all.shared_end + kSharedGuardBytes) {
    fail_thread("the thread touches byte " + std::to_string(touched - all.shared_start) + " of " +
                std::to_string(all.launch->shared_bytes) + " of dynamic shared memory");
  }
  if (fault.happened) {
    fail_thread("the thread touches " + describe_address(fault.address));
  }
  if (all.error) {
    std::rethrow_exception(std::exchange(all.error, nullptr));
  }
}

[[noreturn]] void fail_deadlock() {
  // Runs of threads that wait in the same call.
  const Block& all = block();
  std::string text;
  for (int i = 0; i < all.count;) {
    if (all.threads[i]->state == State::kDone) {
      ++i;
      continue;
    }
    const std::string call = call_text(*all.threads[i]);
    int end = i + 1;
    while (end < all.count && all.threads[end]->state != State::kDone && call_text(*all.threads[end]) == call) {
      ++end;
    }
    text += (text.empty() ? "" : ", ") + std::to_string(i) + " to " + std::to_string(end - 1) + " in " + call;
    i = end;
  }
  throw Error("CUDA_FAILED", "Threads wait for ever in " + place_text() + ": " + text + ".");
}

void start_block() {
  Block& all = block();
  all.alive = all.count;
  all.at_barrier = 0;
  all.predicates = 0;
  std::fill(all.shared_start, all.shared_end, kPoison);
  const int warps = (all.count + kWarpLanes - 1) / kWarpLanes;
  all.warps.assign(warps, {0, 0xFFFFFFFFU});
  if (all.count % kWarpLanes != 0) {
    all.warps.back().alive = (1U << all.count % kWarpLanes) - 1;
  }
  const dim3 size = all.launch->block;
  for (int i = 0; i < all.count; ++i) {
    Thread& thread = *all.threads[i];
    const auto number = static_cast<unsigned int>(i);
    thread.number = i;
    thread.index = {number % size.x, number / size.x % size.y, number / size.x / size.y};
    thread.state = State::kReady;
    thread.copies.clear();
    thread.group = 0;
    thread.fiber.start(run_thread, nullptr);
  }
}

// One block from its first thread to its last.
void run_block(std::minstd_rand& random) {
  start_block();
  Block& all = block();
  std::vector<int> warp_order(all.warps.size());
  std::vector<int> lane_order(kWarpLanes);
  std::iota(warp_order.begin(), warp_order.end(), 0);
  std::iota(lane_order.begin(), lane_order.end(), 0);
  while (all.alive > 0) {
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
          if (number < all.count && all.threads[number]->state == State::kReady) {
            resume(*all.threads[number]);
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

// Throws where a device would not take the launch for its dynamic shared memory and its static variables.
void check_shared_bytes(const StaticShared& static_shared) {
  const Launch& launch = *block().launch;
  if (launch.shared_bytes == 0) {
    return; // nvcc checks static variables alone
  }
  const bool asks = launch.asked_shared_bytes > 0;
  const std::size_t dynamic_bytes = asks ? launch.asked_shared_bytes : launch.shared_bytes;
  const std::size_t all_bytes = dynamic_bytes + static_shared.written_bytes();
  const std::size_t limit = asks ? shared_bytes_limit() : kSharedBytesUnasked;
  if (all_bytes > limit || launch.shared_bytes > dynamic_bytes) {
    throw Error("CUDA_FAILED", "The launch at " + launch.place + " is not possible: it takes " +
                                   std::to_string(launch.shared_bytes) + " bytes of dynamic shared memory, of which " +
                                   (asks ? std::to_string(dynamic_bytes) + " were asked for" : "none were asked for") +
                                   ", and has " + std::to_string(static_shared.written_bytes()) +
                                   " of static; together they may be " + std::to_string(limit) + ".");
  }
}

// All blocks, one after another.
void run_blocks() {
  const FaultsOfThread faults;
  StaticShared static_shared;
  std::minstd_rand random(static_cast<unsigned int>(g_order_seed));
  const dim3 grid = block().launch->grid;
  std::vector<std::uint64_t> order(std::uint64_t{grid.x} * grid.y * grid.z);
  std::iota(order.begin(), order.end(), 0);
  if (g_order_seed != 0) {
    std::shuffle(order.begin(), order.end(), random);
  }
  for (const std::uint64_t number : order) {
    const std::uint64_t row = number / grid.x;
    blockIdx = {static_cast<unsigned int>(number % grid.x), static_cast<unsigned int>(row % grid.y),
                static_cast<unsigned int>(row / grid.y)};
    static_shared.poison();
    run_block(random);
    check_shared_padding();
    if (number == order.front()) {
      check_shared_bytes(static_shared);
    }
  }
}

} // namespace

Block& block() {
  static Block one;
  return one;
}

void run_grid(const Launch& launch, const std::function<void()>& kernel) {
  Block& all = block();
  all.launch = &launch;
  all.kernel = &kernel;
  all.count = static_cast<int>(launch.block.x * launch.block.y * launch.block.z);
  while (all.threads.size() < static_cast<std::size_t>(all.count)) {
    all.threads.push_back(std::make_unique<Thread>());
  }
  constexpr std::size_t kSharedAlignment = 128;
  all.shared_end = end_of_shared_memory();
  all.shared_start =
      all.shared_end - (launch.shared_bytes + kSharedAlignment - 1) / kSharedAlignment * kSharedAlignment;
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
    std::rethrow_exception(error);
  }
}

void set_order(std::uint64_t seed) {
  g_order_seed = seed;
}

} // namespace assay::emulation
