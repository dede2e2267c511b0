// The losses' kernels against the CPU backend's cross-entropy: logits of the whole vocabulary, padded and not, and the
// small heads.
#include "test-support-cuda.h"

using namespace assay;
using namespace assay::test;

namespace {

constexpr double kBefore = 3.0; // what the loss is added to
constexpr float kScale = 0.125F;

struct Vocabulary {
  std::int64_t rows, vocab_size, stride;
  bool has_bias = false;
  float smoothing = 0.0F;
  float deviation = 2.0F;
};

void check_vocabulary(const Vocabulary& v, DataType type) {
  const auto count = static_cast<std::size_t>(v.rows * v.stride);
  const Floats stored = stored_as(random_floats(count, static_cast<double>(v.deviation), 1), type);
  const Floats bias = random_floats(static_cast<std::size_t>(v.vocab_size), 1.0, 2);
  std::vector<std::int32_t> targets = some_numbers(static_cast<std::size_t>(v.rows), v.vocab_size, 3);
  targets[0] = static_cast<std::int32_t>(v.vocab_size - 1);
  for (std::size_t row = 1; row < targets.size(); row += 3) {
    targets[row] = -100;
  }
  Floats logits = stored;
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t word = i % static_cast<std::size_t>(v.stride);
    logits[i] = word >= bias.size() ? 0.0F : v.has_bias ? logits[i] + bias[word] : logits[i];
  }
  Floats expected(count); // 0 behind the vocabulary
  double loss = 0.0;
  CrossEntropy reference{};
  reference.logits = ConstValues(logits.data());
  reference.targets = targets.data();
  reference.rows = v.rows;
  reference.classes = v.vocab_size;
  reference.row_stride = v.stride;
  reference.class_stride = 1;
  reference.label_smoothing = v.smoothing;
  reference.d_logits = expected.data();
  reference.gradient_scale = kScale;
  reference.loss = &loss;
  WorkspaceRequest request;
  request.rows = v.rows;
  reference_backend(request)->cross_entropy(reference);

  const DeviceArray<std::int32_t> device_targets(targets);
  const DeviceArray<float> device_bias(bias);
  for (const bool trains : {true, false}) {
    const auto [gradient, total] = run_twice([&] {
      const DeviceValues in_place(stored, type);
      const DeviceArray<double> device_loss(std::vector<double>{kBefore});
      cuda::VocabularyLoss call{};
      call.logits = in_place;
      call.rows = v.rows;
      call.vocab_size = v.vocab_size;
      call.stride = v.stride;
      call.targets = device_targets.data();
      call.bias = v.has_bias ? device_bias.data() : nullptr;
      call.label_smoothing = v.smoothing;
      call.writes_gradient = trains;
      call.gradient_scale = kScale;
      call.loss = device_loss.data();
      cuda::vocabulary_loss(TestContext(cuda::cross_entropy_workspace(v.rows)), call);
      return std::pair(in_place.floats(), device_loss.to_host()[0]);
    });
    if (trains) {
      check_values("gradient", expected, gradient, type);
    } else {
      CHECK(gradient == stored);
    }
    CHECK(std::fabs(total - kBefore - loss) <= 1e-5 * std::fmax(1.0, std::fabs(loss)));
  }
}

struct Head {
  std::int64_t rows, classes;
  bool is_transposed = false; // class_stride = rows, as where positions are the classes
  bool has_valid = false;
  bool has_weights = false;
  float smoothing = 0.0F;
};

void check_head(const Head& h, DataType type) {
  const auto count = static_cast<std::size_t>(h.rows * h.classes);
  const Floats logits = stored_as(random_floats(count, 2.0, 1), type);
  const Floats weights = random_floats(static_cast<std::size_t>(h.classes), 1.0, 2);
  Floats class_weights;
  for (const float weight : weights) {
    class_weights.push_back(std::fabs(weight));
  }
  auto targets = some_numbers(static_cast<std::size_t>(h.rows), h.classes, 3);
  auto valid = some_numbers(static_cast<std::size_t>(h.rows), h.classes + 2, 4);
  for (std::size_t row = 2; row < targets.size(); row += 5) {
    targets[row] = -1;
  }
  Floats expected(count, NAN);
  double loss = 0.0;
  CrossEntropy call{};
  call.logits = ConstValues(logits.data());
  call.targets = targets.data();
  call.valid = h.has_valid ? valid.data() : nullptr;
  call.class_weights = h.has_weights ? class_weights.data() : nullptr;
  call.rows = h.rows;
  call.classes = h.classes;
  call.row_stride = h.is_transposed ? 1 : h.classes;
  call.class_stride = h.is_transposed ? h.rows : 1;
  call.label_smoothing = h.smoothing;
  call.d_logits = expected.data();
  call.gradient_scale = kScale;
  call.loss = &loss;
  WorkspaceRequest request;
  request.rows = h.rows;
  reference_backend(request)->cross_entropy(call);

  const DeviceArray<std::int32_t> device_targets(targets), device_valid(valid);
  const DeviceArray<float> device_weights(class_weights);
  const DeviceValues device_logits(logits, type);
  for (const bool trains : {true, false}) {
    const auto [gradient, total] = run_twice([&] {
      const DeviceValues d_logits(Floats(count, 7.0F), type);
      const DeviceArray<double> device_loss(std::vector<double>{kBefore});
      CrossEntropy own = call;
      own.logits = device_logits;
      own.targets = device_targets.data();
      own.valid = h.has_valid ? device_valid.data() : nullptr;
      own.class_weights = h.has_weights ? device_weights.data() : nullptr;
      own.d_logits = trains ? d_logits.values() : Values(nullptr);
      own.loss = device_loss.data();
      cuda::cross_entropy(TestContext(cuda::cross_entropy_workspace(h.rows)), own);
      return std::pair(d_logits.floats(), device_loss.to_host()[0]);
    });
    if (trains) {
      check_values("d_logits", expected, gradient, type);
    }
    CHECK(std::fabs(total - kBefore - loss) <= 1e-5 * std::fmax(1.0, std::fabs(loss)));
  }
}

} // namespace

