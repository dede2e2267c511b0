// Linear layers. In bf16 the library adds the bias and, where it is good at that, takes GELU and its slope within the
// product, if the rows are aligned as it wants; the error function's GELU and tanh, which it lacks, and all of fp32 go
// through kernels after the product. Gradients of biases are sums by our own kernel: the library's own, within the
// product for the weight's gradient, would overwrite what is to be added to, and does not say in which order it adds.
#include "backends/cuda/cuda-backend.h"
#include "backends/cuda/kernels.h"

namespace assay::cuda {

namespace {

// What the library wants of matrices that an epilogue reads or writes.
bool suits_epilogue(const void* data, std::int64_t stride) {
  return reinterpret_cast<std::uintptr_t>(data) % 16 == 0 && stride % 8 == 0;
}

// Whether the library takes GELU within the product in one pass, as on Hopper and on the large Blackwell. On others it
// was measured to be slower than a kernel after the product: on Ada (llm.c, pull request 591) and on the small
// Blackwell (sglang, pull request 34350).
bool fuses_gelu(const KernelContext& context) {
  return context.compute_capability >= 90 && context.compute_capability < 120;
}

// What of bias and activation the library does within the product. All of it, or else the bias alone, which then joins
// the sum before that is rounded.
cublaslt::Epilogue forward_epilogue(const KernelContext& context, const LinearForward& call) {
  if (call.output.type != DataType::kBf16 || call.add) {
    return cublaslt::kEpilogueNone;
  }
  const cublaslt::Epilogue bias_alone = call.bias != nullptr ? cublaslt::kEpilogueBias : cublaslt::kEpilogueNone;
  if (call.activation != Activation::kGeluNew || !fuses_gelu(context) || call.pre_activation == call.output ||
      !suits_epilogue(call.output.data, call.out)) {
    return bias_alone;
  }
  if (!call.pre_activation) {
    return call.bias != nullptr ? cublaslt::kEpilogueGeluBias : cublaslt::kEpilogueGelu;
  }
  if (!suits_epilogue(call.pre_activation.data, call.out)) {
    return bias_alone;
  }
  return call.bias != nullptr ? cublaslt::kEpilogueGeluAuxBias : cublaslt::kEpilogueGeluAux;
}

} // namespace

const void* CudaBackend::weight_as(DataType type, const WeightView& weight, std::int64_t rows, std::int64_t columns,
                                   bool scales_by_row, Scratch& scratch) {
  if (weight.type == type) {
    return weight.values;
  }
  void* converted = scratch.take(static_cast<std::size_t>(rows * columns) * size_of(type));
  dequantize(scratch.context(), weight, rows, columns, scales_by_row, Values(converted, type));
  return converted;
}

void CudaBackend::linear_forward(const LinearForward& call) {
  const KernelContext& context = enter();
  if (call.rows == 0 || call.out == 0) {
    return;
  }
  if (call.rows <= kFewRows) {
    linear_few_rows(context, call);
    return;
  }
  Scratch scratch(context);
  const DataType type = call.input.type;
  Product product;
  product.is_measured = are_usual_rows(call.rows);
  product.a = call.input;
  product.a_stride = call.in;
  product.b = ConstValues(weight_as(type, call.weight, call.in, call.out, false, scratch), type);
  product.b_stride = call.out;
  product.d = call.output;
  product.d_stride = call.out;
  product.m = call.rows;
  product.n = call.out;
  product.k = call.in;
  product.alpha = call.scale;
  product.beta = call.add ? 1.0F : 0.0F;

  product.epilogue = forward_epilogue(context, call);
  const bool fuses_activation = (product.epilogue & cublaslt::kEpilogueGelu) != 0;
  const float* bias_left = call.add ? nullptr : call.bias;
  Activation activation_left = call.add ? Activation::kNone : call.activation;
  Values sum_left = call.add ? Values(nullptr) : call.pre_activation;
  bool is_done = false;
  if (product.epilogue != cublaslt::kEpilogueNone) {
    if (call.bias != nullptr) { // which the library wants in the output's type
      void* bias = scratch.take(static_cast<std::size_t>(call.out) * sizeof(std::uint16_t));
      cuda::convert(scratch.context(), ConstValues(const_cast<float*>(call.bias)), Values(bias, DataType::kBf16),
                    call.out);
      product.bias = bias;
    }
    product.auxiliary = fuses_activation ? call.pre_activation.data : nullptr;
    is_done = products_.multiply(context.stream, product);
    if (is_done) {
      bias_left = nullptr;
      activation_left = fuses_activation ? Activation::kNone : activation_left;
      sum_left = fuses_activation ? Values(nullptr) : sum_left;
    }
    product.epilogue = cublaslt::kEpilogueNone;
    product.bias = nullptr;
    product.auxiliary = nullptr;
  }
  if (!is_done) {
    products_.multiply_plain(context.stream, product);
  }
  if (bias_left != nullptr || activation_left != Activation::kNone || sum_left) {
    add_bias_activation(scratch.context(), call.output, bias_left, call.rows, call.out, activation_left, sum_left);
  }
}

void CudaBackend::linear_backward(const LinearBackward& call) {
  const KernelContext& context = enter();
  const DataType type = call.d_output.type;
  if (call.d_input && call.rows > 0) {
    Scratch scratch(context);
    Product product;
    product.is_measured = are_usual_rows(call.rows);
    product.a = call.d_output;
    product.a_stride = call.out;
    product.b = ConstValues(weight_as(type, call.weight, call.in, call.out, false, scratch), type);
    product.b_stride = call.out;
    product.transpose_b = true;
    product.d = call.d_input;
    product.d_stride = call.in;
    product.m = call.rows;
    product.n = call.in;
    product.k = call.out;
    product.alpha = call.scale;
    product.beta = call.add_to_d_input ? 1.0F : 0.0F;
    const bool activates = call.input_pre_activation && call.input_activation != Activation::kNone;
    bool is_done = false;
    if (activates && call.input_activation == Activation::kGeluNew && fuses_gelu(context) && type == DataType::kBf16 &&
        call.input_pre_activation.data != call.d_input.data && suits_epilogue(call.d_input.data, call.in) &&
        suits_epilogue(call.input_pre_activation.data, call.in)) {
      product.epilogue = cublaslt::kEpilogueGeluBackward;
      product.auxiliary = const_cast<void*>(call.input_pre_activation.data);
      is_done = products_.multiply(context.stream, product);
      product.epilogue = cublaslt::kEpilogueNone;
      product.auxiliary = nullptr;
    }
    if (!is_done) {
      products_.multiply_plain(context.stream, product);
      if (activates) {
        cuda::activation_backward(scratch.context(), call.d_input, call.input_pre_activation, call.rows * call.in,
                                  call.input_activation);
      }
    }
  }
  if (call.d_weight != nullptr) {
    if (call.rows > 0) {
      Product product;
      product.is_measured = are_usual_rows(call.rows);
      product.a = call.input;
      product.a_stride = call.in;
      product.transpose_a = true;
      product.b = call.d_output;
      product.b_stride = call.out;
      product.d = call.d_weight;
      product.d_stride = call.out;
      product.m = call.in;
      product.n = call.out;
      product.k = call.rows;
      product.alpha = call.scale;
      product.beta = call.accumulate ? 1.0F : 0.0F;
      products_.multiply_plain(context.stream, product);
    } else if (!call.accumulate) {
      cuda::zero(context, call.d_weight, static_cast<std::size_t>(call.in * call.out) * sizeof(float));
    }
  }
  if (call.d_bias != nullptr) {
    column_sums(context, call.d_output, call.rows, call.out, call.out, call.d_bias, call.accumulate);
  }
}

} // namespace assay::cuda
