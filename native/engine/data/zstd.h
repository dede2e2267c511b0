// Zstandard by the system's libzstd, opened when it is first needed: every Linux distribution has it (its package
// manager unpacks with it), so nothing is bundled, and where it is missing only compressed shards cannot be read.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace assay {

// Throws ZSTD_NOT_FOUND; levels are 1 to 22.
std::vector<std::byte> zstd_compress(std::span<const std::byte> bytes, int level);
// One or more frames. Memory grows with what comes out, not with what a header claims; more than `largest_bytes`, or
// bytes that are no whole frame, throw MDS_INVALID.
std::vector<std::byte> zstd_decompress(std::span<const std::byte> bytes, std::uint64_t largest_bytes);

} // namespace assay
