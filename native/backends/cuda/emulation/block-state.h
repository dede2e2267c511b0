// The block that runs and its threads, shared by the scheduler (block.cpp) and by what threads call (meeting.cpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "backends/cuda/emulation/block.h"
#include "backends/cuda/emulation/fiber.h"
#include "backends/cuda/emulation/meeting.h"

namespace assay::emulation {

inline constexpr int kWarpLanes = 32;
inline constexpr std::byte kPoison{0xFF}; // a NaN in fp32 and bf16, −1 as an integer

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

// Lanes as bits.
struct Warp {
  std::uint32_t in_call = 0;
  std::uint32_t alive = 0;
};

struct Block {
  const Launch* launch = nullptr;
  const std::function<void()>* kernel = nullptr;
  std::vector<std::unique_ptr<Thread>> threads; // kept for the next block
  std::vector<Warp> warps;
  int count = 0;
  int alive = 0;
  int at_barrier = 0;
  int predicates = 0;
  int barrier_result = 0;
  BarrierKind barrier_kind = BarrierKind::kPlain;
  // Dynamic shared memory; ends, but for padding, where unreadable pages begin.
  std::byte* shared_start = nullptr;
  std::byte* shared_end = nullptr;
  std::exception_ptr error;
  Thread* running = nullptr;
};

Block& block();
// "the kernel launched at …, block (…)"
std::string place_text();
// The call in which a thread waits.
std::string call_text(const Thread& thread);
// The running thread has ended: whoever waited only for it goes on.
void end_thread();

} // namespace assay::emulation
