// What fuzzing feeds with bytes: each reader opens them as a file and reads everything that it then offers. Errors of
// the engine are swallowed; anything else is a finding. The native tests run the kept cases through the same functions.
#pragma once

#include <cstddef>
#include <span>

namespace assay::fuzz {

void read_safetensors(std::span<const std::byte> bytes);
void read_torch_archive(std::span<const std::byte> bytes);
void read_gguf(std::span<const std::byte> bytes);
void read_tokenizer_json(std::span<const std::byte> bytes);
void read_sentencepiece(std::span<const std::byte> bytes);
// The vocabulary, a zero byte, and a text to encode.
void read_vocab_txt(std::span<const std::byte> bytes);
// The codes, the dictionary and a text, zero bytes between.
void read_fast_bpe(std::span<const std::byte> bytes);
void read_mds_tokens(std::span<const std::byte> bytes);

} // namespace assay::fuzz
