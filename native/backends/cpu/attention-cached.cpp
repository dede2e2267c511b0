// Attention of new positions against their sequences' caches. Many new positions (a prompt) go in blocks as in
// training; few (decoding) are limited by reading the cache once, so each goes alone, split over heads and over pieces
// of the context whose results are joined in order. Pieces do not depend on threads, so neither does the result.
#include "backends/cpu/attention.h"

#include <cstring>
#include <limits>

namespace assay {

namespace {

constexpr std::int64_t kFewPositions = 4; // of one sequence; from here on blocks pay
constexpr std::int64_t kPiece = 256;      // keys
constexpr std::int64_t kGroupRows = 16;   // rows whose pieces are held at a time

std::int64_t piece_count(std::int64_t keys) {
  return (keys + kPiece - 1) / kPiece;
}

} // namespace

std::int64_t attention_cached_count(std::int64_t rows, std::int64_t context, std::int64_t channels,
                                    std::int64_t heads) {
  // Of each piece a head's weighted values, and the maximum and the sum of its scores.
  return std::min(rows, kGroupRows) * piece_count(context) * (channels + 2 * heads);
}

void CpuBackend::attention_cached(const AttentionCached& call) {
  const std::int64_t sequences = call.sequences;
  const std::int64_t channels = call.heads * call.head_size;
  const float* const qkv = floats(call.qkv);
  float* const key_cache = floats(call.key_cache);
  float* const value_cache = floats(call.value_cache);
  float* const output = floats(call.output);
  parallel_items(sequences * call.count * channels, sequences * call.heads, [&](std::int64_t item, int) {
    const std::int64_t sequence = item / call.heads;
    const std::int64_t head = item % call.heads;
    for (std::int64_t i = 0; i < call.count; ++i) {
      const float* source = qkv + (sequence * call.count + i) * 3 * channels + head * call.head_size;
      const std::int64_t at = (item * call.capacity + call.past[sequence] + i) * call.head_size;
      const auto bytes = static_cast<std::size_t>(call.head_size) * sizeof(float);
      std::memcpy(key_cache + at, source + channels, bytes);
      std::memcpy(value_cache + at, source + 2 * channels, bytes);
    }
  });
  if (call.count <= kFewPositions) {
    attend_few(call);
    return;
  }
  const std::int64_t blocks = (call.count + kQueryBlock - 1) / kQueryBlock;
  float* workspace = operation_workspace(threads_ * kForwardScratch);
  std::int64_t work = 0;
  for (std::int64_t sequence = 0; sequence < sequences; ++sequence) {
    work += call.count * (call.past[sequence] + call.count) * channels / 8;
  }
  parallel_items(work, sequences * call.heads * blocks, [&](std::int64_t item, int thread) {
    const std::int64_t block = blocks - 1 - item / (sequences * call.heads);
    const std::int64_t sequence = item % (sequences * call.heads) / call.heads;
    const std::int64_t head = item % call.heads;
    const std::int64_t past = call.past[sequence];
    const std::int64_t first = sequence * call.count + block * kQueryBlock;
    const std::int64_t cache_at = (sequence * call.heads + head) * call.capacity * call.head_size;
    QueryBlock b{};
    b.query = qkv + first * 3 * channels + head * call.head_size;
    b.query_stride = 3 * channels;
    b.key = key_cache + cache_at;
    b.value = value_cache + cache_at;
    b.key_stride = b.value_stride = call.head_size;
    b.output = output + first * channels + head * call.head_size;
    b.output_stride = channels;
    b.first_query = past + block * kQueryBlock;
    b.queries = std::min(kQueryBlock, call.count - block * kQueryBlock);
    b.head_size = call.head_size;
    b.visible = {past + call.count, true};
    b.bf16 = call.bf16;
    attend(b, workspace + thread * kForwardScratch, product_scratch(thread));
  });
}

// A row is one new position of one sequence. In fp32 also where bf16 products are asked for: they would save no time.
void CpuBackend::attend_few(const AttentionCached& call) const {
  const std::int64_t rows = call.sequences * call.count;
  const std::int64_t channels = call.heads * call.head_size;
  const float scale = attention_scale(call.head_size);
  const auto keys_of = [&](std::int64_t row) { return call.past[row / call.count] + row % call.count + 1; };
  std::int64_t longest = 0;
  for (std::int64_t row = 0; row < rows; ++row) {
    longest = std::max(longest, keys_of(row));
  }
  const std::int64_t pieces = piece_count(longest);
  const std::int64_t group = std::min(rows, kGroupRows);
  float* workspace =
      operation_workspace(threads_ * kForwardScratch + attention_cached_count(rows, longest, channels, call.heads));
  float* sums = workspace + threads_ * kForwardScratch; // (group, H, pieces, D)
  float* maxima = sums + group * pieces * channels;     // (group, H, pieces)
  float* totals = maxima + group * pieces * call.heads; // (group, H, pieces)
  for (std::int64_t first = 0; first < rows; first += group) {
    const std::int64_t here = std::min(group, rows - first);
    parallel_items(here * longest * channels, here * call.heads * pieces, [&](std::int64_t item, int thread) {
      const std::int64_t row = first + item / (call.heads * pieces);
      const std::int64_t head = item / pieces % call.heads;
      const std::int64_t key = item % pieces * kPiece;
      const std::int64_t keys = std::min(kPiece, keys_of(row) - key);
      if (keys <= 0) {
        return;
      }
      float* scores = workspace + thread * kForwardScratch;
      const std::int64_t cache_at = ((row / call.count * call.heads + head) * call.capacity + key) * call.head_size;
      const float* query = call.qkv.f32() + row * 3 * channels + head * call.head_size;
      kernels_.row_dots(scores, query, call.key_cache.f32() + cache_at, keys, call.head_size);
      maxima[item] = -std::numeric_limits<float>::infinity();
      totals[item] = 0.0F;
      kernels_.softmax_block(scores, keys, scale, maxima + item, totals + item);
      kernels_.weighted_rows(sums + item * call.head_size, scores, call.value_cache.f32() + cache_at, keys,
                             call.head_size);
    });
    parallel_items(here * pieces * channels, here * call.heads, [&](std::int64_t item, int) {
      const std::int64_t row = first + item / call.heads;
      const std::int64_t own_pieces = piece_count(keys_of(row));
      const float* own_maxima = maxima + item * pieces;
      const float* own_totals = totals + item * pieces;
      const float* own_sums = sums + item * pieces * call.head_size;
      const float maximum = *std::max_element(own_maxima, own_maxima + own_pieces);
      float* output = call.output.f32() + row * channels + item % call.heads * call.head_size;
      std::fill(output, output + call.head_size, 0.0F);
      float total = 0.0F;
      for (std::int64_t piece = 0; piece < own_pieces; ++piece) {
        const float factor = std::exp(own_maxima[piece] - maximum);
        total += factor * own_totals[piece];
        for (std::int64_t d = 0; d < call.head_size; ++d) {
          output[d] += factor * own_sums[piece * call.head_size + d];
        }
      }
      kernels_.scale(output, call.head_size, 1.0F / total);
    });
  }
}

} // namespace assay
