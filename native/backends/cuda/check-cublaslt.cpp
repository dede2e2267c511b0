// Where NVIDIA's header is installed, the compiler compares with it what cublaslt.h says of the library.
#if !defined(ASSAY_CUDA_EMULATION) && __has_include(<cublasLt.h>)

#include <cublasLt.h>

#include <type_traits>

#include "backends/cuda/cublaslt.h"

namespace assay::cuda {

namespace {

using namespace cublaslt;

static_assert(sizeof(Algorithm) == sizeof(cublasLtMatmulAlgo_t));
static_assert(sizeof(HeuristicResult) == sizeof(cublasLtMatmulHeuristicResult_t));
static_assert(offsetof(HeuristicResult, workspace_bytes) == offsetof(cublasLtMatmulHeuristicResult_t, workspaceSize));
static_assert(offsetof(HeuristicResult, status) == offsetof(cublasLtMatmulHeuristicResult_t, state));
static_assert(sizeof(cublasStatus_t) == sizeof(int) && sizeof(cudaDataType_t) == sizeof(int) &&
              sizeof(cublasComputeType_t) == sizeof(int) && sizeof(cublasOperation_t) == sizeof(Operation) &&
              sizeof(cublasLtEpilogue_t) == sizeof(Epilogue));

#define ASSAY_SAME(ours, theirs) static_assert(static_cast<long>(ours) == static_cast<long>(theirs))
ASSAY_SAME(kSuccess, CUBLAS_STATUS_SUCCESS);
ASSAY_SAME(kInvalidValue, CUBLAS_STATUS_INVALID_VALUE);
ASSAY_SAME(kArchitectureMismatch, CUBLAS_STATUS_ARCH_MISMATCH);
ASSAY_SAME(kNotSupported, CUBLAS_STATUS_NOT_SUPPORTED);
ASSAY_SAME(kComputeF32, CUBLAS_COMPUTE_32F);
ASSAY_SAME(kRealF32, CUDA_R_32F);
ASSAY_SAME(kRealBf16, CUDA_R_16BF);
ASSAY_SAME(kPlain, CUBLAS_OP_N);
ASSAY_SAME(kTransposed, CUBLAS_OP_T);
ASSAY_SAME(kTransposeA, CUBLASLT_MATMUL_DESC_TRANSA);
ASSAY_SAME(kTransposeB, CUBLASLT_MATMUL_DESC_TRANSB);
ASSAY_SAME(kEpilogue, CUBLASLT_MATMUL_DESC_EPILOGUE);
ASSAY_SAME(kBiasPointer, CUBLASLT_MATMUL_DESC_BIAS_POINTER);
ASSAY_SAME(kAuxPointer, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER);
ASSAY_SAME(kAuxStride, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD);
ASSAY_SAME(kMaxWorkspaceBytes, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES);
ASSAY_SAME(kReductionSchemes, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK);
ASSAY_SAME(kMinAlignmentA, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES);
ASSAY_SAME(kMinAlignmentB, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES);
ASSAY_SAME(kMinAlignmentC, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES);
ASSAY_SAME(kMinAlignmentD, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES);
ASSAY_SAME(kEpilogueNone, CUBLASLT_EPILOGUE_DEFAULT);
ASSAY_SAME(kEpilogueBias, CUBLASLT_EPILOGUE_BIAS);
ASSAY_SAME(kEpilogueGelu, CUBLASLT_EPILOGUE_GELU);
ASSAY_SAME(kEpilogueGeluBias, CUBLASLT_EPILOGUE_GELU_BIAS);
ASSAY_SAME(kEpilogueGeluAux, CUBLASLT_EPILOGUE_GELU_AUX);
ASSAY_SAME(kEpilogueGeluAuxBias, CUBLASLT_EPILOGUE_GELU_AUX_BIAS);
ASSAY_SAME(kEpilogueGeluBackward, CUBLASLT_EPILOGUE_DGELU);
ASSAY_SAME(kReduceInPlace, CUBLASLT_REDUCTION_SCHEME_INPLACE);
ASSAY_SAME(kReduceInComputeType, CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE);
ASSAY_SAME(kReduceInOutputType, CUBLASLT_REDUCTION_SCHEME_OUTPUT_TYPE);
#undef ASSAY_SAME

// Our types of the functions, with the library's own types behind them, are called as the library's are: the same
// number of parameters, each a pointer, or an integer of the same size.
template <class Ours, class Theirs>
constexpr bool kSameParameter = (std::is_pointer_v<Ours> && std::is_pointer_v<Theirs>) ||
                                (!std::is_pointer_v<Ours> && !std::is_pointer_v<Theirs> &&
                                 sizeof(Ours) == sizeof(Theirs));
template <class... Ours, class R, class S, class... Theirs> constexpr bool same_call(R (*)(Ours...), S (*)(Theirs...)) {
  if constexpr (sizeof...(Ours) == sizeof...(Theirs)) {
    return sizeof(R) == sizeof(S) && (kSameParameter<Ours, Theirs> && ...);
  } else {
    return false;
  }
}
#define ASSAY_SAME_CALL(member, function)                                                                              \
  static_assert(same_call(decltype(CublasLt::member){nullptr}, static_cast<decltype(&function)>(nullptr)))
ASSAY_SAME_CALL(get_version, cublasLtGetVersion);
ASSAY_SAME_CALL(create, cublasLtCreate);
ASSAY_SAME_CALL(destroy, cublasLtDestroy);
ASSAY_SAME_CALL(description_create, cublasLtMatmulDescCreate);
ASSAY_SAME_CALL(description_destroy, cublasLtMatmulDescDestroy);
ASSAY_SAME_CALL(description_set, cublasLtMatmulDescSetAttribute);
ASSAY_SAME_CALL(layout_create, cublasLtMatrixLayoutCreate);
ASSAY_SAME_CALL(layout_destroy, cublasLtMatrixLayoutDestroy);
ASSAY_SAME_CALL(preference_create, cublasLtMatmulPreferenceCreate);
ASSAY_SAME_CALL(preference_destroy, cublasLtMatmulPreferenceDestroy);
ASSAY_SAME_CALL(preference_set, cublasLtMatmulPreferenceSetAttribute);
ASSAY_SAME_CALL(heuristic, cublasLtMatmulAlgoGetHeuristic);
ASSAY_SAME_CALL(check, cublasLtMatmulAlgoCheck);
ASSAY_SAME_CALL(matmul, cublasLtMatmul);
#undef ASSAY_SAME_CALL

} // namespace

} // namespace assay::cuda

#endif
