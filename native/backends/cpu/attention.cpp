// Causal attention without a T×T matrix: a block of queries meets the keys a block at a time, with online softmax
// (Milakov and Gimelshein 2018; Dao et al., "FlashAttention", 2022). Forward keeps one log-sum-exp a row; backward
// rebuilds the probabilities from it. Blocks are sized so that scores stay in the second-level cache.
#include "backends/cpu/cpu-backend-class.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace assay {

namespace {

constexpr std::int64_t kQueryBlock = 64;
constexpr std::int64_t kKeyBlock = 256; // a multiple of kQueryBlock: then a block of keys never starts after a query
constexpr std::int64_t kBackwardKeys = 64;
constexpr std::int64_t kBackwardQueries = 256;

// Floats a thread needs for forward: scores, and a running maximum and sum for each query.
constexpr std::int64_t kForwardScratch = kQueryBlock * kKeyBlock + 2 * kQueryBlock;

std::int64_t backward_scratch(std::int64_t seq_len) {
  return 2 * kBackwardQueries * kBackwardKeys + (seq_len + 15) / 16 * 16;
}

// In the measure of kWorthATeam: two products of T²/2 · C a sequence, and the softmax between them.
std::int64_t attention_work(std::int64_t batch, std::int64_t seq_len, std::int64_t channels) {
  return batch * seq_len * seq_len * channels / 8;
}

} // namespace

// `queries` rows that attend to keys 0 … first_query + row, and where everything lies.
struct CpuBackend::QueryBlock {
  const float* query;
  std::int64_t query_stride;
  const float* key;
  std::int64_t key_stride;
  const float* value;
  std::int64_t value_stride;
  float* output;
  std::int64_t output_stride;
  float* log_sum_exp; // or null
  std::int64_t first_query, queries, head_size;
  const DropoutRow* dropout = nullptr; // or null
  std::uint64_t first_element = 0;     // of row first_query's key 0
  std::int64_t elements_per_query = 0;
};

std::int64_t attention_workspace_count(std::int64_t seq_len, int threads, bool training) {
  return threads * (training ? std::max(kForwardScratch, backward_scratch(seq_len)) : kForwardScratch);
}

