// A function with a stack of its own that can be left in the middle and resumed: a CUDA thread of the emulation.
// Only one thread of the system runs fibers at a time.
#pragma once

#include <cstddef>

namespace assay::emulation {

class Fiber {
public:
  Fiber();
  ~Fiber();
  Fiber(const Fiber&) = delete;
  Fiber& operator=(const Fiber&) = delete;

  // Makes the next resume() call function(argument); it must not throw. Whatever the fiber did before is forgotten.
  void start(void (*function)(void*), void* argument);
  // Runs the fiber until it suspends or its function returns.
  void resume();
  // Back to whoever resumed; called by the fiber that runs.
  static void suspend();
  static Fiber* current();
  // Whether an address lies in the unreadable page below the stack.
  bool is_guard(const void* address) const;

private:
  [[noreturn]] static void run();

  std::byte* memory_ = nullptr; // a guard page, then the stack
  void* context_ = nullptr;     // the saved stack pointer (or the ucontext)
  void* sanitizer_stack_ = nullptr;
  void (*function_)(void*) = nullptr;
  void* argument_ = nullptr;
};

} // namespace assay::emulation
