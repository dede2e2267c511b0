#include "binding/tokenizer-texts.h"

#include "binding/arguments.h"

#include "engine/base/utf16.h"

namespace assay::binding {

void Utf16Texts::add(const Napi::Value& text) {
  const napi_env env = text.Env();
  std::size_t length = 0;
  if (napi_get_value_string_utf16(env, text, nullptr, 0, &length) != napi_ok) {
    throw Napi::Error::New(env);
  }
  const std::size_t begin = units_.size();
  // Node-API also writes a terminating zero.
  units_.resize(begin + length + 1);
  if (napi_get_value_string_utf16(env, text, units_.data() + begin, length + 1, &length) != napi_ok) {
    throw Napi::Error::New(env);
  }
  units_.resize(begin + length);
  ends_.push_back(units_.size());
}

Utf16Texts Utf16Texts::from_array(const Napi::Value& value, const char* where, const char* name) {
  if (!value.IsArray()) {
    bad_argument(where, std::string(name) + " must be an array of strings");
  }
  const Napi::Array array = value.As<Napi::Array>();
  Utf16Texts texts;
  texts.ends_.reserve(array.Length());
  for (std::uint32_t index = 0; index < array.Length(); ++index) {
    const Napi::HandleScope scope(value.Env());
    const Napi::Value text = array.Get(index);
    if (!text.IsString()) {
      bad_argument(where, std::string(name) + "[" + std::to_string(index) + "] must be a string");
    }
    texts.add(text);
  }
  return texts;
}

Utf16Texts Utf16Texts::from_string(const Napi::Value& value, const char* where, const char* name) {
  if (!value.IsString()) {
    bad_argument(where, std::string(name) + " must be a string");
  }
  Utf16Texts texts;
  texts.add(value);
  return texts;
}

Utf8Texts::Utf8Texts(Utf16Texts texts) {
  bytes_.reserve(texts.units_.size());
  ends_.reserve(texts.ends_.size());
  std::size_t begin = 0;
  for (const std::size_t end : texts.ends_) {
    append_utf16_as_utf8(bytes_, std::u16string_view(texts.units_).substr(begin, end - begin));
    ends_.push_back(bytes_.size());
    begin = end;
  }
}

std::vector<std::string_view> Utf8Texts::views() const {
  std::vector<std::string_view> views;
  views.reserve(ends_.size());
  std::size_t begin = 0;
  for (const std::size_t end : ends_) {
    views.push_back(std::string_view(bytes_).substr(begin, end - begin));
    begin = end;
  }
  return views;
}

} // namespace assay::binding
