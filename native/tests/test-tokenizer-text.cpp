// The text pipelines on bytes that JavaScript cannot hold: what is not UTF-8, and words far beyond any sensible length;
// and SentencePiece's reader on bytes that are no model.
#include "tests/check.h"
#include "tests/temporary-folder.h"

#include "engine/base/error.h"
#include "engine/tokenizer/fast-bpe.h"
#include "engine/tokenizer/sentencepiece-model.h"
#include "engine/tokenizer/text-tokenizer-json.h"
#include "engine/tokenizer/text-tokenizer.h"
#include "engine/tokenizer/vocab-txt.h"

#include <string>
#include <vector>

using namespace assay;
using assay::test::add_case;
using assay::test::run_cases;

namespace {

TextTokenizer small_bert() {
  return {parse_vocab_txt("[UNK]\n[CLS]\n[SEP]\na\n##a\nkin\n##ase\n-\n", "small"), "small"};
}

EncodeOptions bare() {
  EncodeOptions options;
  options.add_special_tokens = false;
  return options;
}

void invalid_bytes_are_dropped_by_bert_and_unknown_to_others() {
  const TextTokenizer bert = small_bert();
  const TextEncoding encoding = bert.encode("\xFFkin\xC3"
                                            "ase\xE4\xB8 a",
                                            bare());
  // BERT's cleaning takes away what counts as U+FFFD; offsets still count the original's bytes.
  CHECK(encoding.ids == (std::vector<std::uint32_t>{5, 6, 3}));
  CHECK(encoding.offsets[0] == (ByteRange{1, 4}));
  CHECK(encoding.offsets[1] == (ByteRange{5, 8}));
  CHECK(encoding.offsets[2] == (ByteRange{11, 12}));

  TextTokenizerParts parts = parse_vocab_txt("[UNK]\na\n##a\n", "small");
  parts.normalizer.clear();
  const TextTokenizer plain(std::move(parts), "small");
  const TextEncoding unknown = plain.encode("a\xFF aa", bare());
  CHECK(unknown.ids == (std::vector<std::uint32_t>{0, 1, 2}));
  CHECK(unknown.offsets[0] == (ByteRange{0, 2}));
}

void a_word_of_more_than_a_hundred_characters_is_unknown() {
  const TextTokenizer bert = small_bert();
  CHECK(bert.encode(std::string(100, 'a'), bare()).size() == 100);
  const TextEncoding longer = bert.encode(std::string(101, 'a'), bare());
  CHECK(longer.ids == (std::vector<std::uint32_t>{0}));
  CHECK(longer.offsets[0] == (ByteRange{0, 101}));
  // Characters, not bytes: of two bytes each, a hundred are still looked up.
  std::string umlauts;
  for (int count = 0; count < 100; ++count) {
    umlauts += "a\xC2\xAD";
  }
  CHECK(bert.encode(umlauts, bare()).size() == 100);
}

void merges_of_a_megabyte_of_one_letter_end() {
  const TextTokenizer bpe(
      parse_fast_bpe("a a 9\naa aa 8\naaaa aaaa 7\n", "codes", "aaaaaaaa@@ 3\na 2\n", "dictionary", true), "small");
  const TextEncoding encoding = bpe.encode(std::string((std::size_t{1} << 20) + 1, 'a'), bare());
  CHECK(encoding.size() == (std::size_t{1} << 17) + 1);
  CHECK(encoding.offsets.back().end == (std::uint32_t{1} << 20) + 1);
}

void bytes_that_are_no_model_are_refused() {
  for (const std::string& bytes :
       {std::string(), std::string("\x0A\xFF\xFF\xFF\xFF\x0F", 6), std::string("\x0A\x03\x0A\x01", 4),
        std::string("\x0A\x05\x0A\x01x\x18\x07", 7), std::string("\x0F", 1), std::string(200, '\xFF')}) {
    CHECK_THROWS(parse_sentencepiece_model(bytes, "damaged"), "TOKENIZER_INVALID", "damaged");
  }
}

void what_is_written_is_read_as_the_same() {
  const TextTokenizer bert = small_bert();
  const std::string text = format_tokenizer_json(bert);
  const auto again = parse_any_tokenizer_json(text, "written");
  CHECK(format_tokenizer_json(*again) == text);
  CHECK(again->encode("kinase a-a").ids == bert.encode("kinase a-a").ids);
}

const bool kCases[] = {
    add_case("bytes that are not UTF-8 are dropped by BERT, unknown to others, and counted in offsets",
             invalid_bytes_are_dropped_by_bert_and_unknown_to_others),
    add_case("a word of more than a hundred characters is unknown as a whole",
             a_word_of_more_than_a_hundred_characters_is_unknown),
    add_case("a megabyte of one letter is merged to its end", merges_of_a_megabyte_of_one_letter_end),
    add_case("bytes that are no SentencePiece model are refused with the file's name",
             bytes_that_are_no_model_are_refused),
    add_case("a tokenizer.json that is written reads back as the same tokenizer", what_is_written_is_read_as_the_same),
};

} // namespace

int main() {
  return run_cases();
}
