// Loads of matrix fragments and the matrix product of a warp (see ptx.h for what lies in which lane).
#pragma once

#include <cstdint>

namespace assay::emulation {

// `registers` gets `count` values.
void load_matrices(const char* name, std::uint32_t* registers, int count, bool transposed, const void* shared_row);
void multiply_matrices(float* d, const std::uint32_t* a, const std::uint32_t* b);

} // namespace assay::emulation
