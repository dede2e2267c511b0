// A flat hash table from a pair of token ids to a value of 32 or 64 bits, with linear probing. Both the merge table of
// the encoder and the pair counts of the trainer live in one of these; entries are never removed.
#pragma once

#include "engine/tokenizer/word-key.h"

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace assay {

inline std::uint64_t pair_key(std::uint32_t left, std::uint32_t right) {
  return (static_cast<std::uint64_t>(left) << 32) | right;
}

template <typename Value> class PairTable {
public:
  explicit PairTable(std::size_t expected = 0) { rebuild(expected); }

  // Null when the pair is not there.
  const Value* find(std::uint64_t key) const {
    for (std::size_t index = slot_of(key);; index = (index + 1) & mask_) {
      if (slots_[index].key == key) {
        return &slots_[index].value;
      }
      if (slots_[index].key == kEmpty) {
        return nullptr;
      }
    }
  }

  Value* find(std::uint64_t key) { return const_cast<Value*>(std::as_const(*this).find(key)); }

  // False, and nothing changed, when the pair is already there.
  bool insert(std::uint64_t key, const Value& value) {
    if ((size_ + 1) * 2 > slots_.size()) {
      rebuild(size_ * 2 + 1);
    }
    std::size_t index = slot_of(key);
    while (slots_[index].key != kEmpty) {
      if (slots_[index].key == key) {
        return false;
      }
      index = (index + 1) & mask_;
    }
    slots_[index] = {key, value};
    ++size_;
    return true;
  }

  std::size_t size() const noexcept { return size_; }
  std::size_t memory_bytes() const noexcept { return slots_.capacity() * sizeof(Slot); }

private:
  // No two token ids are both 2^32 - 1.
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};

  struct Slot {
    std::uint64_t key = kEmpty;
    Value value{};
  };

  std::size_t slot_of(std::uint64_t key) const { return mix_hash(key, 0) & mask_; }

  void rebuild(std::size_t expected) {
    std::size_t capacity = 16;
    while (capacity < expected * 2) {
      capacity *= 2;
    }
    std::vector<Slot> old(capacity);
    old.swap(slots_);
    mask_ = capacity - 1;
    for (const Slot& slot : old) {
      if (slot.key != kEmpty) {
        std::size_t index = slot_of(slot.key);
        while (slots_[index].key != kEmpty) {
          index = (index + 1) & mask_;
        }
        slots_[index] = slot;
      }
    }
  }

  std::vector<Slot> slots_;
  std::size_t mask_ = 0;
  std::size_t size_ = 0;
};

} // namespace assay
