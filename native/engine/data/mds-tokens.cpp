#include "engine/data/mds-tokens.h"

#include "engine/base/error.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string_view>
#include <utility>

namespace assay {

namespace {

constexpr std::uint64_t kU32Bytes = 4;
// Of the next window while one is copied: measured, 2 KiB make permuted windows of 1 024 uint16 1.6 times as fast.
constexpr std::uint64_t kBytesAhead = 2048;
constexpr std::uint64_t kLineBytes = 64;

struct IdType {
  std::string_view name;
  std::uint32_t bytes;
};
// The narrow ones hold no vocabulary, and int16's upper half would be read as ids.
constexpr std::array<IdType, 5> kIdTypes = {{{"uint16", 2}, {"uint32", 4}, {"int32", 4}, {"uint64", 8}, {"int64", 8}}};

// Of "2048" or "4,512": how many values. nullopt where it is no shape, or one of more values than a shard has bytes.
std::optional<std::uint64_t> parse_shape(std::string_view text) {
  std::uint64_t values = 1;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view side = text.substr(0, comma);
    if (side.empty() || side.size() > 10 || side.front() == '0' ||
        !std::all_of(side.begin(), side.end(), [](char digit) { return digit >= '0' && digit <= '9'; })) {
      return std::nullopt;
    }
    std::uint64_t extent = 0;
    for (const char digit : side) {
      extent = extent * 10 + static_cast<std::uint64_t>(digit - '0');
    }
    if (extent > std::numeric_limits<std::uint32_t>::max() / values) {
      return std::nullopt;
    }
    values *= extent;
    if (comma == std::string_view::npos) {
      return values;
    }
    text.remove_prefix(comma + 1);
  }
}

} // namespace

struct MdsTokens::Encoding {
  bool is_array = false;
  std::uint32_t bytes_per_id = 0;
  // Of an array with a fixed shape, which has no header.
  std::optional<std::uint64_t> values;
  // How many columns of the shard have their size in the sample.
  std::uint64_t variable_columns = 0;
};

MdsTokens::MdsTokens(FileBytes file, const MdsTokenLayout& layout)
    : file_(std::move(file)), vocab_size_(layout.vocab_size) {
  const Encoding encoding = parse_encoding(layout);
  bytes_per_id_ = encoding.bytes_per_id;
  check_offsets(layout.samples);
  // Only now is the number of samples known to fit into the file.
  places_.reserve(layout.samples);
  ends_.reserve(layout.samples);
  for (std::uint64_t sample = 0; sample < layout.samples; ++sample) {
    read_sample(sample, layout, encoding);
  }
}

void MdsTokens::fail(const std::string& what) const {
  throw Error("MDS_INVALID", file_.name() + ": " + what + "; fetch or write the shard again.");
}

void MdsTokens::fail_sample(std::uint64_t sample, const std::string& what) const {
  fail("sample " + std::to_string(sample) + " " + what);
}

