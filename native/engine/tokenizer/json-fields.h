// The fields of one object of a tokenizer.json, read with messages that name the field by its whole path. Internal to
// the readers of that file.
#pragma once

#include "engine/base/error.h"
#include "engine/base/json.h"

#include <initializer_list>
#include <string>
#include <string_view>

namespace assay {

class JsonFields {
public:
  // `path` is "" for the file's own object, otherwise "model" or "normalizer.normalizers[0]".
  JsonFields(const JsonValue& object, std::string path, const std::string& source)
      : object_(object), path_(std::move(path)), source_(source) {
    if (!object.is_object()) {
      fail((path_.empty() ? "it" : "\"" + path_ + "\"") + " holds " + object.kind_name() +
           " and should hold an object");
    }
  }

  const JsonValue& object() const { return object_; }
  const std::string& path() const { return path_; }
  const std::string& source() const { return source_; }
  std::string name(std::string_view field) const {
    return path_.empty() ? std::string(field) : path_ + "." + std::string(field);
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source_ + ": " + what + ".");
  }
  [[noreturn]] void refuse(std::string_view field, const std::string& why) const {
    throw Error("NOT_SUPPORTED", "Cannot use the tokenizer of " + source_ + ": its field \"" + name(field) +
                                     "\" asks for what this build does not do (" + why + ").");
  }

  // Null where the field is missing or null.
  const JsonValue* find(std::string_view field) const {
    const JsonValue* value = object_.find(field);
    return value == nullptr || value->is_null() ? nullptr : value;
  }
  const JsonValue& require(std::string_view field) const {
    const JsonValue* value = find(field);
    if (value == nullptr) {
      fail("it has no \"" + name(field) + "\"");
    }
    return *value;
  }
  // A key that is not known might change what the tokenizer does.
  void allow(std::initializer_list<std::string_view> known) const {
    for (const JsonMember& member : object_.members()) {
      bool is_known = false;
      for (const std::string_view each : known) {
        is_known = is_known || each == member.key;
      }
      if (!is_known && !member.value.is_null()) {
        refuse(member.key, "it does not know the field");
      }
    }
  }
  const std::string& text(std::string_view field) const {
    const JsonValue& value = require(field);
    if (!value.is_string()) {
      fail("\"" + name(field) + "\" is not a string");
    }
    return value.as_string();
  }
  std::string text_or(std::string_view field, std::string_view otherwise) const {
    return find(field) == nullptr ? std::string(otherwise) : text(field);
  }
  bool flag_or(std::string_view field, bool otherwise) const {
    const JsonValue* value = find(field);
    if (value == nullptr) {
      return otherwise;
    }
    if (!value->is_boolean()) {
      fail("\"" + name(field) + "\" is not true or false");
    }
    return value->as_boolean();
  }
  std::uint64_t whole_or(std::string_view field, std::uint64_t otherwise) const {
    const JsonValue* value = find(field);
    if (value == nullptr) {
      return otherwise;
    }
    if (!value->is_unsigned() || value->as_unsigned() > 0xFFFFFFFFU) {
      fail("\"" + name(field) + "\" is not a whole number below 2^32");
    }
    return value->as_unsigned();
  }
  const JsonArray& array(std::string_view field) const {
    const JsonValue& value = require(field);
    if (!value.is_array()) {
      fail("\"" + name(field) + "\" is not an array");
    }
    return value.as_array();
  }
  JsonFields child(std::string_view field) const { return {require(field), name(field), source_}; }
  JsonFields item(std::string_view field, std::size_t index) const {
    return {array(field)[index], name(field) + "[" + std::to_string(index) + "]", source_};
  }

private:
  const JsonValue& object_;
  std::string path_;
  const std::string& source_;
};

} // namespace assay
