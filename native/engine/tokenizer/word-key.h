// Words as hash keys. Nearly all words of a text have at most 15 bytes: those become two integers that compare without
// touching memory. Longer ones are hashed by their bytes.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace assay {

static_assert(std::endian::native == std::endian::little, "WordKey packs words in little endian order");

inline constexpr std::size_t kMaxShortWord = 15;

// 128-bit product folded to 64 bits: every input bit reaches every output bit.
inline std::uint64_t mix_hash(std::uint64_t left, std::uint64_t right) {
  __extension__ using Wide = unsigned __int128;
  const Wide product = static_cast<Wide>(left ^ 0x9E3779B97F4A7C15U) * (right ^ 0xD6E8FEB86659FD93U);
  return static_cast<std::uint64_t>(product) ^ static_cast<std::uint64_t>(product >> 64);
}

// The bytes of a word of at most 15 bytes, and its length in the last byte. No word's key is all zero.
struct WordKey {
  std::uint64_t low = 0;
  std::uint64_t high = 0;

  bool operator==(const WordKey&) const = default;
  std::size_t length() const { return high >> 56; }
  std::uint64_t hash() const { return mix_hash(low, high); }
  // Valid as long as the key.
  std::string_view view() const { return {reinterpret_cast<const char*>(&low), length()}; }
};
static_assert(sizeof(WordKey) == 16);

// `readable` is how many bytes may be read from word.data(): with 16 or more the word is loaded without a copy loop.
inline WordKey make_word_key(std::string_view word, std::size_t readable) {
  const std::size_t length = word.size();
  WordKey key;
  if (readable >= 16) {
    std::uint64_t parts[2];
    std::memcpy(parts, word.data(), sizeof parts);
    const std::size_t low_bits = length >= 8 ? 64 : length * 8;
    const std::size_t high_bits = length > 8 ? (length - 8) * 8 : 0;
    key.low = low_bits == 64 ? parts[0] : parts[0] & ((std::uint64_t{1} << low_bits) - 1);
    key.high = parts[1] & ((std::uint64_t{1} << high_bits) - 1);
  } else {
    std::memcpy(&key, word.data(), length);
  }
  key.high |= static_cast<std::uint64_t>(length) << 56;
  return key;
}

inline std::uint64_t hash_bytes(std::string_view bytes) {
  std::uint64_t hash = bytes.size();
  while (bytes.size() > 8) {
    std::uint64_t part = 0;
    std::memcpy(&part, bytes.data(), 8);
    hash = mix_hash(hash, part);
    bytes.remove_prefix(8);
  }
  std::uint64_t part = 0;
  if (!bytes.empty()) {
    std::memcpy(&part, bytes.data(), bytes.size());
  }
  return mix_hash(hash, part);
}

} // namespace assay
