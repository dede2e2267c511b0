// JavaScript strings on their way to the engine. On the JavaScript thread they are only copied, as the UTF-16 they are;
// turning them into UTF-8 is left to the thread that does the work.
#pragma once

#include <napi.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace assay::binding {

class Utf16Texts {
public:
  // An array of strings; anything else is BAD_ARGUMENT.
  static Utf16Texts from_array(const Napi::Value& value, const char* where, const char* name);
  static Utf16Texts from_string(const Napi::Value& value, const char* where, const char* name);

  std::size_t size() const noexcept { return ends_.size(); }

private:
  friend class Utf8Texts;

  void add(const Napi::Value& text);

  std::u16string units_;
  std::vector<std::size_t> ends_;
};

// The same texts in UTF-8; lone surrogates have become U+FFFD.
class Utf8Texts {
public:
  // Takes the UTF-16 apart as it goes; needs no JavaScript.
  explicit Utf8Texts(Utf16Texts texts);

  std::vector<std::string_view> views() const;
  std::size_t size() const noexcept { return ends_.size(); }

private:
  std::string bytes_;
  std::vector<std::size_t> ends_;
};

} // namespace assay::binding
