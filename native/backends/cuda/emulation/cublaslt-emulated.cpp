// Column-major throughout, as the library is: an operand's element (row, column) lies at row + column · stride.
#include "backends/cuda/emulation/cublaslt-emulated.h"

#include <cmath>
#include <cstring>
#include <vector>

#include "backends/cuda/cuda-backend.h"
#include "backends/cuda/emulation/device.h"
#include "backends/cuda/emulation/launch.h"
#include "backends/cuda/vector.h"

namespace assay::cuda::cublaslt {

struct Context {};
struct MatmulDescription {
  std::int32_t transpose_a = kPlain;
  std::int32_t transpose_b = kPlain;
  std::uint32_t epilogue = kEpilogueNone;
  const void* bias = nullptr;
  void* auxiliary = nullptr;
  std::int64_t auxiliary_stride = 0;
};
struct MatrixLayout {
  int type;
  std::int64_t rows, columns, stride;
};
struct Preference {
  std::uint64_t workspace_bytes = 0;
  std::uint32_t schemes = 7;
  std::uint32_t alignments[4] = {256, 256, 256, 256};
};

} // namespace assay::cuda::cublaslt

namespace assay::emulation {

using namespace cuda::cublaslt;

namespace {

constexpr std::uint64_t kMagic = 0x61737361792d6c74U;
constexpr std::uint64_t kSplitSum = 1; // the algorithm that adds in two parts, and keeps them in the workspace

std::size_t value_bytes(int type) {
  return type == kRealBf16 ? 2 : 4;
}

std::size_t extent_bytes(const MatrixLayout& layout) {
  return static_cast<std::size_t>((layout.columns - 1) * layout.stride + layout.rows) * value_bytes(layout.type);
}

float read(const void* data, int type, std::int64_t at) {
  return type == kRealBf16 ? to_float(static_cast<const Bf16*>(data)[at]) : static_cast<const float*>(data)[at];
}

void write(void* data, int type, std::int64_t at, float value) {
  if (type == kRealBf16) {
    static_cast<Bf16*>(data)[at] = to_bf16(value);
  } else {
    static_cast<float*>(data)[at] = value;
  }
}

float gelu(float x) {
  return 0.5F * x * (1.0F + std::tanh(0.7978845608F * (x + 0.044715F * x * x * x)));
}

float gelu_slope(float x) {
  const float t = std::tanh(0.7978845608F * (x + 0.044715F * x * x * x));
  return 0.5F * (1.0F + t) + 0.5F * x * (1.0F - t * t) * 0.7978845608F * (1.0F + 3.0F * 0.044715F * x * x);
}

bool has_bias(std::uint32_t epilogue) {
  return (epilogue & kEpilogueBias) != 0;
}
bool has_auxiliary(std::uint32_t epilogue) {
  return (epilogue & 128U) != 0;
}

bool is_aligned(const void* address, std::uint64_t bytes) {
  return reinterpret_cast<std::uintptr_t>(address) % bytes == 0;
}

// What the library would say of such a product, before any data.
int check_shapes(const MatmulDescription& d, const MatrixLayout& a, const MatrixLayout& b, const MatrixLayout& c,
                 const MatrixLayout& result) {
  const std::int64_t m = d.transpose_a == kTransposed ? a.columns : a.rows;
  const std::int64_t k = d.transpose_a == kTransposed ? a.rows : a.columns;
  const std::int64_t n = d.transpose_b == kTransposed ? b.rows : b.columns;
  const std::int64_t other_k = d.transpose_b == kTransposed ? b.columns : b.rows;
  if (k != other_k || m != result.rows || n != result.columns || c.rows != m || c.columns != n) {
    return kInvalidValue;
  }
  for (const MatrixLayout* layout : {&a, &b, &c, &result}) {
    if (layout->stride < layout->rows || layout->rows < 1 || layout->columns < 1) {
      return kInvalidValue;
    }
  }
  if (a.type != b.type || c.type != result.type || (result.type == kRealBf16 && a.type != kRealBf16)) {
    return kNotSupported;
  }
  if (d.epilogue == kEpilogueNone) {
    return kSuccess;
  }
  if (!emulated_cublaslt_state().has_epilogues || result.type != kRealBf16) {
    return kNotSupported;
  }
  if (has_bias(d.epilogue) && d.bias == nullptr) {
    return kInvalidValue;
  }
  if (has_auxiliary(d.epilogue) && (d.auxiliary == nullptr || !is_aligned(d.auxiliary, 16) ||
                                    d.auxiliary_stride % 8 != 0 || d.auxiliary_stride < m)) {
    return kNotSupported;
  }
  return kSuccess;
}

int create(Context** context) {
  *context = new Context;
  return kSuccess;
}
int destroy(Context* context) {
  delete context;
  return kSuccess;
}
int description_create(MatmulDescription** description, int compute_type, int scale_type) {
  *description = new MatmulDescription;
  return compute_type == kComputeF32 && scale_type == kRealF32 ? kSuccess : kNotSupported;
}
int description_destroy(MatmulDescription* description) {
  delete description;
  return kSuccess;
}
template <class T> int assign(T& target, const void* value, std::size_t bytes) {
  if (bytes != sizeof(T)) {
    return kInvalidValue;
  }
  std::memcpy(&target, value, bytes);
  return kSuccess;
}
int description_set(MatmulDescription* d, int attribute, const void* value, std::size_t bytes) {
  switch (attribute) {
  case kTransposeA:
    return assign(d->transpose_a, value, bytes);
  case kTransposeB:
    return assign(d->transpose_b, value, bytes);
  case kEpilogue:
    return assign(d->epilogue, value, bytes);
  case kBiasPointer:
    return assign(d->bias, value, bytes);
  case kAuxPointer:
    return assign(d->auxiliary, value, bytes);
  case kAuxStride:
    return assign(d->auxiliary_stride, value, bytes);
  default:
    return kInvalidValue;
  }
}
int layout_create(MatrixLayout** layout, int type, std::uint64_t rows, std::uint64_t columns, std::int64_t stride) {
  *layout = new MatrixLayout{type, static_cast<std::int64_t>(rows), static_cast<std::int64_t>(columns), stride};
  return kSuccess;
}
int layout_destroy(MatrixLayout* layout) {
  delete layout;
  return kSuccess;
}
int preference_create(Preference** preference) {
  *preference = new Preference;
  return kSuccess;
}
int preference_destroy(Preference* preference) {
  delete preference;
  return kSuccess;
}
int preference_set(Preference* p, int attribute, const void* value, std::size_t bytes) {
  switch (attribute) {
  case kMaxWorkspaceBytes:
    return assign(p->workspace_bytes, value, bytes);
  case kReductionSchemes:
    return assign(p->schemes, value, bytes);
  case kMinAlignmentA:
  case kMinAlignmentB:
  case kMinAlignmentC:
  case kMinAlignmentD:
    return assign(p->alignments[attribute - kMinAlignmentA], value, bytes);
  default:
    return kInvalidValue;
  }
}

// The words of an algorithm: magic, number, bytes of workspace, and the alignments of a, b and the result it counts on.
int heuristic(Context*, MatmulDescription* d, MatrixLayout* a, MatrixLayout* b, MatrixLayout* c, MatrixLayout* result,
              Preference* p, int wanted, HeuristicResult* results, int* found) {
  ++emulated_cublaslt_state().heuristic_calls;
  *found = 0;
  if (const int status = check_shapes(*d, *a, *b, *c, *result); status != kSuccess) {
    return status;
  }
  const auto split_bytes = static_cast<std::size_t>(result->rows * result->columns) * 2 * sizeof(float);
  for (std::uint64_t number = 0; number < 3 && *found < wanted; ++number) {
    const std::size_t bytes = number == kSplitSum ? split_bytes : 0;
    if (bytes > p->workspace_bytes || (number == kSplitSum && (p->schemes & kReduceInComputeType) == 0)) {
      continue;
    }
    HeuristicResult& one = results[(*found)++];
    one = {};
    one.algorithm = {{kMagic, number, bytes, p->alignments[0], p->alignments[1], p->alignments[3], 0, 0}};
    one.workspace_bytes = bytes;
  }
  return *found > 0 ? kSuccess : kNotSupported;
}

int check(Context*, MatmulDescription* d, MatrixLayout* a, MatrixLayout* b, MatrixLayout* c, MatrixLayout* result,
          const Algorithm* algorithm, HeuristicResult* found) {
  if (algorithm->data[0] != kMagic || algorithm->data[1] > 2) {
    return kInvalidValue;
  }
  *found = {};
  found->workspace_bytes = algorithm->data[2];
  return check_shapes(*d, *a, *b, *c, *result);
}

// Row `row` of op(matrix) as floats, or its column `row` where that is what is summed along.
std::vector<float> vector_of(const void* data, const MatrixLayout& layout, bool along_columns, std::int64_t at) {
  const std::int64_t count = along_columns ? layout.columns : layout.rows;
  std::vector<float> values(static_cast<std::size_t>(count));
  for (std::int64_t i = 0; i < count; ++i) {
    values[static_cast<std::size_t>(i)] =
        read(data, layout.type, along_columns ? at + i * layout.stride : i + at * layout.stride);
  }
  return values;
}

float dot(const std::vector<float>& a, const std::vector<float>& b, std::uint64_t algorithm) {
  const std::size_t k = a.size();
  float first = 0.0F;
  float second = 0.0F;
  if (algorithm == 2) {
    for (std::size_t i = k; i-- > 0;) {
      first += a[i] * b[i];
    }
    return first;
  }
  const std::size_t middle = algorithm == kSplitSum ? k / 2 : k;
  for (std::size_t i = 0; i < middle; ++i) {
    first += a[i] * b[i];
  }
  for (std::size_t i = middle; i < k; ++i) {
    second += a[i] * b[i];
  }
  return first + second;
}

struct Call {
  MatmulDescription description;
  MatrixLayout a, b, c, d;
  float alpha, beta;
  const void* a_data;
  const void* b_data;
  const void* c_data;
  void* d_data;
  std::uint64_t algorithm;
};

void multiply(const Call& call) {
  const std::uint32_t epilogue = call.description.epilogue;
  std::vector<std::vector<float>> rows;
  for (std::int64_t row = 0; row < call.d.rows; ++row) {
    rows.push_back(vector_of(call.a_data, call.a, call.description.transpose_a != kTransposed, row));
  }
  for (std::int64_t column = 0; column < call.d.columns; ++column) {
    const std::vector<float> other =
        vector_of(call.b_data, call.b, call.description.transpose_b == kTransposed, column);
    for (std::int64_t row = 0; row < call.d.rows; ++row) {
      float value = call.alpha * dot(rows[static_cast<std::size_t>(row)], other, call.algorithm);
      if (call.beta != 0.0F) {
        value += call.beta * read(call.c_data, call.c.type, row + column * call.c.stride);
      }
      const std::int64_t auxiliary = row + column * call.description.auxiliary_stride;
      if (has_bias(epilogue)) {
        value += read(call.description.bias, call.d.type, row);
      }
      if (epilogue == kEpilogueGeluBackward) {
        value *= gelu_slope(read(call.description.auxiliary, call.d.type, auxiliary));
      } else if ((epilogue & kEpilogueGelu) != 0) {
        if (has_auxiliary(epilogue)) {
          write(call.description.auxiliary, call.d.type, auxiliary, value);
        }
        value = gelu(value);
      }
      write(call.d_data, call.d.type, row + column * call.d.stride, value);
    }
  }
}

int matmul(Context*, MatmulDescription* d, const void* alpha, const void* a, MatrixLayout* a_layout, const void* b,
           MatrixLayout* b_layout, const void* beta, const void* c, MatrixLayout* c_layout, void* result,
           MatrixLayout* result_layout, const Algorithm* algorithm, void* workspace, std::size_t workspace_bytes,
           cudaStream_t stream) {
  EmulatedCublasLt& state = emulated_cublaslt_state();
  if (state.is_failing) {
    return 13;
  }
  if (const int status = check_shapes(*d, *a_layout, *b_layout, *c_layout, *result_layout); status != kSuccess) {
    return status;
  }
  const std::uint64_t* words = algorithm->data;
  if ((state.only_algorithm >= 0 && words[1] != static_cast<std::uint64_t>(state.only_algorithm)) ||
      (!state.runs_epilogues && d->epilogue != kEpilogueNone)) {
    return kNotSupported;
  }
  if (words[0] != kMagic || words[2] > workspace_bytes || !is_aligned(a, words[3]) || !is_aligned(b, words[4]) ||
      !is_aligned(result, words[5]) || !is_aligned(a, value_bytes(a_layout->type)) || !is_aligned(workspace, 16)) {
    return kInvalidValue;
  }
  MatrixLayout auxiliary = *result_layout;
  auxiliary.stride = d->auxiliary_stride;
  MatrixLayout bias = *result_layout;
  bias.columns = 1;
  if (!is_device_memory(a, extent_bytes(*a_layout)) || !is_device_memory(b, extent_bytes(*b_layout)) ||
      !is_device_memory(result, extent_bytes(*result_layout)) || !is_device_memory(workspace, workspace_bytes) ||
      (has_bias(d->epilogue) && !is_device_memory(d->bias, extent_bytes(bias))) ||
      (has_auxiliary(d->epilogue) && !is_device_memory(d->auxiliary, extent_bytes(auxiliary)))) {
    return kInvalidValue;
  }
  Call call{*d, *a_layout, *b_layout, *c_layout, *result_layout, 0.0F, 0.0F, a, b, c, result, words[1]};
  std::memcpy(&call.alpha, alpha, sizeof(float));
  std::memcpy(&call.beta, beta, sizeof(float));
  ++state.products;
  state.epilogue_products += d->epilogue != kEpilogueNone ? 1 : 0;
  state.last_algorithm = static_cast<int>(words[1]);
  enqueue(stream, [call] { multiply(call); });
  return kSuccess;
}

} // namespace

EmulatedCublasLt& emulated_cublaslt_state() {
  static EmulatedCublasLt state;
  return state;
}

cuda::CublasLt emulated_cublaslt() {
  cuda::CublasLt library;
  library.get_version = [] { return std::size_t{130000}; };
  library.create = create;
  library.destroy = destroy;
  library.description_create = description_create;
  library.description_destroy = description_destroy;
  library.description_set = description_set;
  library.layout_create = layout_create;
  library.layout_destroy = layout_destroy;
  library.preference_create = preference_create;
  library.preference_destroy = preference_destroy;
  library.preference_set = preference_set;
  library.heuristic = heuristic;
  library.check = check;
  library.matmul = matmul;
  library.path = "emulated";
  library.version = cuda::cublaslt_version_text(130000);
  return library;
}

} // namespace assay::emulation

namespace assay {

std::unique_ptr<Backend> create_emulated_cuda_backend(const CudaOptions& options) {
  return std::make_unique<cuda::CudaBackend>(0, emulation::emulated_cublaslt(), options);
}

} // namespace assay