void CpuBackend::attend(const QueryBlock& b, float* scores, float* scratch) const {
  float* maximum = scores + kQueryBlock * kKeyBlock;
  float* sum = maximum + kQueryBlock;
  std::fill(maximum, maximum + b.queries, -std::numeric_limits<float>::infinity());
  std::fill(sum, sum + b.queries, 0.0F);
  const float scale = 1.0F / std::sqrt(static_cast<float>(b.head_size));
  const std::int64_t key_end = b.first_query + b.queries;
  for (std::int64_t key = 0; key < key_end; key += kKeyBlock) {
    const std::int64_t keys = std::min(kKeyBlock, key_end - key);
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
    product_.run(product, scratch);
    for (std::int64_t row = 0; row < b.queries; ++row) {
      float* own = scores + row * keys;
      const std::int64_t seen = std::clamp<std::int64_t>(b.first_query + row + 1 - key, 0, keys);
      std::fill(own + seen, own + keys, 0.0F);
      if (seen == 0) {
        continue;
      }
      const float correction = kernels_.softmax_block(own, seen, scale, maximum + row, sum + row);
      if (key > 0 && correction != 1.0F) {
        kernels_.scale(b.output + row * b.output_stride, b.head_size, correction);
      }
      if (b.dropout != nullptr) {
        kernels_.dropout(own, own, b.first_element + static_cast<std::uint64_t>(row * b.elements_per_query + key), seen,
                         *b.dropout);
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
    weighted.beta = key > 0 ? 1.0F : 0.0F;
    weighted.c = b.output;
    weighted.c_stride = b.output_stride;
    product_.run(weighted, scratch);
  }
  for (std::int64_t row = 0; row < b.queries; ++row) {
    kernels_.scale(b.output + row * b.output_stride, b.head_size, 1.0F / sum[row]);
    if (b.log_sum_exp != nullptr) {
      b.log_sum_exp[row] = maximum[row] + std::log(sum[row]);
    }
  }
}

void CpuBackend::attention_forward(const AttentionForward& call) {
  const std::int64_t channels = call.heads * call.head_size;
  const std::int64_t blocks = (call.seq_len + kQueryBlock - 1) / kQueryBlock;
  float* workspace = operation_workspace(threads_ * kForwardScratch);
  parallel_items(attention_work(call.batch, call.seq_len, channels), call.batch * call.heads * blocks,
                 [&](std::int64_t item, int thread) {
                   // The last block sees the most keys: long items first keeps the threads even at the end.
                   const std::int64_t block = blocks - 1 - item / (call.batch * call.heads);
                   const std::int64_t sample = item % (call.batch * call.heads) / call.heads;
                   const std::int64_t head = item % call.heads;
                   const std::int64_t first = block * kQueryBlock;
                   const float* qkv = call.qkv + sample * call.seq_len * 3 * channels + head * call.head_size;
                   QueryBlock b{};
                   b.query = qkv + first * 3 * channels;
                   b.key = qkv + channels;
                   b.value = qkv + 2 * channels;
                   b.query_stride = b.key_stride = b.value_stride = 3 * channels;
                   b.output = call.output + (sample * call.seq_len + first) * channels + head * call.head_size;
                   b.output_stride = channels;
                   b.log_sum_exp = call.log_sum_exp != nullptr
                                       ? call.log_sum_exp + (sample * call.heads + head) * call.seq_len + first
                                       : nullptr;
                   b.first_query = first;
                   b.queries = std::min(kQueryBlock, call.seq_len - first);
                   b.head_size = call.head_size;
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

void CpuBackend::attention_cached(const AttentionCached& call) {
  const std::int64_t past = call.past.front();
  const std::int64_t channels = call.heads * call.head_size;
  const std::int64_t blocks = (call.count + kQueryBlock - 1) / kQueryBlock;
  float* workspace = operation_workspace(threads_ * kForwardScratch);
  parallel_items(call.count * channels, call.heads, [&](std::int64_t head, int) {
    for (std::int64_t i = 0; i < call.count; ++i) {
      const float* source = call.qkv + i * 3 * channels + head * call.head_size;
      const std::int64_t at = (head * call.capacity + past + i) * call.head_size;
      const auto bytes = static_cast<std::size_t>(call.head_size) * sizeof(float);
      std::memcpy(call.key_cache + at, source + channels, bytes);
      std::memcpy(call.value_cache + at, source + 2 * channels, bytes);
    }
  });
  parallel_items(call.count * (past + call.count) * channels / 8, call.heads * blocks,
                 [&](std::int64_t item, int thread) {
                   const std::int64_t block = blocks - 1 - item / call.heads;
                   const std::int64_t head = item % call.heads;
                   const std::int64_t first = block * kQueryBlock;
                   QueryBlock b{};
                   b.query = call.qkv + first * 3 * channels + head * call.head_size;
                   b.query_stride = 3 * channels;
                   b.key = call.key_cache + head * call.capacity * call.head_size;
                   b.value = call.value_cache + head * call.capacity * call.head_size;
                   b.key_stride = b.value_stride = call.head_size;
                   b.output = call.output + first * channels + head * call.head_size;
                   b.output_stride = channels;
                   b.first_query = past + first;
                   b.queries = std::min(kQueryBlock, call.count - first);
                   b.head_size = call.head_size;
                   attend(b, workspace + thread * kForwardScratch, product_scratch(thread));
                 });
}

void CpuBackend::attention_backward(const AttentionBackward& call) {
  const std::int64_t seq_len = call.seq_len;
  const std::int64_t channels = call.heads * call.head_size;
  const std::int64_t row_stride = 3 * channels;
  const float scale = 1.0F / std::sqrt(static_cast<float>(call.head_size));
  const std::int64_t scratch_count = backward_scratch(seq_len);
  float* workspace = operation_workspace(threads_ * scratch_count);
  parallel_items(
      attention_work(call.batch, seq_len, channels), call.batch * call.heads, [&](std::int64_t item, int thread) {
        const std::int64_t sample = item / call.heads;
        const std::int64_t head = item % call.heads;
        float* scores = workspace + thread * scratch_count;
        float* d_scores = scores + kBackwardQueries * kBackwardKeys;
        float* corrections = d_scores + kBackwardQueries * kBackwardKeys;
        const std::int64_t qkv_at = sample * seq_len * row_stride + head * call.head_size;
        const std::int64_t output_at = sample * seq_len * channels + head * call.head_size;
        const float* query = call.qkv + qkv_at;
        const float* key = query + channels;
        const float* value = key + channels;
        const float* d_output = call.d_output + output_at;
        float* d_query = call.d_qkv + qkv_at;
        float* d_key = d_query + channels;
        float* d_value = d_key + channels;
        const float* log_sum_exp = call.log_sum_exp + item * seq_len;
        const bool drops = call.dropout.probability > 0.0F;
        const DropoutRow dropout = drops ? dropout_row(call.dropout, sample) : DropoutRow{};

        // Σ_k p_k dp_k of each query, dropout included, equals its d_output · output.
        for (std::int64_t i = 0; i < seq_len; ++i) {
          corrections[i] =
              kernels_.dot(d_output + i * channels, call.output + output_at + i * channels, call.head_size);
        }
        const auto multiply_with = [&](bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n,
                                       std::int64_t k, const float* a, std::int64_t a_stride, const float* b,
                                       std::int64_t b_stride, float beta, float* c, std::int64_t c_stride) {
          product_.run({transpose_a, transpose_b, m, n, k, a, a_stride, b, b_stride, beta, c, c_stride},
                       product_scratch(thread));
        };

        for (std::int64_t j = 0; j < seq_len; j += kBackwardKeys) {
          const std::int64_t keys = std::min(kBackwardKeys, seq_len - j);
          for (std::int64_t i = j; i < seq_len; i += kBackwardQueries) {
            const std::int64_t queries = std::min(kBackwardQueries, seq_len - i);
            const float key_beta = i > j ? 1.0F : 0.0F;
            multiply_with(false, true, queries, keys, call.head_size, query + i * row_stride, row_stride,
                          key + j * row_stride, row_stride, 0.0F, scores, keys);
            multiply_with(false, true, queries, keys, call.head_size, d_output + i * channels, channels,
                          value + j * row_stride, row_stride, 0.0F, d_scores, keys);
            for (std::int64_t r = 0; r < queries; ++r) {
              float* own = scores + r * keys;
              float* own_gradient = d_scores + r * keys;
              const std::int64_t seen = std::min(keys, i + r + 1 - j);
              kernels_.probabilities(own, seen, scale, log_sum_exp[i + r]);
              std::fill(own + seen, own + keys, 0.0F);
              if (drops) {
                kernels_.dropout(own_gradient, own_gradient,
                                 static_cast<std::uint64_t>((head * seq_len + i + r) * seq_len + j), seen, dropout);
              }
              kernels_.softmax_backward(own_gradient, own, seen, scale, corrections[i + r]);
              std::fill(own_gradient + seen, own_gradient + keys, 0.0F);
              if (drops) {
                kernels_.dropout(own, own, static_cast<std::uint64_t>((head * seq_len + i + r) * seq_len + j), seen,
                                 dropout);
              }
            }
            multiply_with(true, false, keys, call.head_size, queries, scores, keys, d_output + i * channels, channels,
                          key_beta, d_value + j * row_stride, row_stride);
            multiply_with(true, false, keys, call.head_size, queries, d_scores, keys, query + i * row_stride,
                          row_stride, key_beta, d_key + j * row_stride, row_stride);
            multiply_with(false, false, queries, call.head_size, keys, d_scores, keys, key + j * row_stride, row_stride,
                          j > 0 ? 1.0F : 0.0F, d_query + i * row_stride, row_stride);
          }
        }
      });
}

} // namespace assay
