// Fibers: the switch is a few instructions on x86-64 and aarch64, and ucontext elsewhere. AddressSanitizer is told of
// every change of stack.
#include "backends/cuda/emulation/fiber.h"

#include <sys/mman.h>
#include <ucontext.h>

#include <cstdint>
#include <cstdlib>
#include <new>

#if defined(__SANITIZE_ADDRESS__)
#define ASSAY_ADDRESS_SANITIZER
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASSAY_ADDRESS_SANITIZER
#endif
#endif
#if defined(ASSAY_ADDRESS_SANITIZER)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

#if defined(__x86_64__)
// Saves what a called function must preserve, stores the stack pointer at *rdi and goes on with the stack rsi; the
// second name goes on with the stack rdi.
asm(R"(
.text
.p2align 4
.type assay_switch_stack, @function
.type assay_load_stack, @function
assay_switch_stack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rdi
assay_load_stack:
  movq %rdi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
.size assay_switch_stack, .-assay_switch_stack
)");
#elif defined(__aarch64__)
asm(R"(
.text
.p2align 4
.type assay_switch_stack, %function
.type assay_load_stack, %function
assay_switch_stack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov x0, x1
assay_load_stack:
  mov sp, x0
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
.size assay_switch_stack, .-assay_switch_stack
)");
#else
#define ASSAY_UCONTEXT
#endif
#if !defined(ASSAY_UCONTEXT)
extern "C" void assay_switch_stack(void** saved, void* next);
extern "C" void assay_load_stack(void* next);
#endif

