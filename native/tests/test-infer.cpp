// Decoding against the model's own full forward, sampling against the distribution it promises, and evaluation against
// one document and one window at a time.
#include "check.h"
#include "temporary-folder.h"
#include "test-infer-support.h"

#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/infer/decoding-session.h"
#include "engine/infer/evaluation.h"
#include "engine/infer/generation.h"
#include "engine/infer/sampling.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

const auto kIgnore = [](const GeneratedToken&) {};

// Every token by a full forward of the window, with the sliding that the header promises.
std::vector<std::int32_t> by_full_forward(TransformerModel& model, std::vector<std::int32_t> window,
                                          std::int64_t count) {
  std::vector<std::int32_t> generated;
  while (static_cast<std::int64_t>(generated.size()) < count) {
    const std::vector<float> all = model.logits(window);
    const auto last = all.end() - kVocab;
    const auto id = static_cast<std::int32_t>(std::max_element(last, all.end()) - last);
    generated.push_back(id);
    window.push_back(id);
    if (static_cast<std::int64_t>(window.size()) > kContext) {
      window.erase(window.begin(), window.end() - kContext / 2);
    }
  }
  return generated;
}

void write_cache(const TemporaryFolder& folder, const std::vector<std::vector<std::int32_t>>& documents,
                 std::int32_t end_of_text) {
  std::string tokens;
  std::string offsets(8, '\0');
  std::uint64_t count = 0;
  for (const std::vector<std::int32_t>& document : documents) {
    for (const std::int32_t token : document) {
      tokens += {static_cast<char>(token), '\0'};
    }
    tokens += {static_cast<char>(end_of_text), '\0'};
    count += document.size() + 1;
    for (int byte = 0; byte < 8; ++byte) {
      offsets.push_back(static_cast<char>((count >> (8 * byte)) & 0xFFU));
    }
  }
  write_file(folder.file("tokens.bin"), tokens);
  write_file(folder.file("documents.idx"), offsets);
  write_file(folder.file("meta.json"),
             "{\"format_version\":1,\"dtype\":\"u16\",\"token_count\":" + std::to_string(count) +
                 ",\"document_count\":" + std::to_string(documents.size()) +
                 ",\"vocab_size\":61,\"end_of_text_id\":60}");
}

