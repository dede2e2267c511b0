#include "fuzz/readers.h"

#include "engine/base/error.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/torch-archive.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/sentencepiece-model.h"
#include "engine/tokenizer/text-tokenizer.h"
#include "engine/tokenizer/tokenizer-json.h"

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

void read_tokenizer_json(std::span<const std::byte> bytes) {
  try {
    const Tokenizer tokenizer =
        parse_tokenizer_json({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzzed");
    // A tokenizer that was accepted can be written, and reads back the same.
    const Tokenizer again = parse_tokenizer_json(format_tokenizer_json(tokenizer), "written");
    if (again.vocab_size() != tokenizer.vocab_size() || again.merges().size() != tokenizer.merges().size()) {
      std::abort();
    }
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

void read_sentencepiece(std::span<const std::byte> bytes) {
  try {
    const TextTokenizer tokenizer(
        parse_sentencepiece_model({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, "fuzzed"), "fuzzed");
    // Whatever was accepted encodes any text, within it.
    const std::string_view text = "kinase \xC3\xA9\xFF \xE4\xB8\xAD  1/2";
    for (const ByteRange& range : tokenizer.encode(text).offsets) {
      if (range.begin > range.end || range.end > text.size()) {
        std::abort();
      }
    }
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

} // namespace assay::fuzz
