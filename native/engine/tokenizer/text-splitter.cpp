#include "engine/tokenizer/text-splitter.h"

#include "engine/tokenizer/unicode-text.h"

#include <algorithm>

namespace assay {

namespace {

struct Match {
  std::size_t begin = 0;
  std::size_t end = 0;
  bool is_match = false;
};

// `matches` tile the word.
void add_parts(const std::vector<Match>& matches, SplitBehavior behavior, std::vector<Stretch>& words) {
  const auto add = [&](std::size_t begin, std::size_t end) {
    if (begin < end) {
      words.push_back({begin, end});
    }
  };
  switch (behavior) {
  case SplitBehavior::kRemoved:
    for (const Match& each : matches) {
      if (!each.is_match) {
        add(each.begin, each.end);
      }
    }
    return;
  case SplitBehavior::kIsolated:
    for (const Match& each : matches) {
      add(each.begin, each.end);
    }
    return;
  case SplitBehavior::kContiguous:
    for (std::size_t index = 0; index < matches.size();) {
      std::size_t end = index;
      while (end < matches.size() && matches[end].is_match == matches[index].is_match) {
        ++end;
      }
      add(matches[index].begin, matches[end - 1].end);
      index = end;
    }
    return;
  case SplitBehavior::kMergedWithPrevious: {
    bool was_match = false;
    const std::size_t before = words.size();
    for (const Match& each : matches) {
      if (each.is_match && !was_match && words.size() > before) {
        words.back().end = each.end;
      } else {
        add(each.begin, each.end);
      }
      was_match = each.is_match;
    }
    return;
  }
  case SplitBehavior::kMergedWithNext: {
    // From the end, the mirror image.
    std::vector<Stretch> parts;
    bool was_match = false;
    for (auto each = matches.rbegin(); each != matches.rend(); ++each) {
      if (each->is_match && !was_match && !parts.empty()) {
        parts.back().begin = each->begin;
      } else if (each->begin < each->end) {
        parts.push_back({each->begin, each->end});
      }
      was_match = each->is_match;
    }
    words.insert(words.end(), parts.rbegin(), parts.rend());
    return;
  }
  }
}

// Each character for which `wanted` holds is a match of its own.
template <typename Wanted>
std::vector<Match> match_characters(std::string_view text, Stretch word, const Wanted& wanted) {
  std::vector<Match> matches;
  const auto add_rest = [&](std::size_t end) {
    const std::size_t begin = matches.empty() ? word.begin : matches.back().end;
    if (begin < end) {
      matches.push_back({begin, end, false});
    }
  };
  for (std::size_t at = word.begin; at < word.end;) {
    std::uint32_t code_point = 0;
    const std::size_t end = at + next_character(text, at, code_point);
    if (wanted(code_point)) {
      add_rest(at);
      matches.push_back({at, end, true});
    }
    at = end;
  }
  add_rest(word.end);
  return matches;
}

std::vector<Match> match_text(std::string_view text, Stretch word, std::string_view wanted) {
  std::vector<Match> matches;
  std::size_t at = word.begin;
  const std::string_view within = text.substr(0, word.end);
  while (!wanted.empty()) {
    const std::size_t found = within.find(wanted, at);
    if (found == std::string_view::npos) {
      break;
    }
    if (found > at) {
      matches.push_back({at, found, false});
    }
    at = found + wanted.size();
    matches.push_back({found, at, true});
  }
  if (at < word.end) {
    matches.push_back({at, word.end, false});
  }
  return matches;
}

// The words of `each` in turn.
template <typename Each> void replace_words(std::vector<Stretch>& words, const Each& each) {
  std::vector<Stretch> parts;
  parts.reserve(words.size());
  for (const Stretch& word : words) {
    each(word, parts);
  }
  words.swap(parts);
}

// Writes the text anew with each word changed by edit(word, out); what is between words goes.
template <typename Edit> void rewrite_words(AlignedText& text, std::vector<Stretch>& words, const Edit& edit) {
  AlignedText out;
  out.reserve(text.size() + words.size());
  for (Stretch& word : words) {
    const std::size_t begin = out.size();
    edit(word, out);
    word = {begin, out.size()};
  }
  text.swap(out);
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const PatternSplitter& step);

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const ByteLevelSplitter& step) {
  if (step.add_prefix_space) {
    rewrite_words(text, words, [&](const Stretch& word, AlignedText& out) {
      std::uint32_t first = 0;
      next_character(text.text(), word.begin, first);
      if (!is_white_space(first)) {
        out.put(" ", text.source(word.begin, word.begin));
      }
      out.copy(text, word.begin, word.end);
    });
  }
  if (step.use_regex) {
    apply(text, words, false, PatternSplitter{SplitPattern::kGpt2, "", SplitBehavior::kIsolated, false});
  }
}

bool is_bert_punctuation(std::uint32_t code_point) {
  return code_point < 0x80 ? is_ascii_punctuation(code_point) : is_punctuation(code_point);
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const BertSplitter&) {
  replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
    std::size_t begin = word.begin;
    const auto add = [&](std::size_t end) {
      if (begin < end) {
        parts.push_back({begin, end});
      }
    };
    for (std::size_t at = word.begin; at < word.end;) {
      std::uint32_t code_point = 0;
      const std::size_t end = at + next_character(text.text(), at, code_point);
      const bool is_space = is_white_space(code_point);
      if (is_space || is_bert_punctuation(code_point)) {
        add(at);
        begin = is_space ? end : at;
        add(end);
        begin = end;
      }
      at = end;
    }
    add(word.end);
  });
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const WordSplitter&) {
  enum class Kind { kSpace, kWord, kSign };
  const auto kind_of = [](std::uint32_t code_point) {
    return is_word_character(code_point) ? Kind::kWord : is_white_space(code_point) ? Kind::kSpace : Kind::kSign;
  };
  replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
    std::size_t begin = word.begin;
    Kind kind = Kind::kSpace;
    for (std::size_t at = word.begin; at < word.end;) {
      std::uint32_t code_point = 0;
      const std::size_t end = at + next_character(text.text(), at, code_point);
      if (const Kind next = kind_of(code_point); next != kind) {
        if (kind != Kind::kSpace) {
          parts.push_back({begin, at});
        }
        begin = at;
        kind = next;
      }
      at = end;
    }
    if (kind != Kind::kSpace && begin < word.end) {
      parts.push_back({begin, word.end});
    }
  });
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const WhitespaceSplitter&) {
  replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
    add_parts(match_characters(text.text(), word, is_white_space), SplitBehavior::kRemoved, parts);
  });
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const PunctuationSplitter& step) {
  replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
    add_parts(match_characters(text.text(), word, is_bert_punctuation), step.behavior, parts);
  });
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const DigitsSplitter& step) {
  const auto is_number = [](std::uint32_t code_point) {
    return class_of_code_point(code_point) == CharacterClass::kNumber;
  };
  replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
    add_parts(match_characters(text.text(), word, is_number),
              step.individual ? SplitBehavior::kIsolated : SplitBehavior::kContiguous, parts);
  });
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool is_first, const MetaspaceSplitter& step) {
  rewrite_words(text, words, [&](const Stretch& word, AlignedText& out) {
    const bool prepends = step.prepend == PrependScheme::kAlways ||
                          (step.prepend == PrependScheme::kFirst && is_first && word.begin == 0);
    const std::string_view bytes = std::string_view(text.text()).substr(word.begin, word.end - word.begin);
    if (prepends && !bytes.starts_with(step.replacement) && !bytes.starts_with(' ')) {
      out.put(step.replacement, text.source(word.begin, word.begin));
    }
    for (std::size_t at = word.begin; at < word.end;) {
      // Within the word alone: the text may have no further space, and very many words.
      const std::size_t space = word.begin + std::min(bytes.find(' ', at - word.begin), bytes.size());
      out.copy(text, at, space);
      if (space < word.end) {
        out.put(step.replacement, text.source(space, space + 1));
      }
      at = space + 1;
    }
  });
  if (step.split) {
    replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
      add_parts(match_text(text.text(), word, step.replacement), SplitBehavior::kMergedWithNext, parts);
    });
  }
}

void apply(AlignedText& text, std::vector<Stretch>& words, bool, const PatternSplitter& step) {
  replace_words(words, [&](const Stretch& word, std::vector<Stretch>& parts) {
    std::vector<Match> matches;
    if (step.pattern == SplitPattern::kText) {
      matches = match_text(text.text(), word, step.text);
    } else {
      const std::string_view within = std::string_view(text.text()).substr(word.begin, word.end - word.begin);
      for (std::size_t at = 0; at < within.size();) {
        const std::size_t end = match_end(step.pattern, within, at);
        matches.push_back({word.begin + at, word.begin + end, true});
        at = end;
      }
    }
    if (step.invert) {
      for (Match& each : matches) {
        each.is_match = !each.is_match;
      }
    }
    add_parts(matches, step.behavior, parts);
  });
}

} // namespace

std::vector<Stretch> split(AlignedText& text, const std::vector<SplitterStep>& steps, bool is_first) {
  std::vector<Stretch> words;
  if (text.size() > 0) {
    words.push_back({0, text.size()});
  }
  for (const SplitterStep& step : steps) {
    std::visit([&](const auto& each) { apply(text, words, is_first, each); }, step);
  }
  return words;
}

} // namespace assay