const bool added[] = {
    add_case("cached decoding gives the logits of a full forward, however the text is cut",
             [] {
               Fixture f;
               std::vector<std::int32_t> text = some_document(20, 4);
               const std::vector<float> expected = f.model.logits(text);
               for (const std::size_t first : {1U, 7U, 19U, 20U}) {
                 DecodingSession session(f.model, kContext);
                 std::span<const float> logits = session.feed(std::span(text).first(first));
                 for (std::size_t at = first; at <= text.size(); ++at) {
                   for (std::int64_t id = 0; id < kVocab; ++id) {
                     const float wanted = expected[(at - 1) * kVocab + static_cast<std::size_t>(id)];
                     CHECK(std::abs(logits[static_cast<std::size_t>(id)] - wanted) <=
                           1e-4F * (1.0F + std::abs(wanted)));
                   }
                   if (at < text.size()) {
                     logits = session.feed(std::span(text).subspan(at, 1));
                   }
                 }
               }
             }),
    add_case("greedy generation equals a full forward for each token, also when the window slides",
             [] {
               Fixture f;
               for (const std::int64_t count : {1, 10, 18, 19, 60}) {
                 const GenerationResult result = generate(f.model, greedy(kPrompt, count), kIgnore, kNever);
                 CHECK(result.ids == by_full_forward(f.model, kPrompt, count));
                 CHECK_EQ(result.window_slides > 0, count > 19);
                 CHECK(result.stop_reason == StopReason::kLength);
               }
             }),
    add_case("the same seed draws the same text and another seed another",
             [] {
               Fixture f;
               GenerationRequest request = greedy(kPrompt, 18);
               request.sampling = {.temperature = 1.5, .top_k = 30, .top_p = 0.95, .seed = 5};
               const std::vector<std::int32_t> first = generate(f.model, request, kIgnore, kNever).ids;
               CHECK(generate(f.model, request, kIgnore, kNever).ids == first);
               request.sampling.seed = 6;
               CHECK(generate(f.model, request, kIgnore, kNever).ids != first);
             }),
    add_case("each token is handed over with its index and the model's own log probability",
             [] {
               Fixture f;
               GenerationRequest request = greedy(kPrompt, 6);
               request.sampling = {.temperature = 2.0, .top_k = 5, .top_p = 1.0, .seed = 9};
               std::vector<GeneratedToken> tokens;
               const GenerationResult result = generate(
                   f.model, request, [&](const GeneratedToken& token) { tokens.push_back(token); }, kNever);
               CHECK_EQ(tokens.size(), result.ids.size());
               std::vector<std::int32_t> text = kPrompt;
               for (std::size_t index = 0; index < tokens.size(); ++index) {
                 CHECK_EQ(tokens[index].index, static_cast<std::int64_t>(index));
                 CHECK_EQ(tokens[index].id, result.ids[index]);
                 const std::vector<float> all = f.model.logits(text);
                 const std::vector<double> expected = log_probabilities(std::span(all).last(kVocab));
                 CHECK(std::abs(tokens[index].logprob - expected[static_cast<std::size_t>(tokens[index].id)]) < 1e-4);
                 text.push_back(tokens[index].id);
               }
             }),
    add_case("a stop token ends the text and is not part of it",
             [] {
               Fixture f;
               const std::vector<std::int32_t> whole = generate(f.model, greedy(kPrompt, 10), kIgnore, kNever).ids;
               GenerationRequest request = greedy(kPrompt, 10);
               request.stop_ids = {whole[4]};
               const auto first = std::find(whole.begin(), whole.end(), whole[4]);
               const GenerationResult result = generate(f.model, request, kIgnore, kNever);
               CHECK(result.stop_reason == StopReason::kStop);
               CHECK(result.ids == std::vector<std::int32_t>(whole.begin(), first));
             }),
    add_case("a cancellation ends the text at the next token",
             [] {
               Fixture f;
               std::atomic<bool> cancelled{false};
               const GenerationResult result = generate(
                   f.model, greedy(kPrompt, 1000), [&](const GeneratedToken& token) { cancelled = token.index == 2; },
                   cancelled);
               CHECK(result.stop_reason == StopReason::kCancelled);
               CHECK_EQ(result.ids.size(), 3U);
             }),
    add_case(
        "a prompt longer than the context keeps its end and says how much was dropped",
        [] {
          Fixture f;
          const std::vector<std::int32_t> prompt = some_document(100, 1);
          const GenerationResult result = generate(f.model, greedy(prompt, 4), kIgnore, kNever);
          CHECK_EQ(result.prompt_tokens_dropped, 100 - (kContext - 4));
          CHECK(result.ids == by_full_forward(f.model, {prompt.end() - (kContext - 4), prompt.end()}, 4));
          CHECK_EQ(generate(f.model, greedy(prompt, 50), kIgnore, kNever).prompt_tokens_dropped, 100 - kContext / 2);
          CHECK_EQ(generate(f.model, greedy(some_document(kContext, 1), 50), kIgnore, kNever).prompt_tokens_dropped, 0);
        }),
    add_case("an empty prompt starts from end-of-text, or says what it needs",
             [] {
               Fixture f;
               GenerationRequest request = greedy({}, 5);
               CHECK_THROWS(generate(f.model, request, kIgnore, kNever), "BAD_ARGUMENT", "empty prompt");
               request.end_of_text_id = 60;
               CHECK(generate(f.model, request, kIgnore, kNever).ids == by_full_forward(f.model, {60}, 5));
             }),
    add_case("no new tokens is a text without any",
             [] {
               Fixture f;
               CHECK(generate(f.model, greedy(kPrompt, 0), kIgnore, kNever).ids.empty());
             }),
    add_case("tokens outside the vocabulary and wrong options are named",
             [] {
               Fixture f;
               CHECK_THROWS(generate(f.model, greedy({61}, 1), kIgnore, kNever), "TOKEN_OUT_OF_RANGE", "token 61");
               CHECK_THROWS(generate(f.model, greedy({-1}, 1), kIgnore, kNever), "TOKEN_OUT_OF_RANGE", "token -1");
               CHECK_THROWS(generate(f.model, greedy(kPrompt, -1), kIgnore, kNever), "BAD_ARGUMENT", "maxNewTokens");
               CHECK_THROWS(Sampler({.temperature = -1}), "BAD_ARGUMENT", "temperature");
               CHECK_THROWS(Sampler({.temperature = std::nan("")}), "BAD_ARGUMENT", "temperature");
               CHECK_THROWS(Sampler({.top_k = -1}), "BAD_ARGUMENT", "topK");
               CHECK_THROWS(Sampler({.top_p = 0}), "BAD_ARGUMENT", "topP");
               CHECK_THROWS(Sampler({.top_p = 1.5}), "BAD_ARGUMENT", "topP");
             }),
    add_case(
        "logits that are not finite are an error, not a token",
        [] {
          Sampler sampler({.temperature = 1});
          for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
            for (std::size_t place = 0; place < 3; ++place) {
              std::vector<float> logits = {1, 2, 3};
              logits[place] = bad;
              CHECK_THROWS(sampler.sample(logits, 0), "WEIGHTS_NOT_FINITE", "not finite");
            }
          }
        }),
    add_case("draws follow the tempered distribution",
             [] {
               const std::vector<float> logits = {0.0F, 1.0F, 2.0F, -30.0F};
               Sampler sampler({.temperature = 0.5, .seed = 3});
               std::vector<double> counts(4);
               constexpr int kDraws = 40000;
               for (int index = 0; index < kDraws; ++index) {
                 counts[static_cast<std::size_t>(sampler.sample(logits, static_cast<std::uint64_t>(index)).id)] +=
                     1.0 / kDraws;
               }
               const double sum = 1 + std::exp(2.0) + std::exp(4.0);
               CHECK(std::abs(counts[0] - 1 / sum) < 0.01);
               CHECK(std::abs(counts[1] - std::exp(2.0) / sum) < 0.01);
               CHECK(std::abs(counts[2] - std::exp(4.0) / sum) < 0.01);
               CHECK_EQ(counts[3], 0.0);
             }),
    add_case("top-k and top-p keep exactly the likeliest tokens, of fifty thousand too",
             [] {
               std::vector<float> logits(50257, -20.0F);
               for (int index = 0; index < 300; ++index) {
                 logits[static_cast<std::size_t>(index) * 101] = 3.0F - 0.01F * static_cast<float>(index);
               }
               const auto drawn = [&](const SamplingOptions& options) {
                 Sampler sampler(options);
                 std::int32_t largest = 0;
                 for (std::uint64_t index = 0; index < 400; ++index) {
                   const std::int32_t id = sampler.sample(logits, index).id;
                   CHECK_EQ(id % 101, 0);
                   largest = std::max(largest, id / 101);
                 }
                 return largest;
               };
               CHECK(drawn({.temperature = 1, .top_k = 7}) == 6);
               // A hundred and fifty tokens hold a little over three quarters of the probability: more than the first
               // chunk sorted.
               double total = 0;
               double reached = 0;
               for (int index = 0; index < 300; ++index) {
                 total += std::exp(-0.01 * index);
                 reached += index < 150 ? std::exp(-0.01 * index) : 0;
               }
               const std::int32_t largest = drawn({.temperature = 1, .top_p = reached / total * 0.9999});
               CHECK(largest < 150);
               CHECK(largest > 120);
               CHECK_EQ(drawn({.temperature = 1, .top_p = 1e-9}), 0);
             }),
    add_case("evaluation scores each document alone, whatever it is batched with",
             [] {
               Fixture f;
               const TemporaryFolder folder;
               const std::vector<std::vector<std::int32_t>> documents = {some_document(5, 1),  {},
                                                                         some_document(30, 2), some_document(8, 3),
                                                                         some_document(16, 7), some_document(1, 9)};
               write_cache(folder, documents, 60);
               const TokenCache cache(folder.path());
               double nats = 0;
               for (const std::vector<std::int32_t>& document : documents) {
                 for (std::size_t begin = 0; begin < document.size(); begin += 8) {
                   std::vector<std::int32_t> inputs;
                   const std::size_t end = std::min(begin + 8, document.size());
                   for (std::size_t at = begin; at < end; ++at) {
                     inputs.push_back(at == 0 ? 60 : document[at - 1]);
                     const std::vector<float> all = f.model.logits(inputs);
                     nats -= log_probabilities(std::span(all).last(kVocab))[static_cast<std::size_t>(document[at])];
                   }
                 }
               }
               const Evaluation whole =
                   evaluate_documents(f.model, cache, {.seq_len = 8, .end_of_text_id = 60, .to_document = 6}, kNever);
               CHECK_EQ(whole.token_count, 60);
               CHECK(std::abs(whole.nats - nats) < 1e-3);
               const Evaluation again =
                   evaluate_documents(f.model, cache, {.seq_len = 8, .end_of_text_id = 60, .to_document = 6}, kNever);
               CHECK_EQ(again.nats, whole.nats);
               const Evaluation part = evaluate_documents(
                   f.model, cache, {.seq_len = 8, .end_of_text_id = 60, .from_document = 1, .to_document = 3}, kNever);
               CHECK_EQ(part.token_count, 30);
               const Evaluation none = evaluate_documents(
                   f.model, cache, {.seq_len = 8, .end_of_text_id = 60, .from_document = 1, .to_document = 2}, kNever);
               CHECK_EQ(none.token_count, 0);
               CHECK_EQ(none.nats, 0.0);
             }),
    add_case("a stride scores every token once, with more context",
             [] {
               Fixture f;
               const TemporaryFolder folder;
               const std::vector<std::int32_t> document = some_document(29, 2);
               write_cache(folder, {document}, 60);
               const TokenCache cache(folder.path());
               double nats = 0;
               for (std::size_t at = 0; at < document.size(); ++at) {
                 // Windows of 8 begin at 0, 4, 8 …; a token is scored in the first one that holds it.
                 const std::size_t begin = at < 8 ? 0 : (at - 8) / 4 * 4 + 4;
                 std::vector<std::int32_t> inputs;
                 for (std::size_t input = begin; input <= at; ++input) {
                   inputs.push_back(input == 0 ? 60 : document[input - 1]);
                 }
                 const std::vector<float> all = f.model.logits(inputs);
                 nats -= log_probabilities(std::span(all).last(kVocab))[static_cast<std::size_t>(document[at])];
               }
               const Evaluation found = evaluate_documents(
                   f.model, cache, {.seq_len = 8, .stride = 4, .end_of_text_id = 60, .to_document = 1}, kNever);
               CHECK_EQ(found.token_count, 29);
               CHECK(std::abs(found.nats - nats) < 1e-3);
             }),
    add_case("evaluation refuses ranges, strides and vocabularies that do not fit, and can be cancelled",
             [] {
               Fixture f;
               const TemporaryFolder folder;
               write_cache(folder, {some_document(9, 2)}, 60);
               const TokenCache cache(folder.path());
               CHECK_THROWS(
                   evaluate_documents(f.model, cache, {.seq_len = 25, .end_of_text_id = 60, .to_document = 1}, kNever),
                   "BAD_ARGUMENT", "seqLen 25");
               CHECK_THROWS(evaluate_documents(f.model, cache,
                                               {.seq_len = 8, .stride = 9, .end_of_text_id = 60, .to_document = 1},
                                               kNever),
                            "BAD_ARGUMENT", "stride 9");
               CHECK_THROWS(
                   evaluate_documents(f.model, cache, {.seq_len = 8, .end_of_text_id = 60, .to_document = 2}, kNever),
                   "BAD_ARGUMENT", "0 to 2");
               CHECK_THROWS(
                   evaluate_documents(f.model, cache, {.seq_len = 8, .end_of_text_id = 59, .to_document = 1}, kNever),
                   "TOKENIZER_MODEL_MISMATCH", "end-of-text 60");
               const std::atomic<bool> cancelled{true};
               CHECK_THROWS(evaluate_documents(f.model, cache, {.seq_len = 8, .end_of_text_id = 60, .to_document = 1},
                                               cancelled),
                            "CANCELLED", "cancelled");
             }),
};

} // namespace

int main() {
  return run_cases();
}
