// The tokens of MDS shards: every width and encoding, beside other columns, and files that are cut, altered or lie.
#include "check.h"
#include "temporary-folder.h"

#include "engine/base/error.h"
#include "engine/data/mds-tokens.h"

#include <algorithm>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

using Samples = std::vector<std::vector<std::int64_t>>;

const Samples kSamples = {{5, 1, 299}, {}, {7}, {0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}, {3, 4}};
const std::vector<std::int32_t> kTokens = {5, 1, 299, 7, 0, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 3, 4};

std::string little_endian(std::uint64_t value, std::size_t bytes) {
  std::string text;
  for (std::size_t byte = 0; byte < bytes; ++byte) {
    text.push_back(static_cast<char>((value >> (8 * byte)) & 0xFFU));
  }
  return text;
}

// What one sample stores in its column of tokens.
std::string ids_of(const std::vector<std::int64_t>& ids, const MdsTokenLayout& layout, std::uint32_t width) {
  std::string text;
  if (layout.encoding.rfind("ndarray:", 0) == 0 && layout.encoding.find(':', 8) == std::string::npos) {
    // One dimension, its side in one byte.
    text = little_endian(1U << 2, 1) + little_endian(ids.size(), 1);
  }
  for (const std::int64_t id : ids) {
    text += little_endian(static_cast<std::uint64_t>(id), width);
  }
  return text;
}

// A shard of three columns: "id" (a fixed int64), "tokens", "url" (variable).
std::string shard_of(const Samples& samples, const MdsTokenLayout& layout, std::uint32_t width) {
  const std::string header = "{\"anything\": 1}";
  std::vector<std::string> written;
  for (std::size_t sample = 0; sample < samples.size(); ++sample) {
    const std::string tokens = ids_of(samples[sample], layout, width);
    const std::string url(sample % 4, 'u');
    std::string sizes = layout.column_sizes[1].has_value() ? "" : little_endian(tokens.size(), 4);
    sizes += little_endian(url.size(), 4);
    written.push_back(sizes + little_endian(sample, 8) + tokens + url);
  }
  std::string bytes = little_endian(samples.size(), 4);
  std::uint64_t at = 4 + 4 * (samples.size() + 1) + header.size();
  for (const std::string& sample : written) {
    bytes += little_endian(at, 4);
    at += sample.size();
  }
  bytes += little_endian(at, 4) + header;
  for (const std::string& sample : written) {
    bytes += sample;
  }
  return bytes;
}

MdsTokenLayout layout_of(const std::string& encoding, std::uint32_t bytes_per_id = 8) {
  MdsTokenLayout layout;
  layout.samples = kSamples.size();
  layout.column_sizes = {8, std::nullopt, std::nullopt};
  layout.token_column = 1;
  layout.encoding = encoding;
  layout.bytes_per_id = bytes_per_id;
  layout.vocab_size = 300;
  return layout;
}

MdsTokens open_bytes(const std::string& bytes, const MdsTokenLayout& layout) {
  return MdsTokens(FileBytes(std::as_bytes(std::span(bytes.data(), bytes.size())), "shard.mds"), layout);
}

struct Written {
  MdsTokenLayout layout;
  std::uint32_t width;
};
const std::vector<Written> kWritten = {{layout_of("bytes", 2), 2},       {layout_of("bytes", 4), 4},
                                       {layout_of("bytes", 8), 8},       {layout_of("ndarray:uint16"), 2},
                                       {layout_of("ndarray:uint32"), 4}, {layout_of("ndarray:int32"), 4},
                                       {layout_of("ndarray:uint64"), 8}, {layout_of("ndarray:int64"), 8}};

std::vector<std::int32_t> copied(const TokenText& text, std::uint64_t begin, std::size_t count) {
  std::vector<std::int32_t> out(count, -7);
  text.copy_tokens(begin, out);
  return out;
}

