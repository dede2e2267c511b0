// Counts distinct words in one open-addressing table for short words and one for the rest, whose bytes lie in an arena.
// Each thread counts into its own; counts are 64 bits wide and add up to the same whatever the threads.
#pragma once

#include "engine/tokenizer/word-key.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>
#include <vector>

namespace assay {

class WordCounter {
public:
  WordCounter() = default;

  // `readable` as for make_word_key; words have at most 65 535 bytes and are not empty.
  void add(std::string_view word, std::size_t readable, std::uint64_t count = 1);

  // In two steps, so that the table's lines of many short words come into the cache at once: the hash of the word's key
  // first, then add_short.
  std::uint64_t prepare(const WordKey& key) const {
    const std::uint64_t hash = key.hash();
    if (!short_slots_.empty()) {
      __builtin_prefetch(&short_slots_[hash & (short_slots_.size() - 1)]);
    }
    return hash;
  }
  void add_short(const WordKey& key, std::uint64_t hash, std::uint64_t count);

  std::size_t distinct_words() const noexcept { return short_count_ + long_count_; }
  std::size_t memory_bytes() const noexcept;
  void clear();

  // Calls take(word, count) for every word; the view is valid until the counter changes. No particular
  // order.
  template <typename Take> void for_each(const Take& take) const {
    for (const ShortSlot& slot : short_slots_) {
      if (slot.count > 0) {
        take(slot.key.view(), slot.count);
      }
    }
    for (const LongSlot& slot : long_slots_) {
      if (slot.count > 0) {
        take(std::string_view(slot.bytes, slot.length), slot.count);
      }
    }
  }

private:
  struct ShortSlot {
    WordKey key;
    std::uint64_t count = 0;
  };
  struct LongSlot {
    std::uint64_t hash = 0;
    const char* bytes = nullptr;
    std::uint64_t count = 0;
    std::uint32_t length = 0;
  };

  void add_long(std::string_view word, std::uint64_t count);
  const char* keep(std::string_view word);

  std::vector<ShortSlot> short_slots_;
  std::vector<LongSlot> long_slots_;
  std::size_t short_count_ = 0;
  std::size_t long_count_ = 0;
  std::vector<std::unique_ptr<char[]>> arena_;
  std::size_t arena_used_ = 0;
};

} // namespace assay
