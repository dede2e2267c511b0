#include "engine/data/token-cache.h"

#include "engine/base/error.h"
#include "engine/base/json.h"

#include <cstring>
#include <limits>

namespace assay {

namespace {

constexpr std::uint64_t kFormatVersion = 1;
constexpr std::size_t kLargestMetaBytes = std::size_t{1} << 20;

std::uint64_t load_u64(const std::byte* from) {
  std::uint64_t value = 0;
  for (int byte = 7; byte >= 0; --byte) {
    value = (value << 8) | std::to_integer<std::uint64_t>(from[byte]);
  }
  return value;
}

} // namespace

TokenCache::TokenCache(const std::string& directory)
    : directory_(directory), tokens_(directory + "/tokens.bin"), documents_(directory + "/documents.idx") {
  read_meta();
  check_sizes();
}

void TokenCache::fail(const std::string& what) const {
  throw Error("TOKEN_CACHE_DAMAGED", "The token cache " + directory_ + " is damaged: " + what +
                                         "; delete it and it is made again from the corpus.");
}

void TokenCache::read_meta() {
  JsonValue meta;
  try {
    meta = read_json_file(directory_ + "/meta.json", {.max_bytes = kLargestMetaBytes});
  } catch (const Error& error) {
    if (error.code() != "JSON_INVALID") {
      throw;
    }
    fail(error.what());
  }
  const auto number = [&](const char* field, std::uint64_t largest) {
    const JsonValue* value = meta.find(field);
    if (value == nullptr || !value->is_unsigned() || value->as_unsigned() > largest) {
      fail(std::string("meta.json should hold ") + field + " as a whole number of at most " + std::to_string(largest));
    }
    return value->as_unsigned();
  };
  const std::uint64_t version = number("format_version", std::numeric_limits<std::uint64_t>::max());
  if (version != kFormatVersion) {
    throw Error("FORMAT_VERSION_UNKNOWN", "Cannot read the token cache " + directory_ + ": it says format " +
                                              std::to_string(version) +
                                              ", this build reads format 1; delete it and it is made again.");
  }
  const JsonValue* dtype = meta.find("dtype");
  if (dtype == nullptr || !dtype->is_string() || (dtype->as_string() != "u16" && dtype->as_string() != "u32")) {
    fail("meta.json should hold dtype \"u16\" or \"u32\"");
  }
  bytes_per_token_ = dtype->as_string() == "u16" ? 2 : 4;
  // A count beyond this could not be addressed in bytes.
  constexpr std::uint64_t kLargestCount = std::numeric_limits<std::uint64_t>::max() / 16;
  token_count_ = number("token_count", kLargestCount);
  document_count_ = number("document_count", kLargestCount);
  vocab_size_ = static_cast<std::uint32_t>(number("vocab_size", std::numeric_limits<std::int32_t>::max()));
  end_of_text_id_ = static_cast<std::uint32_t>(number("end_of_text_id", std::numeric_limits<std::int32_t>::max()));
  if (end_of_text_id_ >= vocab_size_) {
    fail("end_of_text_id " + std::to_string(end_of_text_id_) + " is outside the vocabulary of " +
         std::to_string(vocab_size_));
  }
}

void TokenCache::check_sizes() const {
  if (tokens_.size() != token_count_ * bytes_per_token_) {
    fail("tokens.bin has " + std::to_string(tokens_.size()) + " bytes, and " + std::to_string(token_count_) +
         " tokens of " + std::to_string(bytes_per_token_) + " bytes need " +
         std::to_string(token_count_ * bytes_per_token_));
  }
  if (documents_.size() != (document_count_ + 1) * 8) {
    fail("documents.idx has " + std::to_string(documents_.size()) + " bytes, and " + std::to_string(document_count_) +
         " documents need " + std::to_string((document_count_ + 1) * 8));
  }
  if (document_begin(0) != 0 || document_begin(document_count_) != token_count_) {
    fail("documents.idx runs from " + std::to_string(document_begin(0)) + " to " +
         std::to_string(document_begin(document_count_)) + ", not from 0 to " + std::to_string(token_count_));
  }
  std::uint64_t previous = 0;
  for (std::uint64_t document = 1; document <= document_count_; ++document) {
    const std::uint64_t begin = document_begin(document);
    if (begin <= previous) {
      fail("documents.idx does not rise at document " + std::to_string(document - 1));
    }
    previous = begin;
  }
}

std::uint64_t TokenCache::document_begin(std::uint64_t document) const {
  return load_u64(documents_.bytes().data() + document * 8);
}

void TokenCache::copy_tokens(std::uint64_t begin, std::span<std::int32_t> out) const {
  require_tokens(begin, out.size());
  const std::byte* from = tokens_.bytes().data() + begin * bytes_per_token_;
  if (copy_ids(from, bytes_per_token_, vocab_size_, out)) {
    return;
  }
  std::int64_t id = 0;
  const std::size_t index = find_foreign_id(from, bytes_per_token_, vocab_size_, out.size(), id);
  fail("token " + std::to_string(begin + index) + " of tokens.bin is " + std::to_string(id) +
       ", outside the vocabulary of " + std::to_string(vocab_size_));
}

void gather_samples(const TokenCache& cache, SampleSequence& sequence, std::uint64_t first_sample,
                    std::uint32_t sample_count, std::uint32_t seq_len, std::span<std::int32_t> out) {
  const std::size_t width = std::size_t{seq_len} + 1;
  for (std::size_t row = 0; row < sample_count; ++row) {
    const std::uint64_t window = sequence.window_of(first_sample + row);
    cache.copy_tokens(window * seq_len, out.subspan(row * width, width));
  }
}

} // namespace assay
