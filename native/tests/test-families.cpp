// Every family with every head: gradients against finite differences of its own loss, computing activations again gives
// the same bits, what is frozen stays, adapters start as nothing and merge into equal weights. The numbers themselves
// are compared with PyTorch by the tests in TypeScript.
#include "check.h"
#include "temporary-folder.h"
#include "test-support-backends.h"
#include "test-support-families.h"

#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/data/language-batch.h"
#include "engine/model/transformer.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <memory>
#include <numeric>
#include <random>

using namespace assay;
using namespace assay::test;

namespace {

struct Fixture {
  std::unique_ptr<Backend> backend = create_cpu_backend({.threads = 2});
  TransformerModel model;
  Example example;

  explicit Fixture(const Kind& kind, const TrainingOptions& options = options_of(), float dropout = 0.0F,
                   const LoraConfig& lora = {})
      : model(*backend, with_lora(config_of(kind, dropout), lora)), example(kind) {
    model.initialize(7);
    roughen(model);
    model.prepare_training(options);
  }

  static ModelConfig with_lora(ModelConfig config, const LoraConfig& lora) {
    config.lora = lora;
    return config;
  }
};

// The slope along each tensor's own gradient, by central differences.
void check_gradients(Fixture& fixture, bool trained_only = false) {
  TransformerModel& model = fixture.model;
  model.compute_gradients(fixture.example.batch());
  std::vector<std::vector<float>> gradients;
  for (const ParameterTensor& tensor : model.parameters().tensors) {
    gradients.push_back(gradient_of(model, tensor.name));
  }
  for (std::size_t i = 0; i < gradients.size(); ++i) {
    const ParameterTensor& tensor = model.parameters().tensors[i];
    if (trained_only && !model.is_trained(tensor.name)) {
      continue;
    }
    const double norm =
        std::sqrt(std::inner_product(gradients[i].begin(), gradients[i].end(), gradients[i].begin(), 0.0));
    const std::vector<float> before = values_of(model, tensor.name);
    // A unit step along the gradient and some noise: tensors without influence must show none.
    std::mt19937 random(static_cast<std::uint32_t>(i));
    std::normal_distribution<float> normal;
    std::vector<float> direction(before.size());
    for (std::size_t j = 0; j < direction.size(); ++j) {
      direction[j] = static_cast<float>(static_cast<double>(gradients[i][j]) / std::max(norm, 1e-9)) +
                     normal(random) / std::sqrt(static_cast<float>(direction.size()));
    }
    const double expected = std::inner_product(gradients[i].begin(), gradients[i].end(), direction.begin(), 0.0);
    constexpr float kStep = 6e-3F;
    const auto loss_at = [&](float step) {
      std::vector<float> moved = before;
      for (std::size_t j = 0; j < moved.size(); ++j) {
        moved[j] += step * direction[j];
      }
      model.write_parameter(tensor.name, moved);
      return model.compute_gradients(fixture.example.batch());
    };
    // Fourth order: the fp32 loss allows no small step.
    const double slope = (8 * (loss_at(kStep) - loss_at(-kStep)) - (loss_at(2 * kStep) - loss_at(-2 * kStep))) /
                         (12 * static_cast<double>(kStep));
    model.write_parameter(tensor.name, before);
    if (!(std::fabs(slope - expected) <= 2e-2 * std::max(std::fabs(expected), norm) + 2e-4)) {
      fail_check(__FILE__, __LINE__,
                 "gradient of " + tensor.name + ": finite difference " + std::to_string(slope) + ", backward " +
                     std::to_string(expected));
    }
  }
}

double largest_difference(const std::vector<float>& left, const std::vector<float>& right) {
  double largest = left.size() == right.size() ? 0.0 : INFINITY;
  for (std::size_t i = 0; i < std::min(left.size(), right.size()); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(left[i]) - static_cast<double>(right[i])));
  }
  return largest;
}

