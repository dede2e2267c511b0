// The few functions of NVIDIA's matrix product library cuBLASLt that the backend calls, and the values they take, as
// its public documentation gives them. The library is opened at run time, so nothing of it is needed to build. Where
// its header is on the include path, check-cublaslt.cpp compares every value and size with it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "backends/cuda/device.h"

namespace assay::cuda {

namespace cublaslt {

// Objects of the library; only pointers to them are handled.
struct Context;
struct MatmulDescription;
struct MatrixLayout;
struct Preference;

// The chosen algorithm of a product. It may be kept as bytes for the same version of the library.
struct Algorithm {
  std::uint64_t data[8];
};
struct HeuristicResult {
  Algorithm algorithm;
  std::size_t workspace_bytes;
  int status;
  float waves;
  int reserved[4];
};

enum Status : int { kSuccess = 0, kInvalidValue = 7, kArchitectureMismatch = 8, kNotSupported = 15 };
enum ComputeType : int { kComputeF32 = 68 }; // sums and fp32 operands in fp32, without TF32
enum ValueType : int { kRealF32 = 0, kRealBf16 = 14 };
enum Operation : std::int32_t { kPlain = 0, kTransposed = 1 };
enum DescriptionAttribute : int {
  kTransposeA = 3,
  kTransposeB = 4,
  kEpilogue = 7,
  kBiasPointer = 8,
  kAuxPointer = 11,
  kAuxStride = 12,
};
enum PreferenceAttribute : int {
  kMaxWorkspaceBytes = 1,
  kReductionSchemes = 3,
  kMinAlignmentA = 5,
  kMinAlignmentB = 6,
  kMinAlignmentC = 7,
  kMinAlignmentD = 8,
};
enum Epilogue : std::uint32_t {
  kEpilogueNone = 1,
  kEpilogueBias = 4,
  kEpilogueGelu = 32, // the tanh approximation
  kEpilogueGeluBias = kEpilogueGelu | kEpilogueBias,
  kEpilogueGeluAux = kEpilogueGelu | 128, // the sum before the activation goes to the auxiliary matrix too
  kEpilogueGeluAuxBias = kEpilogueGeluAux | kEpilogueBias,
  kEpilogueGeluBackward = 64 | 128, // times GELU's slope at the auxiliary matrix
};
// How the parts of a sum that was split may be added up; without any of them sums are not split.
enum ReductionScheme : std::uint32_t { kReduceInPlace = 1, kReduceInComputeType = 2, kReduceInOutputType = 4 };

} // namespace cublaslt

// The functions, and where they were found.
struct CublasLt {
  std::size_t (*get_version)() = nullptr;
  int (*create)(cublaslt::Context**) = nullptr;
  int (*destroy)(cublaslt::Context*) = nullptr;
  int (*description_create)(cublaslt::MatmulDescription**, int compute_type, int scale_type) = nullptr;
  int (*description_destroy)(cublaslt::MatmulDescription*) = nullptr;
  int (*description_set)(cublaslt::MatmulDescription*, int attribute, const void* value, std::size_t bytes) = nullptr;
  int (*layout_create)(cublaslt::MatrixLayout**, int type, std::uint64_t rows, std::uint64_t columns,
                       std::int64_t stride) = nullptr;
  int (*layout_destroy)(cublaslt::MatrixLayout*) = nullptr;
  int (*preference_create)(cublaslt::Preference**) = nullptr;
  int (*preference_destroy)(cublaslt::Preference*) = nullptr;
  int (*preference_set)(cublaslt::Preference*, int attribute, const void* value, std::size_t bytes) = nullptr;
  int (*heuristic)(cublaslt::Context*, cublaslt::MatmulDescription*, cublaslt::MatrixLayout* a,
                   cublaslt::MatrixLayout* b, cublaslt::MatrixLayout* c, cublaslt::MatrixLayout* d,
                   cublaslt::Preference*, int wanted, cublaslt::HeuristicResult* results, int* found) = nullptr;
  int (*check)(cublaslt::Context*, cublaslt::MatmulDescription*, cublaslt::MatrixLayout* a, cublaslt::MatrixLayout* b,
               cublaslt::MatrixLayout* c, cublaslt::MatrixLayout* d, const cublaslt::Algorithm*,
               cublaslt::HeuristicResult* result) = nullptr;
  int (*matmul)(cublaslt::Context*, cublaslt::MatmulDescription*, const void* alpha, const void* a,
                cublaslt::MatrixLayout*, const void* b, cublaslt::MatrixLayout*, const void* beta, const void* c,
                cublaslt::MatrixLayout*, void* d, cublaslt::MatrixLayout*, const cublaslt::Algorithm*, void* workspace,
                std::size_t workspace_bytes, cudaStream_t stream) = nullptr;

  std::string path;
  std::string version; // "12.9.1"
};

// The oldest that has every epilogue above: 11.8.
inline constexpr std::size_t kOldestCublasLt = 110800;

std::string cublaslt_version_text(std::size_t version);
// Opens the first that serves of the places find_cublaslt() names; it stays open. Throws CUDA_NOT_AVAILABLE.
CublasLt load_cublaslt(const std::string& explicit_path, const std::string& library_folder);

} // namespace assay::cuda