int main() {
  add_typed_cases("logits of a padded vocabulary become their gradient", [](DataType type) {
    check_vocabulary({3, 1000, 1000}, type);
    check_vocabulary({7, 997, 1008, true, 0.1F}, type);
    check_vocabulary({1, 8, 64}, type);
    check_vocabulary({2, 997, 1008, true, 0.0F, 30.0F}, type); // far apart, as confident models have them
  });
  add_typed_cases("logits of rows that are not aligned become their gradient", [](DataType type) {
    check_vocabulary({4, 997, 997, true, 0.1F}, type);
    check_vocabulary({2, 9001, 9001, false, 0.1F}, type);
  });
  add_typed_cases("rows that registers do not hold are read again", [](DataType type) {
    check_vocabulary({2, 60001, 60008, true, 0.1F}, type);
  });
  add_case("a logit of minus infinity gets no probability", [] {
    Floats logits(64, 1.0F);
    logits[3] = -INFINITY;
    const DeviceValues in_place(logits, DataType::kF32);
    const DeviceArray<std::int32_t> targets(std::vector<std::int32_t>{0});
    const DeviceArray<double> loss(std::vector<double>{0.0});
    cuda::VocabularyLoss call{};
    call.logits = in_place;
    call.rows = 1;
    call.vocab_size = call.stride = 64;
    call.targets = targets.data();
    call.writes_gradient = true;
    call.gradient_scale = 1.0F;
    call.loss = loss.data();
    cuda::vocabulary_loss(TestContext(cuda::cross_entropy_workspace(1)), call);
    CHECK(std::fabs(loss.to_host()[0] - std::log(63.0)) < 1e-5);
    CHECK(in_place.floats()[3] == 0.0F);
  });
  add_case("logits that are no numbers make a loss that is none", [] {
    Floats logits(64, 1.0F);
    logits[40] = NAN;
    const DeviceValues in_place(logits, DataType::kF32);
    const DeviceArray<std::int32_t> targets(std::vector<std::int32_t>{0});
    const DeviceArray<double> loss(std::vector<double>{0.0});
    cuda::VocabularyLoss call{};
    call.logits = in_place;
    call.rows = 1;
    call.vocab_size = call.stride = 64;
    call.targets = targets.data();
    call.loss = loss.data();
    cuda::vocabulary_loss(TestContext(cuda::cross_entropy_workspace(1)), call);
    CHECK(std::isnan(loss.to_host()[0]));
  });
  add_typed_cases("small heads have the CPU's loss and gradient", [](DataType type) {
    check_head({1, 2}, type);
    check_head({13, 3, false, false, true, 0.1F}, type);
    check_head({7, 130, false, true}, type);
    check_head({7, 130, true, true, true, 0.1F}, type);
    check_head({1030, 5, false, false, true}, type);
  });
  add_case("a loss without workspace is refused", [] {
    const DeviceArray<double> loss(std::vector<double>{0.0});
    const DeviceValues logits(Floats(8), DataType::kF32);
    const DeviceArray<std::int32_t> targets(std::vector<std::int32_t>{0});
    cuda::VocabularyLoss call{};
    call.logits = logits;
    call.rows = 1;
    call.vocab_size = call.stride = 8;
    call.targets = targets.data();
    call.loss = loss.data();
    std::string code;
    try {
      cuda::vocabulary_loss(TestContext(), call);
    } catch (const Error& error) {
      code = error.code();
    }
    CHECK_EQ(code, "WORKSPACE_TOO_SMALL");
  });
  return run_cases();
}