void add_family_cases() {
  for (const Kind& kind : kKinds) {
    const std::string title = kind.title;
    add_case(title + ": gradients agree with finite differences, padding and several texts included", [kind] {
      Fixture fixture(kind);
      check_gradients(fixture);
    });
    for (const Recompute recompute : {Recompute::kSelective, Recompute::kFull}) {
      const std::string what = recompute == Recompute::kFull ? "all activations" : "cheap activations";
      add_case(title + ": computing " + what + " again gives the same bits", [kind, recompute] {
        TrainingOptions again = options_of();
        again.recompute = recompute;
        Fixture kept(kind, options_of(), 0.1F);
        Fixture recomputed(kind, again, 0.1F);
        CHECK(recomputed.model.allocated_memory().activation_bytes < kept.model.allocated_memory().activation_bytes);
        const StepResult first = kept.model.train_batch(kept.example.batch(), 1, 1e-3);
        const StepResult second = recomputed.model.train_batch(recomputed.example.batch(), 1, 1e-3);
        CHECK_EQ(first.loss, second.loss);
        for (const ParameterTensor& tensor : kept.model.parameters().tensors) {
          const double difference =
              largest_difference(gradient_of(kept.model, tensor.name), gradient_of(recomputed.model, tensor.name));
          if (difference != 0.0) {
            fail_check(__FILE__, __LINE__, tensor.name + " differs by " + std::to_string(difference));
          }
        }
      });
    }
    add_case(title + ": padding has no influence on what is predicted", [kind] {
      Fixture fixture(kind);
      const std::vector<float> before = fixture.model.predict(fixture.example.batch());
      for (std::size_t row = 0; row < fixture.example.tokens.size(); ++row) {
        if (fixture.example.segments[row] < 0) {
          fixture.example.tokens[row] = (fixture.example.tokens[row] + 1) % static_cast<std::int32_t>(kVocab);
        }
      }
      const double loss = fixture.model.compute_gradients(fixture.example.batch());
      Fixture other(kind);
      CHECK_EQ(loss, other.model.compute_gradients(other.example.batch()));
      CHECK(!before.empty());
    });
    add_case(title + ": evaluation gives the loss of training without dropout", [kind] {
      Fixture fixture(kind);
      const double loss = fixture.model.compute_gradients(fixture.example.batch());
      const Evaluation evaluation = fixture.model.evaluate(fixture.example.batch());
      double mean = evaluation.nats / static_cast<double>(evaluation.token_count);
      if (evaluation.sentence_count > 0) {
        mean += evaluation.sentence_nats / static_cast<double>(evaluation.sentence_count);
      }
      CHECK(std::fabs(mean - loss) <= 1e-5 * std::fabs(loss));
    });
  }
}

LoraConfig lora_of(Family family, float dropout = 0.0F) {
  LoraConfig lora;
  lora.rank = 3;
  lora.alpha = 6.0F;
  lora.dropout = dropout;
  lora.targets = family == Family::kGpt2 ? std::vector<std::string>{"c_attn", "c_fc", "mlp.c_proj"}
                                         : std::vector<std::string>{"query", "value", "output.dense"};
  return lora;
}

void add_lora_cases() {
  for (const Kind& kind : {kKinds[0], kKinds[5], kKinds[9], kKinds[11]}) {
    const std::string title = kind.title;
    add_case(title + ": the adapters' gradients agree with finite differences", [kind] {
      Fixture fixture(kind, options_of(), 0.0F, lora_of(kind.family));
      check_gradients(fixture, true);
    });
    add_case(title + ": adapters start as nothing, train without touching the base, and merge into equal weights",
             [kind] {
               const auto backend = create_cpu_backend({.threads = 2});
               const Example example(kind);
               TransformerModel plain(*backend, config_of(kind));
               plain.initialize(7);
               TransformerModel adapted(*backend, Fixture::with_lora(config_of(kind), lora_of(kind.family, 0.1F)));
               adapted.initialize(7);
               for (const ParameterTensor& tensor : plain.parameters().tensors) {
                 adapted.write_parameter(tensor.name, values_of(plain, tensor.name));
               }
               CHECK(largest_difference(plain.predict(example.batch()), adapted.predict(example.batch())) < 1e-6);
               adapted.prepare_training(options_of());
               double first = 0.0;
               double last = 0.0;
               for (std::int64_t step = 1; step <= 12; ++step) {
                 last = adapted.train_batch(example.batch(), step, 2e-2).loss;
                 first = step == 1 ? last : first;
               }
               CHECK(last < first);
               for (const ParameterTensor& tensor : plain.parameters().tensors) {
                 const bool is_small_head = tensor.name.starts_with("classifier");
                 CHECK(is_small_head || values_of(plain, tensor.name) == values_of(adapted, tensor.name));
               }
               const std::vector<float> before = adapted.predict(example.batch());
               CHECK(largest_difference(plain.predict(example.batch()), before) > 1e-3);
               adapted.merge_adapters();
               CHECK(largest_difference(before, adapted.predict(example.batch())) < 1e-4);
             });
  }
  add_case("a target that names no layer is refused", [] {
    const auto backend = create_cpu_backend({.threads = 1});
    LoraConfig lora = lora_of(Family::kGpt2);
    lora.targets = {"q_proj"};
    CHECK_THROWS(TransformerModel(*backend, Fixture::with_lora(config_of(kKinds[0]), lora)), "MODEL_CONFIG_INVALID",
                 "q_proj");
  });
  add_case("frozen tensors stay, the rest trains as if alone", [] {
    TrainingOptions options = options_of();
    options.frozen = {"transformer.w*", "transformer.h.0.*"};
    Fixture fixture(kKinds[0], options);
    const std::vector<float> embedding = values_of(fixture.model, "wte.weight");
    const std::vector<float> first = values_of(fixture.model, "h.0.attn.c_attn.weight");
    const std::vector<float> second = values_of(fixture.model, "h.1.attn.c_attn.weight");
    check_gradients(fixture, true);
    fixture.model.train_batch(fixture.example.batch(), 1, 1e-2);
    CHECK(embedding == values_of(fixture.model, "wte.weight"));
    CHECK(first == values_of(fixture.model, "h.0.attn.c_attn.weight"));
    CHECK(second != values_of(fixture.model, "h.1.attn.c_attn.weight"));
  });
}

