// GPT-2 as a whole: gradients against finite differences of its own loss (dropout included), memory as planned,
// microbatches that add up, steps that repeat bit for bit and learn, and what happens to numbers that are not finite.
#include "test-support-backends.h"

#include "engine/base/error.h"
#include "engine/model/transformer.h"

#include <algorithm>
#include <numeric>

using namespace assay;
using namespace assay::test;

namespace {

ModelConfig tiny_config(float dropout = 0.0F) {
  ModelConfig config;
  config.vocab_size = 53;
  config.max_seq_len = 24;
  config.n_layers = 2;
  config.n_heads = 3;
  config.d_model = 24;
  config.embd_pdrop = config.attn_pdrop = config.resid_pdrop = dropout;
  return config;
}

TrainingOptions tiny_options(std::int64_t batch, std::int64_t microbatch, std::int64_t seq_len = 19) {
  TrainingOptions options;
  options.global_batch_size = batch;
  options.microbatch_size = microbatch;
  options.seq_len = seq_len;
  options.seed = 23;
  options.gradient_clipping = 1.0;
  return options;
}

std::vector<std::int32_t> random_tokens(std::size_t count, std::int64_t vocab_size = 53, std::uint32_t seed = 1) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens(count);
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocab_size));
  }
  return tokens;
}

Floats parameter(const TransformerModel& model, const ParameterTensor& tensor) {
  Floats values(static_cast<std::size_t>(tensor.count));
  model.read_parameter(tensor.name, values);
  return values;
}

Floats gradient(const TransformerModel& model, const ParameterTensor& tensor) {
  Floats values(static_cast<std::size_t>(tensor.count));
  model.read_gradient(tensor.name, values);
  return values;
}

std::vector<Floats> all_parameters(const TransformerModel& model) {
  std::vector<Floats> all;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    all.push_back(parameter(model, tensor));
  }
  return all;
}

std::vector<Floats> all_gradients(const TransformerModel& model) {
  std::vector<Floats> all;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    all.push_back(gradient(model, tensor));
  }
  return all;
}

// Away from the flat start, so that every gradient is large enough to be compared.
void roughen(TransformerModel& model) {
  std::uint32_t seed = 40;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    Floats values = parameter(model, tensor);
    const Floats noise = random_floats(values.size(), 0.2, ++seed);
    std::transform(values.begin(), values.end(), noise.begin(), values.begin(), std::plus<>());
    model.write_parameter(tensor.name, values);
  }
}

// The slope of the loss along a random direction of each tensor, by central differences, against gradient · direction.
void check_gradients(TransformerModel& model, const std::function<double()>& loss) {
  loss();
  const std::vector<Floats> gradients = all_gradients(model);
  double largest = 0.0;
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    largest = std::max(
        largest, std::sqrt(std::inner_product(gradients[i].begin(), gradients[i].end(), gradients[i].begin(), 0.0)));
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const ParameterTensor& tensor = model.parameters().tensors[i];
    const Floats before = parameter(model, tensor);
    // Half random, half along the gradient: a random direction alone is nearly orthogonal to it in a large tensor.
    Floats direction = random_floats(before.size(), 1.0, static_cast<std::uint32_t>(300 + i));
    const double norm =
        std::sqrt(std::inner_product(gradients[i].begin(), gradients[i].end(), gradients[i].begin(), 0.0));
    const double random_norm =
        std::sqrt(std::inner_product(direction.begin(), direction.end(), direction.begin(), 0.0));
    for (std::size_t j = 0; j < direction.size(); ++j) {
      direction[j] = static_cast<float>(direction[j] / random_norm + gradients[i][j] / std::max(norm, 1e-12));
    }
    const double expected = std::inner_product(gradients[i].begin(), gradients[i].end(), direction.begin(), 0.0);
    const auto loss_at = [&](float step) {
      Floats moved = before;
      for (std::size_t j = 0; j < moved.size(); ++j) {
        moved[j] += step * direction[j];
      }
      model.write_parameter(tensor.name, moved);
      return loss();
    };
    constexpr float kStep = 4e-3F;
    const double slope = (loss_at(kStep) - loss_at(-kStep)) / (2.0 * static_cast<double>(kStep));
    model.write_parameter(tensor.name, before);
    if (!(std::fabs(slope - expected) <= 5e-3 * std::fabs(expected) + 2e-4 * largest)) {
      std::ostringstream message;
      message << tensor.name << ": the loss rises by " << slope << " along the direction, backward says " << expected;
      fail_check(__FILE__, __LINE__, message.str());
    }
  }
}