MdsTokens::Encoding MdsTokens::parse_encoding(const MdsTokenLayout& layout) const {
  constexpr std::string_view kArray = "ndarray:";
  Encoding encoding;
  std::string_view text = layout.encoding;
  if (text == "bytes") {
    encoding.bytes_per_id = layout.bytes_per_id;
    if (encoding.bytes_per_id != 2 && encoding.bytes_per_id != 4 && encoding.bytes_per_id != 8) {
      throw Error("BAD_ARGUMENT", file_.name() + ": its tokens are bytes, and an id has 2, 4 or 8 of them, not " +
                                      std::to_string(encoding.bytes_per_id) + ".");
    }
  } else {
    const bool is_array = text.substr(0, kArray.size()) == kArray;
    text.remove_prefix(is_array ? kArray.size() : 0);
    const std::size_t colon = text.find(':');
    const auto* const type = std::find_if(kIdTypes.begin(), kIdTypes.end(),
                                          [&](const IdType& each) { return each.name == text.substr(0, colon); });
    if (is_array && colon != std::string_view::npos) {
      encoding.values = parse_shape(text.substr(colon + 1));
    }
    if (!is_array || type == kIdTypes.end() || (colon != std::string_view::npos && !encoding.values.has_value())) {
      throw Error("MDS_UNSUPPORTED", file_.name() + ": its tokens have the encoding \"" +
                                         layout.encoding.substr(0, 60) +
                                         "\"; tokens are read from bytes and from ndarray:uint16, uint32, int32, "
                                         "uint64 or int64, with or without a shape.");
    }
    encoding.is_array = true;
    encoding.bytes_per_id = type->bytes;
  }
  if (layout.token_column >= layout.column_sizes.size() ||
      layout.vocab_size > static_cast<std::uint32_t>(std::numeric_limits<std::int32_t>::max())) {
    throw Error("BAD_ARGUMENT", file_.name() + ": column " + std::to_string(layout.token_column) + " of " +
                                    std::to_string(layout.column_sizes.size()) + " and a vocabulary of " +
                                    std::to_string(layout.vocab_size) + " were asked for.");
  }
  // Every column then takes bytes of every sample, so that a small file cannot claim long work.
  if (std::find(layout.column_sizes.begin(), layout.column_sizes.end(), std::uint64_t{0}) !=
      layout.column_sizes.end()) {
    fail("its index has a column of 0 bytes");
  }
  const auto& size = layout.column_sizes[layout.token_column];
  const auto wanted = encoding.values.has_value() ? std::optional(*encoding.values * encoding.bytes_per_id)
                                                  : std::optional<std::uint64_t>();
  if (size != wanted) {
    const auto text_of = [](const std::optional<std::uint64_t>& bytes) {
      return bytes.has_value() ? std::to_string(*bytes) : std::string("variable");
    };
    fail("its index gives the tokens " + text_of(size) + " bytes, and " + layout.encoding.substr(0, 60) + " has " +
         text_of(wanted));
  }
  encoding.variable_columns = static_cast<std::uint64_t>(
      std::count(layout.column_sizes.begin(), layout.column_sizes.end(), std::optional<std::uint64_t>()));
  return encoding;
}

std::uint32_t MdsTokens::load_u32(std::uint64_t at) const {
  std::uint32_t value = 0;
  std::memcpy(&value, file_.bytes().data() + at, sizeof(value));
  return value;
}

void MdsTokens::check_offsets(std::uint64_t samples) const {
  const std::uint64_t size = file_.size();
  if (size > std::numeric_limits<std::uint32_t>::max()) {
    fail("it has " + std::to_string(size) + " bytes, and no MDS shard has 2^32 or more");
  }
  // The number of samples itself has 32 bits.
  const std::uint64_t table_end = kU32Bytes * (std::min<std::uint64_t>(samples, std::uint64_t{1} << 32) + 2);
  if (size < table_end) {
    fail("it has " + std::to_string(size) + " bytes, and the offsets of " + std::to_string(samples) +
         " samples need more");
  }
  if (load_u32(0) != samples) {
    fail("it says it has " + std::to_string(load_u32(0)) + " samples, and its index says " + std::to_string(samples));
  }
  std::uint64_t before = table_end;
  for (std::uint64_t sample = 0; sample <= samples; ++sample) {
    const std::uint64_t offset = load_u32(kU32Bytes * (sample + 1));
    if (offset < before || offset > size) {
      fail("the offset of sample " + std::to_string(sample) + " is " + std::to_string(offset) + ", not within " +
           std::to_string(before) + " to " + std::to_string(size));
    }
    before = offset;
  }
  if (before != size) {
    fail("its samples end at " + std::to_string(before) + ", and it has " + std::to_string(size) + " bytes");
  }
}

void MdsTokens::read_sample(std::uint64_t sample, const MdsTokenLayout& layout, const Encoding& encoding) {
  const std::uint64_t begin = load_u32(kU32Bytes * (sample + 1));
  const std::uint64_t end = load_u32(kU32Bytes * (sample + 2));
  const std::uint64_t variable_count = encoding.variable_columns;
  if (kU32Bytes * variable_count > end - begin) {
    fail_sample(sample, "has " + std::to_string(end - begin) + " bytes, less than the sizes of its columns");
  }
  std::uint64_t at = begin + kU32Bytes * variable_count;
  std::uint64_t size_at = begin;
  std::span<const std::byte> value;
  for (std::size_t column = 0; column < layout.column_sizes.size(); ++column) {
    const auto& fixed = layout.column_sizes[column];
    const std::uint64_t size = fixed.has_value() ? *fixed : load_u32(size_at);
    size_at += fixed.has_value() ? 0 : kU32Bytes;
    if (size > end - at) {
      fail_sample(sample, "says its column " + std::to_string(column) + " has " + std::to_string(size) + " bytes; " +
                              std::to_string(end - at) + " are left");
    }
    if (column == layout.token_column) {
      value = file_.bytes().subspan(at, size);
    }
    at += size;
  }
  if (at != end) {
    fail_sample(sample, "has " + std::to_string(end - at) + " bytes more than its columns");
  }
  const std::uint64_t header = header_bytes(sample, value, encoding);
  if ((value.size() - header) % encoding.bytes_per_id != 0) {
    fail_sample(sample, "has " + std::to_string(value.size() - header) + " bytes of tokens, which are no ids of " +
                            std::to_string(encoding.bytes_per_id) + " bytes");
  }
  places_.push_back(static_cast<std::uint32_t>(value.data() + header - file_.bytes().data()));
  const std::uint64_t count = (value.size() - header) / encoding.bytes_per_id;
  ends_.push_back(static_cast<std::uint32_t>(token_count() + count));
}

