// Weights in bf16 and int8: the model answers as the numbers it holds would in fp32, a trained model still writes what
// it learned, and the differences to fp32 stay within what the formats' steps explain.
#include "check.h"
#include "temporary-folder.h"
#include "test-infer-support.h"

#include "engine/infer/decoding-session.h"
#include "engine/infer/scoring.h"

#include <random>

using namespace assay;
using namespace assay::test;

namespace {

constexpr DataType kNarrow[] = {DataType::kBf16, DataType::kInt8};

const char* name_of(DataType type) {
  return type == DataType::kF32 ? "fp32" : type == DataType::kBf16 ? "bf16" : "int8";
}

void copy_weights(const TransformerModel& from, TransformerModel& to) {
  for (const ParameterTensor& each : from.parameters().tensors) {
    std::vector<float> values(static_cast<std::size_t>(each.count));
    from.read_parameter(each.name, values);
    to.write_parameter(each.name, values);
  }
}

// The text that the trained model learns: each token follows from the one before.
std::int32_t successor(std::int32_t token) {
  return (token * 7 + 11) % 60;
}

void train(TransformerModel& model) {
  constexpr std::int64_t kBatch = 16;
  TrainingOptions options;
  options.microbatch_size = kBatch;
  options.global_batch_size = kBatch;
  options.seq_len = kContext;
  options.gradient_clipping = 1.0;
  model.prepare_training(options);
  std::mt19937 random(5);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(kBatch * (kContext + 1)));
  double loss = 10;
  for (std::int64_t step = 1; step <= 400 && loss > 0.05; ++step) {
    for (std::int64_t row = 0; row < kBatch; ++row) {
      std::int32_t token = static_cast<std::int32_t>(random() % 60);
      for (std::int64_t at = 0; at <= kContext; ++at) {
        tokens[static_cast<std::size_t>(row * (kContext + 1) + at)] = token;
        token = successor(token);
      }
    }
    loss = model.train_step(tokens, step, 1e-2).loss;
  }
  CHECK(loss < 0.5);
}

// Largest difference over the spread of the reference.
double difference(std::span<const float> found, std::span<const float> wanted) {
  const auto [low, high] = std::minmax_element(wanted.begin(), wanted.end());
  double largest = 0;
  for (std::size_t i = 0; i < found.size(); ++i) {
    largest = std::max(largest, static_cast<double>(std::abs(found[i] - wanted[i])));
  }
  return largest / static_cast<double>(*high - *low);
}

const bool added[] = {
    add_case("narrow weights answer like fp32 weights of the same values",
             [] {
               for (const DataType type : kNarrow) {
                 Fixture narrow(tiny_config(type));
                 Fixture wide;
                 copy_weights(narrow.model, wide.model); // what is read is what is stored
                 const std::vector<std::int32_t> text = some_document(20, 4);
                 DecodingSession session(narrow.model, kContext);
                 DecodingSession reference(wide.model, kContext);
                 // Prompts may multiply in bf16; decoding never does.
                 CHECK(difference(session.feed(std::span(text).first(12)), reference.feed(std::span(text).first(12))) <
                       2e-2);
                 session.reset();
                 reference.reset();
                 for (const std::int32_t token : text) {
                   const SequenceTokens piece{0, std::span(&token, 1)};
                   const std::int32_t row = 0;
                   session.append(std::span(&piece, 1), DecodingSession::Pass::kDecode);
                   reference.append(std::span(&piece, 1), DecodingSession::Pass::kDecode);
                   CHECK(difference(session.logits(std::span(&row, 1)), reference.logits(std::span(&row, 1))) < 1e-4);
                 }
               }
             }),
    add_case("narrow weights decode several texts side by side as each alone",
             [] {
               for (const DataType type : kNarrow) {
                 Fixture f(tiny_config(type));
                 std::vector<GenerationRequest> requests;
                 for (std::int32_t i = 0; i < 5; ++i) {
                   requests.push_back(greedy(some_document(static_cast<std::size_t>(3 + 2 * i), i), 12));
                   requests.back().sampling = {.temperature = i % 2 == 0 ? 0.0 : 1.0, .top_k = 30, .seed = 3};
                 }
                 const auto together = generate_batch(
                     f.model, requests, [](std::size_t, const auto&) {}, kNever);
                 for (std::size_t i = 0; i < requests.size(); ++i) {
                   CHECK(together[i].ids == generate(
                                                f.model, requests[i], [](const auto&) {}, kNever)
                                                .ids);
                 }
               }
             }),
    add_case("a decoded token's logits are the same bits whatever is decoded beside it",
             [] {
               for (const DataType type : kNarrow) {
                 Fixture f(tiny_config(type));
                 DecodingSession several(f.model, {.capacity = kContext, .sequences = 3});
                 DecodingSession alone(f.model, kContext);
                 std::vector<float> beside;
                 for (const std::int32_t token : {5, 17, 40, 8}) {
                   const std::int32_t others[] = {(token + 1) % 60, (token + 30) % 60};
                   const SequenceTokens pieces[] = {
                       {0, std::span(others, 1)}, {1, std::span(&token, 1)}, {2, std::span(others + 1, 1)}};
                   several.append(pieces, DecodingSession::Pass::kDecode);
                   const std::int32_t rows[] = {0, 1, 2};
                   const std::span<const float> all = several.logits(rows);
                   beside.assign(all.begin() + kVocab, all.begin() + 2 * kVocab);
                   const SequenceTokens piece{0, std::span(&token, 1)};
                   const std::int32_t row = 0;
                   alone.append(std::span(&piece, 1), DecodingSession::Pass::kDecode);
                   const std::span<const float> own = alone.logits(std::span(&row, 1));
                   CHECK(std::equal(own.begin(), own.end(), beside.begin()));
                 }
               }
             }),
    add_case("a trained model writes the same text with narrow weights, and its logits move little",
             [] {
               Fixture trained;
               train(trained.model);
               for (const DataType type : kNarrow) {
                 Fixture narrow(tiny_config(type));
                 copy_weights(trained.model, narrow.model);
                 for (std::int32_t start = 0; start < 60; start += 7) {
                   const std::vector<std::int32_t> prompt = {start, successor(start), successor(successor(start))};
                   const auto expected = generate(
                                             trained.model, greedy(prompt, 18), [](const auto&) {}, kNever)
                                             .ids;
                   CHECK_EQ(expected[0], successor(prompt.back()));
                   CHECK(generate(
                             narrow.model, greedy(prompt, 18), [](const auto&) {}, kNever)
                             .ids == expected);
                 }
                 std::vector<std::int32_t> text = {3};
                 while (text.size() < 20) {
                   text.push_back(successor(text.back()));
                 }
                 // bf16 keeps 8 bits of each weight, int8 about 7 of the largest of its channel.
                 const double moved = difference(narrow.model.logits(text), trained.model.logits(text));
                 std::printf("# %s: the logits of a trained model move by %.4f of their spread\n", name_of(type),
                             moved);
                 CHECK(moved > 0);
                 CHECK(moved < (type == DataType::kBf16 ? 0.02 : 0.05));
                 const Scores wide_scores = score(trained.model, {.tokens = text, .end_of_text_id = 60}, kNever);
                 const Scores narrow_scores = score(narrow.model, {.tokens = text, .end_of_text_id = 60}, kNever);
                 CHECK(std::abs(wide_scores.nats - narrow_scores.nats) < 0.05 * (1 + wide_scores.nats));
               }
             }),
};

} // namespace

int main() {
  return run_cases();
}
