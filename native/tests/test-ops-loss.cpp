// What turns hidden rows into logits and losses: the output layer, its loss, and that of small heads.
#include "test-support-operations.h"

using namespace assay;
using namespace assay::test;

namespace {

struct ClassifierOptions {
  bool accumulate = true;
  bool has_bias = false;
  float smoothing = 0.0F;
  DataType weight = DataType::kF32; // others are frozen
  bool bf16 = false;
};

// Output: the scaled sum of losses, whose gradient both passes of the classifier give at once.
OpCase classifier_case(std::int64_t rows, std::int64_t channels, std::int64_t vocab_size,
                       const ClassifierOptions& options = {}) {
  auto targets = some_tokens(rows, vocab_size, 5);
  if (rows > 2) {
    targets[1] = -1;
  }
  const StoredWeight stored = random_weight(options.weight, vocab_size, channels, true);
  const bool trains = options.weight == DataType::kF32;
  OpCase op;
  op.title = "classifier " + sizes({rows, channels, vocab_size}) + (options.accumulate ? "" : ", gradients written") +
             (options.has_bias ? " with bias" : "") + (options.smoothing > 0 ? " smoothed" : "") +
             (trains ? "" : " of " + name_of(options.weight)) + (options.bf16 ? " in bf16" : "");
  op.inputs = {{"hidden", rows * channels},
               {"weight", trains ? vocab_size * channels : 0},
               {"bias", options.has_bias ? vocab_size : 0}};
  op.reference = [=](const std::vector<Doubles>& in) {
    const Doubles losses = classifier_reference(in[0], trains ? in[1] : doubled(stored.stands_for), in[2], targets,
                                                channels, vocab_size, static_cast<double>(options.smoothing));
    return Doubles{std::accumulate(losses.begin(), losses.end(), 0.0)};
  };
  const auto call_of = [=](const std::vector<Floats>& in) {
    Classifier call{in[0].data(), stored.view(in[1]), targets.data(), rows, channels, vocab_size};
    call.bias = options.has_bias ? in[2].data() : nullptr;
    call.label_smoothing = options.smoothing;
    call.bf16 = options.bf16;
    return call;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    return Floats{static_cast<float>(loss_of(backend, &Backend::classifier_evaluate, call_of(in)))};
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_hidden(in[0].size(), NAN);
    Floats d_weight = added_to(in[1].size()), d_bias = added_to(in[2].size());
    Classifier call = call_of(in);
    call.d_hidden = d_hidden.data();
    call.d_weight = trains ? d_weight.data() : nullptr;
    call.d_bias = options.has_bias ? d_bias.data() : nullptr;
    call.gradient_scale = upstream[0];
    call.accumulate = options.accumulate;
    const double loss = loss_of(backend, &Backend::classifier_train, call);
    check_close("training's loss", {loss},
                {static_cast<float>(loss_of(backend, &Backend::classifier_evaluate, call_of(in)))}, 1e-6);
    if (options.accumulate) {
      return std::vector<Floats>{d_hidden, without_start(d_weight), without_start(d_bias)};
    }
    return std::vector<Floats>{d_hidden, d_weight, d_bias};
  };
  op.workspace.rows = rows;
  op.workspace.vocab_size = vocab_size;
  op.smallest_scale = 0.1;
  // bf16 keeps 8 bits of each operand.
  op.tolerance = options.bf16 || !trains ? 1e-2 : 2e-5;
  return op;
}

struct CrossEntropyShape {
  std::int64_t rows, classes, row_stride, class_stride;
  bool has_valid = false, has_weights = false;
  float smoothing = 0.0F;
};

// Output: the sum of the losses times the scale that training gives.
OpCase cross_entropy_case(const CrossEntropyShape& shape) {
  const std::int64_t count = (shape.rows - 1) * shape.row_stride + (shape.classes - 1) * shape.class_stride + 1;
  std::vector<std::int32_t> targets, valid;
  std::mt19937 random(37);
  for (std::int64_t row = 0; row < shape.rows; ++row) {
    const auto classes = static_cast<unsigned>(shape.classes);
    valid.push_back(shape.has_valid ? static_cast<std::int32_t>(1 + random() % classes)
                                    : static_cast<std::int32_t>(shape.classes));
    targets.push_back(static_cast<std::int32_t>(random() % static_cast<unsigned>(valid.back())));
  }
  if (shape.rows > 2) {
    targets[1] = -100;
  }
  Floats weights;
  for (std::int64_t k = 0; k < shape.classes && shape.has_weights; ++k) {
    weights.push_back(0.25F * static_cast<float>(k % 5));
  }
  OpCase op;
  op.title = "cross-entropy " + sizes({shape.rows, shape.classes, shape.row_stride, shape.class_stride}) +
             (shape.has_valid ? " of some classes" : "") + (shape.has_weights ? " with class weights" : "") +
             (shape.smoothing > 0 ? " smoothed" : "");
  op.inputs = {{"logits", count, 3.0}};
  op.reference = [=](const std::vector<Doubles>& in) {
    double sum = 0.0;
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      if (targets[row] < 0) {
        continue;
      }
      Doubles logits;
      for (std::int64_t k = 0; k < valid[row]; ++k) {
        logits.push_back(in[0][row * shape.row_stride + k * shape.class_stride]);
      }
      sum += cross_entropy_reference(logits, targets[row], doubled(weights), static_cast<double>(shape.smoothing));
    }
    return Doubles{sum};
  };
  const auto run = [=](Backend& backend, const Floats& logits, float* d_logits, float scale) {
    CrossEntropy call{};
    call.logits = logits.data();
    call.targets = targets.data();
    call.valid = shape.has_valid ? valid.data() : nullptr;
    call.class_weights = shape.has_weights ? weights.data() : nullptr;
    call.rows = shape.rows;
    call.classes = shape.classes;
    call.row_stride = shape.row_stride;
    call.class_stride = shape.class_stride;
    call.label_smoothing = shape.smoothing;
    call.d_logits = d_logits;
    call.gradient_scale = scale;
    return loss_of(backend, &Backend::cross_entropy, call);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    return Floats{static_cast<float>(run(backend, in[0], nullptr, 0.0F))};
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    // What lies between the strides belongs to others.
    Floats gradient(in[0].size(), kAlreadyThere);
    CHECK_EQ(run(backend, in[0], gradient.data(), upstream[0]), run(backend, in[0], nullptr, 0.0F));
    for (std::int64_t i = 0; i < count; ++i) {
      const std::int64_t within = i % shape.row_stride;
      const bool is_own = within % shape.class_stride == 0 && within / shape.class_stride < shape.classes;
      CHECK(is_own || gradient[i] == kAlreadyThere);
      gradient[i] = is_own ? gradient[i] : 0.0F;
    }
    return std::vector<Floats>{gradient};
  };
  op.workspace.rows = shape.rows;
  op.tolerance = 1e-6;
  op.smallest_scale = 0.1;
  return op;
}