// Of an array without a fixed shape: how many dimensions times four, plus the logarithm of the bytes of a side; then
// the sides. The values behind must be as many as they say.
std::uint64_t MdsTokens::header_bytes(std::uint64_t sample, std::span<const std::byte> value,
                                      const Encoding& encoding) const {
  if (!encoding.is_array || encoding.values.has_value()) {
    return 0;
  }
  if (value.empty()) {
    fail_sample(sample, "ends before the shape of its array");
  }
  const auto first = std::to_integer<std::uint32_t>(value.front());
  const std::uint64_t side_bytes = std::uint64_t{1} << (first & 3U);
  const std::uint64_t header = 1 + (first >> 2) * side_bytes;
  if (header > value.size()) {
    fail_sample(sample, "ends within the shape of its array");
  }
  std::uint64_t values = 1;
  for (std::uint64_t at = 1; at < header; at += side_bytes) {
    std::uint64_t side = 0;
    std::memcpy(&side, value.data() + at, side_bytes);
    if (values != 0 && side > std::numeric_limits<std::uint32_t>::max() / values) {
      fail_sample(sample, "has a shape of more values than a shard holds");
    }
    values *= side;
  }
  if (values * encoding.bytes_per_id != value.size() - header) {
    fail_sample(sample, "has " + std::to_string(value.size() - header) + " bytes of tokens, and " +
                            std::to_string(values) + " ids by the shape of its array");
  }
  return header;
}

std::size_t MdsTokens::sample_of(std::uint64_t token) const noexcept {
  // The first one that ends behind it; empty samples hold none.
  return static_cast<std::size_t>(std::upper_bound(ends_.begin(), ends_.end(), token) - ends_.begin());
}

std::uint64_t MdsTokens::begin_of(std::size_t sample) const noexcept {
  return sample == 0 ? 0 : ends_[sample - 1];
}

void MdsTokens::expect_tokens(std::uint64_t begin) const noexcept {
  const std::size_t sample = sample_of(begin);
  if (sample == ends_.size()) {
    return;
  }
  const std::uint64_t place = places_[sample] + (begin - begin_of(sample)) * bytes_per_id_;
  const std::uint64_t end = std::min<std::uint64_t>(file_.size(), place + kBytesAhead);
  for (std::uint64_t at = place; at < end; at += kLineBytes) {
    __builtin_prefetch(file_.bytes().data() + at);
  }
}

void MdsTokens::copy_tokens(std::uint64_t begin, std::span<std::int32_t> out) const {
  require_tokens(begin, out.size());
  std::size_t sample = sample_of(begin);
  while (!out.empty()) {
    const std::uint64_t sample_begin = begin_of(sample);
    const auto count = static_cast<std::size_t>(std::min<std::uint64_t>(out.size(), ends_[sample] - begin));
    const std::byte* from = file_.bytes().data() + places_[sample] + (begin - sample_begin) * bytes_per_id_;
    if (!copy_ids(from, bytes_per_id_, vocab_size_, out.first(count))) {
      std::int64_t id = 0;
      const std::size_t index = find_foreign_id(from, bytes_per_id_, vocab_size_, count, id);
      throw Error("TOKEN_OUT_OF_RANGE",
                  file_.name() + ": token " + std::to_string(begin - sample_begin + index) + " of sample " +
                      std::to_string(sample) + " is " + std::to_string(id) + ", outside the vocabulary of " +
                      std::to_string(vocab_size_) +
                      "; use the tokenizer that the shard was written with, and the width of its ids.");
    }
    out = out.subspan(count);
    begin += count;
    ++sample;
  }
}

} // namespace assay
