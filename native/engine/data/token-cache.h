// A tokenized text on disk (docs/formats/token-cache.md), mapped read-only: training gathers windows from it,
// evaluation reads document by document. Opening checks every size and offset, so that a cut or altered cache is an
// error that says so and never a read past the end.
#pragma once

#include "engine/base/mapped-file.h"
#include "engine/data/data-order.h"
#include "engine/data/token-text.h"

#include <cstdint>
#include <span>
#include <string>

namespace assay {

class TokenCache final : public TokenText {
public:
  // Throws TOKEN_CACHE_DAMAGED, FORMAT_VERSION_UNKNOWN or FILE_NOT_READABLE.
  explicit TokenCache(const std::string& directory);

  std::uint64_t token_count() const noexcept override { return token_count_; }
  std::uint64_t document_count() const noexcept { return document_count_; }
  std::uint32_t vocab_size() const noexcept override { return vocab_size_; }
  std::uint32_t end_of_text_id() const noexcept { return end_of_text_id_; }
  const std::string& directory() const noexcept { return directory_; }

  // Offset of the document's first token; document_begin(document_count()) is token_count().
  std::uint64_t document_begin(std::uint64_t document) const;

  // An id outside the vocabulary throws TOKEN_CACHE_DAMAGED.
  void copy_tokens(std::uint64_t begin, std::span<std::int32_t> out) const override;

private:
  [[noreturn]] void fail(const std::string& what) const;
  void read_meta();
  void check_sizes() const;

  std::string directory_;
  MappedFile tokens_;
  MappedFile documents_;
  std::uint64_t token_count_ = 0;
  std::uint64_t document_count_ = 0;
  std::uint32_t bytes_per_token_ = 0;
  std::uint32_t vocab_size_ = 0;
  std::uint32_t end_of_text_id_ = 0;
};

// The global batch of one update: `sample_count` samples from `first_sample` of the endless sequence, each seq_len + 1
// tokens, into out (B, T+1).
void gather_samples(const TokenCache& cache, SampleSequence& sequence, std::uint64_t first_sample,
                    std::uint32_t sample_count, std::uint32_t seq_len, std::span<std::int32_t> out);

} // namespace assay