OpCase logits_case(std::int64_t rows, std::int64_t channels, std::int64_t vocab_size, DataType type = DataType::kF32,
                   bool has_bias = false, bool bf16 = false) {
  const StoredWeight stored = random_weight(type, vocab_size, channels, true);
  const bool rounds = bf16 && type == DataType::kF32;
  OpCase op;
  op.title = "logits " + sizes({rows, channels, vocab_size}) + " of " + name_of(type) + (has_bias ? " with bias" : "") +
             (bf16 ? " in bf16" : "");
  op.inputs = {
      {"hidden", rows * channels}, {"fp32 weight", vocab_size * channels}, {"bias", has_bias ? vocab_size : 0}};
  op.reference = [=](const std::vector<Doubles>& in) {
    const Doubles weight =
        transposed(type == DataType::kF32 ? in[1] : doubled(stored.stands_for), vocab_size, channels);
    return linear_reference(rounds ? bf16_rounded(in[0]) : in[0], rounds ? bf16_rounded(weight) : weight, in[2], rows,
                            channels, vocab_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * vocab_size), NAN);
    backend.logits(in[0].data(), stored.view(in[1]), has_bias ? in[2].data() : nullptr, output.data(), rows, channels,
                   vocab_size, bf16);
    return output;
  };
  // A narrow weight may meet the rows as they are or rounded to bf16.
  op.tolerance = type != DataType::kF32 && rows > 1 ? 4e-3 : 2e-5;
  return op;
}

