// The emulated device's streams, events, graphs and memory keep CUDA's rules, in the least convenient way these allow.
#include <fcntl.h>
#include <unistd.h>

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "backends/cuda/device.h"
#include "backends/cuda/emulation/device.h"
#include "tests/check.h"
#include "tests/cuda-memory.h"

namespace assay {

namespace {

using test::add_case;
using test::DeviceArray;

class Stream {
public:
  Stream() { check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "Making a stream"); }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  ~Stream() { cudaStreamDestroy(stream_); }
  operator cudaStream_t() const { return stream_; }
  KernelContext context() const {
    KernelContext result;
    result.stream = stream_;
    return result;
  }

private:
  cudaStream_t stream_ = nullptr;
};

class Event {
public:
  Event() { check_cuda(cudaEventCreateWithFlags(&event_, cudaEventDefault), "Making an event"); }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  ~Event() { cudaEventDestroy(event_); }
  operator cudaEvent_t() const { return event_; }

private:
  cudaEvent_t event_ = nullptr;
};

__global__ void add_one(float* values, const float* increments) {
  values[threadIdx.x] += increments == nullptr ? 1.0F : increments[threadIdx.x];
}

void expect(cudaError_t found, cudaError_t wanted) {
  if (found != wanted) {
    test::fail_check(__FILE__, __LINE__,
                     std::string("found ") + cudaGetErrorName(found) + ", not " + cudaGetErrorName(wanted));
  }
}

const bool late_copies = add_case("a copy reads its source as late as the next kernel of its stream", [] {
  const Stream stream;
  DeviceArray<float> target(1);
  float source = 1.0F;
  expect(cudaMemcpyAsync(target.data(), &source, sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
  source = 2.0F; // too early
  launch(stream.context(), add_one, 1, 1, 0, target.data(), nullptr);
  source = 3.0F; // late enough
  float result = 0.0F;
  expect(cudaMemcpyAsync(&result, target.data(), sizeof(float), cudaMemcpyDeviceToHost, stream), cudaSuccess);
  CHECK_EQ(result, 0.0F);
  expect(cudaStreamSynchronize(stream), cudaSuccess);
  CHECK_EQ(result, 3.0F);
});

const bool events = add_case("a stream sees another's work only after an event of it", [] {
  const Stream copies;
  const Stream compute;
  const Event copied;
  DeviceArray<float> target(std::vector<float>{0.0F});
  DeviceArray<float> increment(1);
  const float two = 2.0F;
  expect(cudaMemcpyAsync(increment.data(), &two, sizeof(float), cudaMemcpyHostToDevice, copies), cudaSuccess);
  expect(cudaEventRecord(copied, copies), cudaSuccess);
  launch(compute.context(), add_one, 1, 1, 0, target.data(), increment.data());
  CHECK(std::isnan(target.to_host()[0])); // to_host waits for all, but the kernel came before the copy

  const float zero = 0.0F;
  expect(cudaMemcpy(target.data(), &zero, sizeof(float), cudaMemcpyHostToDevice), cudaSuccess);
  const float three = 3.0F;
  expect(cudaMemcpyAsync(increment.data(), &three, sizeof(float), cudaMemcpyHostToDevice, copies), cudaSuccess);
  expect(cudaEventRecord(copied, copies), cudaSuccess);
  expect(cudaEventQuery(copied), cudaErrorNotReady);
  expect(cudaStreamWaitEvent(compute, copied), cudaSuccess);
  launch(compute.context(), add_one, 1, 1, 0, target.data(), increment.data());
  expect(cudaEventQuery(copied), cudaSuccess);
  CHECK(target.to_host()[0] == 3.0F);
});

const bool elapsed = add_case("events have a time when they were passed", [] {
  const Stream stream;
  const Event start;
  const Event end;
  float milliseconds = -1.0F;
  expect(cudaEventRecord(start, stream), cudaSuccess);
  expect(cudaEventRecord(end, stream), cudaSuccess);
  expect(cudaEventElapsedTime(&milliseconds, start, end), cudaErrorNotReady);
  expect(cudaEventSynchronize(end), cudaSuccess);
  expect(cudaEventElapsedTime(&milliseconds, start, end), cudaSuccess);
  CHECK(milliseconds >= 0.0F);
});

const bool graphs =
    add_case("a recorded graph does nothing when recorded and all of it when played, with the new input", [] {
      const Stream stream;
      DeviceArray<float> target(std::vector<float>{10.0F});
      DeviceArray<float> increment(std::vector<float>{0.0F});
      float* staged = nullptr;
      expect(cudaMallocHost(&staged, sizeof(float)), cudaSuccess);
      cudaGraph_t graph = nullptr;
      cudaGraphExec_t executable = nullptr;
      expect(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
      expect(cudaMemcpyAsync(increment.data(), staged, sizeof(float), cudaMemcpyHostToDevice, stream), cudaSuccess);
      launch(stream.context(), add_one, 1, 1, 0, target.data(), increment.data());
      launch(stream.context(), add_one, 1, 1, 0, target.data(), nullptr);
      expect(cudaStreamEndCapture(stream, &graph), cudaSuccess);
      expect(cudaGraphInstantiate(&executable, graph), cudaSuccess);
      expect(cudaGraphDestroy(graph), cudaSuccess);
      CHECK(target.to_host()[0] == 10.0F);
      *staged = 5.0F;
      expect(cudaGraphLaunch(executable, stream), cudaSuccess);
      *staged = 7.0F;
      expect(cudaGraphLaunch(executable, stream), cudaSuccess);
      CHECK(target.to_host()[0] == 24.0F);
      expect(cudaGraphExecDestroy(executable), cudaSuccess);
      expect(cudaFreeHost(staged), cudaSuccess);
    });

// Whether recording `body` fails with `wanted` and spoils the graph.
template <class Body> void expect_spoilt(const Body& body, cudaError_t wanted) {
  const Stream stream;
  cudaGraph_t graph = nullptr;
  expect(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  const cudaError_t found = body(stream);
  expect(cudaStreamEndCapture(stream, &graph), cudaErrorStreamCaptureInvalidated);
  expect(found, wanted);
  CHECK(graph == nullptr);
  expect(cudaGetLastError(), cudaErrorStreamCaptureInvalidated);
  expect(cudaGetLastError(), cudaSuccess);
}

const bool illegal = add_case("what waits for the device, or reads unpinned memory, spoils a recording", [] {
  DeviceArray<float> target(1);
  const float value = 1.0F;
  void* memory = nullptr;
  const Event event;
  expect_spoilt([](cudaStream_t stream) { return cudaStreamSynchronize(stream); }, cudaErrorStreamCaptureUnsupported);
  expect_spoilt([](cudaStream_t) { return cudaDeviceSynchronize(); }, cudaErrorStreamCaptureUnsupported);
  expect_spoilt([&](cudaStream_t) { return cudaMalloc(&memory, 4); }, cudaErrorStreamCaptureUnsupported);
  expect_spoilt([&](cudaStream_t) { return cudaFree(target.data()); }, cudaErrorStreamCaptureUnsupported);
  expect_spoilt([&](cudaStream_t) { return cudaMemcpy(target.data(), &value, 4, cudaMemcpyHostToDevice); },
                cudaErrorStreamCaptureImplicit);
  expect_spoilt(
      [&](cudaStream_t stream) { return cudaMemcpyAsync(target.data(), &value, 4, cudaMemcpyHostToDevice, stream); },
      cudaErrorStreamCaptureUnsupported);
  expect_spoilt(
      [&](cudaStream_t stream) {
        expect(cudaEventRecord(event, stream), cudaSuccess);
        return cudaEventQuery(event);
      },
      cudaErrorStreamCaptureUnsupported);
});

const bool forks = add_case("a recording takes in a stream that waits for it, which must be joined again", [] {
  const Stream first;
  const Stream second;
  const Event forked;
  const Event joined;
  DeviceArray<float> target(std::vector<float>{0.0F});
  cudaGraph_t graph = nullptr;
  for (const bool joins : {false, true}) {
    expect(cudaStreamBeginCapture(first, cudaStreamCaptureModeThreadLocal), cudaSuccess);
    expect(cudaEventRecord(forked, first), cudaSuccess);
    expect(cudaStreamWaitEvent(second, forked), cudaSuccess);
    launch(second.context(), add_one, 1, 1, 0, target.data(), nullptr);
    expect(cudaEventRecord(joined, second), cudaSuccess);
    if (joins) {
      expect(cudaStreamWaitEvent(first, joined), cudaSuccess);
    }
    expect(cudaStreamEndCapture(first, &graph), joins ? cudaSuccess : cudaErrorStreamCaptureUnjoined);
  }
  cudaGraphExec_t executable = nullptr;
  expect(cudaGraphInstantiate(&executable, graph), cudaSuccess);
  expect(cudaGraphLaunch(executable, first), cudaSuccess);
  CHECK(target.to_host()[0] == 1.0F);
  expect(cudaGraphExecDestroy(executable), cudaSuccess);
  expect(cudaGraphDestroy(graph), cudaSuccess);
  cudaGetLastError();
});

// The kernel of the system says whether it can read there, without a fault.
bool host_can_read(const void* address) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  const bool readable = write(ends[1], address, 1) == 1;
  close(ends[0]);
  close(ends[1]);
  return readable;
}

const bool closed = add_case("the host cannot read device memory, and finds NaNs in it before anything is written", [] {
  const DeviceArray<float> values(3);
  CHECK(!host_can_read(values.data()));
  launch(KernelContext(), add_one, 1, 3, 0, values.data(), nullptr);
  CHECK(!host_can_read(values.data()));
  for (const float value : values.to_host()) {
    CHECK(std::isnan(value));
  }
});

const bool full = add_case("memory that the device has not is refused, and free again after it was given back", [] {
  const emulation::Device before = emulation::device();
  emulation::device().memory_bytes = 1 << 20;
  void* most = nullptr;
  void* more = nullptr;
  std::size_t free_bytes = 0;
  std::size_t total_bytes = 0;
  expect(cudaMalloc(&most, 1000000), cudaSuccess);
  CHECK_EQ(reinterpret_cast<std::uintptr_t>(most) % 256, 0U);
  expect(cudaMalloc(&more, 100000), cudaErrorMemoryAllocation);
  CHECK(more == nullptr);
  expect(cudaPeekAtLastError(), cudaErrorMemoryAllocation);
  expect(cudaGetLastError(), cudaErrorMemoryAllocation);
  expect(cudaMalloc(&more, SIZE_MAX), cudaErrorMemoryAllocation);
  expect(cudaMemGetInfo(&free_bytes, &total_bytes), cudaSuccess);
  CHECK_EQ(total_bytes, std::size_t{1} << 20);
  CHECK(free_bytes < 100000);
  expect(cudaFree(most), cudaSuccess);
  expect(cudaFree(most), cudaErrorInvalidValue);
  expect(cudaMalloc(&more, 100000), cudaSuccess);
  expect(cudaFree(more), cudaSuccess);
  emulation::device() = before;
  cudaGetLastError();
});

const bool wrong_copies = add_case("a copy that leaves its allocation or mistakes its direction is refused", [] {
  const DeviceArray<float> values(4);
  std::vector<float> host(8);
  expect(cudaMemcpy(host.data(), values.data(), 32, cudaMemcpyDeviceToHost), cudaErrorInvalidValue);
  expect(cudaMemcpy(host.data(), values.data(), 16, cudaMemcpyHostToDevice), cudaErrorInvalidValue);
  expect(cudaMemsetAsync(values.data(), 0, 17), cudaErrorInvalidValue);
  expect(cudaMemsetAsync(values.data(), 0, 16), cudaSuccess);
  CHECK(values.to_host() == std::vector<float>(4, 0.0F));
  cudaGetLastError();
});

} // namespace

} // namespace assay

int main() {
  return assay::test::run_cases();
}