namespace assay::emulation {

namespace {

#if defined(ASSAY_ADDRESS_SANITIZER)
constexpr std::size_t kStackBytes = 256 * 1024; // its frames are several times as large
#else
constexpr std::size_t kStackBytes = 64 * 1024;
#endif

Fiber* g_current = nullptr;
Fault g_fault;
#if defined(ASSAY_UCONTEXT)
ucontext_t g_scheduler;
#else
void* g_scheduler = nullptr;
#endif
#if defined(ASSAY_ADDRESS_SANITIZER)
const void* g_scheduler_stack = nullptr;
std::size_t g_scheduler_stack_bytes = 0;
#endif

// More than any frame, so that none reaches over it; a multiple of every page size.
constexpr std::size_t kGuardBytes = 64 * 1024;

} // namespace

Fiber::Fiber() {
  void* memory = mmap(nullptr, kGuardBytes + kStackBytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED || mprotect(memory, kGuardBytes, PROT_NONE) != 0) {
    throw std::bad_alloc();
  }
  memory_ = static_cast<std::byte*>(memory);
#if defined(ASSAY_UCONTEXT)
  context_ = new ucontext_t;
#endif
}

Fiber::~Fiber() {
#if defined(ASSAY_ADDRESS_SANITIZER)
  ASAN_UNPOISON_MEMORY_REGION(memory_, kGuardBytes + kStackBytes);
#endif
  munmap(memory_, kGuardBytes + kStackBytes);
#if defined(ASSAY_UCONTEXT)
  delete static_cast<ucontext_t*>(context_);
#endif
}

void Fiber::start(void (*function)(void*), void* argument) {
  function_ = function;
  argument_ = argument;
  sanitizer_stack_ = nullptr;
#if defined(ASSAY_ADDRESS_SANITIZER)
  // A fiber that was given up left the marks of its frames.
  ASAN_UNPOISON_MEMORY_REGION(memory_ + kGuardBytes, kStackBytes);
#endif
  std::byte* end = memory_ + kGuardBytes + kStackBytes;
#if defined(ASSAY_UCONTEXT)
  auto* context = static_cast<ucontext_t*>(context_);
  getcontext(context);
  context->uc_stack.ss_sp = memory_ + kGuardBytes;
  context->uc_stack.ss_size = kStackBytes;
  context->uc_link = nullptr;
  makecontext(context, &Fiber::run, 0);
  static_cast<void>(end);
#elif defined(__x86_64__)
  // Six registers, the address to return to, and an end of the call chain; aligned as after a call.
  auto* frame = reinterpret_cast<void**>(end - 64);
  for (int i = 0; i < 8; ++i) {
    frame[i] = nullptr;
  }
  frame[6] = reinterpret_cast<void*>(&Fiber::run);
  context_ = frame;
#else
  auto* frame = reinterpret_cast<void**>(end - 160);
  for (int i = 0; i < 20; ++i) {
    frame[i] = nullptr;
  }
  frame[11] = reinterpret_cast<void*>(&Fiber::run); // x30, the address to return to
  context_ = frame;
#endif
}

Fault Fiber::resume() {
  g_current = this;
  g_fault = {};
#if defined(ASSAY_ADDRESS_SANITIZER)
  void* own_stack = nullptr;
  __sanitizer_start_switch_fiber(&own_stack, memory_ + kGuardBytes, kStackBytes);
#endif
#if defined(ASSAY_UCONTEXT)
  swapcontext(&g_scheduler, static_cast<ucontext_t*>(context_));
#else
  assay_switch_stack(&g_scheduler, context_);
#endif
#if defined(ASSAY_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(own_stack, nullptr, nullptr);
#endif
  g_current = nullptr;
  return g_fault;
}

void Fiber::suspend() {
  Fiber* self = g_current;
#if defined(ASSAY_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(&self->sanitizer_stack_, g_scheduler_stack, g_scheduler_stack_bytes);
#endif
#if defined(ASSAY_UCONTEXT)
  swapcontext(static_cast<ucontext_t*>(self->context_), &g_scheduler);
#else
  assay_switch_stack(&self->context_, g_scheduler);
#endif
#if defined(ASSAY_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(self->sanitizer_stack_, &g_scheduler_stack, &g_scheduler_stack_bytes);
#endif
}

Fiber* Fiber::current() {
  return g_current;
}

bool Fiber::is_guard(const void* address) const {
  const auto* byte = static_cast<const std::byte*>(address);
  return byte >= memory_ && byte < memory_ + kGuardBytes;
}

bool Fiber::leave_after_fault(void* machine_context, const void* address) {
#if defined(ASSAY_UCONTEXT)
  static_cast<void>(machine_context);
  static_cast<void>(address);
  return false;
#else
  if (g_current == nullptr) {
    return false;
  }
  g_fault = {true, address};
#if defined(ASSAY_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(nullptr, g_scheduler_stack, g_scheduler_stack_bytes);
#endif
  auto& registers = static_cast<ucontext_t*>(machine_context)->uc_mcontext;
#if defined(__x86_64__)
  registers.gregs[REG_RDI] = reinterpret_cast<greg_t>(g_scheduler);
  registers.gregs[REG_RIP] = reinterpret_cast<greg_t>(&assay_load_stack);
#else
  registers.regs[0] = reinterpret_cast<std::uintptr_t>(g_scheduler);
  registers.pc = reinterpret_cast<std::uintptr_t>(&assay_load_stack);
#endif
  return true;
#endif
}

void Fiber::run() {
#if defined(ASSAY_ADDRESS_SANITIZER)
  __sanitizer_finish_switch_fiber(nullptr, &g_scheduler_stack, &g_scheduler_stack_bytes);
#endif
  g_current->function_(g_current->argument_);
#if defined(ASSAY_ADDRESS_SANITIZER)
  __sanitizer_start_switch_fiber(nullptr, g_scheduler_stack, g_scheduler_stack_bytes);
#endif
#if defined(ASSAY_UCONTEXT)
  setcontext(&g_scheduler);
#else
  assay_switch_stack(&g_current->context_, g_scheduler);
#endif
  std::abort(); // a fiber that has ended is never resumed
}

} // namespace assay::emulation
