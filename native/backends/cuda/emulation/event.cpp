// Events of the emulated device: places in the work of a stream that others wait for.
#include <cstddef>
#include <memory>
#include <vector>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/stream.h"

namespace assay::emulation {

namespace {

std::vector<std::unique_ptr<CUevent_st>>& events() {
  static std::vector<std::unique_ptr<CUevent_st>> all;
  return all;
}

} // namespace

void forget_stream(const CUstream_st* stream) {
  for (const auto& event : events()) {
    if (event->stream == stream) {
      event->stream = nullptr;
    }
  }
}

} // namespace assay::emulation

using namespace assay::emulation;

cudaError_t cudaStreamWaitEvent(cudaStream_t stream, cudaEvent_t event, unsigned int) {
  CUstream_st& waiting = stream_of(stream);
  if (event->capture) {
    Capture& capture = *event->capture;
    if (capture.ended) {
      return report(cudaErrorInvalidValue); // the event is part of a graph, not of this stream's past
    }
    if (!waiting.capture) {
      waiting.capture = event->capture;
      capture.unjoined.insert(&waiting);
    } else if (waiting.capture != event->capture) {
      return report(cudaErrorStreamCaptureIsolation);
    } else {
      capture.unjoined.erase(event->stream);
    }
    return cudaSuccess;
  }
  if (waiting.capture) {
    waiting.capture->invalid = true;
    return report(cudaErrorStreamCaptureIsolation);
  }
  if (event->stream != nullptr) {
    queue(waiting, [source = event->stream, position = event->position] { finish(*source, position); });
  }
  return cudaSuccess;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t* event, unsigned int flags) {
  events().push_back(std::make_unique<CUevent_st>());
  *event = events().back().get();
  (*event)->timed = (flags & cudaEventDisableTiming) == 0;
  return cudaSuccess;
}

cudaError_t cudaEventCreate(cudaEvent_t* event) {
  return cudaEventCreateWithFlags(event, cudaEventDefault);
}

cudaError_t cudaEventDestroy(cudaEvent_t event) {
  const std::size_t count = std::erase_if(events(), [event](const auto& each) { return each.get() == event; });
  return report(count > 0 ? cudaSuccess : cudaErrorInvalidResourceHandle);
}

cudaError_t cudaEventRecord(cudaEvent_t event, cudaStream_t stream) {
  CUstream_st& recorded = stream_of(stream);
  event->stream = &recorded;
  event->asked = false;
  event->capture = recorded.capture;
  if (recorded.capture) {
    return cudaSuccess;
  }
  event->time = std::make_shared<std::chrono::steady_clock::time_point>();
  queue(recorded, [time = event->time] { *time = std::chrono::steady_clock::now(); });
  event->position = recorded.queued_count;
  return cudaSuccess;
}

cudaError_t cudaEventQuery(cudaEvent_t event) {
  if (event->capture) {
    event->capture->invalid = true;
    return report(event->capture->ended ? cudaErrorInvalidValue : cudaErrorStreamCaptureUnsupported);
  }
  if (event->stream == nullptr || event->stream->done_count >= event->position) {
    return cudaSuccess;
  }
  if (event->asked) {
    finish(*event->stream, event->position);
    return cudaSuccess;
  }
  event->asked = true;
  return cudaErrorNotReady;
}

cudaError_t cudaEventSynchronize(cudaEvent_t event) {
  if (event->capture || capture_forbids_waiting()) {
    return report(cudaErrorStreamCaptureUnsupported);
  }
  if (event->stream != nullptr) {
    finish(*event->stream, event->position);
  }
  return cudaSuccess;
}

cudaError_t cudaEventElapsedTime(float* milliseconds, cudaEvent_t start, cudaEvent_t end) {
  if (!start->timed || !end->timed || !start->time || !end->time) {
    return report(cudaErrorInvalidResourceHandle);
  }
  for (const CUevent_st* event : {start, end}) {
    if (event->stream != nullptr && event->stream->done_count < event->position) {
      return cudaErrorNotReady;
    }
  }
  *milliseconds = std::chrono::duration<float, std::milli>(*end->time - *start->time).count();
  return cudaSuccess;
}