void expect_error(const std::string& code, const std::function<void()>& action) {
  try {
    action();
  } catch (const Error& error) {
    CHECK_EQ(error.code(), code);
    return;
  }
  CHECK(false && "an error was expected");
}

void add_gradient_cases() {
  add_backend_cases("gradients agree with finite differences of the loss, over uneven microbatches",
                    [](const BackendUnderTest& under_test) {
                      const auto backend = under_test.create(2);
                      TransformerModel model(*backend, tiny_config());
                      model.initialize(3);
                      roughen(model);
                      model.prepare_training(tiny_options(3, 2));
                      const auto tokens = random_tokens(3 * 20);
                      check_gradients(model, [&] { return model.compute_gradients(tokens, 3, 19); });
                    });
  add_backend_cases("gradients agree with finite differences under dropout: forward and backward drop the same",
                    [](const BackendUnderTest& under_test) {
                      const auto backend = under_test.create(2);
                      TransformerModel model(*backend, tiny_config(0.2F));
                      model.initialize(3);
                      roughen(model);
                      model.prepare_training(tiny_options(3, 2));
                      const auto tokens = random_tokens(3 * 20);
                      // At rate zero a step changes no weight, and the same step number draws the same masks.
                      check_gradients(model, [&] { return model.train_step(tokens, 5, 0.0).loss; });
                    });
}

