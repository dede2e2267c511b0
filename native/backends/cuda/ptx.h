// The instructions that CUDA C++ has no words for: asynchronous copies into shared memory, loads of matrix fragments
// and the tensor cores' product. On the device each is one PTX instruction; the emulation does the same lane by lane.
#pragma once

#include "backends/cuda/vector.h"

#if defined(ASSAY_CUDA_EMULATION)
#include "backends/cuda/emulation/matrix.h"
#endif

namespace assay {

#if !defined(ASSAY_CUDA_EMULATION)
__device__ __forceinline__ std::uint32_t shared_address(const void* shared) {
  return static_cast<std::uint32_t>(__cvta_generic_to_shared(shared));
}
#endif

// Two values rounded to bf16 in one register, `low` in the lower half.
__device__ __forceinline__ std::uint32_t pack_bf16(float low, float high) {
#if defined(ASSAY_CUDA_EMULATION)
  return to_bf16(low).bits | static_cast<std::uint32_t>(to_bf16(high).bits) << 16;
#else
  std::uint32_t packed;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(packed) : "f"(high), "f"(low));
  return packed;
#endif
}

// --- asynchronous copies of 16 bytes; both addresses are multiples of 16 ---
// Past the L1 cache, for shared memory holds what it would.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global) {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::copy_async(shared, global, 16, true);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16;" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global))
               : "memory");
#endif
}
// Without `valid` the target becomes zero and the source is not read.
__device__ __forceinline__ void cp_async_16(void* shared, const void* global, bool valid) {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::copy_async(shared, global, 16, valid);
#else
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)),
               "l"(__cvta_generic_to_global(global)), "r"(valid ? 16 : 0)
               : "memory");
#endif
}
// Ends a group of this thread's copies.
__device__ __forceinline__ void cp_async_commit() {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::commit_async();
#else
  asm volatile("cp.async.commit_group;" ::: "memory");
#endif
}
// Waits until at most the latest `GroupsLeft` groups of this thread are still copied. Others see the copies after the
// next barrier.
template <int GroupsLeft> __device__ __forceinline__ void cp_async_wait() {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::wait_async(GroupsLeft);
#else
  asm volatile("cp.async.wait_group %0;" ::"n"(GroupsLeft) : "memory");
#endif
}

// --- 8×8 matrices of bf16 from shared memory. Lane i gives the address of row i mod 8 of matrix i / 8, a multiple of
// 16; lane i gets elements 2 · (i mod 4) and the next of row i / 4 of each matrix (or, transposed, of column i / 4).
// ---
#if defined(ASSAY_CUDA_EMULATION)
#define ASSAY_LDMATRIX(name, count, transposed, instruction, operands)                                                 \
  inline void name(std::uint32_t(&r)[count], const void* shared_row) {                                                 \
    emulation::load_matrices(#name, r, count, transposed, shared_row);                                                 \
  }
#else
#define ASSAY_UNWRAP(...) __VA_ARGS__
#define ASSAY_LDMATRIX(name, count, transposed, instruction, operands)                                                 \
  __device__ __forceinline__ void name(std::uint32_t(&r)[count], const void* shared_row) {                             \
    asm volatile(instruction : ASSAY_UNWRAP operands : "r"(shared_address(shared_row)) : "memory");                    \
  }
#endif
ASSAY_LDMATRIX(ldmatrix_x1, 1, false, "ldmatrix.sync.aligned.m8n8.x1.shared.b16 {%0}, [%1];", ("=r"(r[0])))
ASSAY_LDMATRIX(ldmatrix_x1_trans, 1, true, "ldmatrix.sync.aligned.m8n8.x1.trans.shared.b16 {%0}, [%1];", ("=r"(r[0])))
ASSAY_LDMATRIX(ldmatrix_x2, 2, false, "ldmatrix.sync.aligned.m8n8.x2.shared.b16 {%0, %1}, [%2];",
               ("=r"(r[0]), "=r"(r[1])))
ASSAY_LDMATRIX(ldmatrix_x2_trans, 2, true, "ldmatrix.sync.aligned.m8n8.x2.trans.shared.b16 {%0, %1}, [%2];",
               ("=r"(r[0]), "=r"(r[1])))
ASSAY_LDMATRIX(ldmatrix_x4, 4, false, "ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];",
               ("=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])))
ASSAY_LDMATRIX(ldmatrix_x4_trans, 4, true, "ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];",
               ("=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])))
#undef ASSAY_LDMATRIX
#undef ASSAY_UNWRAP

// d (16×8, fp32) += a (16×16, bf16, rows) · b (16×8, bf16, columns). With row g = lane / 4 and pair p = 2 · (lane mod
// 4): a holds (g, p), (g + 8, p), (g, p + 8), (g + 8, p + 8), each with the next k; b holds k = p and p + 8 of column
// g; d holds (g, p), (g, p + 1), (g + 8, p), (g + 8, p + 1).
__device__ __forceinline__ void mma_m16n8k16_bf16(float (&d)[4], const std::uint32_t (&a)[4],
                                                  const std::uint32_t (&b)[2]) {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::multiply_matrices(d, a, b);
#else
  asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
               "{%0, %1, %2, %3};"
               : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
               : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
#endif
}

} // namespace assay
