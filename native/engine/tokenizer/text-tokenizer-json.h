// tokenizer.json, Hugging Face's file, for tokenizers of every kind. What this build would do differently is refused by
// name; nothing is left out silently.
#pragma once

#include "engine/base/json.h"
#include "engine/tokenizer/text-tokenizer.h"

#include <memory>
#include <string>
#include <string_view>

namespace assay {

// Throws FILE_NOT_READABLE, JSON_INVALID, TOKENIZER_INVALID or NOT_SUPPORTED.
std::shared_ptr<const TextTokenizer> open_tokenizer_json(const std::string& path, const TokenRoles& roles = {});
std::shared_ptr<const TextTokenizer> parse_any_tokenizer_json(std::string_view text, const std::string& source,
                                                              const TokenRoles& roles = {});

// The same tokenizer gives the same bytes. Throws NOT_SUPPORTED where the file cannot express it.
std::string format_tokenizer_json(const TextTokenizer& tokenizer);
// Written and fsynced.
void write_tokenizer_json(const TextTokenizer& tokenizer, const std::string& path);

} // namespace assay
