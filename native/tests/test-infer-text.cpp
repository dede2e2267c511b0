// Stop texts and characters across the borders of tokens: every way to cut a text into tokens gives the same text.
#include "check.h"
#include "temporary-folder.h"

#include "engine/base/error.h"
#include "engine/infer/text-stream.h"

#include <random>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

struct Streamed {
  std::string text;
  std::vector<std::string> pieces;
  bool stopped = false;
};

Streamed stream(const std::vector<std::string>& tokens, const std::vector<std::string>& stops) {
  Streamed streamed;
  TextStream text(stops);
  const auto emit = [&](std::size_t number, const std::string& piece) {
    CHECK_EQ(number, streamed.pieces.size());
    streamed.pieces.push_back(piece);
    streamed.text += piece;
  };
  for (const std::string& token : tokens) {
    if (text.push(token, emit)) {
      streamed.stopped = true;
      return streamed;
    }
  }
  text.finish(emit);
  return streamed;
}

using Texts = std::vector<std::string>;

const bool added[] = {
    add_case("without stop texts each token comes out at once",
             [] {
               TextStream text({});
               std::size_t heard = 0;
               for (const char* token : {"ab", "", "c"}) {
                 CHECK(!text.push(token, [&](std::size_t, const std::string& piece) {
                   CHECK_EQ(piece, token);
                   ++heard;
                 }));
               }
               CHECK_EQ(heard, 3U);
             }),
    add_case("a stop text is found across tokens, and the text before it is kept",
             [] {
               const Streamed found = stream({"one ", "tw", "o\n", "\nth", "ree"}, {"\n\n"});
               CHECK(found.stopped);
               CHECK_EQ(found.text, "one two");
               // The token in which it begins is cut; the one that lies within it is not there.
               CHECK(found.pieces == (Texts{"one ", "tw", "o"}));
               CHECK(stream({"a", "STOP"}, {"STOP"}).pieces == Texts{"a"});
               CHECK(stream({"STOP"}, {"STOP"}).pieces.empty());
             }),
    add_case("what may become a stop text is held back, and comes out once it cannot",
             [] {
               TextStream text({"abab!"});
               std::string seen;
               const auto emit = [&](std::size_t, const std::string& piece) { seen += piece; };
               text.push("xa", emit);
               CHECK_EQ(seen, ""); // "a" may begin it, and tokens come out whole
               text.push("ba", emit);
               CHECK_EQ(seen, "");
               text.push("ba", emit); // "xababa": the last "aba" may still
               CHECK_EQ(seen, "xa");
               text.push("c", emit);
               CHECK_EQ(seen, "xababac");
               text.push("aba", emit);
               text.finish(emit);
               CHECK_EQ(seen, "xababacaba");
             }),
    add_case("however a text is cut into tokens, its streamed text is what stands before the first stop text",
             [] {
               std::mt19937 random(7);
               const std::vector<Texts> stop_sets = {{"aab"}, {"ab", "ba"}, {"aaaa", "b"}, {"abcab", "cc"}, {"z"}, {}};
               for (int round = 0; round < 3000; ++round) {
                 const Texts& stops = stop_sets[random() % stop_sets.size()];
                 std::string whole;
                 Texts tokens;
                 for (std::size_t count = random() % 12; count > 0; --count) {
                   std::string token;
                   for (std::size_t length = random() % 4; length > 0; --length) {
                     token.push_back(static_cast<char>('a' + random() % 3));
                   }
                   whole += token;
                   tokens.push_back(token);
                 }
                 const Streamed found = stream(tokens, stops);
                 // Tokens arrive one by one: what counts is the first stop text to be complete when one has arrived.
                 std::string so_far;
                 std::size_t begin = std::string::npos;
                 for (std::size_t i = 0; i < tokens.size() && begin == std::string::npos; ++i) {
                   so_far += tokens[i];
                   for (const std::string& stop : stops) {
                     begin = std::min(begin, so_far.find(stop));
                   }
                 }
                 CHECK_EQ(found.stopped, begin != std::string::npos);
                 CHECK_EQ(found.text, found.stopped ? whole.substr(0, begin) : whole);
               }
             }),
    add_case("a character split over tokens comes out whole with the token that completes it",
             [] {
               const std::string beta = "\xCE\xB2";
               const std::string beijing = "\xE5\x8C\x97\xE4\xBA\xAC";
               const std::string face = "\xF0\x9F\x98\x80";
               CHECK(stream({"a\xCE", "\xB2"}, {}).pieces == (Texts{"a", beta}));
               CHECK(stream({"\xE5\x8C", "\x97\xE4", "\xBA\xAC"}, {}).pieces ==
                     (Texts{"", beijing.substr(0, 3), beijing.substr(3)}));
               CHECK(stream({"\xF0", "\x9F", "\x98", "\x80"}, {}).pieces == (Texts{"", "", "", face}));
               // Never completed: it does not come out at all.
               CHECK_EQ(stream({"ok", "\xE5\x8C"}, {}).text, "ok");
               CHECK_EQ(stream({"ok\xE5", "\x8C.", "x"}, {"."}).text, "ok");
             }),
    add_case("bytes that are no UTF-8 pass as soon as that is certain",
             [] {
               CHECK_EQ(incomplete_character_bytes(""), 0U);
               CHECK_EQ(incomplete_character_bytes("a\x80"), 0U);
               CHECK_EQ(incomplete_character_bytes("\xC0"), 0U);
               CHECK_EQ(incomplete_character_bytes("\xFF"), 0U);
               CHECK_EQ(incomplete_character_bytes("\xE2\x82"), 2U);
               CHECK_EQ(incomplete_character_bytes("\xE2\x82\xAC"), 0U);
               CHECK_EQ(incomplete_character_bytes("\xED\xA0"), 0U); // a surrogate
               CHECK_EQ(incomplete_character_bytes("\xE0\x80"), 0U); // overlong
               CHECK_EQ(incomplete_character_bytes("\xF4\x90"), 0U); // beyond Unicode
               CHECK_EQ(incomplete_character_bytes("\xF0\x9F\x98"), 3U);
               CHECK(stream({"\xE2", "A"}, {}).pieces == (Texts{"", "\xE2"
                                                                    "A"}));
             }),
    add_case("stop texts that cannot be meant are refused",
             [] {
               CHECK_THROWS(TextStream({""}), "BAD_ARGUMENT", "1 to 4096 bytes");
               CHECK_THROWS(TextStream({std::string(5000, 'a')}), "BAD_ARGUMENT", "5000");
               CHECK_THROWS(TextStream(Texts(65, "a")), "BAD_ARGUMENT", "at most 64");
             }),
};

} // namespace

int main() {
  return run_cases();
}
