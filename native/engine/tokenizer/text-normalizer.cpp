#include "engine/tokenizer/text-normalizer.h"

#include "engine/tokenizer/moses.h"
#include "engine/tokenizer/unicode-form.h"
#include "engine/tokenizer/unicode-text.h"

#include <algorithm>

namespace assay {

namespace {

// Calls take(code_point, begin, end) for each character.
template <typename Take> void for_each_character(const std::string& text, const Take& take) {
  for (std::size_t at = 0; at < text.size();) {
    std::uint32_t code_point = 0;
    const std::size_t end = at + next_character(text, at, code_point);
    take(code_point, at, end);
    at = end;
  }
}

// Rewrites character by character; step(character, begin, end, out).
template <typename Step> void rewrite(AlignedText& text, const Step& step) {
  AlignedText out;
  out.reserve(text.size());
  for_each_character(text.text(), [&](std::uint32_t code_point, std::size_t begin, std::size_t end) {
    step(code_point, begin, end, out);
  });
  text.swap(out);
}

template <typename Keep> void keep_characters(AlignedText& text, const Keep& keep) {
  rewrite(text, [&](std::uint32_t code_point, std::size_t begin, std::size_t end, AlignedText& out) {
    if (keep(code_point)) {
      out.copy(text, begin, end);
    }
  });
}

void lowercase(AlignedText& text) {
  rewrite(text, [&](std::uint32_t code_point, std::size_t begin, std::size_t end, AlignedText& out) {
    if (code_point < 0x80) {
      const char byte = static_cast<char>(code_point);
      const char lower = byte >= 'A' && byte <= 'Z' ? static_cast<char>(byte + 32) : byte;
      out.put(std::string_view(&lower, 1), text.source(begin, end));
      return;
    }
    const std::span<const std::uint32_t> lower = lower_case(code_point);
    if (lower.empty()) {
      out.copy(text, begin, end);
      return;
    }
    for (const std::uint32_t each : lower) {
      out.put(each, text.source(begin, end));
    }
  });
}

// What BERT calls a control character; tabulators and line ends are white space to it.
bool is_bert_control(std::uint32_t code_point) {
  if (code_point >= ' ' && code_point <= '~') {
    return false;
  }
  return code_point != '\t' && code_point != '\n' && code_point != '\r' &&
         is_in_categories(code_point, GeneralCategory::kControl, GeneralCategory::kPrivateUse);
}

void clean(AlignedText& text) {
  const std::string& bytes = text.text();
  if (std::all_of(bytes.begin(), bytes.end(), [](char byte) { return byte >= ' ' && byte <= '~'; })) {
    return;
  }
  rewrite(text, [&](std::uint32_t code_point, std::size_t begin, std::size_t end, AlignedText& out) {
    if (code_point == 0 || code_point == kReplacementCharacter || is_bert_control(code_point)) {
      return;
    }
    if (code_point != ' ' && is_white_space(code_point)) {
      out.put(" ", text.source(begin, end));
    } else {
      out.copy(text, begin, end);
    }
  });
}

bool is_chinese(std::uint32_t code_point) {
  return (code_point >= 0x4E00 && code_point <= 0x9FFF) || (code_point >= 0x3400 && code_point <= 0x4DBF) ||
         (code_point >= 0x20000 && code_point <= 0x2A6DF) || (code_point >= 0x2A700 && code_point <= 0x2B73F) ||
         (code_point >= 0x2B740 && code_point <= 0x2B81F) || (code_point >= 0x2B920 && code_point <= 0x2CEAF) ||
         (code_point >= 0xF900 && code_point <= 0xFAFF) || (code_point >= 0x2F800 && code_point <= 0x2FA1F);
}

void space_out_chinese(AlignedText& text) {
  rewrite(text, [&](std::uint32_t code_point, std::size_t begin, std::size_t end, AlignedText& out) {
    if (!is_chinese(code_point)) {
      out.copy(text, begin, end);
      return;
    }
    const ByteRange source = text.source(begin, end);
    out.put(" ", {source.begin, source.begin});
    out.copy(text, begin, end);
    out.put(" ", {source.end, source.end});
  });
}

void apply(AlignedText& text, const BertNormalizer& step) {
  if (step.clean_text) {
    clean(text);
  }
  const bool is_ascii = text.is_ascii();
  if (step.handle_chinese_chars && !is_ascii) {
    space_out_chinese(text);
  }
  if (step.strip_accents.value_or(step.lowercase) && !is_ascii) {
    apply_unicode_form(text, UnicodeForm::kNfd);
    keep_characters(text, [](std::uint32_t code_point) { return !is_nonspacing_mark(code_point); });
  }
  if (step.lowercase) {
    lowercase(text);
  }
}

void apply(AlignedText& text, const UnicodeForm& form) {
  if (!text.is_ascii()) {
    apply_unicode_form(text, form);
  }
}

void apply(AlignedText& text, const LowercaseNormalizer&) {
  lowercase(text);
}

void apply(AlignedText& text, const StripAccentsNormalizer&) {
  if (!text.is_ascii()) {
    keep_characters(text, [](std::uint32_t code_point) { return !is_mark(code_point); });
  }
}

void keep_range(AlignedText& text, std::size_t begin, std::size_t end) {
  AlignedText out;
  out.copy(text, begin, end);
  text.swap(out);
}

void apply(AlignedText& text, const StripNormalizer& step) {
  std::size_t first = text.size();
  std::size_t last = 0;
  for_each_character(text.text(), [&](std::uint32_t code_point, std::size_t begin, std::size_t end) {
    if (!is_white_space(code_point)) {
      first = std::min(first, begin);
      last = end;
    }
  });
  if (last == 0) {
    if (step.left || step.right) {
      text.clear();
    }
    return;
  }
  keep_range(text, step.left ? first : 0, step.right ? last : text.size());
}

void replace_space_runs(AlignedText& text, const std::string& content) {
  AlignedText out;
  const std::string& bytes = text.text();
  for (std::size_t at = 0; at < bytes.size();) {
    std::size_t end = at;
    while (end < bytes.size() && bytes[end] == ' ') {
      ++end;
    }
    if (end - at >= 2) {
      out.put(content, text.source(at, end));
      at = end;
    } else {
      out.copy(text, at, at + 1);
      ++at;
    }
  }
  text.swap(out);
}

void replace_text(AlignedText& text, const ReplaceNormalizer& step) {
  if (step.text.empty() || text.text().find(step.text) == std::string::npos) {
    return;
  }
  AlignedText out;
  std::size_t at = 0;
  for (std::size_t found = 0; (found = text.text().find(step.text, at)) != std::string::npos;) {
    out.copy(text, at, found);
    out.put(step.content, text.source(found, found + step.text.size()));
    at = found + step.text.size();
  }
  out.copy(text, at, text.size());
  text.swap(out);
}

void apply(AlignedText& text, const ReplaceNormalizer& step) {
  const std::string& bytes = text.text();
  switch (step.pattern) {
  case ReplacePattern::kText:
    replace_text(text, step);
    return;
  case ReplacePattern::kSpaceRun:
    replace_space_runs(text, step.content);
    return;
  case ReplacePattern::kLeadingSpaces: {
    const std::size_t first = std::min(bytes.find_first_not_of(' '), bytes.size());
    if (first > 0) {
      AlignedText out;
      out.put(step.content, text.source(0, first));
      out.copy(text, first, text.size());
      text.swap(out);
    }
    return;
  }
  case ReplacePattern::kTrailingSpaces: {
    const std::size_t last = bytes.find_last_not_of(' ');
    const std::size_t end = last == std::string::npos ? 0 : last + 1;
    if (end < bytes.size()) {
      AlignedText out;
      out.copy(text, 0, end);
      out.put(step.content, text.source(end, text.size()));
      text.swap(out);
    }
    return;
  }
  }
}

void apply(AlignedText& text, const PrependNormalizer& step) {
  if (text.size() == 0) {
    return;
  }
  AlignedText out;
  out.put(step.text, text.source(0, 0));
  out.copy(text, 0, text.size());
  text.swap(out);
}

void apply(AlignedText& text, const MosesNormalizer&) {
  moses_tokenize(text);
}

void apply(AlignedText& text, const CharsmapNormalizer& step) {
  AlignedText out;
  out.reserve(text.size());
  const std::string_view bytes = text.text();
  for (std::size_t at = 0; at < bytes.size();) {
    if (const auto match = step.map->longest_match(bytes.substr(at)); match.has_value()) {
      out.put(match->replacement, text.source(at, at + match->length));
      at += match->length;
      continue;
    }
    std::uint32_t code_point = 0;
    const std::size_t end = at + next_character(bytes, at, code_point);
    out.copy(text, at, end);
    at = end;
  }
  text.swap(out);
}

} // namespace

std::string_view regex_of(ReplacePattern pattern) {
  switch (pattern) {
  case ReplacePattern::kSpaceRun:
    return " {2,}";
  case ReplacePattern::kLeadingSpaces:
    return "^ +";
  case ReplacePattern::kTrailingSpaces:
    return " +$";
  case ReplacePattern::kText:
    break;
  }
  return "";
}

void normalize(AlignedText& text, const std::vector<NormalizerStep>& steps) {
  for (const NormalizerStep& step : steps) {
    std::visit([&](const auto& each) { apply(text, each); }, step);
  }
}

} // namespace assay