std::vector<OpCase> table() {
  return {
      classifier_case(1, 3, 2),
      classifier_case(37, 19, 50, {.accumulate = false}),
      classifier_case(70, 8, 1003),
      classifier_case(261, 5, 17),
      cross_entropy_case({1, 1, 1, 1}),
      cross_entropy_case({5, 3, 3, 1}),
      cross_entropy_case({5, 3, 3, 1, false, true, 0.1F}),
      cross_entropy_case({7, 9, 20, 2, true, false, 0.0F}),
      cross_entropy_case({7, 9, 20, 2, true, true, 0.3F}),
      cross_entropy_case({3, 130, 260, 2, true, false, 0.2F}),
      cross_entropy_case({2000, 9, 9, 1, false, true, 0.05F}),
      classifier_case(37, 19, 50, {.has_bias = true}),
      classifier_case(37, 19, 50, {.accumulate = false, .has_bias = true, .smoothing = 0.1F}),
      classifier_case(261, 5, 17, {.has_bias = true, .smoothing = 0.3F}),
      classifier_case(37, 19, 50, {.bf16 = true}),
      classifier_case(70, 8, 203, {.has_bias = true, .weight = DataType::kBf16, .bf16 = true}),
      classifier_case(37, 19, 50, {.has_bias = true, .smoothing = 0.1F, .weight = DataType::kInt8}),
      logits_case(1, 33, 101),
      logits_case(1, 33, 101, DataType::kF32, true),
      logits_case(6, 40, 77, DataType::kF32, true, true),
      logits_case(1, 70, 101, DataType::kBf16, true),
      logits_case(6, 40, 77, DataType::kBf16),
      logits_case(1, 70, 101, DataType::kInt8),
      logits_case(6, 40, 77, DataType::kInt8, true, true),
      logits_case(6, 40, 77),
  };
}

void add_special_value_cases() {
  add_backend_cases("softmax survives scores far apart, and a NaN is not hidden",
                    [](const BackendUnderTest& under_test) {
                      const auto backend = under_test.create(1);
                      backend->reserve_workspace(backend->workspace_bytes({2, 4, 4, 4, 1, 3, true}));
                      const Floats weight = {200.0F, -200.0F, 0.0F};
                      const std::vector<std::int32_t> targets = {1, 0};
                      Floats hidden = {1.0F, 1.0F};
                      const auto evaluate = [&] {
                        return loss_of(*backend, &Backend::classifier_evaluate,
                                       Classifier{hidden.data(), weight.data(), targets.data(), 2, 1, 3});
                      };
                      check_close("loss", {400.0}, {static_cast<float>(evaluate())}, 1e-6);
                      hidden[1] = NAN;
                      CHECK(std::isnan(evaluate()));
                    });
  add_backend_cases("a target among the classes that do not count is not scored",
                    [](const BackendUnderTest& under_test) {
                      const auto backend = under_test.create(2);
                      backend->reserve_workspace(backend->workspace_bytes({.rows = 3}));
                      const Floats logits = {1, 2, 3, 4, 5, 6, 7, 8, 9};
                      const std::vector<std::int32_t> targets = {2, 3, 0}, valid = {2, 3, -5};
                      Floats gradient(9, NAN);
                      CrossEntropy call{logits.data(), targets.data(), valid.data(), nullptr, 3, 3, 3, 1};
                      call.d_logits = gradient.data();
                      call.gradient_scale = 1.0F;
                      CHECK_EQ(loss_of(*backend, &Backend::cross_entropy, call), 0.0);
                      CHECK(gradient == Floats(9, 0.0F));
                    });
}

} // namespace

int main() {
  add_operations(table());
  add_special_value_cases();
  return run_cases();
}
