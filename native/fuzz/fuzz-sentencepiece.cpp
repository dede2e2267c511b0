// libFuzzer's entry for sentencepiece; what is done with the bytes is readers.h.
#include "fuzz/readers.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::fuzz::read_sentencepiece(std::as_bytes(std::span(data, size)));
  return 0;
}
