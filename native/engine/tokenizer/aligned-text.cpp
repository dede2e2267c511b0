#include "engine/tokenizer/aligned-text.h"

#include <algorithm>

namespace assay {

AlignedText::AlignedText(std::string_view original, ByteRange range)
    : text_(original.substr(range.begin, range.end - range.begin)), sources_(text_.size()) {
  for (std::uint32_t index = 0; index < sources_.size(); ++index) {
    sources_[index] = {range.begin + index, range.begin + index + 1};
  }
}

ByteRange AlignedText::source(std::size_t begin, std::size_t end) const {
  if (begin >= end) {
    const std::uint32_t at = begin < sources_.size() ? sources_[begin].begin : begin > 0 ? sources_[begin - 1].end : 0;
    return {at, at};
  }
  // Marks may have changed places, so that the ends are not always first and last.
  ByteRange whole = sources_[begin];
  bool is_empty = whole.begin == whole.end;
  for (std::size_t index = begin + 1; index < end; ++index) {
    const ByteRange& each = sources_[index];
    if (each.begin == each.end) {
      continue;
    }
    whole = is_empty ? each : ByteRange{std::min(whole.begin, each.begin), std::max(whole.end, each.end)};
    is_empty = false;
  }
  return whole;
}

void AlignedText::clear() {
  text_.clear();
  sources_.clear();
}

void AlignedText::reserve(std::size_t bytes) {
  text_.reserve(bytes);
  sources_.reserve(bytes);
}

void AlignedText::copy(const AlignedText& from, std::size_t begin, std::size_t end) {
  text_.append(from.text_, begin, end - begin);
  sources_.insert(sources_.end(), from.sources_.begin() + static_cast<std::ptrdiff_t>(begin),
                  from.sources_.begin() + static_cast<std::ptrdiff_t>(end));
}

void AlignedText::put(std::string_view bytes, ByteRange source) {
  text_.append(bytes);
  sources_.insert(sources_.end(), bytes.size(), source);
}

void AlignedText::put(std::uint32_t code_point, ByteRange source) {
  const std::size_t before = text_.size();
  append_utf8(text_, code_point);
  sources_.insert(sources_.end(), text_.size() - before, source);
}

bool AlignedText::is_ascii() const {
  return std::all_of(text_.begin(), text_.end(), [](char byte) { return static_cast<unsigned char>(byte) < 0x80; });
}

void AlignedText::swap(AlignedText& other) noexcept {
  text_.swap(other.text_);
  sources_.swap(other.sources_);
}

} // namespace assay
