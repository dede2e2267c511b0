// The parser behind parse_json: recursive descent, one character ahead.
#include "engine/base/json.h"

#include "engine/base/error.h"
#include "engine/base/mapped-file.h"
#include "engine/base/utf8.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace assay {

namespace {

class Parser {
public:
  Parser(std::string_view text, const std::string& source, const JsonLimits& limits)
      : text_(text), source_(source), limits_(limits) {}

  JsonValue parse_document() {
    if (text_.size() > limits_.max_bytes) {
      throw Error("JSON_INVALID", "Cannot read " + source_ + " as JSON: it has " + std::to_string(text_.size()) +
                                      " bytes, and at most " + std::to_string(limits_.max_bytes) +
                                      " are accepted here.");
    }
    if (text_.starts_with("\xEF\xBB\xBF")) {
      at_ = 3;
    }
    skip_space();
    JsonValue value = parse_value(0);
    skip_space();
    if (at_ < text_.size()) {
      fail(at_, "text after the end of the value");
    }
    return value;
  }

private:
  [[noreturn]] void fail(std::size_t at, const std::string& what) const {
    const std::string_view before = text_.substr(0, at);
    const auto line = 1 + std::count(before.begin(), before.end(), '\n');
    const std::size_t line_begin = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
    throw Error("JSON_INVALID", "Cannot read " + source_ + " as JSON: line " + std::to_string(line) + ", column " +
                                    std::to_string(at - line_begin + 1) + " (byte " + std::to_string(at) +
                                    "): " + what + ".");
  }

  [[noreturn]] void fail_expected(const std::string& what) const {
    fail(at_, at_ == text_.size() ? "the text ends where " + what + " should be" : "expected " + what);
  }

