#include "binding/arguments.h"

#include "engine/base/error.h"

#include <cmath>
#include <cstring>
#include <limits>

namespace assay::binding {

namespace {

std::string number_text(double number) {
  if (std::floor(number) == number && std::abs(number) <= kLargestSafeInteger) {
    return std::to_string(static_cast<std::int64_t>(number));
  }
  return std::to_string(number);
}

std::int64_t integer_value(const Napi::Value& value, const char* where, const char* name, double smallest,
                           double largest) {
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  if (!(number >= smallest && number <= largest) || std::floor(number) != number) {
    bad_argument(where, std::string(name) + " must be a whole number from " + number_text(smallest) + " to " +
                            number_text(largest) + (value.IsNumber() ? ", not " + number_text(number) : std::string()));
  }
  return static_cast<std::int64_t>(number);
}

template <typename Array>
Array typed_array(const Napi::Value& value, napi_typedarray_type type, const char* where, const char* name,
                  const char* wanted) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) {
    bad_argument(where, std::string(name) + " must be a " + wanted);
  }
  return value.As<Array>();
}

} // namespace

void bad_argument(const std::string& where, const std::string& what) {
  throw Error("BAD_ARGUMENT", where + ": " + what + ".");
}

Napi::Object object_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where, const char* name) {
  if (!info[index].IsObject()) {
    bad_argument(where, std::string(name) + " must be an object");
  }
  return info[index].As<Napi::Object>();
}

std::string string_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where, const char* name) {
  if (!info[index].IsString()) {
    bad_argument(where, std::string(name) + " must be a string");
  }
  return info[index].As<Napi::String>().Utf8Value();
}

std::int64_t integer_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where, const char* name,
                              double smallest, double largest) {
  return integer_value(info[index], where, name, smallest, largest);
}

Napi::Function function_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where,
                                 const char* name) {
  if (!info[index].IsFunction()) {
    bad_argument(where, std::string(name) + " must be a function");
  }
  return info[index].As<Napi::Function>();
}

bool has_field(const Napi::Object& object, const char* field) {
  return !object.Get(field).IsUndefined();
}

double number_field(const Napi::Object& object, const char* field, const char* where) {
  const Napi::Value value = object.Get(field);
  if (!value.IsNumber()) {
    bad_argument(where, std::string(field) + " must be a number");
  }
  return value.As<Napi::Number>().DoubleValue();
}

std::int64_t integer_field(const Napi::Object& object, const char* field, const char* where, double smallest,
                           double largest) {
  return integer_value(object.Get(field), where, field, smallest, largest);
}

std::string string_field(const Napi::Object& object, const char* field, const char* where) {
  const Napi::Value value = object.Get(field);
  if (!value.IsString()) {
    bad_argument(where, std::string(field) + " must be a string");
  }
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object object_field(const Napi::Object& object, const char* field, const char* where) {
  const Napi::Value value = object.Get(field);
  if (!value.IsObject()) {
    bad_argument(where, std::string(field) + " must be an object");
  }
  return value.As<Napi::Object>();
}

std::vector<float> float_values(const Napi::Value& value, const char* where, const char* name) {
  const auto array = typed_array<Napi::Float32Array>(value, napi_float32_array, where, name, "Float32Array");
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<std::int32_t> int_values(const Napi::Value& value, const char* where, const char* name) {
  const auto array = typed_array<Napi::Int32Array>(value, napi_int32_array, where, name, "Int32Array");
  return {array.Data(), array.Data() + array.ElementLength()};
}

std::vector<std::int32_t> token_ids(const Napi::Value& value, const char* where, const char* name) {
  const auto array = typed_array<Napi::Uint32Array>(value, napi_uint32_array, where, name, "Uint32Array");
  std::vector<std::int32_t> ids;
  ids.reserve(array.ElementLength());
  for (std::size_t index = 0; index < array.ElementLength(); ++index) {
    const std::uint32_t id = array.Data()[index];
    if (id > static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max())) {
      bad_argument(where, std::string(name) + " holds " + std::to_string(id) + ", which no vocabulary has");
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

Napi::Value new_float_array(Napi::Env env, std::span<const float> values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  if (!values.empty()) {
    std::memcpy(array.Data(), values.data(), values.size_bytes());
  }
  return array;
}

Napi::Value new_id_array(Napi::Env env, std::span<const std::int32_t> ids) {
  Napi::Uint32Array array = Napi::Uint32Array::New(env, ids.size());
  for (std::size_t index = 0; index < ids.size(); ++index) {
    array.Data()[index] = static_cast<std::uint32_t>(ids[index]);
  }
  return array;
}

} // namespace assay::binding
