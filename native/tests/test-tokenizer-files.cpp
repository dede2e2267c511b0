#include "tests/check.h"
#include "tests/temporary-folder.h"
#include "tests/tokenizer-reference.h"

#include "engine/base/error.h"
#include "engine/base/json-writer.h"
#include "engine/base/json.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/tokenizer-json.h"
#include "engine/tokenizer/vocab-and-merges.h"

using namespace assay;
using namespace assay::test;

namespace {

Tokenizer trained(std::uint32_t vocab_size, std::vector<std::string> specials) {
  TextMaker maker(41);
  BpeTrainer trainer({});
  const std::string text = maker.prose(3000) + maker.nasty(2000, true);
  const std::string_view view = text;
  trainer.add(std::span(&view, 1));
  return trainer
      .train({.vocab_size = vocab_size, .min_frequency = 2, .special_tokens = std::move(specials), .on_progress = {}})
      .tokenizer;
}

void check_equal(const Tokenizer& left, const Tokenizer& right) {
  CHECK(std::equal(left.tokens().begin(), left.tokens().end(), right.tokens().begin(), right.tokens().end()));
  CHECK(std::equal(left.merges().begin(), left.merges().end(), right.merges().begin(), right.merges().end()));
  CHECK_EQ(left.specials().size(), right.specials().size());
  for (std::size_t index = 0; index < left.specials().size(); ++index) {
    CHECK_EQ(left.specials()[index].id, right.specials()[index].id);
  }
  CHECK(left.end_of_text_id() == right.end_of_text_id());
  CHECK_EQ(left.ignore_merges(), right.ignore_merges());
}

// A small tokenizer.json as text, to be changed by replacing parts of it.
std::string small_json() {
  static const std::string text = [] {
    TokenizerParts parts;
    for (const std::uint8_t byte : kByteOfId) {
      parts.tokens.emplace_back(1, static_cast<char>(byte));
    }
    for (const char* token : {"th", "the", " t", "<|endoftext|>"}) {
      parts.tokens.emplace_back(token);
    }
    const std::uint32_t t = kIdOfByte['t'];
    parts.merges = {{t, kIdOfByte['h'], 256}, {256, kIdOfByte['e'], 257}, {kIdOfByte[' '], t, 258}};
    parts.specials = {{.id = 259}};
    return format_tokenizer_json(Tokenizer(std::move(parts), "test"));
  }();
  return text;
}

std::string with(std::string_view found, std::string_view replacement) {
  std::string text = small_json();
  const std::size_t at = text.find(found);
  if (at == std::string::npos) {
    fail_check(__FILE__, __LINE__, "the text has no " + std::string(found));
  }
  return text.replace(at, found.size(), replacement);
}

void check_refused(const std::string& text, const char* code, const char* reason) {
  CHECK_THROWS(parse_tokenizer_json(text, "test.json"), code, reason);
}

const bool kCases[] = {
    add_case("tokenizer.json round trips in both spellings of merges",
             [] {
               const TemporaryFolder folder;
               const Tokenizer tokenizer = trained(700, {"<|pad|>", "<|\u00E9|>", "<|endoftext|>"});
               for (const MergeSpelling spelling : {MergeSpelling::kText, MergeSpelling::kPairs}) {
                 write_tokenizer_json(tokenizer, folder.file("tokenizer.json"), spelling);
                 const Tokenizer back = read_tokenizer_json(folder.file("tokenizer.json"));
                 check_equal(tokenizer, back);
                 CHECK(format_tokenizer_json(back, spelling) == read_file(folder.file("tokenizer.json")));
               }
             }),
    add_case("vocab.json and merges.txt round trip",
             [] {
               const TemporaryFolder folder;
               const Tokenizer tokenizer = trained(700, {"<|endoftext|>"});
               write_vocab_and_merges(tokenizer, folder.path());
               CHECK(read_file(folder.file("merges.txt")).starts_with("#version: 0.2\n"));
               check_equal(tokenizer, read_vocab_and_merges(folder.file("vocab.json"), folder.file("merges.txt")));
               // With the line ends of another system.
               std::string merges = read_file(folder.file("merges.txt"));
               for (std::size_t at = 0; (at = merges.find('\n', at)) != std::string::npos; at += 2) {
                 merges.insert(at, "\r");
               }
               write_file(folder.file("merges.txt"), merges);
               check_equal(tokenizer, read_vocab_and_merges(folder.file("vocab.json"), folder.file("merges.txt")));
             }),
    add_case(
        "a piece that begins with # is a merge, only the first line is a version",
        [] {
          const TemporaryFolder folder;
          BpeTrainer trainer({});
          const std::string text = "#version #version ## ## ###";
          const std::string_view view = text;
          trainer.add(std::span(&view, 1));
          const Tokenizer tokenizer =
              trainer.train({.vocab_size = 300, .min_frequency = 1, .special_tokens = {}, .on_progress = {}}).tokenizer;
          write_vocab_and_merges(tokenizer, folder.path());
          check_equal(tokenizer, read_vocab_and_merges(folder.file("vocab.json"), folder.file("merges.txt")));
        }),
    add_case("vocab.json and merges.txt are not written where they would lose something",
             [] {
               const TemporaryFolder folder;
               CHECK_THROWS(write_vocab_and_merges(trained(300, {"<|pad|>"}), folder.path()), "NOT_SUPPORTED",
                            "<|pad|>");
               CHECK(!std::filesystem::exists(folder.file("vocab.json")));
             }),
    add_case("training twice writes the same bytes",
             [] {
               CHECK(format_tokenizer_json(trained(600, {"<|endoftext|>"})) ==
                     format_tokenizer_json(trained(600, {"<|endoftext|>"})));
             }),
    add_case("what Hugging Face writes differently but means the same is accepted",
             [] {
               const Tokenizer wanted = parse_tokenizer_json(small_json(), "test");
               for (const std::string& text :
                    {with("\"dropout\": null", "\"dropout\": 0.0"),
                     with("\"unk_token\": null", "\"unk_token\": \"<|endoftext|>\""),
                     with("\"continuing_subword_prefix\": null", "\"continuing_subword_prefix\": \"\""),
                     with("\"fuse_unk\": false", "\"fuse_unk\": true"), with("\"type\": \"BPE\",", ""),
                     with("\"ignore_merges\": false,", ""), with("\"byte_fallback\": false,", ""),
                     with("\"post_processor\": null", "\"post_processor\": {\"type\": \"ByteLevel\", "
                                                      "\"add_prefix_space\": true, \"trim_offsets\": false}"),
                     with("\"th e\"", "[\"th\", \"e\"]"),
                     with("\"<|endoftext|>\": 259", "\"<|endoftext|>\": 259, \"!\": 0")}) {
                 check_equal(wanted, parse_tokenizer_json(text, "test"));
               }
               // A special token that the vocabulary leaves out.
               check_equal(wanted, parse_tokenizer_json(with(",\n      \"<|endoftext|>\": 259", ""), "test"));
               CHECK(parse_tokenizer_json(with("\"ignore_merges\": false", "\"ignore_merges\": true"), "test")
                         .ignore_merges());
             }),
    add_case("the flags of special tokens are kept",
             [] {
               const Tokenizer tokenizer =
                   parse_tokenizer_json(with("\"normalized\": false", "\"normalized\": true"), "test");
               CHECK(tokenizer.specials()[0].normalized);
               CHECK(format_tokenizer_json(tokenizer).find("\"normalized\": true") != std::string::npos);
             }),
    add_case(
        "what this engine would do differently is refused by the field's name",
        [] {
          const char* const code = "NOT_SUPPORTED";
          check_refused(with("\"version\": \"1.0\"", "\"version\": \"2.0\""), code, "\"version\"");
          check_refused(with("\"truncation\": null", "\"truncation\": {\"max_length\": 5}"), code, "\"truncation\"");
          check_refused(with("\"padding\": null", "\"padding\": {}"), code, "\"padding\"");
          check_refused(with("\"normalizer\": null", "\"normalizer\": {\"type\": \"NFC\"}"), code, "\"normalizer\"");
          check_refused(
              with("\"post_processor\": null", "\"post_processor\": {\"type\": \"TemplateProcessing\"}"), code,
              "\"post_processor\" asks for what byte-level BPE as GPT-2 has it does not do (it is TemplateProcessing");
          check_refused(with("\"add_prefix_space\": false", "\"add_prefix_space\": true"), code,
                        "\"pre_tokenizer.add_prefix_space\"");
          check_refused(with("\"add_prefix_space\": false,", ""), code, "\"pre_tokenizer.add_prefix_space\"");
          check_refused(with("\"use_regex\": true", "\"use_regex\": false"), code, "\"pre_tokenizer.use_regex\"");
          check_refused(with("\"type\": \"ByteLevel\"", "\"type\": \"Whitespace\""), code, "it is Whitespace");
          check_refused(with("\"type\": \"BPE\"", "\"type\": \"Unigram\""), code, "\"model.type\"");
          check_refused(with("\"dropout\": null", "\"dropout\": 0.1"), code, "\"model.dropout\"");
          check_refused(with("\"end_of_word_suffix\": null", "\"end_of_word_suffix\": \"</w>\""), code,
                        "\"model.end_of_word_suffix\"");
          check_refused(with("\"byte_fallback\": false", "\"byte_fallback\": true"), code, "\"model.byte_fallback\"");
          check_refused(with("\"special\": true", "\"special\": false"), code,
                        "\"added_tokens[0] (\"<|endoftext|>\")\"");
          check_refused(with("\"fuse_unk\": false", "\"fuse_unk\": false, \"new_thing\": 1"), code,
                        "\"model.new_thing\"");
        }),
    add_case("damaged and contradictory files are refused with the reason",
             [] {
               const char* const code = "TOKENIZER_INVALID";
               check_refused("[]", code, "holds an array");
               check_refused("{\"version\": \"1.0\"}", "NOT_SUPPORTED", "\"pre_tokenizer\"");
               check_refused(with("\"model\": {", "\"model\": 5, \"x\": {"), "NOT_SUPPORTED", "\"x\"");
               check_refused(with("\"!\": 0,", ""), code, "must run from 0 without a gap");
               check_refused(with("\"!\": 0,", "\"!\": 7,"), code, "id 7 belongs to two tokens");
               check_refused(with("\"!\": 0,", "\"!\": 4294967295,"), code,
                             "has id 4294967295, but there are only 260 tokens");
               check_refused(with("\"!\": 0,", "\"!\": 99999999999,"), code, "at most 32 bits");
               check_refused(with("\"!\": 0,", "\"!\": -1,"), code, "not a whole number");
               check_refused(with("\"!\": 0,", "\"!\": 0.5,"), code, "not a whole number");
               check_refused(with("\"!\": 0,", "\"!!\": 0,"), code, "no token for byte 33");
               check_refused(with("\"!\": 0,", "\"\u4E2D\": 0,"), code, "outside the byte-level alphabet");
               check_refused(with("\"!\": 0,", "\"\": 0,"), code, "token 0 is empty");
               check_refused(with("\"id\": 259", "\"id\": 258"), code, "has id 258, but the vocabulary says 259");
               check_refused(with("\"content\": \"<|endoftext|>\"", "\"content\": \"the\""), code,
                             "has id 259, but the vocabulary says 257");
               check_refused(with("\"th e\"", "\"th x\""), code, "\"thx\", which the vocabulary lacks");
               check_refused(with("\"th e\"", "\"th\""), code, "merge 1 is neither");
               check_refused(with("\"th e\"", "\"t h e\""), code, "merge 1 is neither");
               check_refused(with("\"th e\"", "[\"th\"]"), code, "merge 1 is neither");
               check_refused(with("\"th e\"", "7"), code, "merge 1 is neither");
               check_refused(with("\"th e\"", "\"t h\""), code, "occurs twice");
               check_refused(with("\"unk_token\": null", "\"unk_token\": \"<unk>\""), code, "unk_token");
               check_refused(with("\"ignore_merges\": false", "\"ignore_merges\": 3"), code, "ignore_merges");
               check_refused(with("\"merges\": [", "\"merges\": 5, \"vocab_\": ["), "NOT_SUPPORTED", "vocab_");
               check_refused("{\"a\"", "JSON_INVALID", "test.json");
             }),
    add_case("every cut of a file is refused, never read past",
             [] {
               const std::string text = small_json();
               for (std::size_t length = 0; length < text.size(); length += 7) {
                 check_refused(text.substr(0, length), "JSON_INVALID", "test.json");
               }
               const TemporaryFolder folder;
               write_vocab_and_merges(parse_tokenizer_json(text, "test"), folder.path());
               const std::string merges = read_file(folder.file("merges.txt"));
               // Cut within a merge: the rest of the line is no merge.
               write_file(folder.file("merges.txt"), std::string_view(merges).substr(0, merges.size() - 4));
               CHECK_THROWS(read_vocab_and_merges(folder.file("vocab.json"), folder.file("merges.txt")),
                            "TOKENIZER_INVALID", "line 4");
               CHECK_THROWS(read_vocab_and_merges(folder.file("vocab.json"), folder.file("none")), "FILE_NOT_READABLE",
                            "none");
               write_file(folder.file("vocab.json"), "[]");
               CHECK_THROWS(read_vocab_and_merges(folder.file("vocab.json"), folder.file("merges.txt")),
                            "TOKENIZER_INVALID", "an array");
             }),
    add_case("random damage gives a tokenizer or an error",
             [] {
               std::mt19937 random(42);
               const std::string text = small_json();
               int accepted = 0;
               for (int round = 0; round < 3000; ++round) {
                 std::string damaged = text;
                 for (std::uint32_t change = 0; change < 1 + random() % 3; ++change) {
                   const std::size_t at = random() % damaged.size();
                   switch (random() % 3) {
                   case 0:
                     damaged[at] = static_cast<char>(random());
                     break;
                   case 1:
                     damaged.erase(at, 1 + random() % 20);
                     break;
                   default:
                     damaged.insert(at, damaged.substr(random() % damaged.size(), 1 + random() % 20));
                   }
                 }
                 try {
                   const auto tokenizer = std::make_shared<const Tokenizer>(parse_tokenizer_json(damaged, "test"));
                   const TokenIds ids = EncoderPool(tokenizer).encode("the the \xFF then");
                   CHECK(tokenizer->decode(ids) == "the the \xFF then");
                   ++accepted;
                 } catch (const Error&) {
                 }
               }
               CHECK(accepted > 0);
             }),
    add_case("a file that cannot be written is an error with its path",
             [] {
               const TemporaryFolder folder;
               const Tokenizer tokenizer = parse_tokenizer_json(small_json(), "test");
               CHECK_THROWS(write_tokenizer_json(tokenizer, folder.file("none/tokenizer.json")), "FILE_NOT_WRITABLE",
                            "none/tokenizer.json");
               CHECK_THROWS(write_vocab_and_merges(tokenizer, folder.file("none")), "FILE_NOT_WRITABLE",
                            "none/vocab.json");
             }),
};

} // namespace

int main() {
  return run_cases();
}
