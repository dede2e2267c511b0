#include "engine/tokenizer/text-tokenizer-json.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/tokenizer/tokenizer-json.h"

namespace assay {

std::shared_ptr<const TextTokenizer> open_tokenizer_json(const std::string& path) {
  return std::make_shared<const TextTokenizer>(std::make_shared<const Tokenizer>(read_tokenizer_json(path)));
}

std::string format_tokenizer_json(const TextTokenizer& tokenizer) {
  if (tokenizer.byte_level() != nullptr) {
    return format_tokenizer_json(tokenizer.byte_level()->tokenizer());
  }
  throw Error("NOT_SUPPORTED", "Only byte-level BPE is written as tokenizer.json yet.");
}

void write_tokenizer_json(const TextTokenizer& tokenizer, const std::string& path) {
  const std::string text = format_tokenizer_json(tokenizer);
  DurableFile file(path);
  file.write(text);
  file.close();
}

} // namespace assay
