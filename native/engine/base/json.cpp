#include "engine/base/json.h"

#include "engine/base/error.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace assay {

namespace {

// Below this many members an object is searched from the front.
constexpr std::size_t kSmallObject = 16;

} // namespace

JsonObject::JsonObject() = default;
JsonObject::JsonObject(const JsonObject& other) = default;
JsonObject::JsonObject(JsonObject&& other) noexcept = default;
JsonObject& JsonObject::operator=(const JsonObject& other) = default;
JsonObject& JsonObject::operator=(JsonObject&& other) noexcept = default;
JsonObject::~JsonObject() = default;

JsonObject::JsonObject(std::vector<JsonMember> members) : members_(std::move(members)) {
  const auto sort_positions = [&] {
    sorted_.resize(members_.size());
    std::iota(sorted_.begin(), sorted_.end(), 0U);
    // Equal keys stay in the order of the text.
    std::stable_sort(sorted_.begin(), sorted_.end(),
                     [&](std::uint32_t left, std::uint32_t right) { return members_[left].key < members_[right].key; });
  };
  sort_positions();
  std::vector<bool> dropped(members_.size(), false);
  bool has_duplicates = false;
  for (std::size_t i = 0; i < sorted_.size();) {
    std::size_t end = i + 1;
    while (end < sorted_.size() && members_[sorted_[end]].key == members_[sorted_[i]].key) {
      dropped[sorted_[end]] = true;
      has_duplicates = true;
      ++end;
    }
    if (end - i > 1) {
      members_[sorted_[i]].value = std::move(members_[sorted_[end - 1]].value);
    }
    i = end;
  }
  if (has_duplicates) {
    std::size_t kept = 0;
    for (std::size_t i = 0; i < members_.size(); ++i) {
      if (!dropped[i]) {
        if (kept != i) {
          members_[kept] = std::move(members_[i]);
        }
        ++kept;
      }
    }
    members_.resize(kept);
    sort_positions();
  }
  if (members_.size() <= kSmallObject) {
    sorted_ = {};
  }
}

const JsonValue* JsonObject::find(std::string_view key) const {
  if (sorted_.empty()) {
    const auto found =
        std::find_if(members_.begin(), members_.end(), [&](const JsonMember& each) { return each.key == key; });
    return found == members_.end() ? nullptr : &found->value;
  }
  const auto found =
      std::lower_bound(sorted_.begin(), sorted_.end(), key,
                       [&](std::uint32_t index, std::string_view wanted) { return members_[index].key < wanted; });
  return found == sorted_.end() || members_[*found].key != key ? nullptr : &members_[*found].value;
}

bool JsonValue::is_number() const noexcept {
  return std::holds_alternative<std::uint64_t>(value_) || std::holds_alternative<std::int64_t>(value_) ||
         std::holds_alternative<double>(value_);
}

template <typename T> const T& JsonValue::get(const char* expected) const {
  const T* value = std::get_if<T>(&value_);
  if (value == nullptr) {
    throw Error("JSON_INVALID", std::string("Expected ") + expected + " and found " + kind_name() + ".");
  }
  return *value;
}

bool JsonValue::as_boolean() const {
  return get<bool>("a boolean");
}

double JsonValue::as_number() const {
  if (const auto* natural = std::get_if<std::uint64_t>(&value_)) {
    return static_cast<double>(*natural);
  }
  if (const auto* integer = std::get_if<std::int64_t>(&value_)) {
    return static_cast<double>(*integer);
  }
  return get<double>("a number");
}

std::uint64_t JsonValue::as_unsigned() const {
  return get<std::uint64_t>("a whole number of at least 0");
}

const std::string& JsonValue::as_string() const {
  return get<std::string>("a string");
}

const JsonArray& JsonValue::as_array() const {
  return get<JsonArray>("an array");
}

const JsonObject& JsonValue::as_object() const {
  return get<JsonObject>("an object");
}

const JsonValue* JsonValue::find(std::string_view key) const {
  const auto* object = std::get_if<JsonObject>(&value_);
  return object == nullptr ? nullptr : object->find(key);
}

const char* JsonValue::kind_name() const noexcept {
  if (is_null()) {
    return "null";
  }
  if (is_boolean()) {
    return "a boolean";
  }
  if (is_string()) {
    return "a string";
  }
  if (is_array()) {
    return "an array";
  }
  return is_object() ? "an object" : "a number";
}

} // namespace assay
