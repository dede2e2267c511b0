#include "fuzz/readers.h"

#include "engine/base/error.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/torch-archive.h"
#include "engine/tokenizer/fast-bpe.h"
#include "engine/tokenizer/sentencepiece-model.h"
#include "engine/tokenizer/sentencepiece-writer.h"
#include "engine/tokenizer/text-tokenizer-json.h"
#include "engine/tokenizer/vocab-txt.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

namespace assay::fuzz {

namespace {

void read_everything(const TensorSource& source, std::size_t file_bytes) {
  for (const SourceTensor& tensor : source.tensors()) {
    std::uint64_t count = 0;
    if (!shape_product(tensor.shape, count) || count > file_bytes) {
      // A tensor larger than its file was let through: whoever allocates for it is lied to.
      std::abort();
    }
    std::vector<float> values(count);
    try {
      source.read(tensor, values);
    } catch (const Error&) {
      // Whole numbers are listed and not read.
    }
  }
}

template <typename Source> void open_and_read(std::span<const std::byte> bytes) {
  try {
    const Source source(FileBytes(bytes, "fuzzed"));
    read_everything(source, bytes.size());
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

} // namespace

void read_safetensors(std::span<const std::byte> bytes) {
  open_and_read<SafetensorsSource>(bytes);
}

void read_torch_archive(std::span<const std::byte> bytes) {
  open_and_read<TorchArchive>(bytes);
}

void read_gguf(std::span<const std::byte> bytes) {
  open_and_read<GgufFile>(bytes);
}

namespace {

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// What stands before the first zero byte; `rest` keeps what follows it.
std::string_view take_part(std::string_view& rest) {
  const std::string_view part = rest.substr(0, rest.find('\0'));
  rest.remove_prefix(std::min(rest.size(), part.size() + 1));
  return part;
}

// Whatever was accepted encodes any text, within it, and decodes what it made.
void encode(const TextTokenizer& tokenizer, std::string_view text) {
  const TextEncoding encoding = tokenizer.encode(text);
  for (const ByteRange& range : encoding.offsets) {
    if (range.begin > range.end || range.end > text.size()) {
      std::abort();
    }
  }
  tokenizer.decode(encoding.ids);
}

constexpr std::string_view kText = "kinase \xC3\xA9\xFF \xE4\xB8\xAD  1/2, don't <unk>";

} // namespace

void read_tokenizer_json(std::span<const std::byte> bytes) {
  try {
    const std::shared_ptr<const TextTokenizer> tokenizer = parse_any_tokenizer_json(text_of(bytes), "fuzzed");
    encode(*tokenizer, kText);
    // A tokenizer that was accepted can be written, and reads back the same.
    const auto again = parse_any_tokenizer_json(format_tokenizer_json(*tokenizer), "written");
    if (again->vocab_size() != tokenizer->vocab_size() || again->encode(kText).ids != tokenizer->encode(kText).ids) {
      std::abort();
    }
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

void read_sentencepiece(std::span<const std::byte> bytes) {
  try {
    const TextTokenizer tokenizer(parse_sentencepiece_model(text_of(bytes), "fuzzed"), "fuzzed");
    encode(tokenizer, kText);
    const TextTokenizer again(parse_sentencepiece_model(format_sentencepiece_model(tokenizer), "written"), "written");
    if (again.encode(kText).ids != tokenizer.encode(kText).ids) {
      std::abort();
    }
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

void read_vocab_txt(std::span<const std::byte> bytes) {
  try {
    std::string_view rest = text_of(bytes);
    const std::string_view vocabulary = take_part(rest);
    encode(TextTokenizer(parse_vocab_txt(vocabulary, "fuzzed"), "fuzzed"), rest);
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

void read_fast_bpe(std::span<const std::byte> bytes) {
  try {
    std::string_view rest = text_of(bytes);
    const std::string_view codes = take_part(rest);
    const std::string_view dictionary = take_part(rest);
    // Moses' rules see the rest of the input, too.
    encode(TextTokenizer(parse_fast_bpe(codes, "fuzzed codes", dictionary, "fuzzed dictionary", true), "fuzzed"), rest);
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

} // namespace assay::fuzz
