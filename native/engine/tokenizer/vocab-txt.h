// BERT's vocab.txt: one piece a line, its id the line's number. The file says nothing of lower case or special tokens,
// so both follow from the pieces unless the caller says otherwise.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"

#include <optional>
#include <string>
#include <string_view>

namespace assay {

struct BertOptions {
  // Unset: unless a piece other than a bracketed special token holds a capital.
  std::optional<bool> lowercase;
  // Unset: as `lowercase`.
  std::optional<bool> strip_accents;
  bool handle_chinese_chars = true;
};

// BERT's pipeline around a vocabulary. Throws TOKENIZER_INVALID where [UNK] is missing; [CLS] and [SEP] are put around
// texts where the vocabulary has both.
TextTokenizerParts bert_parts(std::vector<std::string> pieces, const BertOptions& options);

TextTokenizerParts read_vocab_txt(const std::string& path, const BertOptions& options = {});
TextTokenizerParts parse_vocab_txt(std::string_view text, const std::string& source, const BertOptions& options = {});
// Throws NOT_SUPPORTED where one piece a line does not say all. The file says nothing of lower case either: whoever
// reads it must be told, or guesses as above.
std::string format_vocab_txt(const TextTokenizer& tokenizer);
void write_vocab_txt(const TextTokenizer& tokenizer, const std::string& path);

} // namespace assay
