// Choosing tokens: the draws that a seed has always given, against a plain implementation that sorts everything, and
// what is said of a token beside its id.
#include "check.h"
#include "temporary-folder.h"
#include "test-infer-support.h"

#include "engine/base/error.h"
#include "engine/infer/likeliest-tokens.h"
#include "engine/infer/sampling.h"

#include <cmath>
#include <limits>
#include <numeric>
#include <random>
#include <set>

using namespace assay;
using namespace assay::test;

namespace {

constexpr std::size_t kLarge = 50257;

// The same on every machine: multiples of `step` out of a linear congruence.
std::vector<float> spread_logits(std::size_t count, float step) {
  std::uint32_t state = 12345;
  std::vector<float> logits;
  for (std::size_t i = 0; i < count; ++i) {
    state = state * 1664525U + 1013904223U;
    logits.push_back(static_cast<float>(static_cast<int>(state >> 16) - 32768) * step);
  }
  return logits;
}

std::vector<float> normal_logits(std::size_t count, float deviation, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0.0F, deviation);
  std::vector<float> logits(count);
  for (float& logit : logits) {
    logit = normal(random);
  }
  return logits;
}

std::vector<std::int32_t> drawn(const std::vector<float>& logits, const SamplingOptions& options, std::uint64_t count) {
  Sampler sampler(options);
  std::vector<std::int32_t> ids;
  for (std::uint64_t index = 0; index < count; ++index) {
    ids.push_back(sampler.sample(logits, index).id);
  }
  return ids;
}

// Everything sorted, likeliest first, the lower id among equals.
std::vector<std::int32_t> sorted_ids(std::span<const float> logits) {
  std::vector<std::int32_t> ids(logits.size());
  std::iota(ids.begin(), ids.end(), 0);
  std::stable_sort(ids.begin(), ids.end(), [&](std::int32_t left, std::int32_t right) {
    return logits[static_cast<std::size_t>(left)] > logits[static_cast<std::size_t>(right)];
  });
  return ids;
}

// The tokens that top_k and top_p leave.
std::set<std::int32_t> kept_by_sorting(const std::vector<float>& logits, const SamplingOptions& options) {
  std::vector<std::int32_t> ids = sorted_ids(logits);
  if (options.top_k > 0) {
    ids.resize(std::min<std::size_t>(ids.size(), static_cast<std::size_t>(options.top_k)));
  }
  const double highest = logits[static_cast<std::size_t>(ids.front())];
  std::vector<double> weights;
  for (const std::int32_t id : ids) {
    weights.push_back(std::exp((logits[static_cast<std::size_t>(id)] - highest) / options.temperature));
  }
  const double wanted = options.top_p * std::accumulate(weights.begin(), weights.end(), 0.0);
  double reached = 0;
  std::set<std::int32_t> kept;
  for (std::size_t i = 0; i < ids.size() && (i == 0 || reached < wanted); ++i) {
    reached += weights[i];
    kept.insert(ids[i]);
  }
  return kept;
}

