// Options of encoding from JavaScript, and encodings to it.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"
#include "engine/tokenizer/vocab-txt.h"

#include <napi.h>

namespace assay::binding {

const char* kind_name(TokenizerKind kind);

// All fields are optional; undefined counts as an empty object. BAD_ARGUMENT names the field.
EncodeOptions encode_options(const Napi::Value& value, const char* where);
BertOptions bert_options(const Napi::Value& value);
// The field "roles" of an object of options, where there is one.
TokenRoles token_roles(const Napi::Value& value, const char* where);
// Unset where the object lacks it.
std::optional<bool> flag_field(const Napi::Object& object, const char* field, const char* where);
unsigned thread_option(const Napi::Value& value, const char* where);

Napi::Object encoding_object(Napi::Env env, const TextEncoding& encoding);

} // namespace assay::binding
