// Text to token ids with one tokenizer. An encoder remembers words it has met (fixed, small caches), so it belongs to
// one thread at a time; EncoderPool lends encoders to threads. Tokens tile the text: byte offsets are running sums of
// token lengths, and any bytes, UTF-8 or not, decode to themselves. Special tokens are not recognised in text.
#pragma once

#include "engine/tokenizer/tokenizer.h"
#include "engine/tokenizer/word-key.h"
#include "engine/tokenizer/word-merger.h"

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

class Encoder {
public:
  explicit Encoder(std::shared_ptr<const Tokenizer> tokenizer);

  // Appends the ids of the text.
  void encode(std::string_view text, TokenIds& ids);

private:
  // One word of at most 15 bytes and its one to four ids. The count sits in the upper bits of the first id; 0 is empty.
  struct CachedWord {
    WordKey key;
    std::uint32_t ids[4] = {};
  };
  // Two words a cache line; the second is the one replaced, a hit there moves to the front.
  struct alignas(64) CacheLine {
    CachedWord words[2];
  };
  // A word that is too long for a line, or has too many ids. A line of its own, so that nothing is allocated.
  struct alignas(64) LongWord {
    static constexpr std::size_t kMaxBytes = 38;
    static constexpr std::size_t kMaxIds = 6;
    std::uint32_t ids[kMaxIds] = {};
    std::uint8_t length = 0;
    std::uint8_t count = 0;
    char bytes[kMaxBytes] = {};
  };
  static_assert(sizeof(LongWord) == 64);

  // What is known of a word before its ids are looked up, so that the lookups of many words overlap in time.
  struct Lookup {
    WordKey key;
    CacheLine* line = nullptr; // null for a long word
  };

  void encode_unknown(std::string_view word, const Lookup& lookup, TokenIds& ids, std::size_t& used);
  void encode_long(std::string_view word, TokenIds& ids, std::size_t& used);
  static void write(std::span<const std::uint32_t> found, TokenIds& ids, std::size_t& used);

  std::shared_ptr<const Tokenizer> tokenizer_;
  WordMerger merger_;
  std::vector<CacheLine> lines_;
  std::vector<LongWord> long_words_;
  TokenIds scratch_;
};

struct EncodedBatch {
  TokenIds ids;
  // Text i has ids[offsets[i]] to ids[offsets[i + 1] - 1].
  std::vector<std::uint64_t> offsets;
};

class EncoderPool {
public:
  explicit EncoderPool(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}

  const Tokenizer& tokenizer() const noexcept { return *tokenizer_; }
  std::shared_ptr<const Tokenizer> shared_tokenizer() const noexcept { return tokenizer_; }

  TokenIds encode(std::string_view text);
  // The same result for any number of threads.
  EncodedBatch encode_batch(std::span<const std::string_view> texts, unsigned threads);

private:
  std::unique_ptr<Encoder> take();
  void give_back(std::unique_ptr<Encoder> encoder);

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Encoder>> idle_;
};

} // namespace assay
