#include "fuzz/readers.h"

#include "engine/base/error.h"
#include "engine/checkpoint/gguf.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/torch-archive.h"
#include "engine/data/mds-tokens.h"
#include "engine/tokenizer/fast-bpe.h"
#include "engine/tokenizer/sentencepiece-model.h"
#include "engine/tokenizer/sentencepiece-writer.h"
#include "engine/tokenizer/text-tokenizer-json.h"
#include "engine/tokenizer/vocab-txt.h"

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <optional>
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

void read_mds_tokens(std::span<const std::byte> bytes) {
  // What an index would say of the shard comes first: encoding and number of columns, then the shard's own bytes.
  constexpr std::array<const char*, 8> kEncodings = {
      "bytes",         "bytes",          "bytes",           "ndarray:uint16",
      "ndarray:int32", "ndarray:uint64", "ndarray:int32:2", "ndarray:uint16:2,3"};
  constexpr std::array<std::uint64_t, 8> kFixedBytes = {0, 0, 0, 0, 0, 0, 8, 12};
  if (bytes.size() < 6) {
    return;
  }
  const auto kind = std::to_integer<std::size_t>(bytes[0]) % kEncodings.size();
  const auto columns = std::to_integer<std::size_t>(bytes[1]);
  const auto shard = bytes.subspan(2);
  MdsTokenLayout layout;
  std::uint32_t samples = 0;
  std::memcpy(&samples, shard.data(), sizeof(samples));
  layout.samples = samples;
  layout.encoding = kEncodings[kind];
  layout.bytes_per_id = 2U << (kind % 3);
  layout.vocab_size = 50257;
  // Two bits: how many columns stand before the tokens, and how many behind; two more: which of them have 4 bytes.
  const auto other = [&](std::size_t bit) {
    return ((columns >> bit) & 1U) != 0 ? std::optional<std::uint64_t>(4) : std::nullopt;
  };
  layout.token_column = columns & 3U;
  for (std::size_t column = 0; column < layout.token_column; ++column) {
    layout.column_sizes.push_back(other(4));
  }
  layout.column_sizes.push_back(kFixedBytes[kind] == 0 ? std::nullopt : std::optional(kFixedBytes[kind]));
  for (std::size_t column = 0; column < ((columns >> 2) & 3U); ++column) {
    layout.column_sizes.push_back(other(5));
  }
  try {
    const MdsTokens tokens(FileBytes(shard, "fuzzed"), layout);
    if (tokens.token_count() > shard.size() / 2) {
      std::abort(); // more ids than bytes for them
    }
    std::vector<std::int32_t> out(tokens.token_count());
    tokens.copy_tokens(0, out);
    for (const std::int32_t id : out) {
      if (id < 0 || id >= 50257) {
        std::abort();
      }
    }
  } catch (const Error&) {
    // What a damaged file is answered with.
  }
}

} // namespace assay::fuzz