  void skip_space() {
    while (at_ < text_.size() &&
           (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\t' || text_[at_] == '\r')) {
      ++at_;
    }
  }

  bool take(char wanted) {
    if (at_ < text_.size() && text_[at_] == wanted) {
      ++at_;
      return true;
    }
    return false;
  }

  JsonValue parse_value(std::size_t depth) {
    if (at_ == text_.size()) {
      fail_expected("a value");
    }
    switch (text_[at_]) {
    case '{':
      return parse_object(depth + 1);
    case '[':
      return parse_array(depth + 1);
    case '"':
      return JsonValue(parse_string());
    case 't':
      return parse_word("true", JsonValue(true));
    case 'f':
      return parse_word("false", JsonValue(false));
    case 'n':
      return parse_word("null", JsonValue());
    default:
      return parse_number();
    }
  }

  JsonValue parse_word(std::string_view word, JsonValue value) {
    if (text_.substr(at_, word.size()) != word) {
      fail_expected("a value");
    }
    at_ += word.size();
    return value;
  }

  void check_depth(std::size_t depth) const {
    if (depth > limits_.max_depth) {
      fail(at_, "arrays and objects are nested more than " + std::to_string(limits_.max_depth) + " deep");
    }
  }

  JsonValue parse_array(std::size_t depth) {
    check_depth(depth);
    ++at_;
    JsonArray values;
    skip_space();
    if (take(']')) {
      return JsonValue(std::move(values));
    }
    for (;;) {
      skip_space();
      values.push_back(parse_value(depth));
      skip_space();
      if (take(']')) {
        return JsonValue(std::move(values));
      }
      if (!take(',')) {
        fail_expected("',' or ']'");
      }
    }
  }

  void check_unique(const std::vector<JsonMember>& members) const {
    std::vector<std::string_view> keys;
    keys.reserve(members.size());
    for (const JsonMember& member : members) {
      keys.push_back(member.key);
    }
    std::sort(keys.begin(), keys.end());
    const auto twice = std::adjacent_find(keys.begin(), keys.end());
    if (twice != keys.end()) {
      fail(at_, "the key \"" + std::string(*twice) + "\" occurs twice in one object");
    }
  }

  JsonValue parse_object(std::size_t depth) {
    check_depth(depth);
    ++at_;
    std::vector<JsonMember> members;
    skip_space();
    if (take('}')) {
      return JsonValue(JsonObject());
    }
    for (;;) {
      skip_space();
      if (at_ == text_.size() || text_[at_] != '"') {
        fail_expected("a key in double quotes");
      }
      std::string key = parse_string();
      skip_space();
      if (!take(':')) {
        fail_expected("':'");
      }
      skip_space();
      members.push_back({std::move(key), parse_value(depth)});
      skip_space();
      if (take('}')) {
        if (limits_.refuse_duplicate_keys) {
          check_unique(members);
        }
        return JsonValue(JsonObject(std::move(members)));
      }
      if (!take(',')) {
        fail_expected("',' or '}'");
      }
    }
  }

  std::string parse_string() {
    const std::size_t begin = at_++;
    std::string value;
    for (;;) {
      const std::size_t run = at_;
      while (at_ < text_.size() && static_cast<unsigned char>(text_[at_]) >= 0x20 &&
             static_cast<unsigned char>(text_[at_]) < 0x80 && text_[at_] != '"' && text_[at_] != '\\') {
        ++at_;
      }
      value.append(text_.substr(run, at_ - run));
      if (at_ == text_.size()) {
        fail(begin, "a string that begins here does not end");
      }
      const auto byte = static_cast<unsigned char>(text_[at_]);
      if (byte == '"') {
        ++at_;
        return value;
      }
      if (byte == '\\') {
        parse_escape(value);
      } else if (byte < 0x20) {
        fail(at_, "a control character inside a string; write it as an escape");
      } else {
        std::uint32_t code_point = 0;
        const unsigned length =
            decode_utf8(reinterpret_cast<const unsigned char*>(text_.data()) + at_, text_.size() - at_, code_point);
        if (length == 0) {
          fail(at_, "a byte that is not UTF-8");
        }
        value.append(text_.substr(at_, length));
        at_ += length;
      }
    }
  }

  void parse_escape(std::string& value) {
    const std::size_t begin = at_++;
    const char kind = at_ < text_.size() ? text_[at_] : '\0';
    constexpr std::string_view kEscapes = "\"\\/bfnrt";
    constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
    if (const std::size_t index = kEscapes.find(kind); kind != '\0' && index != std::string_view::npos) {
      value.push_back(kMeanings[index]);
      ++at_;
      return;
    }
    if (kind != 'u') {
      fail(begin, "an escape that JSON does not have");
    }
    ++at_;
    std::uint32_t code_point = parse_hex4(begin);
    if (code_point >= 0xDC00 && code_point <= 0xDFFF) {
      fail(begin, "the second half of a surrogate pair without its first");
    }
    if (code_point >= 0xD800 && code_point <= 0xDBFF) {
      if (text_.substr(at_, 2) != "\\u") {
        fail(begin, "the first half of a surrogate pair without its second");
      }
      at_ += 2;
      const std::uint32_t low = parse_hex4(begin);
      if (low < 0xDC00 || low > 0xDFFF) {
        fail(begin, "the first half of a surrogate pair without its second");
      }
      code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
    }
    append_utf8(value, code_point);
  }

  std::uint32_t parse_hex4(std::size_t escape_begin) {
    std::uint32_t value = 0;
    if (text_.size() - at_ < 4) {
      fail(escape_begin, "a \\u escape without four hexadecimal digits");
    }
    const char* begin = text_.data() + at_;
    const auto [end, error] = std::from_chars(begin, begin + 4, value, 16);
    if (error != std::errc() || end != begin + 4) {
      fail(escape_begin, "a \\u escape without four hexadecimal digits");
    }
    at_ += 4;
    return value;
  }

  bool at_digit() const { return at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9'; }

  void skip_digits() {
    while (at_digit()) {
      ++at_;
    }
  }

  JsonValue parse_number() {
    const std::size_t begin = at_;
    const bool negative = take('-');
    if (!at_digit()) {
      at_ = begin;
      fail_expected("a value");
    }
    if (!take('0')) {
      skip_digits();
    } else if (at_digit()) {
      fail(begin, "a number with a leading zero");
    }
    bool whole = true;
    if (take('.')) {
      whole = false;
      if (!at_digit()) {
        fail_expected("a digit after the decimal point");
      }
      skip_digits();
    }
    if (at_ < text_.size() && (text_[at_] == 'e' || text_[at_] == 'E')) {
      ++at_;
      whole = false;
      if (!take('+')) {
        take('-');
      }
      if (!at_digit()) {
        fail_expected("a digit of the exponent");
      }
      skip_digits();
    }
    const char* first = text_.data() + begin;
    const char* last = text_.data() + at_;
    if (whole) {
      // Integers too long for 64 bits fall through to a double. "-0" is a double too: it has a sign to keep.
      std::int64_t integer = 0;
      std::uint64_t natural = 0;
      if (!negative && std::from_chars(first, last, natural).ec == std::errc()) {
        return JsonValue(natural);
      }
      if (negative && std::from_chars(first, last, integer).ec == std::errc() && integer != 0) {
        return JsonValue(integer);
      }
    }
    double number = 0;
    if (std::from_chars(first, last, number).ec != std::errc()) {
      fail(begin, "a number outside the range of a double");
    }
    return JsonValue(number);
  }

  std::string_view text_;
  const std::string& source_;
  const JsonLimits& limits_;
  std::size_t at_ = 0;
};

} // namespace

JsonValue parse_json(std::string_view text, const std::string& source, const JsonLimits& limits) {
  return Parser(text, source, limits).parse_document();
}

JsonValue read_json_file(const std::string& path, const JsonLimits& limits) {
  const MappedFile file(path);
  return parse_json({reinterpret_cast<const char*>(file.bytes().data()), file.size()}, path, limits);
}

} // namespace assay