void add_step_cases() {
  add_backend_cases("two runs with the same seed, threads and microbatch are equal bit for bit",
                    [](const BackendUnderTest& under_test) {
                      std::vector<Floats> results[2];
                      for (std::vector<Floats>& result : results) {
                        const auto backend = under_test.create(3);
                        TransformerModel model(*backend, tiny_config(0.1F));
                        model.initialize(3);
                        model.prepare_training(tiny_options(4, 3));
                        for (int step = 1; step <= 4; ++step) {
                          model.train_step(random_tokens(4 * 20, 53, static_cast<std::uint32_t>(step)), step, 1e-2);
                        }
                        result = all_parameters(model);
                      }
                      CHECK(results[0] == results[1]);
                    });
  add_backend_cases(
      "microbatches of 1 add up to the batch at once, with the same dropout", [](const BackendUnderTest& under_test) {
        std::vector<Floats> gradients[2];
        double losses[2];
        for (int i = 0; i < 2; ++i) {
          const auto backend = under_test.create(2);
          TransformerModel model(*backend, tiny_config(0.1F));
          model.initialize(3);
          roughen(model);
          model.prepare_training(tiny_options(5, i == 0 ? 1 : 5));
          losses[i] = model.train_step(random_tokens(5 * 20), 1, 0.0).loss;
          gradients[i] = all_gradients(model);
        }
        CHECK(std::fabs(losses[0] - losses[1]) < 1e-5);
        for (std::size_t i = 0; i < gradients[0].size(); ++i) {
          check_close("gradient " + std::to_string(i), doubled(gradients[0][i]), gradients[1][i], 2e-4, 1e-3);
        }
      });
  add_backend_cases("a repeating sequence is learnt", [](const BackendUnderTest& under_test) {
    const auto backend = under_test.create(2);
    TransformerModel model(*backend, tiny_config());
    model.initialize(3);
    TrainingOptions options = tiny_options(2, 2);
    options.optimizer.learning_rate = 1e-2;
    model.prepare_training(options);
    std::vector<std::int32_t> tokens(2 * 20);
    for (std::size_t i = 0; i < tokens.size(); ++i) {
      tokens[i] = static_cast<std::int32_t>(i % 20 * 7 % 11);
    }
    double loss = 0.0;
    for (int step = 1; step <= 60; ++step) {
      const StepResult result = model.train_step(tokens, step, 1e-2);
      CHECK(result.applied);
      CHECK_EQ(result.tokens, 38);
      if (step == 1) {
        CHECK(std::fabs(result.loss - std::log(53.0)) < 0.2);
      }
      loss = result.loss;
    }
    CHECK(loss < 0.1);
  });
  add_case("a training step equals gradients followed by an update", [] {
    std::vector<Floats> results[2];
    for (int i = 0; i < 2; ++i) {
      const auto backend = create_cpu_backend({2});
      TransformerModel model(*backend, tiny_config());
      model.initialize(3);
      model.prepare_training(tiny_options(3, 2));
      const auto tokens = random_tokens(3 * 20);
      if (i == 0) {
        model.train_step(tokens, 1, 1e-2);
      } else {
        model.compute_gradients(tokens, 3, 19);
        CHECK(model.apply_update(1, 1e-2).applied);
      }
      results[i] = all_parameters(model);
    }
    CHECK(results[0] == results[1]);
  });
  add_backend_cases(
      "a loss that is not finite leaves weights and moments as they were", [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(2);
        TransformerModel model(*backend, tiny_config());
        model.initialize(3);
        model.prepare_training(tiny_options(2, 1));
        const auto tokens = random_tokens(2 * 20);
        model.train_step(tokens, 1, 1e-2);
        const ParameterTensor& bias = model.parameters().find("h.1.mlp.c_fc.bias");
        Floats values = parameter(model, bias);
        const float healthy = std::exchange(values[3], NAN);
        model.write_parameter(bias.name, values);
        std::vector<Floats> before = all_parameters(model);
        Floats first(values.size()), second(values.size());
        model.read_moments(bias.name, first, second);

        const StepResult result = model.train_step(tokens, 2, 1e-2);
        CHECK(!result.applied);
        CHECK(!std::isfinite(result.loss));
        std::vector<Floats> after = all_parameters(model);
        for (std::size_t i = 0; i < before.size(); ++i) {
          CHECK(std::equal(before[i].begin(), before[i].end(), after[i].begin(), [](float left, float right) {
            return left == right || (std::isnan(left) && std::isnan(right));
          }));
        }
        Floats first_after(values.size()), second_after(values.size());
        model.read_moments(bias.name, first_after, second_after);
        CHECK(first == first_after && second == second_after);

        // Mended, training goes on: nothing of the bad step lingers.
        values[3] = healthy;
        model.write_parameter(bias.name, values);
        CHECK(model.train_step(tokens, 2, 1e-2).applied);
      });
  add_case("moments written back resume the same path", [] {
    const auto backend = create_cpu_backend({2});
    TransformerModel one(*backend, tiny_config()), other(*backend, tiny_config());
    one.initialize(3);
    one.prepare_training(tiny_options(2, 2));
    const auto tokens = random_tokens(2 * 20);
    one.train_step(tokens, 1, 1e-2);
    other.prepare_training(tiny_options(2, 2));
    for (const ParameterTensor& tensor : one.parameters().tensors) {
      other.write_parameter(tensor.name, parameter(one, tensor));
      Floats first(static_cast<std::size_t>(tensor.count)), second(first.size());
      one.read_moments(tensor.name, first, second);
      other.write_moments(tensor.name, first, second);
    }
    one.train_step(tokens, 2, 1e-2);
    other.train_step(tokens, 2, 1e-2);
    CHECK(all_parameters(one) == all_parameters(other));
  });
}

