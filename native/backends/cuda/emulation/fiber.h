// A function with a stack of its own that can be left in the middle and resumed: a CUDA thread of the emulation.
// Only one thread of the system runs fibers at a time.
#pragma once

#include <cstddef>

namespace assay::emulation {

// Memory that a fiber must not touch, found when it did.
struct Fault {
  bool happened = false;
  const void* address = nullptr;
};

class Fiber {
public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes the next resume() call function(argument); it must not throw. Whatever the fiber did before is forgotten.
  void start(void (*function)(void*), void* argument);
  // Runs the fiber until it suspends, its function returns, or it touches memory that is none; then it is lost.
  Fault resume();
  // Back to whoever resumed; called by the fiber that runs.
  static void suspend();
  static Fiber* current();
  // Whether an address lies in the unreadable pages below the stack.
  bool is_guard(const void* address) const;
  // From a signal handler: makes the interrupted fiber's resume() return the fault once the handler has returned, for
  // `machine_context` the handler's third argument. False where no fiber runs or it is not known how.
  static bool leave_after_fault(void* machine_context, const void* address);

private:
  [[noreturn]] static void run();

  std::byte* memory_ = nullptr; // guard pages, then the stack
  void* context_ = nullptr;     // the saved stack pointer (or the ucontext)
  void* sanitizer_stack_ = nullptr;
  void (*function_)(void*) = nullptr;
  void* argument_ = nullptr;
};

} // namespace assay::emulation
