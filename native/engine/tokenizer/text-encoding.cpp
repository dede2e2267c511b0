#include "engine/tokenizer/text-encoding.h"

#include "engine/base/error.h"

#include <algorithm>

namespace assay {

namespace {

void append(TextEncoding& target, const TextEncoding& from, std::size_t begin, std::size_t end) {
  const auto copy = [&](auto& to, const auto& values) {
    to.insert(to.end(), values.begin() + static_cast<std::ptrdiff_t>(begin),
              values.begin() + static_cast<std::ptrdiff_t>(end));
  };
  copy(target.ids, from.ids);
  copy(target.type_ids, from.type_ids);
  copy(target.attention_mask, from.attention_mask);
  copy(target.special_tokens_mask, from.special_tokens_mask);
  copy(target.offsets, from.offsets);
  copy(target.words, from.words);
  copy(target.sequences, from.sequences);
}

void append_special(TextEncoding& target, std::uint32_t id, std::uint32_t type_id) {
  target.ids.push_back(id);
  target.type_ids.push_back(type_id);
  target.attention_mask.push_back(1);
  target.special_tokens_mask.push_back(1);
  target.offsets.push_back({});
  target.words.push_back(kNoWord);
  target.sequences.push_back(-1);
}

std::size_t special_count(const std::vector<TemplatePart>& parts) {
  std::size_t count = 0;
  for (const TemplatePart& part : parts) {
    count += part.ids.size();
  }
  return count;
}

// Cut to `length`; the rest becomes overflow, each part `stride` tokens into the one before.
void truncate(TextEncoding& encoding, std::size_t length, std::size_t stride, Side side) {
  if (encoding.size() <= length) {
    return;
  }
  if (length > 0 && stride >= length) {
    throw Error("BAD_ARGUMENT", "The stride of truncation (" + std::to_string(stride) + ") must be below the " +
                                    std::to_string(length) + " tokens that are left for a text; make it smaller.");
  }
  std::vector<TextEncoding> parts;
  const auto cut = [&](std::size_t begin, std::size_t end) { append(parts.emplace_back(), encoding, begin, end); };
  const std::size_t count = encoding.size();
  if (length == 0) {
    TextEncoding rest = std::move(encoding);
    encoding = {};
    encoding.overflow.push_back(std::move(rest));
    return;
  }
  const std::size_t step = length - stride;
  if (side == Side::kRight) {
    for (std::size_t begin = 0; begin < count; begin += step) {
      const std::size_t end = std::min(begin + length, count);
      cut(begin, end);
      if (end == count) {
        break;
      }
    }
  } else {
    for (std::size_t end = count;; end -= step) {
      const std::size_t begin = end > length ? end - length : 0;
      cut(begin, end);
      if (begin == 0) {
        break;
      }
    }
  }
  encoding = std::move(parts.front());
  parts.erase(parts.begin());
  encoding.overflow = std::move(parts);
}

void truncate_both(TextEncoding& first, TextEncoding* second, const Truncation& truncation, std::size_t specials) {
  const std::size_t budget = truncation.max_length > specials ? truncation.max_length - specials : 0;
  const std::size_t first_size = first.size();
  const std::size_t second_size = second == nullptr ? 0 : second->size();
  const std::size_t total = first_size + second_size;
  if (total <= budget) {
    return;
  }
  if (second == nullptr) {
    truncate(first, budget, truncation.stride, truncation.side);
    return;
  }
  switch (truncation.strategy) {
  case TruncationStrategy::kLongestFirst: {
    std::size_t shorter = std::min(first_size, second_size);
    std::size_t longer = budget > shorter ? budget - shorter : 0;
    if (shorter > longer) {
      // Both are too long: halves, the odd token to the longer one.
      shorter = budget / 2;
      longer = budget - shorter;
    }
    const bool first_is_shorter = first_size <= second_size;
    truncate(first, first_is_shorter ? shorter : longer, truncation.stride, truncation.side);
    truncate(*second, first_is_shorter ? longer : shorter, truncation.stride, truncation.side);
    return;
  }
  case TruncationStrategy::kOnlyFirst:
  case TruncationStrategy::kOnlySecond: {
    const bool is_first = truncation.strategy == TruncationStrategy::kOnlyFirst;
    TextEncoding& target = is_first ? first : *second;
    const std::size_t other = is_first ? second_size : first_size;
    if (other >= budget) {
      throw Error("BAD_ARGUMENT", "Only one text of the pair may be truncated, and the other alone has " +
                                      std::to_string(other) + " tokens of the " + std::to_string(budget) +
                                      " that fit; truncate the longest first.");
    }
    truncate(target, budget - other, truncation.stride, truncation.side);
    return;
  }
  }
}

TextEncoding join(const TextEncoding& first, const TextEncoding* second, const std::vector<TemplatePart>& parts,
                  bool add_special_tokens) {
  TextEncoding whole;
  const auto add = [&](const TextEncoding& from, std::int8_t sequence, std::uint32_t type_id) {
    const std::size_t begin = whole.size();
    append(whole, from, 0, from.size());
    std::fill(whole.type_ids.begin() + static_cast<std::ptrdiff_t>(begin), whole.type_ids.end(), type_id);
    std::fill(whole.sequences.begin() + static_cast<std::ptrdiff_t>(begin), whole.sequences.end(), sequence);
  };
  if (parts.empty()) {
    add(first, 0, 0);
    if (second != nullptr) {
      add(*second, 1, 1);
    }
    return whole;
  }
  for (const TemplatePart& part : parts) {
    if (part.kind == TemplatePart::Kind::kFirst) {
      add(first, 0, part.type_id);
    } else if (part.kind == TemplatePart::Kind::kSecond && second != nullptr) {
      add(*second, 1, part.type_id);
    } else if (part.kind == TemplatePart::Kind::kSpecial && add_special_tokens) {
      for (const std::uint32_t id : part.ids) {
        append_special(whole, id, part.type_id);
      }
    }
  }
  return whole;
}

} // namespace

TextEncoding assemble(TextEncoding first, TextEncoding* second, const PostProcessor& processor,
                      const std::optional<Truncation>& truncation, bool add_special_tokens) {
  const std::vector<TemplatePart>& parts = second == nullptr ? processor.single : processor.pair;
  if (truncation.has_value()) {
    const std::size_t specials = add_special_tokens ? special_count(parts) : 0;
    if (truncation->max_length < specials) {
      throw Error("BAD_ARGUMENT", "A length of " + std::to_string(truncation->max_length) +
                                      " tokens does not hold the " + std::to_string(specials) +
                                      " special tokens alone; allow more.");
    }
    truncate_both(first, second, *truncation, specials);
  }
  TextEncoding whole = join(first, second, parts, add_special_tokens);
  // Each part of one text beside each of the other.
  const std::size_t second_parts = second == nullptr ? 0 : second->overflow.size();
  for (const TextEncoding& part : first.overflow) {
    whole.overflow.push_back(join(part, second, parts, add_special_tokens));
    for (std::size_t index = 0; index < second_parts; ++index) {
      whole.overflow.push_back(join(part, &second->overflow[index], parts, add_special_tokens));
    }
  }
  for (std::size_t index = 0; index < second_parts; ++index) {
    whole.overflow.push_back(join(first, &second->overflow[index], parts, add_special_tokens));
  }
  return whole;
}

void pad(TextEncoding& encoding, const Padding& padding, std::size_t length) {
  for (TextEncoding& part : encoding.overflow) {
    pad(part, padding, length);
  }
  if (encoding.size() >= length) {
    return;
  }
  const std::size_t missing = length - encoding.size();
  const auto fill = [&](auto& values, auto value) {
    values.insert(padding.side == Side::kRight ? values.end() : values.begin(), missing, value);
  };
  fill(encoding.ids, padding.pad_id);
  fill(encoding.type_ids, padding.pad_type_id);
  fill(encoding.attention_mask, std::uint8_t{0});
  fill(encoding.special_tokens_mask, std::uint8_t{1});
  fill(encoding.offsets, ByteRange{});
  fill(encoding.words, kNoWord);
  fill(encoding.sequences, std::int8_t{-1});
}

std::size_t padded_length(const Padding& padding, std::size_t longest) {
  const std::size_t length = padding.length.value_or(longest);
  const std::size_t step = std::max<std::size_t>(padding.multiple_of, 1);
  return (length + step - 1) / step * step;
}

} // namespace assay
