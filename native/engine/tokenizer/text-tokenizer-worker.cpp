#include "engine/tokenizer/text-tokenizer-worker.h"

#include "engine/base/error.h"
#include "engine/tokenizer/unicode-text.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::size_t kMaxTextBytes = std::size_t{1} << 31;
constexpr std::size_t kKnownWords = std::size_t{1} << 16;

// The character that ends at `end` > 0.
std::uint32_t character_before(std::string_view text, std::size_t end) {
  std::size_t begin = end - 1;
  while (begin > 0 && end - begin < 4 && (static_cast<unsigned char>(text[begin]) & 0xC0U) == 0x80U) {
    --begin;
  }
  std::uint32_t code_point = 0;
  const std::size_t length = next_character(text.substr(0, end), begin, code_point);
  return begin + length == end ? code_point : kReplacementCharacter;
}

bool is_whole_word(std::string_view text, std::size_t begin, std::size_t end) {
  std::uint32_t after = 0;
  if (end < text.size()) {
    next_character(text, end, after);
  }
  return (begin == 0 || !is_word_character(character_before(text, begin))) &&
         (end == text.size() || !is_word_character(after));
}

// Takes white space on the sides into a token that asks for it, no further left than `limit`.
void widen(std::string_view text, std::size_t limit, const AddedToken& token, std::size_t& begin, std::size_t& end) {
  while (token.lstrip && begin > limit) {
    const std::uint32_t before = character_before(text, begin);
    if (!is_white_space(before)) {
      break;
    }
    std::string bytes;
    append_utf8(bytes, before);
    begin -= std::min(bytes.size(), begin - limit);
  }
  while (token.rstrip && end < text.size()) {
    std::uint32_t after = 0;
    const std::size_t length = next_character(text, end, after);
    if (!is_white_space(after)) {
      break;
    }
    end += length;
  }
}

// White space at both ends of `range` of the original.
ByteRange trimmed(std::string_view original, ByteRange range) {
  std::uint32_t code_point = 0;
  while (range.begin < range.end) {
    const unsigned length = next_character(original, range.begin, code_point);
    if (!is_white_space(code_point) || range.begin + length > range.end) {
      break;
    }
    range.begin += length;
  }
  while (range.begin < range.end && is_white_space(character_before(original, range.end))) {
    do {
      --range.end;
    } while (range.end > range.begin && (static_cast<unsigned char>(original[range.end]) & 0xC0U) == 0x80U);
  }
  return range;
}

} // namespace

std::vector<TextTokenizerWorker::Found>
TextTokenizerWorker::find_added(std::string_view text, const VocabularyTrie& trie, bool match_special_tokens) const {
  std::vector<Found> all;
  std::size_t limit = 0;
  for (std::size_t at = 0; at < text.size();) {
    Found best;
    trie.for_each_prefix(text.substr(at), [&](std::size_t length, std::uint32_t token) {
      if (match_special_tokens || !parts_.added[token].special) {
        best = {at, at + length, token};
      }
    });
    if (best.end == 0) {
      ++at;
      continue;
    }
    const AddedToken& token = parts_.added[best.token];
    if (!token.single_word || is_whole_word(text, best.begin, best.end)) {
      widen(text, limit, token, best.begin, best.end);
      all.push_back(best);
      limit = best.end;
    }
    at = best.end;
  }
  return all;
}

std::span<const WordToken> TextTokenizerWorker::tokens_of(std::string_view word) {
  scratch_.clear();
  KnownWord* place = nullptr;
  if (word.size() <= KnownWord::kMaxBytes) {
    known_words_.resize(kKnownWords);
    // Two places a word.
    const std::size_t index = hash_bytes(word) & (kKnownWords - 1);
    place = &known_words_[index];
    for (const KnownWord* known : {place, &known_words_[index ^ 1U]}) {
      if (std::string_view(known->bytes, known->length) == word) {
        for (std::size_t token = 0; token < known->count; ++token) {
          scratch_.push_back({known->ids[token], known->begins[token], known->ends[token]});
        }
        return scratch_;
      }
    }
  }
  encoder_->encode(word, scratch_);
  if (place != nullptr && scratch_.size() <= KnownWord::kMaxTokens) {
    known_words_[static_cast<std::size_t>(place - known_words_.data()) ^ 1U] = *place;
    place->length = static_cast<std::uint8_t>(word.size());
    place->count = static_cast<std::uint8_t>(scratch_.size());
    std::copy(word.begin(), word.end(), place->bytes);
    for (std::size_t index = 0; index < scratch_.size(); ++index) {
      place->ids[index] = scratch_[index].id;
      place->begins[index] = static_cast<std::uint8_t>(scratch_[index].begin);
      place->ends[index] = static_cast<std::uint8_t>(scratch_[index].end);
    }
  }
  return scratch_;
}

