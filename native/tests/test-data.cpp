// The data order against the shared test vectors, and the token cache whole, cut and lying.
#include "check.h"
#include "temporary-folder.h"

#include "engine/base/error.h"
#include "engine/base/json.h"
#include "engine/data/data-order.h"
#include "engine/data/token-cache.h"

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

template <typename T> std::string little_endian(const std::vector<T>& values) {
  std::string bytes;
  for (const T value : values) {
    for (std::size_t byte = 0; byte < sizeof(T); ++byte) {
      bytes.push_back(static_cast<char>((static_cast<std::uint64_t>(value) >> (8 * byte)) & 0xFFU));
    }
  }
  return bytes;
}

std::string meta_text(const std::string& dtype, std::size_t tokens, std::size_t documents,
                      const std::string& version = "1", std::size_t vocab_size = 300) {
  return "{\"format_version\":" + version + ",\"dtype\":\"" + dtype + "\",\"token_count\":" + std::to_string(tokens) +
         ",\"document_count\":" + std::to_string(documents) +
         ",\"text_bytes\":40,\"vocab_size\":" + std::to_string(vocab_size) +
         ",\"end_of_text_id\":9,\"tokenizer_sha256\":\"\"}";
}

// Three documents: 4, 1 and 6 tokens, end-of-text (9) included.
const std::vector<std::uint16_t> kTokens = {1, 2, 3, 9, 9, 256, 5, 4, 3, 2, 9};

template <typename T = std::uint16_t> void write_cache(const TemporaryFolder& folder) {
  write_file(folder.file("tokens.bin"), little_endian(std::vector<T>(kTokens.begin(), kTokens.end())));
  write_file(folder.file("documents.idx"), little_endian(std::vector<std::uint64_t>{0, 4, 5, 11}));
  write_file(folder.file("meta.json"), meta_text(sizeof(T) == 2 ? "u16" : "u32", kTokens.size(), 3));
}

