// Unicode's four normalization forms over a text that remembers where its bytes came from (Unicode Standard, 3.11).
#pragma once

#include "engine/tokenizer/aligned-text.h"
#include "engine/tokenizer/text-normalizer.h"

namespace assay {

// A composed character covers the sources of all its parts.
void apply_unicode_form(AlignedText& text, UnicodeForm form);

} // namespace assay
