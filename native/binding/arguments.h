// Reading what JavaScript passed, checked: a wrong type or range is BAD_ARGUMENT with a sentence that names the field.
// `where` is the method, as in "trainStep".
#pragma once

#include <napi.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace assay::binding {

// 2^53 - 1: the largest whole number that JavaScript holds exactly.
constexpr double kLargestSafeInteger = 9007199254740991.0;

[[noreturn]] void bad_argument(const std::string& where, const std::string& what);

// One argument by position; `name` is what messages call it.
Napi::Object object_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where, const char* name);
std::string string_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where, const char* name);
std::int64_t integer_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where, const char* name,
                              double smallest, double largest);
Napi::Function function_argument(const Napi::CallbackInfo& info, std::size_t index, const char* where,
                                 const char* name);

// One field of an object.
bool has_field(const Napi::Object& object, const char* field); // present and not undefined
double number_field(const Napi::Object& object, const char* field, const char* where);
std::int64_t integer_field(const Napi::Object& object, const char* field, const char* where, double smallest,
                           double largest);
std::string string_field(const Napi::Object& object, const char* field, const char* where);
Napi::Object object_field(const Napi::Object& object, const char* field, const char* where);

// Copies of typed arrays: JavaScript may change or move the original while the work runs.
std::vector<float> float_values(const Napi::Value& value, const char* where, const char* name);
std::vector<std::int32_t> int_values(const Napi::Value& value, const char* where, const char* name);
// Token ids as JavaScript holds them; those of 2^31 and more are refused.
std::vector<std::int32_t> token_ids(const Napi::Value& value, const char* where, const char* name);

Napi::Value new_float_array(Napi::Env env, std::span<const float> values);
Napi::Value new_id_array(Napi::Env env, std::span<const std::int32_t> ids);

} // namespace assay::binding