void add_optimizer_cases() {
  add_case("moments in 8 bits take a quarter of the memory, train alike, and go on from floats exactly", [] {
    TrainingOptions eight = options_of();
    eight.optimizer_state = OptimizerStateType::k8Bit;
    Fixture exact(kKinds[5]);
    Fixture small(kKinds[5], eight);
    CHECK(3.9 * static_cast<double>(small.model.allocated_memory().optimizer_bytes) <
          static_cast<double>(exact.model.allocated_memory().optimizer_bytes));
    double exact_loss = 0.0;
    double small_loss = 0.0;
    for (std::int64_t step = 1; step <= 30; ++step) {
      exact_loss = exact.model.train_batch(exact.example.batch(), step, 3e-3).loss;
      small_loss = small.model.train_batch(small.example.batch(), step, 3e-3).loss;
    }
    CHECK(std::fabs(small_loss - exact_loss) < 0.05 * exact_loss + 0.05);
    // A second model takes over weights and moments as floats, as a checkpoint holds them.
    Fixture resumed(kKinds[5], eight);
    for (const ParameterTensor& tensor : small.model.parameters().tensors) {
      resumed.model.write_parameter(tensor.name, values_of(small.model, tensor.name));
      std::vector<float> first(static_cast<std::size_t>(tensor.count));
      std::vector<float> second(first.size());
      small.model.read_moments(tensor.name, first, second);
      resumed.model.write_moments(tensor.name, first, second);
    }
    CHECK_EQ(small.model.train_batch(small.example.batch(), 31, 3e-3).loss,
             resumed.model.train_batch(resumed.example.batch(), 31, 3e-3).loss);
    for (const ParameterTensor& tensor : small.model.parameters().tensors) {
      CHECK(values_of(small.model, tensor.name) == values_of(resumed.model, tensor.name));
    }
  });
}

