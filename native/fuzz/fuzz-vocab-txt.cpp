// libFuzzer's entry for vocab-txt; what is done with the bytes is readers.h.
#include "fuzz/readers.h"

#include <cstdint>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  assay::fuzz::read_vocab_txt(std::as_bytes(std::span(data, size)));
  return 0;
}
