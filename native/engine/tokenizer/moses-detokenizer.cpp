#include "engine/tokenizer/moses-characters.h"
#include "engine/tokenizer/moses.h"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

namespace assay {

namespace {

using Word = std::u32string;

// " @-@ " is a hyphen; a match uses up both spaces.
std::string join_hyphens(std::string_view words) {
  constexpr std::string_view kHyphen = " @-@ ";
  std::string text;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = words.find(kHyphen, at)) != std::string_view::npos;
       at = found + kHyphen.size()) {
    text.append(words.substr(at, found - at)).push_back('-');
  }
  return text.append(words.substr(at));
}

std::string unescape(std::string_view text) {
  // Those of older versions of Moses among them.
  constexpr auto kEntities = std::to_array<std::pair<std::string_view, char>>({{"&bar;", '|'},
                                                                               {"&#124;", '|'},
                                                                               {"&lt;", '<'},
                                                                               {"&gt;", '>'},
                                                                               {"&bra;", '['},
                                                                               {"&ket;", ']'},
                                                                               {"&quot;", '"'},
                                                                               {"&apos;", '\''},
                                                                               {"&#91;", '['},
                                                                               {"&#93;", ']'},
                                                                               {"&amp;", '&'}});
  std::string out;
  for (std::size_t at = 0; at < text.size();) {
    const auto found = std::find_if(kEntities.begin(), kEntities.end(),
                                    [&](const auto& each) { return text.substr(at).starts_with(each.first); });
    out.push_back(found == kEntities.end() ? text[at] : found->second);
    at += found == kEntities.end() ? 1 : found->first.size();
  }
  return out;
}

struct Words {
  std::vector<std::string_view> bytes;
  std::vector<Word> characters;
};

Words words_of(std::string_view text) {
  Words words;
  std::size_t begin = 0;
  Word word;
  const auto end_word = [&](std::size_t end) {
    if (!word.empty()) {
      words.bytes.push_back(text.substr(begin, end - begin));
      words.characters.push_back(std::exchange(word, {}));
    }
  };
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code_point = 0;
    const unsigned length = next_character(text, at, code_point);
    if (is_moses_space(code_point)) {
      end_word(at);
      begin = at + length;
    } else {
      word.push_back(static_cast<char32_t>(code_point));
    }
    at += length;
  }
  end_word(text.size());
  return words;
}

template <typename Wanted> bool all(const Word& word, const Wanted& wanted) {
  return std::all_of(word.begin(), word.end(), wanted);
}

bool is_one_of(std::u32string_view set, char32_t character) {
  return set.find(character) != std::u32string_view::npos;
}

bool opens(char32_t character) {
  return is_moses_currency(character) || is_one_of(U"([{\u00BF\u00A1", character);
}

bool closes(char32_t character) {
  return is_one_of(U",.?!:;\\%}])", character);
}

bool is_quote(char32_t character) {
  return is_one_of(U"'\"\u201E\u201C`", character);
}

// Where the next word goes: after a space, or close to the one before.
class Text {
public:
  void add_left(std::string_view word) {
    text_.append(word);
    needs_space_ = true;
  }
  void add_apart(std::string_view word) {
    if (needs_space_) {
      text_.push_back(' ');
    }
    add_left(word);
  }
  void hold_next() { needs_space_ = false; }
  std::string take() {
    const std::size_t begin = std::min(text_.find_first_not_of(' '), text_.size());
    return text_.substr(begin);
  }

private:
  std::string text_;
  bool needs_space_ = true;
};

} // namespace

std::string moses_detokenize(std::string_view words) {
  const std::string plain = unescape(join_hyphens(" " + std::string(words) + " "));
  const Words all_words = words_of(plain);
  std::map<Word, unsigned> quotes;
  Text text;
  for (std::size_t index = 0; index < all_words.bytes.size(); ++index) {
    const std::string_view bytes = all_words.bytes[index];
    const Word& word = all_words.characters[index];
    const Word* const before = index > 0 ? &all_words.characters[index - 1] : nullptr;
    if (is_moses_cjk(word.front())) {
      if (before != nullptr && is_moses_cjk(before->back())) {
        text.add_left(bytes);
      } else {
        text.add_apart(bytes);
      }
    } else if (all(word, opens)) {
      text.add_apart(bytes);
      text.hold_next();
    } else if (all(word, closes) ||
               (before != nullptr && word.size() > 1 && word[0] == U'\'' && is_moses_letter(word[1]))) {
      text.add_left(bytes);
    } else if (all(word, is_quote)) {
      const bool is_low_or_high = all(word, [](char32_t each) { return is_one_of(U"\u201E\u201C", each); });
      unsigned& count = quotes[is_low_or_high ? Word(U"\"") : word];
      const bool is_possessive = word == U"'" && before != nullptr && before->back() == U's';
      if (count % 2 == 1) {
        text.add_left(bytes);
        ++count;
      } else if (is_possessive) {
        text.add_left(bytes);
      } else {
        text.add_apart(bytes);
        text.hold_next();
        ++count;
      }
    } else {
      text.add_apart(bytes);
    }
  }
  return text.take();
}

} // namespace assay
