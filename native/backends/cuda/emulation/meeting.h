// What a thread of an emulated block can do besides computing: meet others, copy asynchronously, and fail.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace assay::emulation {

void* dynamic_shared_memory();

enum class BarrierKind : std::uint8_t { kPlain, kCount, kAnd, kOr };
// All threads of the block that have not ended meet; returns for how many `predicate` held.
int meet_block(BarrierKind kind, bool predicate);

// What the lanes of a warp left at a meeting; null for those that are not in it or have ended.
struct WarpMeeting {
  void* data[32];
  std::uint32_t mask; // who met
};
using Combine = void (*)(const WarpMeeting&);
// The lanes of `mask` meet, each with its data, and the last to come combines them. With `whole_warp` no lane may
// have ended.
void meet_warp(const char* name, std::uint32_t mask, void* data, Combine combine, bool whole_warp = false);

// Place of the running thread in its warp.
int lane_index();

// Asynchronous copies of the running thread: nothing arrives before wait_async().
void copy_async(void* shared, const void* global, std::size_t size_bytes, bool valid);
void commit_async();
void wait_async(int groups_left);

// Throws CUDA_FAILED for an address that is no multiple of `alignment`.
void check_aligned(const void* address, std::size_t alignment, const char* what);
[[noreturn]] void fail_thread(const std::string& what);

} // namespace assay::emulation
