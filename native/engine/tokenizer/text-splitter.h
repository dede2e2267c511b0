// The pre-tokenizers of a tokenizer as data: a list of steps that cut a normalized text into words, as tokenizer.json
// names them. A step may also put text in (a space before the first word, "▁" for spaces). Regular expressions are not
// interpreted: those in use are written by hand, any other is refused by the reader.
#pragma once

#include "engine/tokenizer/aligned-text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace assay {

// What becomes of the places where a pattern matches.
enum class SplitBehavior { kRemoved, kIsolated, kMergedWithPrevious, kMergedWithNext, kContiguous };

enum class SplitPattern {
  kText,
  kGpt2,
  kCl100k,
  // As cl100k with numbers of one digit (Qwen 2).
  kCl100kSingleDigits,
  kO200k,
};
// The regular expression; "" for kText.
std::string_view regex_of(SplitPattern pattern);
std::optional<SplitPattern> pattern_of_regex(std::string_view regex);

struct ByteLevelSplitter {
  bool add_prefix_space = false;
  bool use_regex = true;
};
// White space goes, each punctuation mark (ASCII's and category P) is a word.
struct BertSplitter {};
// \w+|[^\w\s]+
struct WordSplitter {};
struct WhitespaceSplitter {};
struct PunctuationSplitter {
  SplitBehavior behavior = SplitBehavior::kIsolated;
};
struct DigitsSplitter {
  bool individual = false;
};
enum class PrependScheme { kAlways, kFirst, kNever };
struct MetaspaceSplitter {
  std::string replacement = "\u2581";
  PrependScheme prepend = PrependScheme::kAlways;
  bool split = true;
};
struct PatternSplitter {
  SplitPattern pattern = SplitPattern::kText;
  std::string text;
  SplitBehavior behavior = SplitBehavior::kIsolated;
  bool invert = false;
};

using SplitterStep = std::variant<ByteLevelSplitter, BertSplitter, WordSplitter, WhitespaceSplitter,
                                  PunctuationSplitter, DigitsSplitter, MetaspaceSplitter, PatternSplitter>;

struct Stretch {
  std::size_t begin = 0;
  std::size_t end = 0;
};

// The words of the text, in order, none empty. `is_first`: the text begins where the original begins.
std::vector<Stretch> split(AlignedText& text, const std::vector<SplitterStep>& steps, bool is_first);

// The end of the match at `begin` of the patterns that tile a text (all but kText).
std::size_t match_end(SplitPattern pattern, std::string_view text, std::size_t begin);

} // namespace assay
