// libFuzzer's entry for fast-bpe; what is done with the bytes is readers.h.
#include "fuzz/readers.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::fuzz::read_fast_bpe(std::as_bytes(std::span(data, size)));
  return 0;
}
