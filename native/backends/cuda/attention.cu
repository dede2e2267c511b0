// The host's part of attention: what the kernels take and what they refuse.
#include "backends/cuda/attention-arguments.h"

#include <cmath>
#include <string>

namespace assay::cuda {

namespace {

constexpr std::int64_t kLargestHead = 256;
constexpr std::int64_t kLargestTensorCoreHead = 128;

} // namespace

float softmax_scale(std::int64_t head_size) {
  return 1.0F / std::sqrt(static_cast<float>(head_size));
}

void check_attention_sizes(const char* operation, std::int64_t head_size, std::int64_t seq_len,
                           std::int64_t all_heads) {
  if (head_size < 1 || head_size > kLargestHead) {
    throw Error("NOT_SUPPORTED", std::string("The CUDA backend's ") + operation + " takes heads of 1 to " +
                                     std::to_string(kLargestHead) + " values, not of " + std::to_string(head_size) +
                                     "; use more heads, or the CPU.");
  }
  if (seq_len > kLargestInt / 2 || all_heads > kLargestInt) {
    throw Error("NOT_SUPPORTED", std::string("The CUDA backend's ") + operation + " cannot number " +
                                     std::to_string(seq_len) + " positions of " + std::to_string(all_heads) +
                                     " heads; use smaller batches.");
  }
}

unsigned block_count(std::int64_t blocks) {
  if (blocks > kLargestInt) {
    throw Error("NOT_SUPPORTED", "Attention would need " + std::to_string(blocks) +
                                     " blocks of threads, more than a device takes; use smaller batches.");
  }
  return static_cast<unsigned>(blocks);
}

bool reads_vectors(const void* values, std::int64_t head_size, std::size_t value_bytes) {
  return reinterpret_cast<std::uintptr_t>(values) % 16 == 0 &&
         static_cast<std::size_t>(head_size) * value_bytes % 16 == 0;
}

bool takes_tensor_cores(const void* values, std::int64_t head_size) {
  return head_size <= kLargestTensorCoreHead && reads_vectors(values, head_size, sizeof(Bf16));
}

} // namespace assay::cuda
