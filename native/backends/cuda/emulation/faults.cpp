// The handler of SIGSEGV and SIGBUS.
#include "backends/cuda/emulation/faults.h"

#include <unistd.h>

#include <cstddef>
#include <cstring>

#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/fiber.h"

namespace assay::emulation {

namespace {

constexpr std::size_t kStackBytes = 64 * 1024;
struct sigaction g_previous_segment;
struct sigaction g_previous_bus;

void on_fault(int signal, siginfo_t* info, void* context) {
  if (Fiber::leave_after_fault(context, info->si_addr)) {
    return;
  }
  if (is_reserved_address(info->si_addr)) {
    constexpr char kText[] = "The host touched memory of the emulated CUDA device outside of the device's work.\n";
    static_cast<void>(!write(STDERR_FILENO, kText, sizeof(kText) - 1));
  }
  // The instruction runs again and meets the earlier handler.
  sigaction(signal, signal == SIGBUS ? &g_previous_bus : &g_previous_segment, nullptr);
}

} // namespace

FaultsOfThread::FaultsOfThread() : stack_(new char[kStackBytes]) {
  stack_t own{};
  own.ss_sp = stack_.get();
  own.ss_size = kStackBytes;
  sigaltstack(&own, &previous_);
}

FaultsOfThread::~FaultsOfThread() {
  sigaltstack(&previous_, nullptr);
}

void handle_faults() {
  static const bool installed = [] {
    struct sigaction action {};
    action.sa_sigaction = on_fault;
    action.sa_flags = SA_SIGINFO | SA_ONSTACK;
    sigemptyset(&action.sa_mask);
    return sigaction(SIGSEGV, &action, &g_previous_segment) == 0 && sigaction(SIGBUS, &action, &g_previous_bus) == 0;
  }();
  static_cast<void>(installed);
}

} // namespace assay::emulation
