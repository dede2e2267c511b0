// Memory faults of kernels become errors: a signal handler that takes the faulting fiber off its stack.
#pragma once

#include <signal.h>

#include <memory>

namespace assay::emulation {

// Gives the calling thread a stack for the handler as long as it lives, for that of a fiber may be used up.
class FaultsOfThread {
public:
  FaultsOfThread();
  ~FaultsOfThread();
  FaultsOfThread(const FaultsOfThread&) = delete;
  FaultsOfThread& operator=(const FaultsOfThread&) = delete;

private:
  std::unique_ptr<char[]> stack_;
  stack_t previous_{};
};

// Installs the handler, once. What it does not know goes to whoever handled it before.
void handle_faults();

} // namespace assay::emulation
