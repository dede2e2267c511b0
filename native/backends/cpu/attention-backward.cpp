// Backward of attention. A head of a sequence is one item: keys go through a block at a time, and each block meets the
// queries that see any of it; probabilities are rebuilt from forward's log-sum-exp. Where there are few heads and long
// sequences, a head's keys are divided into parts, items of their own: the first writes the queries' gradient in place,
// each other one a partial gradient, which is added in order at the end. How many parts does not depend on the threads.
#include "backends/cpu/attention.h"

namespace assay {

namespace {

constexpr std::int64_t kBackwardKeys = 64;
constexpr std::int64_t kBackwardQueries = 256;

// From the first query that sees any of the keys [key, key + keys) to the last one.
Range queries_that_see(const VisibleKeys& visible, std::int64_t seq_len, std::int64_t key, std::int64_t keys) {
  Range queries{visible.causal ? key : 0, seq_len};
  if (visible.begin != nullptr) {
    while (queries.begin < queries.end && visible.of(queries.begin, key, keys).count() == 0) {
      ++queries.begin;
    }
    while (queries.end > queries.begin && visible.of(queries.end - 1, key, keys).count() == 0) {
      --queries.end;
    }
  }
  return queries;
}

constexpr std::int64_t kItems = 32;     // heads are divided until there are about so many
constexpr std::int64_t kPartKeys = 256; // a part has at least so many keys

std::int64_t part_count(std::int64_t heads_of_all, std::int64_t seq_len) {
  return std::max<std::int64_t>(1, std::min(kItems / heads_of_all, seq_len / kPartKeys));
}

// Floats a thread needs: a block of scores and of their gradients, and a correction for each query.
std::int64_t scratch_count_of(std::int64_t seq_len) {
  return 2 * kBackwardQueries * kBackwardKeys + (seq_len + 15) / 16 * 16;
}

void fill_rows(float* rows, std::int64_t count, std::int64_t columns, std::int64_t stride) {
  for (std::int64_t row = 0; row < count; ++row) {
    std::fill(rows + row * stride, rows + row * stride + columns, 0.0F);
  }
}

} // namespace

std::int64_t attention_backward_count(std::int64_t seq_len, std::int64_t head_size, int threads) {
  // For the worst number of heads: a call may have fewer sequences than were planned.
  const bool has_parts = part_count(1, seq_len) > 1;
  return threads * scratch_count_of(seq_len) + (has_parts ? kItems * seq_len * head_size : 0);
}

void CpuBackend::attention_backward(const AttentionBackward& call) {
  const std::int64_t seq_len = call.seq_len;
  const std::int64_t channels = call.heads * call.head_size;
  const std::int64_t row_stride = 3 * channels;
  const float* const all_qkv = floats(call.qkv);
  const float* const all_outputs = floats(call.output);
  const float* const all_d_outputs = floats(call.d_output);
  float* const d_qkv = floats(call.d_qkv);
  const float scale = attention_scale(call.head_size);
  const std::int64_t scratch_count = scratch_count_of(seq_len);
  const std::int64_t all_heads = call.batch * call.heads;
  const std::int64_t parts = part_count(all_heads, seq_len);
  const std::int64_t partial_count = seq_len * call.head_size; // of one head and part
  float* workspace = operation_workspace(threads_ * scratch_count + (parts - 1) * all_heads * partial_count);
  float* partials = workspace + threads_ * scratch_count; // (parts − 1, B, H, T, D)
  parallel_items(attention_work(call.batch, seq_len, channels), parts * all_heads, [&](std::int64_t index, int thread) {
    const std::int64_t part = index / all_heads; // with `causal` the first part is the longest: it goes first
    const std::int64_t item = index % all_heads;
    const std::int64_t sample = item / call.heads;
    const std::int64_t head = item % call.heads;
    float* scores = workspace + thread * scratch_count;
    float* d_scores = scores + kBackwardQueries * kBackwardKeys;
    float* corrections = d_scores + kBackwardQueries * kBackwardKeys;
    const std::int64_t qkv_at = sample * seq_len * row_stride + head * call.head_size;
    const std::int64_t output_at = sample * seq_len * channels + head * call.head_size;
    const float* query = all_qkv + qkv_at;
    const float* key = query + channels;
    const float* value = key + channels;
    const float* d_output = all_d_outputs + output_at;
    float* d_key = d_qkv + qkv_at + channels;
    float* d_value = d_key + channels;
    float* d_query = part == 0 ? d_qkv + qkv_at : partials + ((part - 1) * all_heads + item) * partial_count;
    const std::int64_t d_query_stride = part == 0 ? row_stride : call.head_size;
    const float* log_sum_exp = call.log_sum_exp + item * seq_len;
    const VisibleKeys visible = visible_keys(seq_len, call.causal, call.key_begin, call.key_end, sample);
    const bool drops = call.dropout.probability > 0.0F;
    const DropoutRow dropout = drops ? dropout_row(call.dropout, sample) : DropoutRow{};

    // Σ_k p_k dp_k of each query, dropout included, equals its d_output · output.
    for (std::int64_t i = 0; i < seq_len; ++i) {
      corrections[i] = kernels_.dot(d_output + i * channels, all_outputs + output_at + i * channels, call.head_size);
    }
    const auto multiply_with = [&](bool transpose_a, bool transpose_b, std::int64_t m, std::int64_t n, std::int64_t k,
                                   const float* a, std::int64_t a_stride, const float* b, std::int64_t b_stride,
                                   float beta, float* c, std::int64_t c_stride) {
      Product product{transpose_a, transpose_b, m, n, k, a, a_stride, b, b_stride, beta, c, c_stride};
      product.bf16 = call.bf16;
      product_.run(product, product_scratch(thread));
    };
    // Without ranges the first block of all keys meets every query, and writes its gradient; with them any block
    // may be the first that does, or none.
    const bool adds_to_zero = visible.begin != nullptr || part > 0;
    if (adds_to_zero) {
      fill_rows(d_query, seq_len, call.head_size, d_query_stride);
    }
    const Range own_keys = share(seq_len, parts, part, kBackwardKeys);
    for (std::int64_t j = own_keys.begin; j < own_keys.end; j += kBackwardKeys) {
      const std::int64_t keys = std::min(kBackwardKeys, own_keys.end - j);
      const Range seeing = queries_that_see(visible, seq_len, j, keys);
      if (seeing.count() == 0) {
        fill_rows(d_key + j * row_stride, keys, call.head_size, row_stride);
        fill_rows(d_value + j * row_stride, keys, call.head_size, row_stride);
      }
      for (std::int64_t i = seeing.begin; i < seeing.end; i += kBackwardQueries) {
        const std::int64_t queries = std::min(kBackwardQueries, seeing.end - i);
        const float key_beta = i > seeing.begin ? 1.0F : 0.0F;
        multiply_with(false, true, queries, keys, call.head_size, query + i * row_stride, row_stride,
                      key + j * row_stride, row_stride, 0.0F, scores, keys);
        multiply_with(false, true, queries, keys, call.head_size, d_output + i * channels, channels,
                      value + j * row_stride, row_stride, 0.0F, d_scores, keys);
        for (std::int64_t r = 0; r < queries; ++r) {
          float* own = scores + r * keys;
          float* own_gradient = d_scores + r * keys;
          const Range seen = visible.of(i + r, j, keys);
          std::fill(own, own + seen.begin, 0.0F);
          std::fill(own + seen.end, own + keys, 0.0F);
          std::fill(own_gradient, own_gradient + seen.begin, 0.0F);
          std::fill(own_gradient + seen.end, own_gradient + keys, 0.0F);
          own += seen.begin;
          own_gradient += seen.begin;
          const auto element = static_cast<std::uint64_t>((head * seq_len + i + r) * seq_len + j + seen.begin);
          kernels_.probabilities(own, seen.count(), scale, log_sum_exp[i + r]);
          if (drops) {
            kernels_.dropout(own_gradient, own_gradient, element, seen.count(), dropout);
          }
          kernels_.softmax_backward(own_gradient, own, seen.count(), scale, corrections[i + r]);
          if (drops) {
            kernels_.dropout(own, own, element, seen.count(), dropout);
          }
        }
        multiply_with(true, false, keys, call.head_size, queries, scores, keys, d_output + i * channels, channels,
                      key_beta, d_value + j * row_stride, row_stride);
        multiply_with(true, false, keys, call.head_size, queries, d_scores, keys, query + i * row_stride, row_stride,
                      key_beta, d_key + j * row_stride, row_stride);
        multiply_with(false, false, queries, call.head_size, keys, d_scores, keys, key + j * row_stride, row_stride,
                      adds_to_zero || j > 0 ? 1.0F : 0.0F, d_query + i * d_query_stride, d_query_stride);
      }
    }
  });
  if (parts == 1) {
    return;
  }
  parallel_items(parts * call.batch * seq_len * channels, all_heads, [&](std::int64_t item, int) {
    float* d_query = d_qkv + item / call.heads * seq_len * row_stride + item % call.heads * call.head_size;
    for (std::int64_t part = 1; part < parts; ++part) {
      const float* partial = partials + ((part - 1) * all_heads + item) * partial_count;
      for (std::int64_t row = 0; row < seq_len; ++row) {
        kernels_.add_to(d_query + row * row_stride, partial + row * call.head_size, call.head_size);
      }
    }
  });
}

} // namespace assay
