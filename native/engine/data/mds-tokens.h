// The tokens of one raw (uncompressed) MDS shard, mapped where it lies: u32 number of samples, u32 offsets from the
// file's start, a header that is not needed here, then the samples, each the u32 sizes of its variable columns followed
// by the columns. All offsets and sizes are checked on opening; the tokens of the samples follow each other as one
// text.
#pragma once

#include "engine/base/file-bytes.h"
#include "engine/data/token-text.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace assay {

// What the shard's entry in index.json says of it.
struct MdsTokenLayout {
  std::uint64_t samples = 0;
  // Bytes of each column in the shard's order, nullopt where each sample says its own.
  std::vector<std::optional<std::uint64_t>> column_sizes;
  std::size_t token_column = 0;
  // "bytes", or "ndarray:" with uint16, uint32, int32, uint64 or int64 and perhaps a shape: "ndarray:int32:1024".
  std::string encoding;
  // Of an id where the encoding is "bytes": 2, 4 or 8.
  std::uint32_t bytes_per_id = 0;
  std::uint32_t vocab_size = 0;
};

class MdsTokens final : public TokenText {
public:
  // MDS_UNSUPPORTED for another encoding, MDS_INVALID where the bytes are not what the layout says.
  MdsTokens(FileBytes file, const MdsTokenLayout& layout);

  std::uint64_t token_count() const noexcept override { return ends_.empty() ? 0 : ends_.back(); }
  std::uint32_t vocab_size() const noexcept override { return vocab_size_; }
  std::uint64_t sample_count() const noexcept { return ends_.size(); }
  // An id outside the vocabulary throws TOKEN_OUT_OF_RANGE with its sample.
  void copy_tokens(std::uint64_t begin, std::span<std::int32_t> out) const override;
  void expect_tokens(std::uint64_t begin) const noexcept override;

private:
  struct Encoding;

  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail_sample(std::uint64_t sample, const std::string& what) const;
  Encoding parse_encoding(const MdsTokenLayout& layout) const;
  void check_offsets(std::uint64_t samples) const;
  void read_sample(std::uint64_t sample, const MdsTokenLayout& layout, const Encoding& encoding);
  std::uint64_t header_bytes(std::uint64_t sample, std::span<const std::byte> value, const Encoding& encoding) const;
  std::uint32_t load_u32(std::uint64_t at) const;
  std::size_t sample_of(std::uint64_t token) const noexcept;
  std::uint64_t begin_of(std::size_t sample) const noexcept;

  FileBytes file_;
  std::uint32_t bytes_per_id_ = 0;
  std::uint32_t vocab_size_ = 0;
  // A shard has less than 2^32 bytes, so 32 bits hold both. Of each sample: where its ids lie in the file, and how many
  // ids there are up to its end.
  std::vector<std::uint32_t> places_;
  std::vector<std::uint32_t> ends_;
};

} // namespace assay
