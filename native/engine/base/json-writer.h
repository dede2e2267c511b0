// Writes JSON text piece by piece, so that a large document needs no value tree. The same calls give the same bytes.
// Strings must be UTF-8; only what JSON demands is escaped (quotes, backslash, controls). Doubles are written as the
// shortest text that reads back equal; those that are not finite are refused, as JSON has none.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

class JsonWriter {
public:
  // Spaces a level; 0 writes everything in one line without spaces.
  explicit JsonWriter(unsigned indent = 0) : indent_(indent) {}

  JsonWriter& begin_object();
  JsonWriter& end_object();
  JsonWriter& begin_array();
  JsonWriter& end_array();
  JsonWriter& key(std::string_view name);
  JsonWriter& value(std::string_view text);
  JsonWriter& value(const char* text) { return value(std::string_view(text)); }
  JsonWriter& value(bool flag);
  JsonWriter& value(std::uint64_t number);
  JsonWriter& value(std::int64_t number);
  JsonWriter& value(double number);
  JsonWriter& null();

  // The text so far; whole once every begin has its end.
  const std::string& text() const noexcept { return text_; }
  std::string take() && { return std::move(text_); }

private:
  void before_value();
  void break_line();
  void close(char bracket);
  void write_string(std::string_view text);

  std::string text_;
  unsigned indent_;
  // Per open array or object: whether it already has an element.
  std::vector<bool> open_;
  bool after_key_ = false;
};

} // namespace assay
