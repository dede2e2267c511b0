#include "engine/tokenizer/encoder.h"

#include "engine/base/parallel.h"
#include "engine/tokenizer/pre-tokenizer.h"

#include <algorithm>
#include <atomic>
#include <cstring>

namespace assay {

namespace {

// 2^15 lines of 64 bytes are 2 MiB: by Zipf's law the words in use stay in the second-level cache.
constexpr std::size_t kCacheLines = std::size_t{1} << 15;
constexpr std::size_t kMaxCachedIds = 4;
constexpr unsigned kCountShift = 29;
constexpr std::uint32_t kIdMask = (std::uint32_t{1} << kCountShift) - 1;
constexpr std::size_t kMaxRareWords = std::size_t{1} << 15;
constexpr std::size_t kMaxRareWordBytes = 128;
// Texts of a batch are handed to threads in groups of about this many bytes.
constexpr std::size_t kBatchGroupBytes = std::size_t{1} << 18;

} // namespace

Encoder::Encoder(std::shared_ptr<const Tokenizer> tokenizer)
    : tokenizer_(std::move(tokenizer)), merger_(*tokenizer_), lines_(kCacheLines) {}

void Encoder::encode(std::string_view text, TokenIds& ids) {
  const PreTokenizer words(text);
  // `ids` is kept larger than what is used of it, so that a hit can write four ids without asking how many count.
  std::size_t used = ids.size();
  ids.resize(used + text.size() / 4 + 64);
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = words.word_end(begin);
    const std::string_view word = text.substr(begin, end - begin);
    begin = end;
    if (used + kMaxCachedIds > ids.size()) {
      ids.resize(ids.size() * 2);
    }
    std::span<const std::uint32_t> found;
    if (word.size() <= kMaxShortWord) {
      const WordKey key = make_word_key(word, text.size() - static_cast<std::size_t>(word.data() - text.data()));
      CacheLine& line = lines_[key.hash() & (kCacheLines - 1)];
      if (line.words[0].key != key && line.words[1].key == key) {
        std::swap(line.words[0], line.words[1]);
      }
      if (line.words[0].key == key) {
        const std::uint32_t first = line.words[0].ids[0];
        std::memcpy(ids.data() + used, line.words[0].ids, sizeof line.words[0].ids);
        ids[used] = first & kIdMask;
        used += first >> kCountShift;
        continue;
      }
      found = encode_unknown(word, key, line);
    } else {
      found = encode_rare(word);
    }
    if (used + found.size() > ids.size()) {
      ids.resize(std::max(ids.size() * 2, used + found.size() + 64));
    }
    std::copy(found.begin(), found.end(), ids.begin() + static_cast<std::ptrdiff_t>(used));
    used += found.size();
  }
  ids.resize(used);
}

std::span<const std::uint32_t> Encoder::encode_unknown(std::string_view word, const WordKey& key, CacheLine& line) {
  const std::span<const std::uint32_t> ids = encode_rare(word);
  if (ids.size() <= kMaxCachedIds) {
    line.words[1] = line.words[0];
    CachedWord& cached = line.words[0];
    cached.key = key;
    std::copy(ids.begin(), ids.end(), cached.ids);
    cached.ids[0] |= static_cast<std::uint32_t>(ids.size()) << kCountShift;
  }
  return ids;
}

std::span<const std::uint32_t> Encoder::encode_rare(std::string_view word) {
  if (const auto found = rare_words_.find(word); found != rare_words_.end()) {
    return found->second;
  }
  scratch_.clear();
  merger_.merge(word, scratch_);
  const bool fits_line = word.size() <= kMaxShortWord && scratch_.size() <= kMaxCachedIds;
  if (!fits_line && word.size() <= kMaxRareWordBytes) {
    if (rare_words_.size() >= kMaxRareWords) {
      rare_words_.clear();
    }
    rare_words_.emplace(word, scratch_);
  }
  return scratch_;
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
