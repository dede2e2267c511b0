// What turns hidden rows into logits and losses: the output layer, its loss, and that of small heads.
#include "test-support-operations.h"

using namespace assay;
using namespace assay::test;

namespace {

// Output: the scaled sum of losses, whose gradient both passes of the classifier give at once.
OpCase classifier_case(std::int64_t rows, std::int64_t channels, std::int64_t vocab_size, bool accumulate) {
  auto targets = some_tokens(rows, vocab_size, 5);
  if (rows > 2) {
    targets[1] = -1;
  }
  OpCase op;
  op.title = "classifier " + sizes({rows, channels, vocab_size}) + (accumulate ? "" : ", gradients written");
  op.inputs = {{"hidden", rows * channels}, {"weight", vocab_size * channels}};
  op.reference = [=](const std::vector<Values>& in) {
    const Values losses = classifier_reference(in[0], in[1], targets, channels, vocab_size);
    return Values{std::accumulate(losses.begin(), losses.end(), 0.0)};
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    return Floats{static_cast<float>(
        backend.classifier_evaluate({in[0].data(), in[1].data(), targets.data(), rows, channels, vocab_size}))};
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_hidden(in[0].size(), NAN);
    Floats d_weight = added_to(in[1].size());
    const double loss =
        backend.classifier_train({in[0].data(), in[1].data(), targets.data(), rows, channels, vocab_size,
                                  d_hidden.data(), d_weight.data(), upstream[0], accumulate});
    check_close("training's loss", {loss},
                {static_cast<float>(backend.classifier_evaluate(
                    {in[0].data(), in[1].data(), targets.data(), rows, channels, vocab_size}))},
                1e-6);
    return std::vector<Floats>{d_hidden, accumulate ? without_start(d_weight) : d_weight};
  };
  op.workspace.rows = rows;
  op.workspace.vocab_size = vocab_size;
  op.smallest_scale = 0.1;
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
  op.reference = [=](const std::vector<Values>& in) {
    double sum = 0.0;
    for (std::int64_t row = 0; row < shape.rows; ++row) {
      if (targets[row] < 0) {
        continue;
      }
      Values logits;
      for (std::int64_t k = 0; k < valid[row]; ++k) {
        logits.push_back(in[0][row * shape.row_stride + k * shape.class_stride]);
      }
      sum += cross_entropy_reference(logits, targets[row], doubled(weights), static_cast<double>(shape.smoothing));
    }
    return Values{sum};
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
    return backend.cross_entropy(call);
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

OpCase logits_case(std::int64_t rows, std::int64_t channels, std::int64_t vocab_size) {
  OpCase op;
  op.title = "logits " + sizes({rows, channels, vocab_size});
  op.inputs = {{"hidden", rows * channels}, {"weight", vocab_size * channels}};
  op.reference = [=](const std::vector<Values>& in) {
    Values transposed(in[1].size());
    for (std::int64_t v = 0; v < vocab_size; ++v) {
      for (std::int64_t c = 0; c < channels; ++c) {
        transposed[c * vocab_size + v] = in[1][v * channels + c];
      }
    }
    return linear_reference(in[0], transposed, {}, rows, channels, vocab_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * vocab_size));
    backend.logits(in[0].data(), in[1].data(), nullptr, output.data(), rows, channels, vocab_size, false);
    return output;
  };
  return op;
}

std::vector<OpCase> table() {
  return {
      classifier_case(1, 3, 2, true),
      classifier_case(37, 19, 50, false),
      classifier_case(70, 8, 1003, true),
      classifier_case(261, 5, 17, true),
      cross_entropy_case({1, 1, 1, 1}),
      cross_entropy_case({5, 3, 3, 1}),
      cross_entropy_case({5, 3, 3, 1, false, true, 0.1F}),
      cross_entropy_case({7, 9, 20, 2, true, false, 0.0F}),
      cross_entropy_case({7, 9, 20, 2, true, true, 0.3F}),
      cross_entropy_case({3, 130, 260, 2, true, false, 0.2F}),
      cross_entropy_case({2000, 9, 9, 1, false, true, 0.05F}),
      logits_case(1, 33, 101),
      logits_case(6, 40, 77),
  };
}

void add_special_value_cases() {
  add_backend_cases(
      "softmax survives scores far apart, and a NaN is not hidden", [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(1);
        backend->reserve_workspace(backend->workspace_bytes({2, 4, 4, 4, 1, 3, true}));
        const Floats weight = {200.0F, -200.0F, 0.0F};
        const std::vector<std::int32_t> targets = {1, 0};
        Floats hidden = {1.0F, 1.0F};
        check_close(
            "loss", {400.0},
            {static_cast<float>(backend->classifier_evaluate({hidden.data(), weight.data(), targets.data(), 2, 1, 3}))},
            1e-6);
        hidden[1] = NAN;
        CHECK(std::isnan(backend->classifier_evaluate({hidden.data(), weight.data(), targets.data(), 2, 1, 3})));
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
                      CHECK_EQ(backend->cross_entropy(call), 0.0);
                      CHECK(gradient == Floats(9, 0.0F));
                    });
}

} // namespace

int main() {
  add_operations(table());
  add_special_value_cases();
  return run_cases();
}
