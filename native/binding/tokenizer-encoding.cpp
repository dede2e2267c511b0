#include "binding/tokenizer-encoding.h"

#include "binding/arguments.h"

#include <algorithm>
#include <limits>
#include <thread>

namespace assay::binding {

std::optional<bool> flag_field(const Napi::Object& object, const char* field, const char* where) {
  if (!has_field(object, field)) {
    return std::nullopt;
  }
  const Napi::Value value = object.Get(field);
  if (!value.IsBoolean()) {
    bad_argument(where, std::string(field) + " must be true or false");
  }
  return value.As<Napi::Boolean>().Value();
}

namespace {

constexpr double kMostThreads = 1024;
constexpr double kMostTokens = 2147483647.0;

Side side_field(const Napi::Object& object, const char* where) {
  const std::string side = has_field(object, "side") ? string_field(object, "side", where) : "right";
  if (side != "right" && side != "left") {
    bad_argument(where, "side must be left or right");
  }
  return side == "left" ? Side::kLeft : Side::kRight;
}

Truncation truncation_of(const Napi::Object& object, const char* where) {
  Truncation truncation;
  truncation.max_length = static_cast<std::size_t>(integer_field(object, "maxLength", where, 1, kMostTokens));
  if (has_field(object, "stride")) {
    truncation.stride = static_cast<std::size_t>(integer_field(object, "stride", where, 0, kMostTokens));
  }
  truncation.side = side_field(object, where);
  const std::string strategy =
      has_field(object, "strategy") ? string_field(object, "strategy", where) : "longest_first";
  if (strategy == "only_first") {
    truncation.strategy = TruncationStrategy::kOnlyFirst;
  } else if (strategy == "only_second") {
    truncation.strategy = TruncationStrategy::kOnlySecond;
  } else if (strategy != "longest_first") {
    bad_argument(where, "strategy must be longest_first, only_first or only_second");
  }
  return truncation;
}

Padding padding_of(const Napi::Object& object, const char* where) {
  Padding padding;
  padding.pad_id =
      static_cast<std::uint32_t>(integer_field(object, "padId", where, 0, std::numeric_limits<std::uint32_t>::max()));
  if (has_field(object, "length")) {
    padding.length = static_cast<std::size_t>(integer_field(object, "length", where, 0, kMostTokens));
  }
  if (has_field(object, "multipleOf")) {
    padding.multiple_of = static_cast<std::size_t>(integer_field(object, "multipleOf", where, 1, kMostTokens));
  }
  if (has_field(object, "padTypeId")) {
    padding.pad_type_id = static_cast<std::uint32_t>(integer_field(object, "padTypeId", where, 0, kMostTokens));
  }
  padding.side = side_field(object, where);
  return padding;
}

template <typename Array, typename Values> Array array_of(Napi::Env env, const Values& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

} // namespace

const char* kind_name(TokenizerKind kind) {
  switch (kind) {
  case TokenizerKind::kByteBpe:
    return "byte-bpe";
  case TokenizerKind::kCharacterBpe:
    return "character-bpe";
  case TokenizerKind::kWordPiece:
    return "wordpiece";
  case TokenizerKind::kUnigram:
    return "unigram";
  case TokenizerKind::kWordLevel:
    return "word-level";
  }
  return "";
}

EncodeOptions encode_options(const Napi::Value& value, const char* where) {
  EncodeOptions options;
  if (value.IsUndefined()) {
    return options;
  }
  if (!value.IsObject()) {
    bad_argument(where, "options must be an object");
  }
  const Napi::Object object = value.As<Napi::Object>();
  options.add_special_tokens = flag_field(object, "addSpecialTokens", where).value_or(true);
  options.match_special_tokens = flag_field(object, "matchSpecialTokens", where).value_or(false);
  if (has_field(object, "truncation")) {
    options.truncation = truncation_of(object_field(object, "truncation", where), where);
  }
  if (has_field(object, "padding")) {
    options.padding = padding_of(object_field(object, "padding", where), where);
  }
  return options;
}

BertOptions bert_options(const Napi::Value& value) {
  constexpr const char* kWhere = "loadVocabTxt";
  BertOptions options;
  if (value.IsUndefined()) {
    return options;
  }
  if (!value.IsObject()) {
    bad_argument(kWhere, "options must be an object");
  }
  const Napi::Object object = value.As<Napi::Object>();
  options.lowercase = flag_field(object, "lowercase", kWhere);
  options.strip_accents = flag_field(object, "stripAccents", kWhere);
  options.handle_chinese_chars = flag_field(object, "handleChineseChars", kWhere).value_or(true);
  return options;
}

TokenRoles token_roles(const Napi::Value& value, const char* where) {
  TokenRoles roles;
  if (!value.IsObject() || !has_field(value.As<Napi::Object>(), "roles")) {
    return roles;
  }
  const Napi::Object named = object_field(value.As<Napi::Object>(), "roles", where);
  const Napi::Array names = named.GetPropertyNames();
  for (std::uint32_t index = 0; index < names.Length(); ++index) {
    const std::string name = names.Get(index).ToString().Utf8Value();
    roles[name] = string_field(named, name.c_str(), where);
  }
  return roles;
}

unsigned thread_option(const Napi::Value& value, const char* where) {
  if (value.IsObject() && has_field(value.As<Napi::Object>(), "threads")) {
    return static_cast<unsigned>(integer_field(value.As<Napi::Object>(), "threads", where, 1, kMostThreads));
  }
  return std::max(std::thread::hardware_concurrency(), 1U);
}

Napi::Object encoding_object(Napi::Env env, const TextEncoding& encoding) {
  Napi::Object object = Napi::Object::New(env);
  Napi::Uint32Array starts = Napi::Uint32Array::New(env, encoding.size());
  Napi::Uint32Array ends = Napi::Uint32Array::New(env, encoding.size());
  for (std::size_t index = 0; index < encoding.size(); ++index) {
    starts.Data()[index] = encoding.offsets[index].begin;
    ends.Data()[index] = encoding.offsets[index].end;
  }
  object.Set("ids", array_of<Napi::Uint32Array>(env, encoding.ids));
  object.Set("starts", starts);
  object.Set("ends", ends);
  object.Set("typeIds", array_of<Napi::Uint32Array>(env, encoding.type_ids));
  object.Set("attentionMask", array_of<Napi::Uint8Array>(env, encoding.attention_mask));
  object.Set("specialTokensMask", array_of<Napi::Uint8Array>(env, encoding.special_tokens_mask));
  object.Set("words", array_of<Napi::Int32Array>(env, encoding.words));
  object.Set("sequences", array_of<Napi::Int8Array>(env, encoding.sequences));
  Napi::Array overflow = Napi::Array::New(env, encoding.overflow.size());
  for (std::size_t index = 0; index < encoding.overflow.size(); ++index) {
    const Napi::HandleScope scope(env);
    overflow.Set(static_cast<std::uint32_t>(index), encoding_object(env, encoding.overflow[index]));
  }
  object.Set("overflow", overflow);
  return object;
}

} // namespace assay::binding
