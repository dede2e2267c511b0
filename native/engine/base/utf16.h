// UTF-16, as JavaScript holds text, to UTF-8. A surrogate without its partner becomes U+FFFD, as in TextEncoder.
#pragma once

#include <string>
#include <string_view>

namespace assay {

void append_utf16_as_utf8(std::string& utf8, std::u16string_view utf16);

} // namespace assay