void add_memory_cases() {
  add_backend_cases("the plan is what is allocated", [](const BackendUnderTest& under_test) {
    for (const float dropout : {0.0F, 0.1F}) {
      const auto backend = under_test.create(3);
      TransformerModel model(*backend, tiny_config(dropout));
      const TrainingOptions options = tiny_options(5, 3);
      const MemoryPlan plan = model.plan_training(options);
      expect_error("TRAINING_NOT_PREPARED", [&] { model.allocated_memory(); });
      model.prepare_training(options);
      const MemoryPlan held = model.allocated_memory();
      CHECK_EQ(plan.parameter_bytes, held.parameter_bytes);
      CHECK_EQ(plan.gradient_bytes, held.gradient_bytes);
      CHECK_EQ(plan.optimizer_bytes, held.optimizer_bytes);
      CHECK_EQ(plan.activation_bytes, held.activation_bytes);
      CHECK_EQ(plan.workspace_bytes, held.workspace_bytes);
      CHECK_EQ(plan.total_bytes, held.total_bytes);
      model.initialize(1);
      model.train_step(random_tokens(5 * 20), 1, 1e-3);
      // Evaluation between steps lives in training's memory.
      model.evaluate(random_tokens(40 * 19), random_tokens(40 * 19), 40, 19);
      CHECK_EQ(model.allocated_memory().total_bytes, plan.total_bytes);
    }
  });
  add_case("logits of a batch are never planned whole", [] {
    const auto backend = create_cpu_backend({2});
    ModelConfig config = tiny_config();
    config.vocab_size = 50257;
    TransformerModel model(*backend, config);
    const MemoryPlan plan = model.plan_training(tiny_options(64, 64, 24));
    CHECK(plan.activation_bytes + plan.workspace_bytes < std::size_t{64} * 24 * 50257 * 4 / 2);
  });
  add_case("wrong options and configurations are named", [] {
    const auto backend = create_cpu_backend({1});
    TransformerModel model(*backend, tiny_config());
    expect_error("TRAINING_OPTIONS_INVALID", [&] { model.plan_training(tiny_options(2, 3)); });
    expect_error("TRAINING_OPTIONS_INVALID", [&] { model.plan_training(tiny_options(2, 0)); });
    expect_error("TRAINING_OPTIONS_INVALID", [&] { model.plan_training(tiny_options(2, 2, 25)); });
    ModelConfig config = tiny_config();
    config.n_heads = 5;
    expect_error("MODEL_CONFIG_INVALID", [&] { TransformerModel other(*backend, config); });
    config = tiny_config();
    config.vocab_size = 0;
    expect_error("MODEL_CONFIG_INVALID", [&] { TransformerModel other(*backend, config); });
    config = tiny_config(1.0F);
    expect_error("MODEL_CONFIG_INVALID", [&] { TransformerModel other(*backend, config); });
    expect_error("TENSOR_UNKNOWN", [&] { model.parameters().find("h.2.ln_1.bias"); });
    Floats short_values(3);
    expect_error("TENSOR_SIZE_MISMATCH", [&] { model.read_parameter("wte.weight", short_values); });
    expect_error("TRAINING_NOT_PREPARED", [&] { model.train_step({}, 1, 1e-3); });
    model.prepare_training(tiny_options(2, 2));
    expect_error("BATCH_SHAPE_MISMATCH", [&] { model.train_step(random_tokens(7), 1, 1e-3); });
    expect_error("TOKEN_OUT_OF_RANGE", [&] { model.train_step(std::vector<std::int32_t>(40, 53), 1, 1e-3); });
    expect_error("TOKEN_OUT_OF_RANGE", [&] { model.logits(std::vector<std::int32_t>{-1}); });
  });
}

void add_evaluation_cases() {
  add_backend_cases("evaluation, logits and training agree on the loss", [](const BackendUnderTest& under_test) {
    const auto backend = under_test.create(2);
    TransformerModel model(*backend, tiny_config(0.3F));
    model.initialize(3);
    roughen(model);
    const auto tokens = random_tokens(3 * 20);
    std::vector<std::int32_t> inputs, targets;
    for (std::size_t row = 0; row < 3; ++row) {
      inputs.insert(inputs.end(), tokens.begin() + static_cast<std::ptrdiff_t>(row * 20),
                    tokens.begin() + static_cast<std::ptrdiff_t>(row * 20 + 19));
      targets.insert(targets.end(), tokens.begin() + static_cast<std::ptrdiff_t>(row * 20 + 1),
                     tokens.begin() + static_cast<std::ptrdiff_t>(row * 20 + 20));
    }
    const Evaluation alone = model.evaluate(inputs, targets, 3, 19);
    CHECK_EQ(alone.token_count, 57);
    model.prepare_training(tiny_options(3, 2));
    const double loss = model.compute_gradients(tokens, 3, 19);
    CHECK(std::fabs(alone.nats / 57 - loss) < 1e-5);
    // In training's memory, between steps, it is the same.
    CHECK(std::fabs(model.evaluate(inputs, targets, 3, 19).nats - alone.nats) < 1e-4);

    double from_logits = 0.0;
    for (std::size_t row = 0; row < 3; ++row) {
      const auto logits = model.logits(std::span(inputs).subspan(row * 19, 19));
      for (std::size_t t = 0; t < 19; ++t) {
        const float* own = logits.data() + t * 53;
        double sum = 0.0;
        for (int v = 0; v < 53; ++v) {
          sum += std::exp(static_cast<double>(own[v]));
        }
        from_logits += std::log(sum) - static_cast<double>(own[targets[row * 19 + t]]);
      }
    }
    CHECK(std::fabs(from_logits - alone.nats) < 1e-3);
  });
  add_backend_cases("positions that are not scored do not count, whatever stands there",
                    [](const BackendUnderTest& under_test) {
                      const auto backend = under_test.create(2);
                      TransformerModel model(*backend, tiny_config());
                      model.initialize(3);
                      roughen(model);
                      // Three rows of lengths 7, 1 and 12 in windows of 12; the tail holds any token.
                      std::vector<std::int32_t> inputs = random_tokens(36), targets = random_tokens(36, 53, 2);
                      const std::size_t lengths[] = {7, 1, 12};
                      double separate = 0.0;
                      for (std::size_t row = 0; row < 3; ++row) {
                        separate += model
                                        .evaluate(std::span(inputs).subspan(row * 12, lengths[row]),
                                                  std::span(targets).subspan(row * 12, lengths[row]), 1,
                                                  static_cast<std::int64_t>(lengths[row]))
                                        .nats;
                        std::fill(targets.begin() + static_cast<std::ptrdiff_t>(row * 12 + lengths[row]),
                                  targets.begin() + static_cast<std::ptrdiff_t>(row * 12 + 12), -1);
                      }
                      const Evaluation together = model.evaluate(inputs, targets, 3, 12);
                      CHECK_EQ(together.token_count, 20);
                      CHECK(std::fabs(together.nats - separate) < 1e-3);
                    });
}

