// Dropout by Philox4x32-10 (engine/base/philox.h is the reference it agrees with), kGroups counters at a time in loops
// that the compiler turns into vector multiplications. Limited by those: ten rounds for every four elements.
#include "backends/cpu/kernels/functions.h"
#include "backends/cpu/kernels/simd.h"

namespace assay::ASSAY_VARIANT {

namespace {

constexpr int kGroups = 16;

// words[4 g + j] is word j of counter first_group + g.
void random_words(std::uint32_t* words, std::uint32_t first_group, const DropoutRow& row) {
  std::uint32_t c0[kGroups], c1[kGroups], c2[kGroups], c3[kGroups];
  for (int g = 0; g < kGroups; ++g) {
    c0[g] = first_group + static_cast<std::uint32_t>(g);
    c1[g] = row.sample;
    c2[g] = row.step;
    c3[g] = row.site;
  }
  std::uint32_t key0 = row.key0;
  std::uint32_t key1 = row.key1;
  for (int round = 0; round < 10; ++round) {
    for (int g = 0; g < kGroups; ++g) {
      const std::uint64_t product0 = static_cast<std::uint64_t>(c0[g]) * 0xD2511F53U;
      const std::uint64_t product1 = static_cast<std::uint64_t>(c2[g]) * 0xCD9E8D57U;
      c0[g] = static_cast<std::uint32_t>(product1 >> 32) ^ c1[g] ^ key0;
      c1[g] = static_cast<std::uint32_t>(product1);
      c2[g] = static_cast<std::uint32_t>(product0 >> 32) ^ c3[g] ^ key1;
      c3[g] = static_cast<std::uint32_t>(product0);
    }
    key0 += 0x9E3779B9U;
    key1 += 0xBB67AE85U;
  }
  for (int g = 0; g < kGroups; ++g) {
    words[4 * g] = c0[g];
    words[4 * g + 1] = c1[g];
    words[4 * g + 2] = c2[g];
    words[4 * g + 3] = c3[g];
  }
}

} // namespace

void dropout(float* output, const float* input, std::uint64_t first_element, std::int64_t count,
             const DropoutRow& row) {
  std::uint32_t words[4 * kGroups];
  std::int64_t done = 0;
  while (done < count) {
    const std::uint64_t element = first_element + static_cast<std::uint64_t>(done);
    const std::int64_t skip = static_cast<std::int64_t>(element % 4);
    random_words(words, static_cast<std::uint32_t>(element / 4), row);
    const std::int64_t room = 4 * kGroups - skip;
    const std::int64_t here = count - done < room ? count - done : room;
    const std::uint32_t* mask = words + skip;
    for (std::int64_t i = 0; i < here; ++i) {
      const float kept = input[done + i] * row.scale;
      output[done + i] = mask[i] >= row.threshold ? kept : 0.0F;
    }
    done += here;
  }
}

} // namespace assay::ASSAY_VARIANT
