// What threads of a block call: barriers, calls of a warp, asynchronous copies.
#include "backends/cuda/emulation/meeting.h"

#include <bit>
#include <cstdio>
#include <cstring>

#include "backends/cuda/emulation/block-state.h"
#include "engine/base/error.h"

namespace assay::emulation {

namespace {

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

void release_barrier() {
  Block& all = block();
  all.barrier_result = all.predicates;
  all.at_barrier = 0;
  all.predicates = 0;
  for (int i = 0; i < all.count; ++i) {
    if (all.threads[i]->state == State::kAtBarrier) {
      all.threads[i]->state = State::kReady;
    }
  }
}

Thread& lane_thread(const Thread& thread, int lane) {
  return *block().threads[thread.number / kWarpLanes * kWarpLanes + lane];
}

Warp& warp_of(const Thread& thread) {
  return block().warps[thread.number / kWarpLanes];
}

bool is_same_call(const Thread& a, const Thread& b) {
  return a.mask == b.mask && a.combine == b.combine && (a.call == b.call || std::strcmp(a.call, b.call) == 0);
}

// Lets the lanes of the call go on in which `thread` waits, when all of them are there.
void complete_warp_call(Thread& thread) {
  Warp& warp = warp_of(thread);
  if (thread.whole_warp && warp.alive != thread.mask) {
    fail_thread(std::string(thread.call) + " needs all 32 lanes, but some have ended or never were");
  }
  const std::uint32_t expected = thread.mask & warp.alive;
  const std::uint32_t others = expected & warp.in_call & ~(1U << thread.number % kWarpLanes);
  if (others != 0) {
    // One stands for all, because they were compared when they came.
    const Thread& other = lane_thread(thread, std::countr_zero(others));
    if (!is_same_call(other, thread)) {
      fail_thread("lanes of one warp meet in different calls: thread " + std::to_string(thread.number) + " in " +
                  call_text(thread) + ", thread " + std::to_string(other.number) + " in " + call_text(other));
    }
  }
  if ((expected & ~warp.in_call) != 0) {
    return;
  }
  WarpMeeting meeting{{}, expected};
  for (std::uint32_t left = expected; left != 0; left &= left - 1) {
    const int lane = std::countr_zero(left);
    meeting.data[lane] = lane_thread(thread, lane).data;
    lane_thread(thread, lane).state = State::kReady;
  }
  warp.in_call &= ~expected;
  thread.combine(meeting);
}

} // namespace

std::string place_text() {
  char text[80];
  std::snprintf(text, sizeof(text), ", block (%u, %u, %u)", blockIdx.x, blockIdx.y, blockIdx.z);
  return "the kernel launched at " + block().launch->place + text;
}

std::string call_text(const Thread& thread) {
  if (thread.state == State::kAtBarrier) {
    return name_of(block().barrier_kind);
  }
  char text[80];
  std::snprintf(text, sizeof(text), "%s (mask 0x%08x)", thread.call, thread.mask);
  return text;
}

void end_thread() {
  Block& all = block();
  Thread& thread = *all.running;
  if (!thread.copies.empty()) {
    fail_thread("the thread ends with asynchronous copies it has not waited for");
  }
  thread.state = State::kDone;
  --all.alive;
  if (all.at_barrier > 0 && all.at_barrier == all.alive) {
    release_barrier();
  }
  Warp& warp = warp_of(thread);
  const std::uint32_t bit = 1U << thread.number % kWarpLanes;
  warp.alive &= ~bit;
  for (std::uint32_t left = warp.in_call; left != 0; left &= left - 1) {
    Thread& waiting = lane_thread(thread, std::countr_zero(left));
    if ((waiting.mask & bit) != 0 && waiting.state == State::kInWarpCall) {
      complete_warp_call(waiting);
    }
  }
}

int meet_block(BarrierKind kind, bool predicate) {
  Block& all = block();
  if (all.at_barrier > 0 && all.barrier_kind != kind) {
    fail_thread(std::string("the threads of a block meet in different barriers, ") + name_of(all.barrier_kind) +
                " and " + name_of(kind));
  }
  all.barrier_kind = kind;
  ++all.at_barrier;
  all.predicates += predicate ? 1 : 0;
  all.running->state = State::kAtBarrier;
  if (all.at_barrier == all.alive) {
    release_barrier();
  } else {
    Fiber::suspend();
  }
  return all.barrier_result;
}

void meet_warp(const char* name, std::uint32_t mask, void* data, Combine combine, bool whole_warp) {
  Thread& thread = *block().running;
  thread.call = name;
  thread.mask = mask;
  thread.combine = combine;
  thread.whole_warp = whole_warp;
  thread.data = data;
  const std::uint32_t bit = 1U << lane_index();
  if ((mask & bit) == 0) {
    fail_thread(std::string("a lane calls ") + name + " with a mask that leaves it out");
  }
  thread.state = State::kInWarpCall;
  warp_of(thread).in_call |= bit;
  complete_warp_call(thread);
  if (thread.state == State::kInWarpCall) {
    Fiber::suspend();
  }
}

int lane_index() {
  return block().running->number % kWarpLanes;
}

void* dynamic_shared_memory() {
  return block().shared_start;
}

void copy_async(void* shared, const void* global, std::size_t size_bytes, bool valid) {
  check_aligned(shared, size_bytes, "the target of cp.async");
  check_aligned(global, size_bytes, "the source of cp.async");
  std::memset(shared, static_cast<int>(kPoison), size_bytes);
  Thread& thread = *block().running;
  thread.copies.push_back({shared, global, size_bytes, valid, thread.group});
}

void commit_async() {
  ++block().running->group;
}

void wait_async(int groups_left) {
  Thread& thread = *block().running;
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