void add_initialization_cases() {
  add_case("initial weights have GPT-2's spread and depend on the seed alone", [] {
    ModelConfig config = tiny_config();
    config.vocab_size = 5000;
    config.d_model = 96;
    std::vector<Floats> runs[3];
    const int threads[] = {1, 4, 1};
    for (int i = 0; i < 3; ++i) {
      const auto backend = create_cpu_backend({threads[i]});
      TransformerModel model(*backend, config);
      model.initialize(i == 2 ? 18 : 17);
      runs[i] = all_parameters(model);
      if (i > 0) {
        continue;
      }
      for (const ParameterTensor& tensor : model.parameters().tensors) {
        const Floats values = parameter(model, tensor);
        double sum = 0.0, squares = 0.0;
        for (const float value : values) {
          sum += value;
          squares += static_cast<double>(value) * static_cast<double>(value);
        }
        const auto count = static_cast<double>(values.size());
        const double mean = sum / count;
        const double deviation = std::sqrt(squares / count - mean * mean);
        const bool is_norm = tensor.name.find(".ln_") != std::string::npos;
        const bool is_bias = tensor.name.ends_with("bias");
        const bool is_residual = tensor.name.find("c_proj") != std::string::npos;
        const double wanted = is_norm || is_bias ? 0.0 : is_residual ? 0.02 / std::sqrt(2.0 * 2.0) : 0.02;
        CHECK(std::fabs(deviation - wanted) <= 4 * wanted / std::sqrt(2 * count));
        CHECK(std::fabs(mean - (is_norm && !is_bias ? 1.0 : 0.0)) <= 4 * wanted / std::sqrt(count));
      }
    }
    CHECK(runs[0] == runs[1]);
    CHECK(runs[0] != runs[2]);
  });
  add_case("parameters carry Hugging Face's names and shapes", [] {
    const ParameterLayout layout = parameter_layout(checked(tiny_config()));
    CHECK_EQ(layout.tensors.size(), std::size_t{2 + 12 * 2 + 2});
    CHECK_EQ(layout.tensors[0].name, std::string("transformer.wte.weight"));
    const ParameterTensor& attention = layout.find("transformer.h.1.attn.c_attn.weight");
    CHECK(attention.shape == (std::vector<std::int64_t>{24, 72}));
    CHECK_EQ(layout.find("h.0.mlp.c_proj.weight").shape[0], 96);
    std::int64_t expected =
        53 * 24 + 24 * 24 + 2 * (24 * 72 + 72 + 24 * 24 + 24 + 24 * 96 + 96 + 96 * 24 + 24 + 4 * 24) + 2 * 24;
    CHECK_EQ(layout.parameter_count, expected);
  });
}

} // namespace

int main() {
  add_initialization_cases();
  add_gradient_cases();
  add_step_cases();
  add_memory_cases();
  add_evaluation_cases();
  return run_cases();
}