void add_batch_cases() {
  add_case("documents are trained as if each stood alone behind end-of-text", [] {
    // Two windows' worth of text with a border inside; the same documents as separate padded sequences.
    constexpr std::int32_t kEnd = 30;
    const std::vector<std::int32_t> window = {kEnd, 1, 2, 3, kEnd, 4, 5, 6, 7, 8};
    LanguageBatch maker;
    const Batch together = maker.causal_documents(window, 1, kSeqLen, kEnd);
    Fixture fixture(kKinds[0]);
    const double loss = fixture.model.compute_gradients(together);
    const std::vector<float> gradient = gradient_of(fixture.model, "h.0.attn.c_attn.weight");

    const std::vector<std::int32_t> tokens = {kEnd, 1, 2, 3, 0, kEnd, 4, 5, 6, 7};
    const std::vector<std::int32_t> segments = {0, 0, 0, 0, -1, 0, 0, 0, 0, 0};
    const std::vector<std::int32_t> targets = {1, 2, 3, kEnd, -1, 4, 5, 6, 7, 8};
    Batch apart;
    apart.batch = 2;
    apart.seq_len = 5;
    apart.tokens = tokens;
    apart.segments = segments;
    apart.targets = targets;
    CHECK(std::fabs(fixture.model.compute_gradients(apart) - loss) < 1e-5);
    CHECK(largest_difference(gradient, gradient_of(fixture.model, "h.0.attn.c_attn.weight")) < 1e-5);
  });
  add_case("masking predicts the share asked for, 80 % masked, 10 % replaced, whole words whole, the same every time",
           [] {
             MaskingOptions options;
             options.mask_id = 996;
             options.cls_id = 997;
             options.sep_id = 998;
             options.pad_id = 999;
             options.whole_word = true;
             options.seed = 11;
             options.word_starts.assign(1000, 1);
             for (std::size_t token = 1; token < 1000; token += 2) {
               options.word_starts[token] = 0;
             }
             constexpr std::int64_t kLength = 128;
             constexpr std::int64_t kCount = 64;
             std::mt19937 random(1);
             std::vector<std::int32_t> windows(static_cast<std::size_t>(kCount * (kLength + 1)));
             for (std::int32_t& token : windows) {
               token = static_cast<std::int32_t>(random() % 990);
             }
             LanguageBatch maker;
             const Batch batch = maker.masked(windows, kCount, kLength, options, 1000, 5, 0);
             std::int64_t predicted = 0, masked = 0, kept = 0;
             for (std::int64_t sequence = 0; sequence < kCount; ++sequence) {
               for (std::int64_t at = 0; at < kLength; ++at) {
                 const auto row = static_cast<std::size_t>(sequence * kLength + at);
                 const std::int32_t original =
                     at == 0             ? 997
                     : at == kLength - 1 ? 998
                                         : windows[static_cast<std::size_t>(sequence * (kLength + 1) + at - 1)];
                 if (batch.targets[row] < 0) {
                   CHECK_EQ(batch.tokens[row], original);
                   continue;
                 }
                 ++predicted;
                 CHECK_EQ(batch.targets[row], original);
                 masked += batch.tokens[row] == 996 ? 1 : 0;
                 kept += batch.tokens[row] == original ? 1 : 0;
                 // The tokens that continue a predicted word are predicted too.
                 if (at + 1 < kLength - 1) {
                   const std::int32_t next = windows[static_cast<std::size_t>(sequence * (kLength + 1) + at)];
                   CHECK(options.word_starts[static_cast<std::size_t>(next)] == 1 || batch.targets[row + 1] >= 0);
                 }
               }
             }
             const double share = static_cast<double>(predicted) / static_cast<double>(kCount * (kLength - 2));
             CHECK(share > 0.13 && share < 0.155);
             CHECK(std::fabs(static_cast<double>(masked) / static_cast<double>(predicted) - 0.8) < 0.05);
             CHECK(std::fabs(static_cast<double>(kept) / static_cast<double>(predicted) - 0.1) < 0.04);
             LanguageBatch again;
             const Batch half = again.masked(std::span(windows).subspan(static_cast<std::size_t>(32 * (kLength + 1)),
                                                                        static_cast<std::size_t>(32 * (kLength + 1))),
                                             32, kLength, options, 1000, 5, 32);
             CHECK(std::equal(half.tokens.begin(), half.tokens.end(), batch.tokens.begin() + 32 * kLength));
             const std::vector<std::int32_t> before(batch.tokens.begin(), batch.tokens.end());
             CHECK(!std::equal(before.begin(), before.end(),
                               maker.masked(windows, kCount, kLength, options, 1000, 6, 0).tokens.begin()));
           });
  add_case("sentence order swaps half of the pairs and says which", [] {
    MaskingOptions options;
    options.mask_id = 96;
    options.cls_id = 97;
    options.sep_id = 98;
    options.pad_id = 99;
    options.sentence_order = true;
    options.probability = 0.01;
    constexpr std::int64_t kLength = 23;
    constexpr std::int64_t kCount = 200;
    std::vector<std::int32_t> windows;
    for (std::int64_t i = 0; i < kCount * (kLength + 1); ++i) {
      windows.push_back(static_cast<std::int32_t>(i % (kLength + 1)));
    }
    LanguageBatch maker;
    const Batch batch = maker.masked(windows, kCount, kLength, options, 100, 1, 0);
    std::int64_t swapped = 0;
    for (std::int64_t sequence = 0; sequence < kCount; ++sequence) {
      std::vector<std::int32_t> first, second;
      for (std::int64_t at = 1; at < kLength - 1; ++at) {
        const auto row = static_cast<std::size_t>(sequence * kLength + at);
        const std::int32_t token = batch.targets[row] >= 0 ? batch.targets[row] : batch.tokens[row];
        if (token != 98) {
          (batch.token_types[row] == 0 ? first : second).push_back(token);
        }
      }
      const bool is_swapped = batch.sentence_targets[static_cast<std::size_t>(sequence)] == 1;
      swapped += is_swapped ? 1 : 0;
      std::vector<std::int32_t> text = is_swapped ? second : first;
      const std::vector<std::int32_t>& rest = is_swapped ? first : second;
      text.insert(text.end(), rest.begin(), rest.end());
      for (std::size_t at = 0; at < text.size(); ++at) {
        CHECK_EQ(text[at], static_cast<std::int32_t>(at));
      }
      CHECK(!first.empty() && !second.empty());
    }
    CHECK(swapped > 75 && swapped < 125);
  });
}

} // namespace

int main() {
  add_family_cases();
  add_lora_cases();
  add_optimizer_cases();
  add_batch_cases();
  return run_cases();
}
