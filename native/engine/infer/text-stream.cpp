#include "engine/infer/text-stream.h"

#include "engine/base/error.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::size_t kMostStops = 64;
constexpr std::size_t kLongestStop = 4096;

} // namespace

std::size_t incomplete_character_bytes(std::string_view text) {
  // The last byte that begins a character, at most three from the end.
  for (std::size_t back = 1; back <= std::min<std::size_t>(3, text.size()); ++back) {
    const auto byte = static_cast<unsigned char>(text[text.size() - back]);
    if ((byte & 0xC0U) == 0x80U) {
      continue;
    }
    const std::size_t length = byte >= 0xF0 && byte <= 0xF4  ? 4
                               : byte >= 0xE0 && byte < 0xF0 ? 3
                               : byte >= 0xC2 && byte < 0xE0 ? 2
                                                             : 1;
    if (length <= back) {
      return 0;
    }
    // The second byte has narrower bounds after some leads (Unicode 15, table 3-7).
    if (back >= 2) {
      const auto second = static_cast<unsigned char>(text[text.size() - back + 1]);
      if ((byte == 0xE0 && second < 0xA0) || (byte == 0xED && second > 0x9F) || (byte == 0xF0 && second < 0x90) ||
          (byte == 0xF4 && second > 0x8F)) {
        return 0;
      }
    }
    return back;
  }
  return 0;
}

TextStream::TextStream(std::vector<std::string> stops) : stops_(std::move(stops)) {
  if (stops_.size() > kMostStops) {
    throw Error("BAD_ARGUMENT", "stopTexts holds " + std::to_string(stops_.size()) + " texts; at most " +
                                    std::to_string(kMostStops) + " are looked for.");
  }
  for (const std::string& stop : stops_) {
    if (stop.empty() || stop.size() > kLongestStop) {
      throw Error("BAD_ARGUMENT", "A stop text has 1 to " + std::to_string(kLongestStop) + " bytes, not " +
                                      std::to_string(stop.size()) + ".");
    }
    longest_stop_ = std::max(longest_stop_, stop.size());
  }
}

bool TextStream::push(std::string_view bytes, const Emit& emit) {
  // A stop text that was not there before ends in the new bytes.
  const std::size_t from = held_.size() - std::min(held_.size(), longest_stop_);
  held_ += bytes;
  ends_.push_back(held_.size());
  std::size_t begin = std::string::npos;
  for (const std::string& stop : stops_) {
    begin = std::min(begin, held_.find(stop, from));
  }
  if (begin == std::string::npos) {
    emit_until(possible_stop_begin(), emit);
    return false;
  }
  // The token in which it begins stays, cut; those behind it go.
  while (!ends_.empty() && (ends_.size() > 1 ? ends_[ends_.size() - 2] : 0) >= begin) {
    ends_.pop_back();
  }
  held_.resize(begin);
  if (!ends_.empty()) {
    ends_.back() = begin;
  }
  emit_until(begin, emit);
  return true;
}

void TextStream::finish(const Emit& emit) {
  emit_until(held_.size(), emit);
}

// Where the longest end of what is held that may grow into a stop text begins.
std::size_t TextStream::possible_stop_begin() const {
  std::size_t begin = held_.size();
  for (const std::string& stop : stops_) {
    for (std::size_t length = std::min(held_.size(), stop.size() - 1); length > held_.size() - begin; --length) {
      if (std::string_view(held_).substr(held_.size() - length) == std::string_view(stop).substr(0, length)) {
        begin = held_.size() - length;
      }
    }
  }
  return begin;
}

void TextStream::emit_until(std::size_t settled, const Emit& emit) {
  std::size_t begin = 0;
  while (!ends_.empty() && ends_.front() <= settled) {
    incomplete_.append(held_, begin, ends_.front() - begin);
    begin = ends_.front();
    ends_.pop_front();
    const std::size_t whole = incomplete_.size() - incomplete_character_bytes(incomplete_);
    emit(next_number_++, incomplete_.substr(0, whole));
    incomplete_.erase(0, whole);
  }
  held_.erase(0, begin);
  for (std::size_t& end : ends_) {
    end -= begin;
  }
}

} // namespace assay
