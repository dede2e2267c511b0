// JSON, read from files that nobody vouches for (RFC 8259): a bounded reader into a value tree. Depth and size are
// limited, text must be UTF-8, every \u escape must pair up, and each refusal says line and column. Integers keep all
// 64 bits, because byte offsets of large files do not fit a double. Writing is json-writer.h.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace assay {

class JsonValue;
struct JsonMember;

// Members in the order of the text. A key that occurs twice keeps its first place and its last value, as in JavaScript.
class JsonObject {
public:
  JsonObject();
  JsonObject(const JsonObject& other);
  JsonObject(JsonObject&& other) noexcept;
  JsonObject& operator=(const JsonObject& other);
  JsonObject& operator=(JsonObject&& other) noexcept;
  ~JsonObject();

  // Takes members in the order read and folds duplicates.
  explicit JsonObject(std::vector<JsonMember> members);

  const std::vector<JsonMember>& members() const noexcept { return members_; }
  // Null when there is none of that name; logarithmic in large objects.
  const JsonValue* find(std::string_view key) const;

private:
  std::vector<JsonMember> members_;
  // Positions in members_, sorted by key; empty when the object is small enough to be searched through.
  std::vector<std::uint32_t> sorted_;
};

using JsonArray = std::vector<JsonValue>;

class JsonValue {
public:
  using Variant =
      std::variant<std::monostate, bool, std::int64_t, std::uint64_t, double, std::string, JsonArray, JsonObject>;

  JsonValue() = default;
  explicit JsonValue(Variant value) : value_(std::move(value)) {}

  bool is_null() const noexcept { return std::holds_alternative<std::monostate>(value_); }
  bool is_boolean() const noexcept { return std::holds_alternative<bool>(value_); }
  // Any number, 1 and 1.0 alike.
  bool is_number() const noexcept;
  // A number written without fraction or exponent that is in [0, 2^64).
  bool is_unsigned() const noexcept { return std::holds_alternative<std::uint64_t>(value_); }
  bool is_string() const noexcept { return std::holds_alternative<std::string>(value_); }
  bool is_array() const noexcept { return std::holds_alternative<JsonArray>(value_); }
  bool is_object() const noexcept { return std::holds_alternative<JsonObject>(value_); }

  // Each throws JSON_INVALID when the value is something else; ask is_…() first where the sentence should say more.
  bool as_boolean() const;
  double as_number() const;
  std::uint64_t as_unsigned() const;
  const std::string& as_string() const;
  const JsonArray& as_array() const;
  const JsonObject& as_object() const;
  const std::vector<JsonMember>& members() const { return as_object().members(); }

  // The member of an object; null when there is none or this is not an object.
  const JsonValue* find(std::string_view key) const;

  // "null", "a boolean", "a number", "a string", "an array" or "an object", for messages.
  const char* kind_name() const noexcept;

private:
  template <typename T> const T& get(const char* expected) const;

  Variant value_;
};

struct JsonMember {
  std::string key;
  JsonValue value;
};

struct JsonLimits {
  std::size_t max_depth = 64;
  std::size_t max_bytes = std::size_t{1} << 30;
  // For formats in which a second member of the same name is a lie rather than a correction.
  bool refuse_duplicate_keys = false;
};

// `source` names the text in messages (a path, as a rule). Throws JSON_INVALID: "Cannot read FILE as JSON: line 3,
// column 7: …". A byte order mark at the beginning is skipped. A number beyond a double's range is refused.
JsonValue parse_json(std::string_view text, const std::string& source, const JsonLimits& limits = {});

// Maps and parses a file.
JsonValue read_json_file(const std::string& path, const JsonLimits& limits = {});

} // namespace assay
