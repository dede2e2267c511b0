// Streams, events and graphs of the emulated device. Work is a list of functions for each stream; an event is a place
// in such a list; a graph is a list that was recorded.
#pragma once

#include <chrono>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <set>
#include <vector>

#include "backends/cuda/emulation/runtime.h"

namespace assay::emulation {

using Work = std::function<void()>;

// A graph while it is recorded. Work of all of its streams is kept in the order of the calls, one of those possible.
struct Capture {
  CUstream_st* origin = nullptr;
  cudaStreamCaptureMode mode = cudaStreamCaptureModeGlobal;
  std::vector<Work> work;
  std::set<CUstream_st*> unjoined; // streams drawn in by an event that the origin has not waited for again
  bool invalid = false;
  bool ended = false;
};

// The stream, or the default stream for null.
CUstream_st& stream_of(cudaStream_t stream);
// Queues work on the stream, or records it.
void queue(CUstream_st& stream, Work work);
// Does what the stream has queued, up to `position` items since its beginning. Throws what the work throws, and then
// forgets what came after it.
void finish(CUstream_st& stream, std::uint64_t position = UINT64_MAX);
// Does everything that any stream has queued; cudaErrorLaunchFailure where that fails.
cudaError_t finish_all_streams();

// All work of the stream is done and it will be gone: its events are passed.
void forget_stream(const CUstream_st* stream);

// Whether a graph is being recorded, so that calls which wait for the device are errors; then spoils it.
bool capture_forbids_waiting();
// Ends the recording for all of its streams.
void leave_capture(Capture& capture);

} // namespace assay::emulation

struct CUstream_st {
  bool waits_for_default = true;
  std::deque<assay::emulation::Work> queued;
  std::uint64_t queued_count = 0;
  std::uint64_t done_count = 0;
  std::shared_ptr<assay::emulation::Capture> capture;
};

struct CUevent_st {
  bool timed = true;
  CUstream_st* stream = nullptr; // null: never recorded, or its stream is gone with all its work done
  std::uint64_t position = 0;
  bool asked = false; // a first query of work not done says so
  std::shared_ptr<std::chrono::steady_clock::time_point> time;
  std::shared_ptr<assay::emulation::Capture> capture;
};
