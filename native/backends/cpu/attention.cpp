// Attention without a T×T matrix: a block of queries meets the keys a block at a time, with online softmax (Milakov and
// Gimelshein 2018; Dao et al., "FlashAttention", 2022). Forward keeps one log-sum-exp a row, from which backward
// rebuilds the probabilities. Blocks are sized so that scores stay in the second-level cache; keys outside the hull of
// what a block of queries sees are not visited.
#include "backends/cpu/attention.h"

#include <limits>

namespace assay {

std::int64_t attention_workspace_count(const WorkspaceRequest& request, int threads) {
  const std::int64_t forward = threads * kForwardScratch;
  if (request.training) {
    const std::int64_t head_size = request.channels / std::max<std::int64_t>(request.heads, 1);
    return std::max(forward, attention_backward_count(request.seq_len, head_size, threads));
  }
  return forward + attention_cached_count(request.rows, request.seq_len, request.channels, request.heads);
}

void CpuBackend::attend(const QueryBlock& b, float* scores, float* scratch) const {
  float* maximum = scores + kQueryBlock * kKeyBlock;
  float* sum = maximum + kQueryBlock;
  std::fill(maximum, maximum + b.queries, -std::numeric_limits<float>::infinity());
  std::fill(sum, sum + b.queries, 0.0F);
  const float scale = attention_scale(b.head_size);
  // From the first key that any of the queries sees to the last one.
  Range seen_by_any{std::numeric_limits<std::int64_t>::max(), 0};
  for (std::int64_t row = 0; row < b.queries; ++row) {
    const Range seen = b.visible.of(b.first_query + row);
    if (seen.count() > 0) {
      seen_by_any = {std::min(seen_by_any.begin, seen.begin), std::max(seen_by_any.end, seen.end)};
    }
  }
  for (std::int64_t key = seen_by_any.begin; key < seen_by_any.end; key += kKeyBlock) {
    const bool is_first = key == seen_by_any.begin;
    const std::int64_t keys = std::min(kKeyBlock, seen_by_any.end - key);
    Product product;
    product.transpose_b = true;
    product.m = b.queries;
    product.n = keys;
    product.k = b.head_size;
    product.a = b.query;
    product.a_stride = b.query_stride;
    product.b = b.key + key * b.key_stride;
    product.b_stride = b.key_stride;
    product.c = scores;
    product.c_stride = keys;
    product.bf16 = b.bf16;
    product_.run(product, scratch);
    for (std::int64_t row = 0; row < b.queries; ++row) {
      float* own = scores + row * keys;
      const Range seen = b.visible.of(b.first_query + row, key, keys);
      std::fill(own, own + seen.begin, 0.0F);
      std::fill(own + seen.end, own + keys, 0.0F);
      if (seen.count() == 0) {
        continue;
      }
      own += seen.begin;
      const float correction = kernels_.softmax_block(own, seen.count(), scale, maximum + row, sum + row);
      if (!is_first && correction != 1.0F) {
        kernels_.scale(b.output + row * b.output_stride, b.head_size, correction);
      }
      if (b.dropout != nullptr) {
        kernels_.dropout(own, own,
                         b.first_element + static_cast<std::uint64_t>(row * b.elements_per_query + key + seen.begin),
                         seen.count(), *b.dropout);
      }
    }
    Product weighted;
    weighted.m = b.queries;
    weighted.n = b.head_size;
    weighted.k = keys;
    weighted.a = scores;
    weighted.a_stride = keys;
    weighted.b = b.value + key * b.value_stride;
    weighted.b_stride = b.value_stride;
    weighted.beta = is_first ? 0.0F : 1.0F;
    weighted.c = b.output;
    weighted.c_stride = b.output_stride;
    weighted.bf16 = b.bf16;
    product_.run(weighted, scratch);
  }
  for (std::int64_t row = 0; row < b.queries; ++row) {
    float* output = b.output + row * b.output_stride;
    const bool sees_nothing = b.visible.of(b.first_query + row).count() == 0;
    if (sees_nothing) {
      std::fill(output, output + b.head_size, 0.0F);
    } else {
      kernels_.scale(output, b.head_size, 1.0F / sum[row]);
    }
    if (b.log_sum_exp != nullptr) {
      // Nobody reads that of a query without keys; 0 is as good as any number, and finite.
      b.log_sum_exp[row] = sees_nothing ? 0.0F : maximum[row] + std::log(sum[row]);
    }
  }
}

void CpuBackend::attention_forward(const AttentionForward& call) {
  const std::int64_t channels = call.heads * call.head_size;
  const std::int64_t blocks = (call.seq_len + kQueryBlock - 1) / kQueryBlock;
  float* workspace = operation_workspace(threads_ * kForwardScratch);
  const float* const all_qkv = floats(call.qkv);
  float* const output = floats(call.output);
  parallel_items(attention_work(call.batch, call.seq_len, channels), call.batch * call.heads * blocks,
                 [&](std::int64_t item, int thread) {
                   // The last block sees the most keys: long items first keeps the threads even at the end.
                   const std::int64_t block = blocks - 1 - item / (call.batch * call.heads);
                   const std::int64_t sample = item % (call.batch * call.heads) / call.heads;
                   const std::int64_t head = item % call.heads;
                   const std::int64_t first = block * kQueryBlock;
                   const float* qkv = all_qkv + sample * call.seq_len * 3 * channels + head * call.head_size;
                   QueryBlock b{};
                   b.query = qkv + first * 3 * channels;
                   b.key = qkv + channels;
                   b.value = qkv + 2 * channels;
                   b.query_stride = b.key_stride = b.value_stride = 3 * channels;
                   b.output = output + (sample * call.seq_len + first) * channels + head * call.head_size;
                   b.output_stride = channels;
                   b.log_sum_exp = call.log_sum_exp != nullptr
                                       ? call.log_sum_exp + (sample * call.heads + head) * call.seq_len + first
                                       : nullptr;
                   b.first_query = first;
                   b.queries = std::min(kQueryBlock, call.seq_len - first);
                   b.bf16 = call.bf16;
                   b.head_size = call.head_size;
                   b.visible = visible_keys(call.seq_len, call.causal, call.key_begin, call.key_end, sample);
                   DropoutRow dropout{};
                   if (call.dropout.probability > 0.0F) {
                     dropout = dropout_row(call.dropout, sample);
                     b.dropout = &dropout;
                     b.first_element = static_cast<std::uint64_t>((head * call.seq_len + first) * call.seq_len);
                     b.elements_per_query = call.seq_len;
                   }
                   attend(b, workspace + thread * kForwardScratch, product_scratch(thread));
                 });
}

} // namespace assay
