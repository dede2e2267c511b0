// XXH64, the 64-bit hash of the xxHash family (specification: github.com/Cyan4973/xxHash, doc/xxhash_spec.md), which
// MDS shards may be listed with.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace assay {

std::uint64_t xxh64(std::span<const std::byte> bytes, std::uint64_t seed = 0);

} // namespace assay