// sink(id, text, begin, end, ends_word): bytes [begin, end) of the text are token id.
template <typename Sink> void TextTokenizerWorker::run_section(AlignedText section, bool is_first, const Sink& sink) {
  const auto run_words = [&](AlignedText text, bool begins) {
    for (const Stretch& word : split(text, parts_.splitter, begins)) {
      const std::span<const WordToken> tokens =
          tokens_of(std::string_view(text.text()).substr(word.begin, word.end - word.begin));
      for (const WordToken& token : tokens) {
        sink(token.id, text, word.begin + token.begin, word.begin + token.end, false);
      }
      sink(kNoToken, text, word.end, word.end, true);
    }
  };
  normalize(section, parts_.normalizer);
  if (!has_normalized_added_) {
    run_words(std::move(section), is_first);
    return;
  }
  std::size_t at = 0;
  const auto run_slice = [&](std::size_t begin, std::size_t end) {
    if (begin < end) {
      AlignedText slice;
      slice.copy(section, begin, end);
      run_words(std::move(slice), is_first && begin == 0);
    }
  };
  for (const Found& found : find_added(section.text(), normalized_added_, matches_special_)) {
    run_slice(at, found.begin);
    sink(parts_.added[found.token].id, section, found.begin, found.end, true);
    at = found.end;
  }
  run_slice(at, section.size());
}

template <typename Sink>
void TextTokenizerWorker::run(std::string_view text, bool match_special_tokens, const Sink& sink) {
  if (text.size() >= kMaxTextBytes) {
    throw Error("BAD_ARGUMENT", "A text of " + std::to_string(text.size()) +
                                    " bytes is too long for one encoding; encode it in parts below 2 GiB.");
  }
  matches_special_ = match_special_tokens;
  std::size_t at = 0;
  const auto run_slice = [&](std::size_t begin, std::size_t end) {
    if (begin < end) {
      run_section(AlignedText(text, {static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)}), begin == 0,
                  sink);
    }
  };
  if (has_added_) {
    for (const Found& found : find_added(text, raw_added_, match_special_tokens)) {
      run_slice(at, found.begin);
      const AlignedText token(text, {static_cast<std::uint32_t>(found.begin), static_cast<std::uint32_t>(found.end)});
      sink(parts_.added[found.token].id, token, 0, token.size(), true);
      at = found.end;
    }
  }
  run_slice(at, text.size());
}

TextEncoding TextTokenizerWorker::encode(std::string_view text, bool match_special_tokens) {
  TextEncoding encoding;
  std::int32_t word = 0;
  run(text, match_special_tokens,
      [&](std::uint32_t id, const AlignedText& from, std::size_t begin, std::size_t end, bool ends_word) {
        if (id != kNoToken) {
          ByteRange range = from.source(begin, end);
          if (parts_.post_processor.trim_offsets) {
            range = trimmed(text, range);
          }
          encoding.ids.push_back(id);
          encoding.offsets.push_back(range);
          encoding.words.push_back(word);
        }
        word += ends_word ? 1 : 0;
      });
  const std::size_t count = encoding.ids.size();
  encoding.type_ids.assign(count, 0);
  encoding.attention_mask.assign(count, 1);
  encoding.special_tokens_mask.assign(count, 0);
  encoding.sequences.assign(count, 0);
  return encoding;
}

void TextTokenizerWorker::encode_ids(std::string_view text, TokenIds& ids) {
  run(text, false, [&](std::uint32_t id, const AlignedText&, std::size_t, std::size_t, bool) {
    if (id != kNoToken) {
      ids.push_back(id);
    }
  });
}

} // namespace assay
