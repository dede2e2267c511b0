#include "engine/base/utf16.h"

#include "engine/base/utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace assay {

namespace {

// Copies ASCII from the front of `utf16` to `out` and returns how many units that were; it may stop early.
std::size_t copy_ascii(char* out, std::u16string_view utf16) {
  std::size_t at = 0;
#if defined(__SSE2__)
  for (; at + 16 <= utf16.size(); at += 16) {
    const auto* units = reinterpret_cast<const __m128i*>(utf16.data() + at);
    const __m128i low = _mm_loadu_si128(units);
    const __m128i high = _mm_loadu_si128(units + 1);
    const __m128i beyond = _mm_and_si128(_mm_or_si128(low, high), _mm_set1_epi16(static_cast<short>(0xFF80)));
    if (_mm_movemask_epi8(_mm_cmpeq_epi16(beyond, _mm_setzero_si128())) != 0xFFFF) {
      break;
    }
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out + at), _mm_packus_epi16(low, high));
  }
#endif
  for (; at < utf16.size() && utf16[at] < 0x80; ++at) {
    out[at] = static_cast<char>(utf16[at]);
  }
  return at;
}

} // namespace

void append_utf16_as_utf8(std::string& utf8, std::u16string_view utf16) {
  // Room for the rest, were it ASCII, is made anew only where wider characters have used it up, so that time grows with
  // the text alone.
  std::size_t used = utf8.size();
  const auto make_room = [&](std::size_t wanted) {
    if (utf8.size() - used < wanted) {
      utf8.resize(used + wanted + wanted / 8 + 16);
    }
  };
  while (!utf16.empty()) {
    make_room(utf16.size());
    const std::size_t ascii = copy_ascii(utf8.data() + used, utf16);
    used += ascii;
    utf16.remove_prefix(ascii);
    while (!utf16.empty() && utf16[0] >= 0x80) {
      std::uint32_t code_point = utf16[0];
      std::size_t length = 1;
      if (code_point >= 0xD800 && code_point <= 0xDFFF) {
        const bool pairs = code_point <= 0xDBFF && utf16.size() > 1 && utf16[1] >= 0xDC00 && utf16[1] <= 0xDFFF;
        code_point = pairs ? 0x10000 + ((code_point - 0xD800) << 10) + (utf16[1] - 0xDC00U) : 0xFFFD;
        length = pairs ? 2 : 1;
      }
      make_room(utf16.size() + kMaxUtf8Length);
      used += encode_utf8(utf8.data() + used, code_point);
      utf16.remove_prefix(length);
    }
  }
  utf8.resize(used);
}

} // namespace assay
