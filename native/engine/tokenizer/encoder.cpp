#include "engine/tokenizer/encoder.h"

#include "engine/base/parallel.h"
#include "engine/tokenizer/pre-tokenizer.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace assay {

namespace {

// 2^16 lines of 64 bytes are 4 MiB: by Zipf's law the words in use stay in the second-level cache.
constexpr std::size_t kCacheLines = std::size_t{1} << 16;
constexpr std::size_t kMaxCachedIds = 4;
// What the words that are looked up together may write.
constexpr std::size_t kIdRoom = PreTokenizer::kMaxEnds * kMaxCachedIds;
constexpr unsigned kCountShift = 29;
constexpr std::uint32_t kIdMask = (std::uint32_t{1} << kCountShift) - 1;
// 512 KiB.
constexpr std::size_t kLongWords = std::size_t{1} << 13;
// Texts of a batch are handed to threads in groups of about this many bytes.
constexpr std::size_t kBatchGroupBytes = std::size_t{1} << 18;

} // namespace

Encoder::Encoder(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), merger_(*tokenizer_), lines_(kCacheLines), long_words_(kLongWords) {}

void Encoder::encode(std::string_view text, TokenIds& ids) {
  const PreTokenizer words(text);
  std::size_t ends[PreTokenizer::kMaxEnds];
  Lookup lookups[PreTokenizer::kMaxEnds];
  // `ids` is kept larger than what is used of it, so that a hit can write four ids without asking how many count.
  std::size_t used = ids.size();
  ids.resize(used + text.size() / 4 + 2 * kIdRoom);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t count = words.word_ends(begin, ends);
    for (std::size_t index = 0, at = begin; index < count; at = ends[index++]) {
      Lookup& lookup = lookups[index];
      lookup.line = nullptr;
      if (ends[index] - at <= kMaxShortWord) {
        lookup.key = make_word_key(text.substr(at, ends[index] - at), text.size() - at);
        lookup.line = &lines_[lookup.key.hash() & (kCacheLines - 1)];
        __builtin_prefetch(lookup.line);
      }
    }
    if (used + count * kMaxCachedIds > ids.size()) {
      // By the text, not by what is there: a batch lies before it. The vector's capacity doubles by itself.
      ids.resize(used + (text.size() - begin) / 2 + 2 * kIdRoom);
    }
    for (std::size_t index = 0; index < count; begin = ends[index++]) {
      const Lookup& lookup = lookups[index];
      if (lookup.line != nullptr) {
        CachedWord(&known)[2] = lookup.line->words;
        if (known[0].key != lookup.key && known[1].key == lookup.key) {
          std::swap(known[0], known[1]);
        }
        if (known[0].key == lookup.key) {
          const std::uint32_t first = known[0].ids[0];
          std::memcpy(ids.data() + used, known[0].ids, sizeof known[0].ids);
          ids[used] = first & kIdMask;
          used += first >> kCountShift;
          continue;
        }
      }
      encode_unknown(text.substr(begin, ends[index] - begin), lookup, ids, used);
    }
  }
  ids.resize(used);
}

// Leaves room for what the words looked up together may still write.
void Encoder::write(std::span<const std::uint32_t> found, TokenIds& ids, std::size_t& used) {
  if (used + found.size() + kIdRoom > ids.size()) {
    ids.resize(used + found.size() + 4 * kIdRoom);
  }
  std::copy(found.begin(), found.end(), ids.begin() + static_cast<std::ptrdiff_t>(used));
  used += found.size();
}

void Encoder::encode_unknown(std::string_view word, const Lookup& lookup, TokenIds& ids, std::size_t& used) {
  const std::size_t before = used;
  encode_long(word, ids, used);
  const std::size_t count = used - before;
  if (lookup.line != nullptr && count <= kMaxCachedIds) {
    CachedWord(&known)[2] = lookup.line->words;
    known[1] = known[0];
    known[0].key = lookup.key;
    std::copy_n(ids.begin() + static_cast<std::ptrdiff_t>(before), count, known[0].ids);
    known[0].ids[0] |= static_cast<std::uint32_t>(count) << kCountShift;
  }
}

