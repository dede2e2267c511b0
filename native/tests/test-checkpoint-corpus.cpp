// Every case that fuzzing starts from or once stumbled over, through the functions that the fuzzers call: it may be
// read or refused, and must not crash.
#include "check.h"
#include "temporary-folder.h"

#include "fuzz/readers.h"

#include <filesystem>
#include <string>

using namespace assay;
using namespace assay::test;

namespace {

using Read = void (*)(std::span<const std::byte>);

void run_cases_of(const std::string& target, Read read) {
  std::size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(std::string(ASSAY_FIXTURES) + "/fuzz/" + target)) {
    const std::string bytes = read_file(entry.path().string());
    read(std::as_bytes(std::span(bytes.data(), bytes.size())));
    // Every beginning of a file is a cut file.
    for (std::size_t size = 0; size < bytes.size(); size += 1 + bytes.size() / 64) {
      read(std::as_bytes(std::span(bytes.data(), size)));
    }
    ++count;
  }
  CHECK(count >= 5);
}

const bool added[] = {
    add_case("the kept cases of safetensors neither crash nor allocate by what they claim",
             [] { run_cases_of("safetensors", fuzz::read_safetensors); }),
    add_case("the kept cases of PyTorch's archives neither crash nor allocate by what they claim",
             [] { run_cases_of("torch-archive", fuzz::read_torch_archive); }),
    add_case("the kept cases of GGUF neither crash nor allocate by what they claim",
             [] { run_cases_of("gguf", fuzz::read_gguf); }),
    add_case("the kept cases of tokenizer.json neither crash nor allocate by what they claim",
             [] { run_cases_of("tokenizer-json", fuzz::read_tokenizer_json); }),
    add_case("the kept cases of SentencePiece models neither crash nor allocate by what they claim",
             [] { run_cases_of("sentencepiece", fuzz::read_sentencepiece); }),
    add_case("the kept cases of vocab.txt neither crash nor allocate by what they claim",
             [] { run_cases_of("vocab-txt", fuzz::read_vocab_txt); }),
    add_case("the kept cases of fastBPE's files neither crash nor allocate by what they claim",
             [] { run_cases_of("fast-bpe", fuzz::read_fast_bpe); }),
    add_case("the kept cases of tokens in MDS shards neither crash nor allocate by what they claim",
             [] { run_cases_of("mds-tokens", fuzz::read_mds_tokens); }),
};

} // namespace

int main() {
  return run_cases();
}
