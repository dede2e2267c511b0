#include "engine/base/json-writer.h"

#include "engine/base/error.h"
#include "engine/base/utf8.h"

#include <charconv>
#include <cmath>

namespace assay {

void JsonWriter::break_line() {
  if (indent_ > 0) {
    text_.push_back('\n');
    text_.append(indent_ * open_.size(), ' ');
  }
}

void JsonWriter::before_value() {
  if (after_key_) {
    after_key_ = false;
    return;
  }
  if (!open_.empty()) {
    if (open_.back()) {
      text_.push_back(',');
    }
    open_.back() = true;
    break_line();
  }
}

void JsonWriter::close(char bracket) {
  const bool has_elements = open_.back();
  open_.pop_back();
  if (has_elements) {
    break_line();
  }
  text_.push_back(bracket);
}

JsonWriter& JsonWriter::begin_object() {
  before_value();
  text_.push_back('{');
  open_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::end_object() {
  close('}');
  return *this;
}

JsonWriter& JsonWriter::begin_array() {
  before_value();
  text_.push_back('[');
  open_.push_back(false);
  return *this;
}

JsonWriter& JsonWriter::end_array() {
  close(']');
  return *this;
}

JsonWriter& JsonWriter::key(std::string_view name) {
  before_value();
  write_string(name);
  text_.append(indent_ > 0 ? ": " : ":");
  after_key_ = true;
  return *this;
}

JsonWriter& JsonWriter::value(std::string_view text) {
  before_value();
  write_string(text);
  return *this;
}

JsonWriter& JsonWriter::value(bool flag) {
  before_value();
  text_.append(flag ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::value(std::uint64_t number) {
  before_value();
  text_.append(std::to_string(number));
  return *this;
}

JsonWriter& JsonWriter::value(std::int64_t number) {
  before_value();
  text_.append(std::to_string(number));
  return *this;
}

JsonWriter& JsonWriter::value(double number) {
  if (!std::isfinite(number)) {
    throw Error("JSON_INVALID", "Cannot write a number that is not finite as JSON; write it as a string.");
  }
  before_value();
  char digits[32];
  const auto [end, error] = std::to_chars(digits, digits + sizeof digits, number);
  text_.append(digits, end);
  return *this;
}

JsonWriter& JsonWriter::null() {
  before_value();
  text_.append("null");
  return *this;
}

void JsonWriter::write_string(std::string_view text) {
  if (const std::size_t at = find_invalid_utf8(text); at < text.size()) {
    throw Error("JSON_INVALID", "Cannot write a string as JSON: byte " + std::to_string(at) + " of it is not UTF-8.");
  }
  constexpr char kHex[] = "0123456789abcdef";
  text_.push_back('"');
  for (const char each : text) {
    const auto byte = static_cast<unsigned char>(each);
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
      text_.push_back(each);
      continue;
    }
    text_.push_back('\\');
    switch (byte) {
    case '"':
    case '\\':
      text_.push_back(each);
      break;
    case '\b':
      text_.push_back('b');
      break;
    case '\f':
      text_.push_back('f');
      break;
    case '\n':
      text_.push_back('n');
      break;
    case '\r':
      text_.push_back('r');
      break;
    case '\t':
      text_.push_back('t');
      break;
    default:
      text_.append("u00");
      text_.push_back(kHex[byte >> 4]);
      text_.push_back(kHex[byte & 15U]);
    }
  }
  text_.push_back('"');
}

} // namespace assay
