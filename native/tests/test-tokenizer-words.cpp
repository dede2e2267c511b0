#include "tests/check.h"
#include "tests/tokenizer-reference.h"

using namespace assay;
using namespace assay::test;

namespace {

std::vector<std::string> split(std::string_view text) {
  std::vector<std::string> words;
  for_each_word(text, [&](std::string_view word) { words.emplace_back(word); });
  return words;
}

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) {
    text += "[" + word + "]";
  }
  return text;
}

// The text in memory of exactly its size, so that a sanitizer sees reads past its end.
void check_like_reference(const std::string& text) {
  const std::vector<char> exact(text.begin(), text.end());
  const std::vector<std::string> found = split({exact.data(), exact.size()});
  const std::vector<std::string> wanted = reference_words(text);
  if (found != wanted) {
    fail_check(__FILE__, __LINE__, "for \"" + text + "\" expected " + joined(wanted) + ", found " + joined(found));
  }
}

const bool kCases[] = {
    add_case("words are cut as GPT-2's pattern says",
             [] {
               CHECK_EQ(joined(split("Hello world")), std::string("[Hello][ world]"));
               CHECK_EQ(joined(split("I'll don't they've 'S")), std::string("[I]['ll][ don]['t][ they]['ve][ '][S]"));
               CHECK_EQ(joined(split("IL-2, 37.5%!?")), std::string("[IL][-][2][,][ 37][.][5][%!?]"));
               CHECK_EQ(joined(split("a  b   c")), std::string("[a][ ][ b][  ][ c]"));
               CHECK_EQ(joined(split("a \n b\n\nc\td")), std::string("[a][ \n][ b][\n][\n][c][\t][d]"));
               CHECK_EQ(joined(split("end  \n")), std::string("[end][  \n]"));
               CHECK_EQ(joined(split(" ")), std::string("[ ]"));
               CHECK_EQ(joined(split("!'s")), std::string("[!'][s]"));
               CHECK_EQ(joined(split("x\u00A0y \u00E9t\u00E9 \u4E2D\u6587 \u0663\u00B2")),
                        std::string("[x][\u00A0][y][ \u00E9t\u00E9][ \u4E2D\u6587][ \u0663\u00B2]"));
               CHECK(split("").empty());
             }),
    add_case("a byte that is not UTF-8 counts as one sign of punctuation",
             [] {
               CHECK_EQ(joined(split("a\xFF\xFE"
                                     "b")),
                        std::string("[a][\xFF\xFE][b]"));
               CHECK_EQ(joined(split(" \x80!1\xE2\x82")), std::string("[ \x80!][1][\xE2\x82]"));
             }),
    add_case("all strings of four awkward characters are cut like the reference",
             [] {
               const std::vector<std::string> alphabet = {" ", "\n", "a",      "1",      "!",   "'",
                                                          "s", "l",  "\u00E9", "\u00A0", "\xFF"};
               const std::size_t base = alphabet.size();
               for (std::size_t number = 0; number < base * base * base * base; ++number) {
                 std::string text;
                 for (std::size_t rest = number, digit = 0; digit < 4; ++digit, rest /= base) {
                   text += alphabet[rest % base];
                 }
                 check_like_reference(text);
               }
             }),
    add_case("random nasty texts are cut like the reference",
             [] {
               TextMaker maker(11);
               for (int round = 0; round < 20000; ++round) {
                 check_like_reference(maker.nasty(1 + maker.below(24), true));
               }
             }),
    add_case("long texts, most of them plain prose, are cut like the reference",
             [] {
               TextMaker maker(13);
               for (int round = 0; round < 3000; ++round) {
                 std::string text;
                 while (text.size() < 300) {
                   text += maker.prose(1 + maker.below(20));
                   text += maker.below(3) == 0 ? maker.nasty(maker.below(4), true) : std::string(maker.below(3), ' ');
                   text += maker.from_alphabet("aB7- ',.", maker.below(12));
                 }
                 check_like_reference(text);
               }
             }),
    add_case("every code point is cut like the reference beside letters, numbers and signs",
             [] {
               for (std::uint32_t code_point = 0; code_point < 0x110000; ++code_point) {
                 if (code_point >= 0xD800 && code_point <= 0xDFFF) {
                   continue;
                 }
                 std::string text = "a";
                 append_utf8(text, code_point);
                 text += "1";
                 append_utf8(text, code_point);
                 text += "! ";
                 append_utf8(text, code_point);
                 const std::vector<std::string> words = split(text);
                 CHECK(words == reference_words(text));
               }
             }),
    add_case("classes of well-known characters are right",
             [] {
               using enum CharacterClass;
               const std::vector<std::pair<std::uint32_t, CharacterClass>> known = {
                   {'a', kLetter},     {'Z', kLetter},    {0xAA, kLetter},    {0xB5, kLetter},    {0x3B1, kLetter},
                   {0x4E2D, kLetter},  {0xAC00, kLetter}, {0x1D518, kLetter}, {0x20000, kLetter}, {0x31350, kLetter},
                   {'0', kNumber},     {0xB2, kNumber},   {0xBD, kNumber},    {0x663, kNumber},   {0x2167, kNumber},
                   {0x1F100, kNumber}, {' ', kSpace},     {'\n', kSpace},     {0x0B, kSpace},     {0x85, kSpace},
                   {0xA0, kSpace},     {0x1680, kSpace},  {0x2000, kSpace},   {0x2028, kSpace},   {0x202F, kSpace},
                   {0x3000, kSpace},   {0x1C, kOther},    {0x200B, kOther},   {0xFEFF, kOther},   {0x180E, kOther},
                   {0x300, kOther},    {0x94D, kOther},   {'_', kOther},      {0x1F600, kOther},  {0xE000, kOther},
                   {0x10FFFF, kOther}};
               for (const auto& [code_point, wanted] : known) {
                 if (class_of_code_point(code_point) != wanted) {
                   fail_check(__FILE__, __LINE__, "wrong class of code point " + std::to_string(code_point));
                 }
               }
             }),
    add_case("text cut at a word boundary gives the same words in pieces",
             [] {
               TextMaker maker(12);
               for (int round = 0; round < 3000; ++round) {
                 const std::string text = maker.nasty(40, true);
                 const std::size_t cut =
                     find_word_boundary(text, maker.below(static_cast<std::uint32_t>(text.size() + 1)));
                 std::vector<std::string> pieces = split(std::string_view(text).substr(0, cut));
                 const std::vector<std::string> rest = split(std::string_view(text).substr(cut));
                 pieces.insert(pieces.end(), rest.begin(), rest.end());
                 CHECK(pieces == split(text));
               }
             }),
    add_case("the byte alphabet is GPT-2's and maps back",
             [] {
               CHECK_EQ(bytes_to_piece(" the\n"), std::string("\u0120the\u010A"));
               CHECK_EQ(unsigned{kByteOfId[0]}, unsigned{'!'});
               CHECK_EQ(unsigned{kByteOfId[220]}, unsigned{' '});
               CHECK_EQ(unsigned{kByteOfId[255]}, 0xADU);
               std::string all;
               for (unsigned byte = 0; byte < 256; ++byte) {
                 all.push_back(static_cast<char>(byte));
               }
               std::string back;
               CHECK(piece_to_bytes(bytes_to_piece(all), back));
               CHECK(back == all);
               for (const std::string_view outside : {" ", "\n", "\u00A0", "\u00AD", "\u0144", "\u4E2D", "\xFF"}) {
                 CHECK(!piece_to_bytes(outside, back));
               }
             }),
};

} // namespace

int main() {
  return run_cases();
}