const bool added[] = {
    add_case("a seed draws what it always drew",
             [] {
               // Taken from the first implementation, which computed every weight in double precision and sorted.
               struct Draws {
                 SamplingOptions options;
                 float step;
                 std::size_t vocabulary;
                 std::vector<std::int32_t> ids;
               };
               const std::vector<Draws> all = {
                   {{.temperature = 1, .seed = 5},
                    1.0F / 4096,
                    kLarge,
                    {25102, 40768, 6898, 39232, 6055, 10886, 13186, 42056}},
                   {{.temperature = 1, .seed = 5}, 1.0F / 8192, 61, {20, 46, 12, 40, 11, 14, 17, 46}},
                   {{.temperature = 0.7, .seed = 6},
                    1.0F / 65536,
                    kLarge,
                    {10033, 39030, 23489, 25180, 23808, 22965, 43076, 20767}},
                   {{.temperature = 0.7, .seed = 6}, 1.0F / 8192, 61, {12, 40, 20, 20, 20, 20, 46, 20}},
                   {{.temperature = 1, .top_p = 0.9, .seed = 7},
                    1.0F / 4096,
                    kLarge,
                    {6232, 34446, 17386, 30546, 23195, 6508, 4092, 15274}},
                   {{.temperature = 1, .top_p = 0.9, .seed = 7},
                    1.0F / 65536,
                    kLarge,
                    {48863, 32753, 41401, 16336, 32029, 30121, 48161, 19909}},
                   {{.temperature = 1.3, .top_p = 0.5, .seed = 8},
                    1.0F / 4096,
                    kLarge,
                    {11928, 35993, 49761, 13386, 37789, 3365, 31317, 46171}},
                   {{.temperature = 1.3, .top_p = 0.5, .seed = 8}, 1.0F / 8192, 61, {17, 46, 17, 46, 12, 46, 40, 40}},
                   {{.temperature = 0.8, .top_k = 40, .top_p = 0.95, .seed = 9},
                    1.0F / 4096,
                    kLarge,
                    {15767, 26848, 30647, 15767, 13186, 49050, 4029, 15258}},
                   {{.temperature = 0.8, .top_k = 40, .top_p = 0.95, .seed = 9},
                    1.0F / 8192,
                    61,
                    {17, 20, 51, 17, 40, 17, 35, 35}},
                   {{.temperature = 0}, 1.0F / 4096, kLarge, {18096, 18096}},
               };
               for (const Draws& each : all) {
                 CHECK(drawn(spread_logits(each.vocabulary, each.step), each.options, each.ids.size()) == each.ids);
               }
             }),
    add_case("top-k and top-p leave what a full sort leaves, of flat and of steep distributions",
             [] {
               for (const float deviation : {0.05F, 0.6F, 4.0F}) {
                 const std::vector<float> logits = normal_logits(3001, deviation, 3);
                 for (const SamplingOptions& options :
                      {SamplingOptions{.temperature = 1, .top_k = 1}, SamplingOptions{.temperature = 0.7, .top_k = 17},
                       SamplingOptions{.temperature = 1, .top_k = 900}, SamplingOptions{.temperature = 1, .top_p = 0.3},
                       SamplingOptions{.temperature = 1.4, .top_p = 0.7},
                       SamplingOptions{.temperature = 1, .top_k = 50, .top_p = 0.5}}) {
                   const std::set<std::int32_t> allowed = kept_by_sorting(logits, options);
                   std::set<std::int32_t> seen;
                   for (const std::int32_t id : drawn(logits, options, 4000)) {
                     CHECK(allowed.count(id) == 1);
                     seen.insert(id);
                   }
                   // So many draws meet most of what there is, where it is about equally likely.
                   CHECK(deviation > 1 || seen.size() * 4 >= std::min<std::size_t>(allowed.size(), 2000));
                 }
               }
             }),
    add_case("the likeliest are found whatever their number, with ties in the order of ids",
             [] {
               std::vector<float> logits = normal_logits(1000, 1.0F, 5);
               for (std::size_t i = 0; i < logits.size(); ++i) {
                 logits[i] = std::round(logits[i] * 2.0F) / 2.0F; // many equals
               }
               const std::vector<std::int32_t> expected = sorted_ids(logits);
               LikeliestTokens order;
               order.read(logits);
               for (const std::int64_t count : {0, 1, 5, 8, 9, 300, 999, 1000, 5000}) {
                 const auto found = order.take(count);
                 CHECK_EQ(found.size(), static_cast<std::size_t>(count < 1000 ? count : 1000));
                 for (std::size_t i = 0; i < found.size(); ++i) {
                   CHECK_EQ(found[i].id, expected[i]);
                 }
               }
               const std::vector<float> equal(777, -3.0F);
               order.read(equal);
               CHECK_EQ(order.first(), 0);
               const std::span<const CandidateToken> hundred = order.take(100);
               CHECK_EQ(hundred.back().id, 99);
             }),
    add_case("equal and extreme logits are drawn from without harm",
             [] {
               const std::vector<float> equal(kLarge, 2.5F);
               for (const double top_p : {1e-9, 0.5, 1.0 - 1e-12, 1.0}) {
                 for (const double temperature : {1e-300, 1.0, 1e300}) {
                   for (const std::int32_t id : drawn(equal, {.temperature = temperature, .top_p = top_p}, 5)) {
                     CHECK(id >= 0 && id < static_cast<std::int32_t>(kLarge));
                   }
                 }
               }
               std::vector<float> lone(kLarge, -std::numeric_limits<float>::infinity());
               lone[4321] = -80.0F;
               for (const SamplingOptions& options :
                    {SamplingOptions{.temperature = 0}, SamplingOptions{.temperature = 1},
                     SamplingOptions{.temperature = 1, .top_p = 0.999999999999},
                     SamplingOptions{.temperature = 5, .top_k = 3000}, SamplingOptions{.temperature = 1e300}}) {
                 for (const std::int32_t id : drawn(lone, options, 20)) {
                   CHECK_EQ(id, 4321);
                 }
               }
             }),
    add_case("log-probabilities, ranks and alternatives are those of the whole softmax",
             [] {
               const std::vector<float> logits = normal_logits(5000, 2.0F, 9);
               const std::vector<double> expected = log_probabilities(logits);
               const std::vector<std::int32_t> order = sorted_ids(logits);
               RatedLogits rated;
               rated.read(logits);
               for (const std::size_t place : {0U, 1U, 77U, 4999U}) {
                 CHECK(std::abs(rated.logprob(order[place]) - expected[static_cast<std::size_t>(order[place])]) < 1e-6);
                 CHECK_EQ(rated.rank(order[place]), static_cast<std::int64_t>(place) + 1);
               }
               const std::vector<RatedToken> likeliest = rated.likeliest(6);
               CHECK_EQ(likeliest.size(), 6U);
               for (std::size_t i = 0; i < likeliest.size(); ++i) {
                 CHECK_EQ(likeliest[i].id, order[i]);
                 CHECK(std::abs(likeliest[i].logprob - expected[static_cast<std::size_t>(order[i])]) < 1e-6);
               }
               const std::vector<float> equals = {1, 3, 3, 0, 3};
               rated.read(equals);
               CHECK_EQ(rated.rank(1), 1);
               CHECK_EQ(rated.rank(2), 2);
               CHECK_EQ(rated.rank(4), 3);
               CHECK_EQ(rated.rank(0), 4);
             }),
    add_case("the repetition penalty lowers what was said, on either side of zero, and leaves the model's own opinion",
             [] {
               const std::vector<float> logits = {2.0F, 1.9F, -0.1F, -0.3F, 1.0F};
               const std::vector<double> expected = log_probabilities(logits);
               Sampler sampler({.temperature = 0, .repetition_penalty = 1.5, .alternatives = 2});
               CHECK_EQ(sampler.sample(logits, 0).id, 0);
               sampler.see(std::vector<std::int32_t>{0, 0, 0});
               const SampledToken second = sampler.sample(logits, 1); // 2 / 1.5 < 1.9
               CHECK_EQ(second.id, 1);
               CHECK(std::abs(second.logprob - expected[1]) < 1e-6);
               CHECK_EQ(second.alternatives.size(), 2U);
               CHECK_EQ(second.alternatives[0].id, 0);
               CHECK(std::abs(second.alternatives[0].logprob - expected[0]) < 1e-6);
               sampler.see(std::vector<std::int32_t>{1});
               CHECK_EQ(sampler.sample(logits, 2).id, 0); // 1.33 before 1.27 and 1
               const std::vector<float> negative = {-0.2F, -0.25F};
               Sampler below({.temperature = 0, .repetition_penalty = 1.5});
               below.see(std::vector<std::int32_t>{0});
               CHECK_EQ(below.sample(negative, 0).id, 1); // −0.2 · 1.5 < −0.25
             }),
    add_case("wrong sampling options are named",
             [] {
               CHECK_THROWS(Sampler({.repetition_penalty = 0}), "BAD_ARGUMENT", "repetitionPenalty");
               CHECK_THROWS(Sampler({.repetition_penalty = std::numeric_limits<double>::quiet_NaN()}), "BAD_ARGUMENT",
                            "repetitionPenalty");
               CHECK_THROWS(Sampler({.alternatives = -1}), "BAD_ARGUMENT", "topLogprobs");
               CHECK_THROWS(Sampler({.temperature = -1}), "BAD_ARGUMENT", "temperature");
             }),
};

} // namespace

int main() {
  return run_cases();
}
