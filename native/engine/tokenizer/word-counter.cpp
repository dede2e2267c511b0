#include "engine/tokenizer/word-counter.h"

#include <cstring>

namespace assay {

namespace {

constexpr std::size_t kArenaBlock = std::size_t{1} << 18;
constexpr std::size_t kFirstCapacity = 1024;

// Twice the slots, with each entry where its hash wants it.
template <typename Slot, typename Hash> void grow(std::vector<Slot>& slots, const Hash& hash_of) {
  std::vector<Slot> old(slots.empty() ? kFirstCapacity : slots.size() * 2);
  old.swap(slots);
  const std::size_t mask = slots.size() - 1;
  for (const Slot& slot : old) {
    if (slot.count > 0) {
      std::size_t index = hash_of(slot) & mask;
      while (slots[index].count > 0) {
        index = (index + 1) & mask;
      }
      slots[index] = slot;
    }
  }
}

} // namespace

void WordCounter::add(std::string_view word, std::size_t readable, std::uint64_t count) {
  if (word.size() <= kMaxShortWord) {
    const WordKey key = make_word_key(word, readable);
    add_short(key, key.hash(), count);
  } else {
    add_long(word, count);
  }
}

void WordCounter::add_short(const WordKey& key, std::uint64_t hash, std::uint64_t count) {
  // At most 5/8 full.
  if ((short_count_ + 1) * 8 > short_slots_.size() * 5) {
    grow(short_slots_, [](const ShortSlot& slot) { return slot.key.hash(); });
  }
  const std::size_t mask = short_slots_.size() - 1;
  std::size_t index = hash & mask;
  while (short_slots_[index].count > 0) {
    if (short_slots_[index].key == key) {
      short_slots_[index].count += count;
      return;
    }
    index = (index + 1) & mask;
  }
  short_slots_[index] = {key, count};
  ++short_count_;
}

void WordCounter::add_long(std::string_view word, std::uint64_t count) {
  if ((long_count_ + 1) * 8 > long_slots_.size() * 5) {
    grow(long_slots_, [](const LongSlot& slot) { return slot.hash; });
  }
  const std::size_t mask = long_slots_.size() - 1;
  const std::uint64_t hash = hash_bytes(word);
  std::size_t index = hash & mask;
  while (long_slots_[index].count > 0) {
    LongSlot& slot = long_slots_[index];
    if (slot.hash == hash && std::string_view(slot.bytes, slot.length) == word) {
      slot.count += count;
      return;
    }
    index = (index + 1) & mask;
  }
  long_slots_[index] = {hash, keep(word), count, static_cast<std::uint32_t>(word.size())};
  ++long_count_;
}

const char* WordCounter::keep(std::string_view word) {
  if (arena_.empty() || arena_used_ + word.size() > kArenaBlock) {
    arena_.push_back(std::make_unique_for_overwrite<char[]>(kArenaBlock));
    arena_used_ = 0;
  }
  char* place = arena_.back().get() + arena_used_;
  std::memcpy(place, word.data(), word.size());
  arena_used_ += word.size();
  return place;
}

std::size_t WordCounter::memory_bytes() const noexcept {
  return short_slots_.capacity() * sizeof(ShortSlot) + long_slots_.capacity() * sizeof(LongSlot) +
         arena_.size() * kArenaBlock;
}

void WordCounter::clear() {
  *this = WordCounter();
}

} // namespace assay
