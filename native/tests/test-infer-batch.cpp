// Texts decoded side by side are the texts decoded alone; scoring agrees with whole forwards; narrower weights answer
// like the numbers they hold.
#include "check.h"
#include "temporary-folder.h"
#include "test-infer-support.h"

#include "engine/base/error.h"
#include "engine/infer/decoding-session.h"
#include "engine/infer/scoring.h"

#include <array>
#include <map>

using namespace assay;
using namespace assay::test;

namespace {

std::vector<GenerationRequest> many_requests() {
  std::vector<GenerationRequest> requests;
  for (std::int32_t i = 0; i < 9; ++i) {
    GenerationRequest request = greedy(some_document(static_cast<std::size_t>(1 + i * 5 % 22), i), 3 + i * 4 % 31);
    if (i % 3 != 0) {
      request.sampling = {.temperature = 1.3, .top_k = 25, .top_p = 0.97, .seed = static_cast<std::uint64_t>(i)};
      request.sampling.repetition_penalty = i % 2 == 0 ? 1.2 : 1.0;
      request.sampling.alternatives = i % 4;
    }
    if (i == 4) {
      request.stop_ids = {7, 12, 30, 41};
    }
    requests.push_back(std::move(request));
  }
  return requests;
}

// Bytes that make stop texts likely: token i says the i-th of few letters.
std::string_view letter_of(std::int32_t id) {
  static const std::string letters = "abcdefgh";
  return std::string_view(letters).substr(static_cast<std::size_t>(id % 8), 1);
}

const bool added[] = {
    add_case("texts decoded side by side equal each decoded alone, token for token",
             [] {
               Fixture f;
               const std::vector<GenerationRequest> requests = many_requests();
               for (const BatchOptions& options :
                    {BatchOptions{}, BatchOptions{.sequences = 3, .prompt_rows = 4}, BatchOptions{.sequences = 1},
                     BatchOptions{.sequences = 100, .prompt_rows = 1}}) {
                 std::map<std::size_t, std::vector<GeneratedToken>> heard;
                 const std::vector<GenerationResult> together = generate_batch(
                     f.model, requests,
                     [&](std::size_t request, const GeneratedToken& token) { heard[request].push_back(token); }, kNever,
                     options);
                 CHECK_EQ(together.size(), requests.size());
                 for (std::size_t i = 0; i < requests.size(); ++i) {
                   std::vector<GeneratedToken> tokens;
                   const GenerationResult alone = generate(
                       f.model, requests[i], [&](const GeneratedToken& token) { tokens.push_back(token); }, kNever);
                   CHECK(together[i].ids == alone.ids);
                   CHECK(together[i].stop_reason == alone.stop_reason);
                   CHECK_EQ(together[i].window_slides, alone.window_slides);
                   CHECK_EQ(heard[i].size(), alone.ids.size());
                   for (std::size_t at = 0; at < tokens.size(); ++at) {
                     CHECK_EQ(heard[i][at].id, tokens[at].id);
                     CHECK_EQ(heard[i][at].index, static_cast<std::int64_t>(at));
                     CHECK(std::abs(heard[i][at].logprob - tokens[at].logprob) < 1e-4);
                     CHECK_EQ(heard[i][at].alternatives.size(),
                              static_cast<std::size_t>(requests[i].sampling.alternatives));
                   }
                 }
               }
             }),
    add_case("a prompt read in chunks gives the logits of one read at once",
             [] {
               Fixture f;
               const std::vector<std::int32_t> text = some_document(21, 4);
               const std::vector<float> expected = f.model.logits(text);
               for (const std::int64_t rows : {1, 2, 5, 20, 21, 24}) {
                 DecodingSession session(f.model, {.capacity = kContext, .rows = rows});
                 const std::span<const float> logits = session.feed(text);
                 for (std::size_t id = 0; id < static_cast<std::size_t>(kVocab); ++id) {
                   const float wanted = expected[20 * kVocab + id];
                   CHECK(std::abs(logits[id] - wanted) <= 1e-4F * (1.0F + std::abs(wanted)));
                 }
               }
             }),
    add_case("sequences of one session do not see each other",
             [] {
               Fixture f;
               const std::array<std::vector<std::int32_t>, 3> texts = {some_document(5, 1), some_document(9, 2),
                                                                       some_document(5, 3)};
               DecodingSession session(f.model, {.capacity = kContext, .sequences = 4, .rows = 30});
               // 0 and 2 append five tokens each but are no neighbours; 3 is never used.
               const std::array<SequenceTokens, 3> pieces = {{{0, texts[0]}, {1, texts[1]}, {2, texts[2]}}};
               session.append(pieces, DecodingSession::Pass::kPrompt);
               const std::vector<std::int32_t> rows = {4, 13, 18};
               std::vector<float> found(session.logits(rows).begin(), session.logits(rows).end());
               for (std::size_t i = 0; i < 3; ++i) {
                 const std::vector<float> all = f.model.logits(texts[i]);
                 for (std::size_t id = 0; id < static_cast<std::size_t>(kVocab); ++id) {
                   CHECK(std::abs(found[i * kVocab + id] - all[all.size() - kVocab + id]) < 1e-3);
                 }
               }
               CHECK_EQ(session.position(1), 9);
               CHECK_EQ(session.position(3), 0);
             }),
    add_case("a stop text ends a text inside a token, alone and side by side",
             [] {
               Fixture f;
               std::vector<GenerationRequest> requests;
               for (std::int32_t i = 0; i < 6; ++i) {
                 GenerationRequest request = greedy(some_document(4, i), 40);
                 request.sampling = {.temperature = 1.5, .seed = static_cast<std::uint64_t>(i)};
                 request.token_bytes = letter_of;
                 requests.push_back(request);
               }
               const auto free_run = generate_batch(
                   f.model, requests, [](std::size_t, const auto&) {}, kNever);
               for (std::size_t i = 0; i < requests.size(); ++i) {
                 CHECK_EQ(free_run[i].text.size(), 40U);
                 requests[i].stop_texts = {free_run[i].text.substr(20, 4), "nowhere"};
               }
               std::vector<std::string> heard(requests.size());
               const auto stopped = generate_batch(
                   f.model, requests,
                   [&](std::size_t request, const GeneratedToken& token) { heard[request] += token.text; }, kNever);
               for (std::size_t i = 0; i < requests.size(); ++i) {
                 const std::size_t at = free_run[i].text.find(requests[i].stop_texts[0]);
                 CHECK_EQ(stopped[i].text, free_run[i].text.substr(0, at));
                 CHECK_EQ(heard[i], stopped[i].text);
                 CHECK_EQ(stopped[i].ids.size(), at);
                 CHECK(stopped[i].stop_reason == StopReason::kStop);
                 CHECK(generate(
                           f.model, requests[i], [](const auto&) {}, kNever)
                           .ids == stopped[i].ids);
               }
               requests[0].token_bytes = nullptr;
               CHECK_THROWS(generate(
                                f.model, requests[0], [](const auto&) {}, kNever),
                            "BAD_ARGUMENT", "tokenizer");
             }),
    add_case("a cancellation is heard between the chunks of a prompt and ends all texts",
             [] {
               Fixture f;
               std::atomic<bool> cancelled{false};
               std::vector<GenerationRequest> requests(5, greedy(kPrompt, 1000));
               std::size_t heard = 0;
               const auto results = generate_batch(
                   f.model, requests, [&](std::size_t, const GeneratedToken&) { cancelled = ++heard >= 7; }, cancelled,
                   {.sequences = 3});
               CHECK_EQ(heard, 9U); // the pass in which it came ends first
               for (const GenerationResult& result : results) {
                 CHECK(result.stop_reason == StopReason::kCancelled);
               }
               CHECK_EQ(results[0].ids.size(), 3U);
               CHECK_EQ(results[3].ids.size(), 0U);
               CHECK_EQ(results[4].seconds, 0.0);
               const auto none = generate_batch(
                   f.model, requests, [](std::size_t, const auto&) {}, cancelled);
               CHECK(none[0].ids.empty());
               CHECK(generate_batch(
                         f.model, {}, [](std::size_t, const auto&) {}, kNever)
                         .empty());
             }),
    add_case("scores are those of whole forwards, each token once, with what would have been likelier",
             [] {
               Fixture f;
               const std::vector<std::int32_t> text = some_document(20, 2);
               std::vector<std::int32_t> inputs = {60};
               inputs.insert(inputs.end(), text.begin(), text.end() - 1);
               const std::vector<float> all = f.model.logits(inputs);
               const Scores scores = score(f.model, {.tokens = text, .end_of_text_id = 60, .alternatives = 3}, kNever);
               CHECK_EQ(scores.tokens.size(), text.size());
               CHECK_EQ(scores.first_scored, 0);
               double nats = 0;
               for (std::size_t at = 0; at < text.size(); ++at) {
                 const auto logits = std::span(all).subspan(at * kVocab, kVocab);
                 const std::vector<double> expected = log_probabilities(logits);
                 const auto target = static_cast<std::size_t>(text[at]);
                 const ScoredToken& token = scores.tokens[at];
                 CHECK(std::abs(token.logprob - expected[target]) < 1e-4);
                 const auto likelier = std::count_if(expected.begin(), expected.end(),
                                                     [&](double value) { return value > expected[target]; });
                 CHECK_EQ(token.rank, likelier + 1);
                 CHECK_EQ(token.alternatives.size(), 3U);
                 CHECK(std::abs(token.alternatives[0].logprob - *std::max_element(expected.begin(), expected.end())) <
                       1e-4);
                 CHECK(token.alternatives[0].logprob >= token.alternatives[1].logprob);
                 nats -= expected[target];
               }
               CHECK(std::abs(scores.nats - nats) < 1e-3);
               // Without a beginning the first token has no score.
               const Scores without = score(f.model, {.tokens = text}, kNever);
               CHECK_EQ(without.tokens.size(), text.size() - 1);
               CHECK_EQ(without.first_scored, 1);
               CHECK(score(f.model, {.tokens = {5}}, kNever).tokens.empty());
               CHECK(score(f.model, {.tokens = {}, .end_of_text_id = 60}, kNever).tokens.empty());
             }),
    add_case("a long text is scored in overlapping windows",
             [] {
               Fixture f;
               const std::vector<std::int32_t> text = some_document(53, 5);
               const Scores scores =
                   score(f.model, {.tokens = text, .end_of_text_id = 60, .window = 10, .stride = 4}, kNever);
               CHECK_EQ(scores.tokens.size(), text.size());
               for (std::size_t at = 0; at < text.size(); ++at) {
                 // Windows begin at 0, 4, 8 …; a token is scored in the first one that holds it.
                 const std::size_t begin = at < 10 ? 0 : (at - 10) / 4 * 4 + 4;
                 std::vector<std::int32_t> inputs;
                 for (std::size_t input = begin; input <= at; ++input) {
                   inputs.push_back(input == 0 ? 60 : text[input - 1]);
                 }
                 const std::vector<float> all = f.model.logits(inputs);
                 const std::vector<double> expected = log_probabilities(std::span(all).last(kVocab));
                 CHECK(std::abs(scores.tokens[at].logprob - expected[static_cast<std::size_t>(text[at])]) < 1e-4);
               }
               const Scores by_default = score(f.model, {.tokens = text}, kNever);
               CHECK_EQ(by_default.tokens.size(), text.size() - 1);
             }),
    add_case(
        "wrong scoring requests are named, and a cancellation is heard",
        [] {
          Fixture f;
          CHECK_THROWS(score(f.model, {.tokens = {1, 2}, .window = 25}, kNever), "BAD_ARGUMENT", "window 25");
          CHECK_THROWS(score(f.model, {.tokens = {1, 2}, .window = 8, .stride = 9}, kNever), "BAD_ARGUMENT",
                       "stride 9");
          CHECK_THROWS(score(f.model, {.tokens = {1, 61}}, kNever), "TOKEN_OUT_OF_RANGE", "token 61");
          CHECK_THROWS(score(f.model, {.tokens = {1, 2}, .end_of_text_id = 99}, kNever), "TOKEN_OUT_OF_RANGE",
                       "token 99");
          CHECK_THROWS(score(f.model, {.tokens = {1, 2}, .alternatives = -1}, kNever), "BAD_ARGUMENT", "topLogprobs");
          const std::atomic<bool> cancelled{true};
          CHECK_THROWS(score(f.model, {.tokens = {1, 2}}, cancelled), "CANCELLED", "cancelled");
        }),
};

} // namespace

int main() {
  return run_cases();
}
