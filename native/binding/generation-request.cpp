#include "binding/generation-request.h"

#include "binding/arguments.h"
#if defined(ASSAY_TOKENIZER_BINDING)
#include "binding/tokenizer-binding.h"
#endif

#include <limits>
#include <memory>
#include <string>

namespace assay::binding {

namespace {

constexpr double kLargestInt32 = std::numeric_limits<std::int32_t>::max();
// More are of no use to anyone, and every one of them is an object.
constexpr double kMostAlternatives = 1000;
constexpr std::uint32_t kMostRequests = 65536;

std::vector<std::string> read_texts(const Napi::Object& object, const char* field, const char* where) {
  const std::string wanted = std::string(field) + " must be an array of strings";
  const Napi::Value value = object.Get(field);
  if (!value.IsArray()) {
    bad_argument(where, wanted);
  }
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> texts;
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::Value text = array.Get(index);
    if (!text.IsString()) {
      bad_argument(where, wanted);
    }
    texts.push_back(text.As<Napi::String>().Utf8Value());
  }
  return texts;
}

std::int64_t read_alternatives(const Napi::Object& object, const char* where) {
  return has_field(object, "topLogprobs") ? integer_field(object, "topLogprobs", where, 0, kMostAlternatives) : 0;
}

std::optional<std::int32_t> read_end_of_text(const Napi::Object& object, const char* where) {
  if (!has_field(object, "endOfTextId")) {
    return std::nullopt;
  }
  return static_cast<std::int32_t>(integer_field(object, "endOfTextId", where, 0, kLargestInt32));
}

} // namespace

GenerationRequest read_generation_request(const Napi::Object& object, const char* where) {
  GenerationRequest request;
  request.prompt = token_ids(object.Get("prompt"), where, "prompt");
  request.end_of_text_id = read_end_of_text(object, where);
  request.max_new_tokens = integer_field(object, "maxNewTokens", where, 0, kLargestInt32);
  request.sampling.temperature = number_field(object, "temperature", where);
  request.sampling.top_k = integer_field(object, "topK", where, 0, kLargestInt32);
  request.sampling.top_p = number_field(object, "topP", where);
  request.sampling.seed = static_cast<std::uint64_t>(integer_field(object, "seed", where, 0, kLargestSafeInteger));
  request.stop_ids = token_ids(object.Get("stopIds"), where, "stopIds");
  if (has_field(object, "repetitionPenalty")) {
    request.sampling.repetition_penalty = number_field(object, "repetitionPenalty", where);
  }
  request.sampling.alternatives = read_alternatives(object, where);
  if (has_field(object, "stopTexts")) {
    request.stop_texts = read_texts(object, "stopTexts", where);
  }
#if defined(ASSAY_TOKENIZER_BINDING)
  if (has_field(object, "tokenizer")) {
    const auto tokenizer = TokenizerObject::unwrap(object.Get("tokenizer"), where);
    auto texts = std::make_shared<std::vector<std::string>>(tokenizer->vocab_size());
    for (std::uint32_t id = 0; id < tokenizer->vocab_size(); ++id) {
      (*texts)[id] = tokenizer->streamed_bytes(id);
    }
    request.token_bytes = [texts](std::int32_t id) {
      const auto place = static_cast<std::size_t>(id);
      // A model's vocabulary may be padded beyond the tokenizer's.
      return place < texts->size() ? std::string_view((*texts)[place]) : std::string_view();
    };
  }
#endif
  validate(request.sampling);
  return request;
}

std::vector<GenerationRequest> read_generation_requests(const Napi::Value& value, const char* where) {
  if (!value.IsArray()) {
    bad_argument(where, "requests must be an array");
  }
  const Napi::Array array = value.As<Napi::Array>();
  if (array.Length() > kMostRequests) {
    bad_argument(where, "requests holds " + std::to_string(array.Length()) + " entries; at most " +
                            std::to_string(kMostRequests) + " are taken at once");
  }
  std::vector<GenerationRequest> requests;
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::Value request = array.Get(index);
    if (!request.IsObject()) {
      bad_argument(where, "requests[" + std::to_string(index) + "] must be an object");
    }
    requests.push_back(read_generation_request(request.As<Napi::Object>(), where));
  }
  return requests;
}

ScoringRequest read_scoring_request(const Napi::Object& object, const char* where) {
  ScoringRequest request;
  request.tokens = token_ids(object.Get("tokens"), where, "tokens");
  request.end_of_text_id = read_end_of_text(object, where);
  request.window = has_field(object, "window") ? integer_field(object, "window", where, 1, kLargestInt32) : 0;
  request.stride = has_field(object, "stride") ? integer_field(object, "stride", where, 1, kLargestInt32) : 0;
  request.alternatives = read_alternatives(object, where);
  return request;
}

} // namespace assay::binding
