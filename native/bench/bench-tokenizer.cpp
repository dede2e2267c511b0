// Times byte-level BPE training and encoding of one text file without Node.
// usage: bench-tokenizer TEXT_FILE [vocab_size=32000] [threads=1] [tokenizer.json to encode with]
#include "engine/base/error.h"
#include "engine/base/mapped-file.h"
#include "engine/tokenizer/bpe-trainer.h"
#include "engine/tokenizer/encoder.h"
#include "engine/tokenizer/tokenizer-json.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <memory>

namespace {

double seconds_since(std::chrono::steady_clock::time_point start) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

void run(const char* text_path, std::uint32_t vocab_size, unsigned threads, const char* tokenizer_path) {
  const assay::MappedFile file(text_path);
  const std::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.size());
  const double megabytes = static_cast<double>(text.size()) / 1e6;
  std::shared_ptr<const assay::Tokenizer> tokenizer;
  for (int round = 0; round < 3; ++round) {
    auto start = std::chrono::steady_clock::now();
    assay::BpeTrainer trainer({.threads = threads});
    trainer.add(std::span(&text, 1));
    const double counting = seconds_since(start);
    start = std::chrono::steady_clock::now();
    assay::BpeTrainResult result = trainer.train(
        {.vocab_size = vocab_size, .min_frequency = 2, .special_tokens = {"<|endoftext|>"}, .on_progress = {}});
    const double learning = seconds_since(start);
    std::printf("train: %.1f MB, %llu distinct words, %u tokens; counting %.3f s, learning %.3f s, together %.3f s\n",
                megabytes, static_cast<unsigned long long>(trainer.words().distinct_words()),
                result.tokenizer.vocab_size(), counting, learning, counting + learning);
    tokenizer = std::make_shared<const assay::Tokenizer>(std::move(result.tokenizer));
  }
  if (tokenizer_path != nullptr) {
    const auto start = std::chrono::steady_clock::now();
    tokenizer = std::make_shared<const assay::Tokenizer>(assay::read_tokenizer_json(tokenizer_path));
    std::printf("load: %.3f s\n", seconds_since(start));
  }
  assay::Encoder encoder(tokenizer);
  for (int round = 0; round < 4; ++round) {
    const auto start = std::chrono::steady_clock::now();
    assay::TokenIds ids;
    encoder.encode(text, ids);
    const double elapsed = seconds_since(start);
    std::printf("encode, 1 thread (%s): %zu tokens, %.1f MB/s\n", round == 0 ? "cold" : "warm", ids.size(),
                megabytes / elapsed);
  }
}

} // namespace

int main(int count, char** arguments) {
  if (count < 2) {
    std::fprintf(stderr, "usage: bench-tokenizer TEXT_FILE [vocab_size=32000] [threads=1] [tokenizer.json]\n");
    return 2;
  }
  try {
    run(arguments[1], count > 2 ? static_cast<std::uint32_t>(std::atoi(arguments[2])) : 32000,
        count > 3 ? static_cast<unsigned>(std::atoi(arguments[3])) : 1, count > 4 ? arguments[4] : nullptr);
  } catch (const assay::Error& error) {
    std::fprintf(stderr, "%s: %s\n", error.code().c_str(), error.what());
    return 1;
  }
  return 0;
}
