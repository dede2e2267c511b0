// A batch cut into microbatches and brought to the backend.
#include "engine/model/activations.h"

#include <numeric>
#include <vector>

namespace assay {

namespace {

std::span<const std::int32_t> slice(std::span<const std::int32_t> values, std::int64_t first, std::int64_t count) {
  return values.empty() ? values : values.subspan(static_cast<std::size_t>(first), static_cast<std::size_t>(count));
}

std::size_t bytes_of(std::span<const std::int32_t> values) {
  return values.size_bytes();
}

// The rows by their tokens, rows of one token ascending: a counting sort.
std::vector<std::int32_t> rows_by_token(std::span<const std::int32_t> tokens, std::int64_t vocab_size) {
  std::vector<std::int32_t> next(static_cast<std::size_t>(vocab_size) + 1, 0);
  for (const std::int32_t token : tokens) {
    ++next[static_cast<std::size_t>(token) + 1];
  }
  std::partial_sum(next.begin(), next.end(), next.begin());
  std::vector<std::int32_t> order(tokens.size());
  for (std::size_t row = 0; row < tokens.size(); ++row) {
    order[static_cast<std::size_t>(next[static_cast<std::size_t>(tokens[row])]++)] = static_cast<std::int32_t>(row);
  }
  return order;
}

} // namespace

std::int64_t length_of_sequence(const Batch& batch, std::int64_t sequence) {
  std::int64_t length = batch.seq_len;
  while (length > 0 && !batch.segments.empty() &&
         batch.segments[static_cast<std::size_t>(sequence * batch.seq_len + length - 1)] < 0) {
    --length;
  }
  return length;
}

std::int64_t count_scored_ends(const Batch& batch) {
  std::int64_t count = 0;
  for (std::size_t at = 0; at < batch.targets.size(); ++at) {
    const std::int32_t target = batch.targets[at];
    count += target >= 0 && target < length_of_sequence(batch, static_cast<std::int64_t>(at / 2)) ? 1 : 0;
  }
  return count;
}

Batch part_of(const Batch& batch, HeadKind head, std::int64_t first, std::int64_t count) {
  Batch part = batch;
  const std::int64_t seq_len = batch.seq_len;
  part.batch = count;
  for (std::span<const std::int32_t> Batch::*field :
       {&Batch::tokens, &Batch::token_types, &Batch::positions, &Batch::segments}) {
    part.*field = slice(batch.*field, first * seq_len, count * seq_len);
  }
  part.sentence_targets = slice(batch.sentence_targets, first, count);
  switch (head) {
  case HeadKind::kCausalLm:
  case HeadKind::kMaskedLm:
  case HeadKind::kPretraining:
  case HeadKind::kTokenClassification:
    part.targets = slice(batch.targets, first * seq_len, count * seq_len);
    break;
  case HeadKind::kMultipleChoice:
    part.targets = slice(batch.targets, first / batch.choices, count / batch.choices);
    break;
  case HeadKind::kSequenceClassification:
    part.targets = slice(batch.targets, first, count);
    break;
  case HeadKind::kSpanQa:
    part.targets = slice(batch.targets, 2 * first, 2 * count);
    break;
  }
  return part;
}

DeviceBatch upload(Backend& backend, const ModelConfig& config, const Batch& batch, const DeviceIntegers& to) {
  DeviceBatch device;
  device.batch = batch.batch;
  device.seq_len = batch.seq_len;
  backend.copy_to_backend(to.tokens, batch.tokens.data(), bytes_of(batch.tokens));
  device.tokens = to.tokens;
  if (to.token_order != nullptr) {
    const std::vector<std::int32_t> order = rows_by_token(batch.tokens, config.vocab_size);
    backend.copy_to_backend(to.token_order, order.data(), bytes_of(order));
    device.token_order = to.token_order;
  }
  const auto rows = static_cast<std::size_t>(batch.batch * batch.seq_len);
  if (config.has_token_types()) {
    if (batch.token_types.empty()) {
      const std::vector<std::int32_t> zeros(rows, 0);
      backend.copy_to_backend(to.token_types, zeros.data(), bytes_of(zeros));
    } else {
      backend.copy_to_backend(to.token_types, batch.token_types.data(), bytes_of(batch.token_types));
    }
    device.token_types = to.token_types;
  }
  if (!batch.positions.empty()) {
    backend.copy_to_backend(to.positions, batch.positions.data(), bytes_of(batch.positions));
    device.positions = to.positions;
  }
  if (!batch.segments.empty()) {
    std::vector<std::int32_t> begins(rows, 0);
    std::vector<std::int32_t> ends(rows, 0);
    bool is_one_text = true;
    for (std::int64_t sequence = 0; sequence < batch.batch; ++sequence) {
      const auto base = static_cast<std::size_t>(sequence * batch.seq_len);
      const auto length = static_cast<std::size_t>(batch.seq_len);
      for (std::size_t begin = 0; begin < length;) {
        const std::int32_t segment = batch.segments[base + begin];
        std::size_t end = begin + 1;
        while (end < length && batch.segments[base + end] == segment) {
          ++end;
        }
        is_one_text = is_one_text && segment >= 0 && begin == 0 && end == length;
        for (std::size_t at = begin; at < end && segment >= 0; ++at) {
          begins[base + at] = static_cast<std::int32_t>(begin);
          ends[base + at] = static_cast<std::int32_t>(end);
        }
        begin = end;
      }
    }
    if (!is_one_text) {
      backend.copy_to_backend(to.key_begin, begins.data(), bytes_of(begins));
      backend.copy_to_backend(to.key_end, ends.data(), bytes_of(ends));
      device.key_begin = to.key_begin;
      device.key_end = to.key_end;
    }
  }
  return device;
}

} // namespace assay