void Encoder::encode_long(std::string_view word, TokenIds& ids, std::size_t& used) {
  // Two places a word, as in a line.
  LongWord* places = nullptr;
  if (word.size() <= LongWord::kMaxBytes) {
    places = &long_words_[hash_bytes(word) & (kLongWords - 2)];
    for (const LongWord* known : {places, places + 1}) {
      if (std::string_view(known->bytes, known->length) == word) {
        write({known->ids, known->count}, ids, used);
        return;
      }
    }
  }
  scratch_.clear();
  merger_.merge(word, scratch_);
  const bool fits_line = word.size() <= kMaxShortWord && scratch_.size() <= kMaxCachedIds;
  if (!fits_line && places != nullptr && scratch_.size() <= LongWord::kMaxIds) {
    places[1] = places[0];
    LongWord& place = places[0];
    place.length = static_cast<std::uint8_t>(word.size());
    place.count = static_cast<std::uint8_t>(scratch_.size());
    std::copy(word.begin(), word.end(), place.bytes);
    std::copy(scratch_.begin(), scratch_.end(), place.ids);
  }
  write(scratch_, ids, used);
}

std::unique_ptr<Encoder> EncoderPool::take() {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Encoder> encoder = std::move(idle_.back());
      idle_.pop_back();
      return encoder;
    }
  }
  return std::make_unique<Encoder>(tokenizer_);
}

void EncoderPool::give_back(std::unique_ptr<Encoder> encoder) {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(encoder));
}

TokenIds EncoderPool::encode(std::string_view text) {
  std::unique_ptr<Encoder> encoder = take();
  TokenIds ids;
  encoder->encode(text, ids);
  give_back(std::move(encoder));
  return ids;
}

EncodedBatch EncoderPool::encode_batch(std::span<const std::string_view> texts, unsigned threads) {
  // Groups of neighbouring texts, so that a thread takes work seldom and the groups' ids follow one another.
  struct Group {
    std::size_t begin = 0;
    std::size_t end = 0;
    TokenIds ids;
  };
  std::vector<Group> groups;
  for (std::size_t begin = 0; begin < texts.size();) {
    std::size_t end = begin;
    for (std::size_t bytes = 0; end < texts.size() && bytes < kBatchGroupBytes; ++end) {
      bytes += texts[end].size();
    }
    groups.push_back({begin, end, {}});
    begin = end;
  }
  EncodedBatch batch;
  // First each text's count at offsets[i + 1], then running sums.
  batch.offsets.assign(texts.size() + 1, 0);
  std::atomic<std::size_t> next{0};
  const auto wanted =
      static_cast<unsigned>(std::min<std::size_t>(std::max(threads, 1U), std::max<std::size_t>(groups.size(), 1)));
  if (wanted == 1) {
    // Straight into the result, which is seldom larger than this.
    std::size_t bytes = 0;
    for (const std::string_view text : texts) {
      bytes += text.size();
    }
    batch.ids.reserve(bytes / 4 + 2 * kIdRoom);
    std::unique_ptr<Encoder> encoder = take();
    for (std::size_t text = 0; text < texts.size(); ++text) {
      encoder->encode(texts[text], batch.ids);
      batch.offsets[text + 1] = batch.ids.size();
    }
    give_back(std::move(encoder));
    return batch;
  }
  run_parallel(wanted, [&](unsigned) {
    std::unique_ptr<Encoder> encoder = take();
    for (std::size_t index = next++; index < groups.size(); index = next++) {
      Group& group = groups[index];
      for (std::size_t text = group.begin; text < group.end; ++text) {
        const std::size_t before = group.ids.size();
        encoder->encode(texts[text], group.ids);
        batch.offsets[text + 1] = group.ids.size() - before;
      }
    }
    give_back(std::move(encoder));
  });
  for (std::size_t text = 0; text < texts.size(); ++text) {
    batch.offsets[text + 1] += batch.offsets[text];
  }
  batch.ids.reserve(batch.offsets.back());
  for (Group& group : groups) {
    batch.ids.insert(batch.ids.end(), group.ids.begin(), group.ids.end());
    group.ids = {};
  }
  return batch;
}

} // namespace assay
