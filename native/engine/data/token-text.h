// A long row of token ids on disk, of a token cache or of a shard: what training takes its windows from. Ids are stored
// with 2, 4 or 8 bytes and copied as int32; an id outside the vocabulary is found by the copy that meets it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace assay {

class TokenText {
public:
  virtual ~TokenText() = default;

  virtual std::uint64_t token_count() const noexcept = 0;
  virtual std::uint32_t vocab_size() const noexcept = 0;
  // Copies tokens [begin, begin + out.size()). Tokens that are not there throw BAD_ARGUMENT; an id outside the
  // vocabulary throws with its place.
  virtual void copy_tokens(std::uint64_t begin, std::span<std::int32_t> out) const = 0;
  // Says that the tokens from `begin` on are copied soon: permuted windows lie where no hardware looks ahead.
  virtual void expect_tokens(std::uint64_t) const noexcept {}

  // Windows of seq_len + 1 tokens that step by seq_len.
  std::uint64_t window_count(std::uint32_t seq_len) const;
  // As window_count, but a text without a whole window throws TEXT_SHORTER_THAN_CONTEXT.
  std::uint64_t require_windows(std::uint32_t seq_len) const;
  // Window windows[i] becomes row rows[i] of `out`, row i where `rows` is empty; each row has seq_len + 1 tokens.
  // BAD_ARGUMENT where a window or a row is not there.
  void copy_windows(std::span<const std::uint32_t> windows, std::uint32_t seq_len, std::span<std::int32_t> out,
                    std::span<const std::uint32_t> rows) const;

protected:
  TokenText() = default;
  TokenText(const TokenText&) = default;
  TokenText(TokenText&&) = default;
  TokenText& operator=(const TokenText&) = default;
  TokenText& operator=(TokenText&&) = default;

  // BAD_ARGUMENT unless tokens [begin, begin + count) are there.
  void require_tokens(std::uint64_t begin, std::uint64_t count) const;
};

// Little-endian ids of 2, 4 or 8 bytes, at any address, as int32. False where one is negative or not below vocab_size
// (at most 2^31 - 1); `out` is then no use.
bool copy_ids(const std::byte* from, std::uint32_t bytes_per_id, std::uint32_t vocab_size,
              std::span<std::int32_t> out) noexcept;
// The first of `count` ids that copy_ids refuses, and its value as it is stored; `count` where there is none.
std::size_t find_foreign_id(const std::byte* from, std::uint32_t bytes_per_id, std::uint32_t vocab_size,
                            std::size_t count, std::int64_t& id) noexcept;

} // namespace assay
