#include "tests/check.h"
#include "tests/temporary-folder.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/json-writer.h"
#include "engine/base/json.h"
#include "engine/base/mapped-file.h"
#include "engine/base/parallel.h"
#include "engine/base/philox.h"
#include "engine/base/utf16.h"
#include "engine/base/utf8.h"

#include <atomic>
#include <limits>
#include <random>

using namespace assay;
using namespace assay::test;

namespace {

JsonValue parse(std::string_view text) {
  return parse_json(text, "test.json");
}

void check_refused(std::string_view text, std::string_view reason) {
  try {
    parse(text);
  } catch (const Error& error) {
    CHECK_EQ(error.code(), std::string("JSON_INVALID"));
    if (std::string_view(error.what()).find(reason) == std::string_view::npos) {
      fail_check(__FILE__, __LINE__, "for " + std::string(text) + " the message was: " + error.what());
    }
    return;
  }
  fail_check(__FILE__, __LINE__, "was accepted: " + std::string(text));
}

const bool kJsonCases[] = {
    add_case("JSON: values of every kind are read",
             [] {
               const JsonValue value =
                   parse(" {\"a\": [1, -2, 0.5, 1e3, true, false, null, \"x\"], \"b\": {}, \"c\": []}\n");
               const JsonArray& array = value.find("a")->as_array();
               CHECK_EQ(array.size(), std::size_t{8});
               CHECK_EQ(array[0].as_unsigned(), std::uint64_t{1});
               CHECK_EQ(array[1].as_number(), -2.0);
               CHECK(!array[1].is_unsigned());
               CHECK_EQ(array[2].as_number(), 0.5);
               CHECK_EQ(array[3].as_number(), 1000.0);
               CHECK(!array[3].is_unsigned());
               CHECK(array[4].as_boolean() && !array[5].as_boolean() && array[6].is_null());
               CHECK_EQ(array[7].as_string(), std::string("x"));
               CHECK(value.find("b")->as_object().members().empty());
               CHECK(value.find("c")->as_array().empty());
               CHECK(value.find("d") == nullptr);
               CHECK(array[0].find("a") == nullptr);
             }),
    add_case("JSON: integers keep all 64 bits, larger ones become doubles",
             [] {
               CHECK_EQ(parse("18446744073709551615").as_unsigned(), std::numeric_limits<std::uint64_t>::max());
               CHECK_EQ(parse("9007199254740993").as_unsigned(), std::uint64_t{9007199254740993});
               CHECK(!parse("18446744073709551616").is_unsigned());
               CHECK_EQ(parse("18446744073709551616").as_number(), 18446744073709551616.0);
               CHECK_EQ(parse("-9223372036854775808").as_number(), -9223372036854775808.0);
               CHECK(std::signbit(parse("-0").as_number()));
             }),
    add_case("JSON: escapes and surrogate pairs are resolved",
             [] {
               const JsonValue value =
                   parse("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\\u00e9\\u20AC\\ud83d\\ude00\\u0000\"");
               CHECK_EQ(value.as_string(), std::string("\"\\/\b\f\n\r\tA\u00E9\u20AC\U0001F600\0", 19));
             }),
    add_case("JSON: a key that occurs twice keeps its first place and its last value",
             [] {
               const JsonValue value = parse("{\"a\": 1, \"b\": 2, \"a\": 3, \"c\": 4, \"a\": 5}");
               CHECK_EQ(value.members().size(), std::size_t{3});
               CHECK_EQ(value.members()[0].key, std::string("a"));
               CHECK_EQ(value.members()[0].value.as_unsigned(), std::uint64_t{5});
               CHECK_EQ(value.members()[2].key, std::string("c"));
             }),
    add_case("JSON: members of large objects are found",
             [] {
               std::string text = "{";
               for (int i = 0; i < 5000; ++i) {
                 text += "\"k" + std::to_string(i * 7919 % 5000) + "\": " + std::to_string(i) + ",";
               }
               const JsonValue value = parse(text + "\"k0\": 99}");
               CHECK_EQ(value.members().size(), std::size_t{5000});
               CHECK_EQ(value.find("k0")->as_unsigned(), std::uint64_t{99});
               CHECK_EQ(value.find("k" + std::to_string(17 * 7919 % 5000))->as_unsigned(), std::uint64_t{17});
               CHECK(value.find("k5000") == nullptr);
             }),
    add_case("JSON: damage is refused with its place",
             [] {
               check_refused("", "line 1, column 1 (byte 0): the text ends where a value should be");
               check_refused("{\n  \"a\": 1,\n  \"b\" 2}", "line 3, column 7 (byte 18): expected ':'");
               check_refused("[1, 2", "the text ends where ',' or ']' should be");
               check_refused("[1, 2,]", "expected a value");
               check_refused("{\"a\": 1,}", "expected a key in double quotes");
               check_refused("{a: 1}", "expected a key in double quotes");
               check_refused("[1] 2", "text after the end of the value");
               check_refused("nul", "expected a value");
               check_refused("NaN", "expected a value");
               check_refused("-", "expected a value");
               check_refused("01", "leading zero");
               check_refused("1.", "a digit after the decimal point");
               check_refused("1e", "a digit of the exponent");
               check_refused("+1", "expected a value");
               check_refused("1e999", "outside the range of a double");
               check_refused("\"abc", "a string that begins here does not end");
               check_refused("\"a\nb\"", "control character");
               check_refused("\"\\x\"", "an escape that JSON does not have");
               check_refused("\"\\", "an escape that JSON does not have");
               check_refused("\"\\u12\"", "four hexadecimal digits");
               check_refused("\"\\u12g4\"", "four hexadecimal digits");
               check_refused("\"\\u+123\"", "four hexadecimal digits");
               check_refused("\"\\ud83d\"", "without its second");
               check_refused("\"\\ud83d\\u0041\"", "without its second");
               check_refused("\"\\ude00\"", "without its first");
               check_refused("\"\xC3\"", "not UTF-8");
               check_refused("\"\xED\xA0\x80\"", "not UTF-8");
               check_refused("\"\xC0\x80\"", "not UTF-8");
               check_refused(std::string_view("\0", 1), "expected a value");
             }),
    add_case("JSON: nesting and size are limited",
             [] {
               check_refused(std::string(100000, '['), "nested more than 64 deep");
               parse(std::string(64, '[') + std::string(64, ']'));
               CHECK_THROWS(parse_json("[1, 2, 3]", "big.json", {.max_depth = 8, .max_bytes = 4}), "JSON_INVALID",
                            "at most 4 are accepted");
             }),
    add_case("JSON: every prefix of a document is refused, never read past",
             [] {
               const std::string text = "{\"a\": [1.5e2, \"\\ud83d\\ude00\u00E9\", true, null], \"b\": {\"c\": -7}}";
               for (std::size_t length = 0; length < text.size(); ++length) {
                 // A copy of exactly that length, so that a sanitizer sees a read past its end.
                 const std::vector<char> cut(text.begin(), text.begin() + static_cast<std::ptrdiff_t>(length));
                 check_refused({cut.data(), cut.size()}, "test.json");
               }
             }),
    add_case("JSON: random damage gives a value or an error",
             [] {
               std::mt19937 random(7);
               const std::string text = "{\"a\": [1.5e2, \"\\u00e9x\", true, null], \"b\": {\"c\": -7}}";
               for (int round = 0; round < 20000; ++round) {
                 std::string damaged = text;
                 for (int change = 0; change < 3; ++change) {
                   damaged[random() % damaged.size()] = static_cast<char>(random());
                 }
                 try {
                   parse(damaged);
                 } catch (const Error& error) {
                   CHECK_EQ(error.code(), std::string("JSON_INVALID"));
                 }
               }
             }),
    add_case("JSON: asking for the wrong kind says what was found",
             [] {
               CHECK_THROWS(parse("\"x\"").as_number(), "JSON_INVALID", "Expected a number and found a string");
               CHECK_THROWS(parse("1.5").as_unsigned(), "JSON_INVALID", "whole number");
               CHECK_THROWS(parse("[]").as_object(), "JSON_INVALID", "found an array");
             }),
    add_case(
        "JSON: what is written reads back the same, in one line and indented",
        [] {
          for (const unsigned indent : {0U, 2U}) {
            JsonWriter json(indent);
            json.begin_object().key("text").value("q\" b\\ c\x01\n\u00E9\U0001F600");
            json.key("numbers")
                .begin_array()
                .value(std::uint64_t{18446744073709551615U})
                .value(std::int64_t{-5})
                .value(0.1)
                .value(1e300)
                .end_array();
            json.key("empty").begin_array().end_array().key("nothing").begin_object().end_object();
            json.key("flag").value(true).key("null").null().end_object();
            const JsonValue value = parse(json.text());
            CHECK_EQ(value.find("text")->as_string(), std::string("q\" b\\ c\x01\n\u00E9\U0001F600"));
            CHECK_EQ(value.find("numbers")->as_array()[0].as_unsigned(), std::numeric_limits<std::uint64_t>::max());
            CHECK_EQ(value.find("numbers")->as_array()[1].as_number(), -5.0);
            CHECK_EQ(value.find("numbers")->as_array()[2].as_number(), 0.1);
            CHECK_EQ(value.find("numbers")->as_array()[3].as_number(), 1e300);
            CHECK(value.find("null")->is_null() && value.find("flag")->as_boolean());
          }
          JsonWriter json;
          json.begin_object().key("a").begin_array().value(std::uint64_t{1}).value("\x1F").end_array().end_object();
          CHECK_EQ(json.text(), std::string("{\"a\":[1,\"\\u001f\"]}"));
        }),
    add_case("JSON: what JSON cannot hold is not written",
             [] {
               CHECK_THROWS(JsonWriter().value(std::numeric_limits<double>::infinity()), "JSON_INVALID", "not finite");
               CHECK_THROWS(JsonWriter().value("a\xFF"), "JSON_INVALID", "byte 1");
             }),
};

const bool kTextCases[] = {
    add_case("UTF-8: every scalar value is written and read back, everything else is refused",
             [] {
               for (std::uint32_t wanted = 0; wanted < 0x110000; ++wanted) {
                 if (wanted >= 0xD800 && wanted <= 0xDFFF) {
                   continue;
                 }
                 std::string text;
                 append_utf8(text, wanted);
                 const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
                 std::uint32_t found = 0;
                 CHECK_EQ(std::size_t{decode_utf8(bytes, text.size(), found)}, text.size());
                 CHECK_EQ(found, wanted);
                 CHECK(text.size() == 1 || decode_utf8(bytes, text.size() - 1, found) == 0);
               }
               for (const std::string_view text :
                    {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xED\xA0\x80", "\xED\xBF\xBF",
                     "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x28\xA1"}) {
                 CHECK_EQ(find_invalid_utf8(text), std::size_t{0});
               }
               CHECK_EQ(find_invalid_utf8("ab\u00E9\xFF"), std::size_t{4});
             }),
    add_case("UTF-16: long and mixed texts become the same UTF-8, lone surrogates U+FFFD",
             [] {
               std::mt19937 random(3);
               for (int round = 0; round < 300; ++round) {
                 std::u16string utf16;
                 std::string wanted;
                 for (int index = 0; index < 60; ++index) {
                   const std::uint32_t kind = random() % 8;
                   if (kind < 5) {
                     const int run = static_cast<int>(random() % 40);
                     for (int i = 0; i < run; ++i) {
                       const auto unit = static_cast<char16_t>(random() % 128);
                       utf16.push_back(unit);
                       append_utf8(wanted, unit);
                     }
                   } else if (kind == 5) {
                     const auto unit = static_cast<char16_t>(0x80 + random() % 0xD700);
                     utf16.push_back(unit);
                     append_utf8(wanted, unit);
                   } else if (kind == 6) {
                     utf16 += u"\U0001F600";
                     append_utf8(wanted, 0x1F600);
                   } else {
                     // Apart from its neighbours, so that no pair comes about.
                     utf16.push_back(static_cast<char16_t>(0xD800 + random() % 0x800));
                     utf16.push_back(u'x');
                     append_utf8(wanted, 0xFFFD);
                     wanted.push_back('x');
                   }
                 }
                 std::string found = "before ";
                 append_utf16_as_utf8(found, utf16);
                 CHECK(found == "before " + wanted);
               }
               std::string ends;
               append_utf16_as_utf8(ends, std::u16string(1, static_cast<char16_t>(0xD83D)));
               CHECK_EQ(ends, std::string("\uFFFD"));
             }),
};

const bool kSystemCases[] = {
    add_case("Philox gives the published known answers",
             [] {
               const PhiloxCounter zeros = philox4x32({0, 0, 0, 0}, {0, 0});
               CHECK(zeros == (PhiloxCounter{0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8}));
               const PhiloxCounter ones = philox4x32({~0U, ~0U, ~0U, ~0U}, {~0U, ~0U});
               CHECK(ones == (PhiloxCounter{0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD}));
               CHECK_EQ(uniform_from_bits(0), 0.0F);
               CHECK(uniform_from_bits(~0U) < 1.0F);
             }),
    add_case("a durable file is mapped back as written, an empty one as nothing",
             [] {
               const TemporaryFolder folder;
               DurableFile file(folder.file("a"));
               file.write("hello ");
               file.write(std::string(100000, 'x'));
               file.close();
               file.close();
               const MappedFile mapped(folder.file("a"));
               CHECK_EQ(mapped.size(), std::size_t{100006});
               DurableFile(folder.file("empty")).close();
               CHECK(MappedFile(folder.file("empty")).bytes().empty());
             }),
    add_case("a file that cannot be read or written is named with the reason",
             [] {
               const TemporaryFolder folder;
               CHECK_THROWS(MappedFile(folder.file("none")), "FILE_NOT_READABLE", "none: No such file");
               CHECK_THROWS(MappedFile(folder.path()), "FILE_NOT_READABLE", "not a regular file");
               CHECK_THROWS(DurableFile(folder.file("none/a")), "FILE_NOT_WRITABLE", "none/a: No such file");
               CHECK_THROWS(read_json_file(folder.file("none")), "FILE_NOT_READABLE", "none");
             }),
    add_case("a full disk is an error of its own",
             [] {
               if (!std::filesystem::exists("/dev/full")) {
                 return;
               }
               DurableFile file("/dev/full");
               CHECK_THROWS(file.write("x"), "DISK_FULL", "no space is left");
             }),
    add_case("run_parallel runs every thread once and passes the first exception on",
             [] {
               std::atomic<unsigned> seen{0};
               run_parallel(5, [&](unsigned thread) { seen += 1U << thread; });
               CHECK_EQ(seen.load(), 31U);
               std::atomic<unsigned> ran{0};
               CHECK_THROWS(run_parallel(4,
                                         [&](unsigned thread) {
                                           ++ran;
                                           if (thread >= 2) {
                                             throw Error("CODE_" + std::to_string(thread), "failed");
                                           }
                                         }),
                            "CODE_2", "failed");
               CHECK_EQ(ran.load(), 4U);
             }),
};

} // namespace

int main() {
  return run_cases();
}