const bool added[] = {
    add_case("the data order equals the shared test vectors",
             [] {
               const JsonValue golden = read_json_file(
                   (std::filesystem::path(__FILE__).parent_path() / "../../test/golden/data-order.json").string());
               const JsonArray& cases_in_file = golden.find("cases")->as_array();
               CHECK(cases_in_file.size() >= 10);
               for (const JsonValue& each : cases_in_file) {
                 const EpochPermutation permutation(each.find("windowCount")->as_unsigned(),
                                                    each.find("seed")->as_unsigned(),
                                                    static_cast<std::uint32_t>(each.find("epoch")->as_unsigned()));
                 std::uint64_t position = each.find("from")->as_unsigned();
                 for (const JsonValue& window : each.find("windows")->as_array()) {
                   CHECK_EQ(permutation.window_at(static_cast<std::uint32_t>(position)), window.as_unsigned());
                   ++position;
                 }
                 CHECK_EQ(position, each.find("to")->as_unsigned());
               }
             }),
    add_case("an epoch visits every window exactly once, whatever their number",
             [] {
               for (std::uint32_t windows = 1; windows < 300; ++windows) {
                 const EpochPermutation permutation(windows, 17, windows % 5);
                 std::vector<bool> seen(windows, false);
                 for (std::uint32_t position = 0; position < windows; ++position) {
                   const std::uint32_t window = permutation.window_at(position);
                   CHECK(window < windows);
                   CHECK(!seen[window]);
                   seen[window] = true;
                 }
               }
             }),
    add_case("the sample sequence crosses epochs and may be entered anywhere",
             [] {
               SampleSequence forward(7, 5);
               std::vector<std::uint32_t> windows;
               for (std::uint64_t sample = 0; sample < 30; ++sample) {
                 windows.push_back(forward.window_of(sample));
               }
               SampleSequence again(7, 5);
               for (std::uint64_t sample = 30; sample-- > 0;) {
                 CHECK_EQ(again.window_of(sample), windows[sample]);
               }
               CHECK(!std::equal(windows.begin(), windows.begin() + 7, windows.begin() + 7));
             }),
    add_case("no windows, or too many to number, are refused",
             [] {
               CHECK_THROWS(EpochPermutation(0, 1, 0), "BAD_ARGUMENT", "not 0");
               CHECK_THROWS(EpochPermutation(std::uint64_t{1} << 32, 1, 0), "BAD_ARGUMENT", "4294967296");
             }),
    add_case("a token cache of either width is read document by document and window by window",
             [] {
               for (const bool wide : {false, true}) {
                 const TemporaryFolder folder;
                 wide ? write_cache<std::uint32_t>(folder) : write_cache(folder);
                 const TokenCache cache(folder.path());
                 CHECK_EQ(cache.token_count(), 11U);
                 CHECK_EQ(cache.document_count(), 3U);
                 CHECK_EQ(cache.document_begin(1), 4U);
                 CHECK_EQ(cache.window_count(3), 3U);
                 CHECK_EQ(cache.window_count(10), 1U);
                 CHECK_EQ(cache.window_count(11), 0U);
                 std::vector<std::int32_t> out(6);
                 cache.copy_tokens(5, out);
                 CHECK(out == (std::vector<std::int32_t>{256, 5, 4, 3, 2, 9}));
               }
             }),
    add_case("a gathered batch holds the windows of its samples, in order, over the end of an epoch",
             [] {
               const TemporaryFolder folder;
               write_cache(folder);
               const TokenCache cache(folder.path());
               SampleSequence sequence(cache.require_windows(3), 17);
               std::vector<std::int32_t> batch(5 * 4);
               gather_samples(cache, sequence, 1, 5, 3, batch);
               for (std::size_t row = 0; row < 5; ++row) {
                 const std::size_t window = sequence.window_of(1 + row);
                 for (std::size_t column = 0; column < 4; ++column) {
                   CHECK_EQ(batch[row * 4 + column], kTokens[window * 3 + column]);
                 }
               }
             }),
    add_case("a text shorter than the context says both lengths",
             [] {
               const TemporaryFolder folder;
               write_cache(folder);
               const TokenCache cache(folder.path());
               CHECK_THROWS(cache.require_windows(256), "TEXT_SHORTER_THAN_CONTEXT", "11 tokens");
               CHECK_THROWS(cache.require_windows(256), "TEXT_SHORTER_THAN_CONTEXT", "257");
             }),
    add_case("an empty cache has no windows and no documents",
             [] {
               const TemporaryFolder folder;
               write_file(folder.file("tokens.bin"), "");
               write_file(folder.file("documents.idx"), little_endian(std::vector<std::uint64_t>{0}));
               write_file(folder.file("meta.json"), meta_text("u16", 0, 0));
               const TokenCache cache(folder.path());
               CHECK_EQ(cache.window_count(4), 0U);
             }),
    add_case("cut, altered and lying caches are damaged, with the two numbers",
             [] {
               const TemporaryFolder folder;
               const auto refuses = [&](const std::string& name, const std::string& bytes, const std::string& text) {
                 write_cache(folder);
                 write_file(folder.file(name), bytes);
                 CHECK_THROWS(TokenCache(folder.path()), "TOKEN_CACHE_DAMAGED", text);
               };
               refuses("tokens.bin", "abc", "3 bytes");
               refuses("tokens.bin", little_endian(kTokens) + "xx", "24 bytes");
               refuses("documents.idx", little_endian(std::vector<std::uint64_t>{0, 4, 11}), "24 bytes");
               refuses("documents.idx", little_endian(std::vector<std::uint64_t>{0, 4, 5, 12}), "from 0 to 12");
               refuses("documents.idx", little_endian(std::vector<std::uint64_t>{1, 4, 5, 11}), "from 1");
               refuses("documents.idx", little_endian(std::vector<std::uint64_t>{0, 5, 5, 11}),
                       "does not rise at document 1");
               refuses("documents.idx", little_endian(std::vector<std::uint64_t>{0, std::uint64_t{1} << 60, 5, 11}),
                       "does not rise");
               refuses("meta.json", "{", "JSON");
               refuses("meta.json", "[]", "format_version");
               refuses("meta.json", meta_text("f32", 11, 3), "dtype");
               refuses("meta.json", meta_text("u32", 11, 3), "44");
               refuses("meta.json", meta_text("u16", 11, 3, "1", 9), "outside the vocabulary of 9");
               refuses("meta.json", "{\"format_version\":1,\"dtype\":\"u16\",\"token_count\":18446744073709551615}",
                       "token_count");
               refuses("meta.json", "{\"format_version\":1,\"dtype\":\"u16\",\"token_count\":-1}", "token_count");
             }),
    add_case("a missing file is named",
             [] {
               const TemporaryFolder folder;
               CHECK_THROWS(TokenCache(folder.path()), "FILE_NOT_READABLE", "tokens.bin");
             }),
    add_case("a newer format is not read",
             [] {
               const TemporaryFolder folder;
               write_cache(folder);
               write_file(folder.file("meta.json"), meta_text("u16", 11, 3, "2"));
               CHECK_THROWS(TokenCache(folder.path()), "FORMAT_VERSION_UNKNOWN", "says format 2");
             }),
    add_case("an id outside the vocabulary is found when it is read",
             [] {
               const TemporaryFolder folder;
               write_cache(folder);
               write_file(folder.file("meta.json"), meta_text("u16", 11, 3, "1", 200));
               const TokenCache cache(folder.path());
               std::vector<std::int32_t> out(11);
               CHECK_THROWS(cache.copy_tokens(0, out), "TOKEN_CACHE_DAMAGED", "token 5 of tokens.bin is 256");
               CHECK_THROWS(cache.copy_tokens(8, std::span(out).first(4)), "BAD_ARGUMENT", "8 to 12");
             }),
};

} // namespace

int main() {
  return run_cases();
}
