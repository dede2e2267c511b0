#include "engine/data/token-text.h"

#include "engine/base/error.h"

#include <bit>
#include <cstring>
#include <string>

namespace assay {

namespace {

static_assert(std::endian::native == std::endian::little, "ids are loaded as they lie");

// No branch in the loop, so that the compiler makes vectors of it. Both an id below zero and one above the last leave
// the sign bit in `foreign`: last - id cannot overflow where id is not negative. Of 8 bytes the upper four must be 0.
template <typename Id>
bool copy_as_int32(const std::byte* from, std::int32_t last, std::span<std::int32_t> out) noexcept {
  std::uint32_t foreign = 0;
  std::uint64_t high = 0;
  std::int32_t* to = out.data();
  const std::size_t count = out.size();
  for (std::size_t index = 0; index < count; ++index) {
    Id id;
    std::memcpy(&id, from + index * sizeof(Id), sizeof(Id));
    const auto low = static_cast<std::uint32_t>(id);
    if constexpr (sizeof(Id) == 8) {
      high |= id;
    }
    foreign |= low | (static_cast<std::uint32_t>(last) - low);
    to[index] = static_cast<std::int32_t>(low);
  }
  return (foreign >> 31) == 0 && (high >> 32) == 0;
}

std::int64_t load_id(const std::byte* from, std::uint32_t bytes_per_id) {
  std::uint64_t id = 0;
  std::memcpy(&id, from, bytes_per_id);
  if (bytes_per_id == 4) {
    // As it would be read where it is signed: both kinds are outside every vocabulary from 2^31 on.
    return static_cast<std::int32_t>(static_cast<std::uint32_t>(id));
  }
  return static_cast<std::int64_t>(id);
}

} // namespace

bool copy_ids(const std::byte* from, std::uint32_t bytes_per_id, std::uint32_t vocab_size,
              std::span<std::int32_t> out) noexcept {
  const auto last = static_cast<std::int32_t>(vocab_size) - 1;
  switch (bytes_per_id) {
  case 2:
    return copy_as_int32<std::uint16_t>(from, last, out);
  case 4:
    return copy_as_int32<std::uint32_t>(from, last, out);
  default:
    return copy_as_int32<std::uint64_t>(from, last, out);
  }
}

std::size_t find_foreign_id(const std::byte* from, std::uint32_t bytes_per_id, std::uint32_t vocab_size,
                            std::size_t count, std::int64_t& id) noexcept {
  for (std::size_t index = 0; index < count; ++index) {
    id = load_id(from + index * bytes_per_id, bytes_per_id);
    if (id < 0 || id >= static_cast<std::int64_t>(vocab_size)) {
      return index;
    }
  }
  return count;
}

std::uint64_t TokenText::window_count(std::uint32_t seq_len) const {
  if (seq_len == 0) {
    throw Error("BAD_ARGUMENT", "A window has at least one token; the context length given is 0.");
  }
  return token_count() == 0 ? 0 : (token_count() - 1) / seq_len;
}

std::uint64_t TokenText::require_windows(std::uint32_t seq_len) const {
  const std::uint64_t windows = window_count(seq_len);
  if (windows == 0) {
    throw Error("TEXT_SHORTER_THAN_CONTEXT",
                "The text has " + std::to_string(token_count()) + " tokens, and one window of the context length " +
                    std::to_string(seq_len) + " needs " + std::to_string(std::uint64_t{seq_len} + 1) +
                    "; add text or lower max_seq_len.");
  }
  return windows;
}

void TokenText::require_tokens(std::uint64_t begin, std::uint64_t count) const {
  if (begin > token_count() || count > token_count() - begin) {
    throw Error("BAD_ARGUMENT", "Tokens " + std::to_string(begin) + " to " + std::to_string(begin + count) +
                                    " were asked of a text of " + std::to_string(token_count()) + ".");
  }
}

void TokenText::copy_windows(std::span<const std::uint32_t> windows, std::uint32_t seq_len, std::span<std::int32_t> out,
                             std::span<const std::uint32_t> rows) const {
  const std::uint64_t available = window_count(seq_len);
  const std::size_t width = std::size_t{seq_len} + 1;
  const std::size_t row_count = out.size() / width;
  if (!rows.empty() && rows.size() != windows.size()) {
    throw Error("BAD_ARGUMENT", std::to_string(windows.size()) + " windows were asked for and " +
                                    std::to_string(rows.size()) + " rows given; each window has one row.");
  }
  for (std::size_t index = 0; index < windows.size(); ++index) {
    const std::size_t row = rows.empty() ? index : rows[index];
    if (windows[index] >= available || row >= row_count) {
      throw Error("BAD_ARGUMENT", "Window " + std::to_string(windows[index]) + " of " + std::to_string(available) +
                                      " was asked for as row " + std::to_string(row) + " of " +
                                      std::to_string(row_count) + ".");
    }
    if (index + 1 < windows.size() && windows[index + 1] < available) {
      expect_tokens(std::uint64_t{windows[index + 1]} * seq_len);
    }
    copy_tokens(std::uint64_t{windows[index]} * seq_len, out.subspan(row * width, width));
  }
}

} // namespace assay