const bool added[] = {
    add_case("every width and encoding gives the same tokens from any place on, over the borders of samples",
             [] {
               for (const auto& [layout, width] : kWritten) {
                 const std::string bytes = shard_of(kSamples, layout, width);
                 const MdsTokens tokens = open_bytes(bytes, layout);
                 CHECK_EQ(tokens.token_count(), kTokens.size());
                 CHECK_EQ(tokens.sample_count(), kSamples.size());
                 for (std::size_t begin = 0; begin <= kTokens.size(); ++begin) {
                   for (std::size_t count = 0; count <= kTokens.size() - begin; ++count) {
                     const auto from = kTokens.begin() + static_cast<std::ptrdiff_t>(begin);
                     CHECK(copied(tokens, begin, count) ==
                           std::vector<std::int32_t>(from, from + static_cast<std::ptrdiff_t>(count)));
                   }
                 }
                 CHECK_THROWS(copied(tokens, 3, kTokens.size() - 2), "BAD_ARGUMENT", "3 to 18");
                 CHECK_THROWS(copied(tokens, ~std::uint64_t{0}, 1), "BAD_ARGUMENT", "of a text of 17");
               }
             }),
    add_case("arrays of a fixed shape have no header, whatever their dimensions",
             [] {
               const Samples samples = {{1, 2, 3, 4, 5, 6}, {7, 8, 9, 10, 11, 12}};
               for (const std::string shape : {"6", "2,3"}) {
                 MdsTokenLayout layout = layout_of("ndarray:int32:" + shape);
                 layout.column_sizes[1] = 24;
                 layout.samples = 2;
                 const std::string bytes = shard_of(samples, layout, 4);
                 const MdsTokens tokens = open_bytes(bytes, layout);
                 CHECK(copied(tokens, 0, 12) == (std::vector<std::int32_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}));
                 layout.column_sizes[1] = 20;
                 CHECK_THROWS(open_bytes(bytes, layout), "MDS_INVALID", "20 bytes, and ndarray:int32:");
                 layout.column_sizes[1] = std::nullopt;
                 CHECK_THROWS(open_bytes(bytes, layout), "MDS_INVALID", "variable bytes");
               }
             }),
    add_case("arrays say their shape in any width and number of dimensions",
             [] {
               const auto read = [](const std::string& value) {
                 MdsTokenLayout layout = layout_of("ndarray:uint16");
                 layout.samples = 1;
                 layout.column_sizes = {std::nullopt};
                 layout.token_column = 0;
                 const std::string bytes = little_endian(1, 4) + little_endian(12, 4) +
                                           little_endian(16 + value.size(), 4) + little_endian(value.size(), 4) + value;
                 return open_bytes(bytes, layout).token_count();
               };
               const std::string values = std::string("\1\0\2\0\3\0\4\0", 8);
               CHECK_EQ(read(little_endian(4 | 1, 1) + little_endian(4, 2) + values), 4U);
               CHECK_EQ(read(little_endian(4 | 2, 1) + little_endian(4, 4) + values), 4U);
               CHECK_EQ(read(little_endian(4 | 3, 1) + little_endian(4, 8) + values), 4U);
               CHECK_EQ(read(little_endian(8, 1) + little_endian(2, 1) + little_endian(2, 1) + values), 4U);
               CHECK_EQ(read(little_endian(8, 1) + little_endian(0, 1) + little_endian(200, 1)), 0U);
               CHECK_THROWS(read(""), "MDS_INVALID", "ends before the shape");
               CHECK_THROWS(read(little_endian(4 | 3, 1) + "abc"), "MDS_INVALID", "ends within the shape");
               CHECK_THROWS(read(little_endian(4, 1) + little_endian(5, 1) + values), "MDS_INVALID", "5 ids");
               CHECK_THROWS(read(little_endian(4 | 3, 1) + little_endian(~std::uint64_t{0}, 8) + values), "MDS_INVALID",
                            "more values than a shard holds");
               // Four sides of 2^16 multiply to 2^64, which is 0 in 64 bits.
               CHECK_THROWS(read(little_endian(16 | 2, 1) + little_endian(65536, 4) + little_endian(65536, 4) +
                                 little_endian(65536, 4) + little_endian(65536, 4)),
                            "MDS_INVALID", "more values than a shard holds");
             }),
    add_case("windows are copied into the rows asked for, and others are refused",
             [] {
               const MdsTokenLayout layout = layout_of("ndarray:uint16");
               const std::string bytes = shard_of(kSamples, layout, 2);
               const MdsTokens tokens = open_bytes(bytes, layout);
               CHECK_EQ(tokens.window_count(4), 4U);
               CHECK_EQ(tokens.window_count(17), 0U);
               CHECK_THROWS(tokens.window_count(0), "BAD_ARGUMENT", "length given is 0");
               std::vector<std::int32_t> out(15, -1);
               const std::vector<std::uint32_t> windows = {3, 0};
               const std::vector<std::uint32_t> rows = {2, 0};
               tokens.copy_windows(windows, 4, out, rows);
               CHECK(out == (std::vector<std::int32_t>{5, 1, 299, 7, 0, -1, -1, -1, -1, -1, 15, 16, 17, 3, 4}));
               std::vector<std::int32_t> plain(10, -1);
               tokens.copy_windows(windows, 4, plain, {});
               CHECK(std::equal(plain.begin(), plain.begin() + 5, out.begin() + 10));
               CHECK(std::equal(plain.begin() + 5, plain.end(), out.begin()));
               const std::vector<std::uint32_t> beyond = {4, 0};
               CHECK_THROWS(tokens.copy_windows(beyond, 4, out, rows), "BAD_ARGUMENT", "Window 4 of 4");
               CHECK_THROWS(tokens.copy_windows(windows, 4, plain, rows), "BAD_ARGUMENT", "row 2 of 2");
               CHECK_THROWS(tokens.copy_windows(windows, 4, out, std::span(rows).first(1)), "BAD_ARGUMENT",
                            "2 windows were asked for and 1 rows");
             }),
    add_case("an id outside the vocabulary is named with its sample, wherever it stands",
             [] {
               for (const auto& [layout, width] : kWritten) {
                 for (const std::int64_t foreign :
                      {std::int64_t{300}, std::int64_t{65535}, std::int64_t{-1}, std::int64_t{1} << 31,
                       std::int64_t{1} << 32, (std::int64_t{1} << 32) + 5, std::int64_t{-1} << 32}) {
                   // What a narrow id would become by being cut is not written.
                   if (width < 8 && (foreign >> (8 * width)) != 0) {
                     continue;
                   }
                   for (std::size_t at = 0; at < kSamples[3].size(); ++at) {
                     Samples samples = kSamples;
                     samples[3][at] = foreign;
                     const std::string bytes = shard_of(samples, layout, width);
                     const MdsTokens tokens = open_bytes(bytes, layout);
                     CHECK_THROWS(copied(tokens, 0, kTokens.size()), "TOKEN_OUT_OF_RANGE",
                                  "shard.mds: token " + std::to_string(at) + " of sample 3 is ");
                     CHECK(copied(tokens, 3, 1) == std::vector<std::int32_t>{7});
                     CHECK(copied(tokens, 16, 1) == std::vector<std::int32_t>{4});
                   }
                 }
               }
               MdsTokenLayout negative = layout_of("ndarray:int32");
               const std::string bytes = shard_of({{1}, {2}, {3}, {-4}, {5}}, negative, 4);
               CHECK_THROWS(copied(open_bytes(bytes, negative), 0, 5), "TOKEN_OUT_OF_RANGE", "sample 3 is -4,");
               negative.vocab_size = 0;
               CHECK_THROWS(copied(open_bytes(bytes, negative), 0, 1), "TOKEN_OUT_OF_RANGE", "vocabulary of 0");
               negative.vocab_size = 0x7FFFFFFF;
               CHECK(copied(open_bytes(bytes, negative), 2, 1) == std::vector<std::int32_t>{3});
               CHECK_THROWS(copied(open_bytes(bytes, negative), 0, 5), "TOKEN_OUT_OF_RANGE", "sample 3 is -4,");
             }),
    add_case("encodings that hold no token ids, and widths that no id has, are refused",
             [] {
               const std::string bytes = shard_of(kSamples, layout_of("bytes", 2), 2);
               for (const std::string encoding :
                    {"str", "ndarray", "ndarray:", "ndarray:float32", "ndarray:int16",
                     "ndarray:uint16:", "ndarray:uint16:0", "ndarray:uint16:3,", "ndarray:uint16:65536,65536",
                     "ndarray:uint16:-3", "ndarray:uint16:99999999999", "ndarray:uint16:3:4", "uint16"}) {
                 CHECK_THROWS(open_bytes(bytes, layout_of(encoding)), "MDS_UNSUPPORTED", encoding);
               }
               for (const std::uint32_t width : {0U, 1U, 3U, 16U}) {
                 CHECK_THROWS(open_bytes(bytes, layout_of("bytes", width)), "BAD_ARGUMENT", "2, 4 or 8");
               }
               MdsTokenLayout layout = layout_of("bytes", 2);
               layout.token_column = 3;
               CHECK_THROWS(open_bytes(bytes, layout), "BAD_ARGUMENT", "column 3 of 3");
               layout = layout_of("bytes", 2);
               layout.column_sizes[0] = 0;
               CHECK_THROWS(open_bytes(bytes, layout), "MDS_INVALID", "column of 0 bytes");
             }),
    add_case("a shard that is not what its index says is refused with the two numbers",
             [] {
               const MdsTokenLayout layout = layout_of("bytes", 2);
               const std::string whole = shard_of(kSamples, layout, 2);
               const auto refuses = [&](std::size_t at, const std::string& bytes, const std::string& text) {
                 std::string altered = whole;
                 altered.replace(at, bytes.size(), bytes);
                 CHECK_THROWS(open_bytes(altered, layout), "MDS_INVALID", text);
               };
               refuses(0, little_endian(6, 4), "says it has 6 samples, and its index says 5");
               refuses(4, little_endian(3, 4), "offset of sample 0 is 3, not within 28");
               refuses(8, little_endian(0xFFFFFFFF, 4), "offset of sample 1 is 4294967295");
               refuses(24, little_endian(whole.size() - 1, 4), "its samples end at");
               const std::size_t first = 28 + std::string("{\"anything\": 1}").size();
               // Sample 3 begins behind 22, 17 and 20 bytes; one byte of its url is given to its tokens.
               refuses(first + 59, little_endian(23, 4) + little_endian(2, 4), "no ids of 2 bytes");
               refuses(first, little_endian(8, 4), "sample 0 says its column 1 has 8 bytes; 6 are left");
               refuses(first, little_endian(4, 4), "sample 0 has 2 bytes more than its columns");
               refuses(first, little_endian(0xFFFFFFFF, 4), "4294967295 bytes");
               for (const std::uint64_t samples : {std::uint64_t{0}, std::uint64_t{4}, std::uint64_t{1} << 40}) {
                 MdsTokenLayout other = layout;
                 other.samples = samples;
                 CHECK_THROWS(open_bytes(whole, other), "MDS_INVALID", "shard.mds");
               }
               for (std::size_t size = 0; size < whole.size(); ++size) {
                 CHECK_THROWS(open_bytes(whole.substr(0, size), layout), "MDS_INVALID", "shard.mds");
               }
               CHECK_THROWS(open_bytes(whole + "x", layout), "MDS_INVALID", "its samples end at");
             }),
    add_case("a shard without samples has no tokens",
             [] {
               MdsTokenLayout layout = layout_of("ndarray:uint16");
               layout.samples = 0;
               const std::string bytes = shard_of({}, layout, 2);
               const MdsTokens tokens = open_bytes(bytes, layout);
               CHECK_EQ(tokens.token_count(), 0U);
               CHECK_EQ(tokens.window_count(8), 0U);
               CHECK(copied(tokens, 0, 0).empty());
             }),
    add_case("whatever bytes are altered, what opens can be read to its end",
             [] {
               std::mt19937 random(11); // NOLINT: the same cases every time
               std::size_t opened = 0;
               for (const auto& [layout, width] : kWritten) {
                 const std::string whole = shard_of(kSamples, layout, width);
                 for (int round = 0; round < 2000; ++round) {
                   std::string altered = whole;
                   for (int change = 0; change < 3; ++change) {
                     altered[random() % altered.size()] = static_cast<char>(random());
                   }
                   try {
                     const MdsTokens tokens = open_bytes(altered, layout);
                     ++opened;
                     copied(tokens, 0, tokens.token_count());
                   } catch (const Error& error) {
                     CHECK(error.code() == "MDS_INVALID" || error.code() == "TOKEN_OUT_OF_RANGE");
                   }
                 }
               }
               CHECK(opened > 100);
             }),
    add_case("a shard on disk is mapped",
             [] {
               const TemporaryFolder folder;
               const MdsTokenLayout layout = layout_of("bytes", 4);
               write_file(folder.file("shard.mds"), shard_of(kSamples, layout, 4));
               const MdsTokens tokens(FileBytes(folder.file("shard.mds")), layout);
               CHECK(copied(tokens, 0, kTokens.size()) == kTokens);
               CHECK_THROWS(MdsTokens(FileBytes(folder.file("none")), layout), "FILE_NOT_READABLE", "none");
             }),
};

} // namespace

int main() {
  return run_cases();
}
