// Embedding, and layer norm with its residual add.
#include "test-support-operations.h"

using namespace assay;
using namespace assay::test;

namespace {

struct EmbeddingOptions {
  float dropout = 0.0F;
  bool has_positions = false; // else first_position + t
  bool has_types = false;
  std::int64_t first_position = 0;
};

OpCase embedding_case(std::int64_t batch, std::int64_t seq_len, std::int64_t channels,
                      const EmbeddingOptions& options = {}) {
  const std::int64_t vocab_size = 7, types = 3, places = seq_len + 9;
  const auto tokens = some_tokens(batch * seq_len, vocab_size, 3);
  const auto type_ids = options.has_types ? some_tokens(batch * seq_len, types, 4) : std::vector<std::int32_t>{};
  auto positions = some_tokens(batch * seq_len, places, 5);
  for (std::int64_t b = 0; b < batch; ++b) {
    for (std::int64_t t = 0; t < seq_len && !options.has_positions; ++t) {
      positions[b * seq_len + t] = static_cast<std::int32_t>(t + options.first_position);
    }
  }
  const Dropout dropout = dropout_of(options.dropout);
  OpCase op;
  op.title = "embedding " + sizes({batch, seq_len, channels}) + (options.dropout > 0 ? " with dropout" : "") +
             (options.has_positions ? " with positions" : "") + (options.has_types ? " with token types" : "") +
             (options.first_position > 0 ? " going on" : "");
  op.inputs = {{"token weight", vocab_size * channels},
               {"position weight", places * channels},
               {"type weight", options.has_types ? types * channels : 0}};
  op.reference = [=](const std::vector<Doubles>& in) {
    return embedding_reference(tokens, positions, type_ids, in[0], in[1], in[2], batch, seq_len, channels, dropout);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(batch * seq_len * channels), NAN);
    EmbeddingForward call{tokens.data(), in[0].data(), in[1].data(), output.data(), batch, seq_len, channels, 0,
                          dropout};
    call.first_position = options.first_position;
    call.positions = options.has_positions ? positions.data() : nullptr;
    call.token_types = options.has_types ? type_ids.data() : nullptr;
    call.token_type_weight = in[2].data();
    backend.embedding_forward(call);
    return output;
  };
  if (options.first_position == 0) {
    op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
      Floats d_token = added_to(in[0].size()), d_position = added_to(in[1].size()), d_type = added_to(in[2].size());
      EmbeddingBackward call{tokens.data(), upstream.data(), d_token.data(), d_position.data(),
                             batch,         seq_len,         channels,       dropout};
      call.positions = options.has_positions ? positions.data() : nullptr;
      call.token_types = options.has_types ? type_ids.data() : nullptr;
      call.d_token_type_weight = options.has_types ? d_type.data() : nullptr;
      backend.embedding_backward(call);
      // Freezing one table must not change what the others get.
      Floats alone = added_to(in[1].size());
      call.d_token_weight = call.d_token_type_weight = nullptr;
      call.d_position_weight = alone.data();
      backend.embedding_backward(call);
      CHECK(alone == d_position);
      call.d_position_weight = nullptr;
      backend.embedding_backward(call);
      return std::vector<Floats>{without_start(d_token), without_start(d_position), without_start(d_type)};
    };
  }
  op.workspace.channels = channels;
  return op;
}

OpCase narrow_embedding_case(DataType type, std::int64_t rows, std::int64_t channels) {
  const std::int64_t vocab_size = 11;
  const auto tokens = some_tokens(rows, vocab_size, 3);
  const StoredWeight weight = random_weight(type, vocab_size, channels, true);
  std::vector<std::int32_t> positions(static_cast<std::size_t>(rows));
  std::iota(positions.begin(), positions.end(), 0);
  OpCase op;
  op.title = "embedding of " + name_of(type) + " tokens " + sizes({rows, channels});
  op.inputs = {{"position weight", rows * channels}};
  op.reference = [=](const std::vector<Doubles>& in) {
    return embedding_reference(tokens, positions, {}, doubled(weight.stands_for), in[0], {}, 1, rows, channels, {});
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * channels), NAN);
    backend.embedding_forward({tokens.data(), weight.view({}), in[0].data(), output.data(), 1, rows, channels, 0, {}});
    return output;
  };
  op.tolerance = 1e-6;
  return op;
}

// The residual sum has users of its own (the next layers), so both outputs count: output ‖ residual sum.
OpCase layer_norm_case(std::int64_t rows, std::int64_t rows_per_sample, std::int64_t channels, bool has_branch,
                       float probability, bool accumulate, bool has_two_users = false) {
  const Dropout dropout = dropout_of(probability);
  const float epsilon = 1e-5F;
  OpCase op;
  op.title = "layer norm " + sizes({rows, channels}) + (has_branch ? " with residual add" : "") +
             (probability > 0 ? " and dropout" : "") + (accumulate ? "" : ", gradients written") +
             (has_two_users ? ", two users" : "");
  op.inputs = {{"residual", rows * channels},
               {"branch", has_branch ? rows * channels : 0},
               {"weight", channels},
               {"bias", channels}};
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles sum = residual_reference(in[0], in[1], rows_per_sample, channels, dropout);
    Doubles output = layer_norm_reference(sum, in[2], in[3], rows, channels, epsilon);
    output.insert(output.end(), sum.begin(), sum.end());
    return output;
  };
  struct Run {
    Floats output, sum, mean, inverse_deviation;
  };
  const auto run = [=](Backend& backend, const std::vector<Floats>& in) {
    Run r;
    r.output.resize(static_cast<std::size_t>(rows * channels));
    r.sum = in[0];
    r.mean.resize(static_cast<std::size_t>(rows));
    r.inverse_deviation.resize(static_cast<std::size_t>(rows));
    backend.layer_norm_forward({in[0].data(), has_branch ? in[1].data() : nullptr, has_branch ? r.sum.data() : nullptr,
                                in[2].data(), in[3].data(), r.output.data(), r.mean.data(), r.inverse_deviation.data(),
                                rows, channels, rows_per_sample, epsilon, dropout});
    return r;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Run r = run(backend, in);
    r.output.insert(r.output.end(), r.sum.begin(), r.sum.end());
    return r.output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    const Run r = run(backend, in);
    const std::size_t half = r.output.size();
    Floats d_residual(upstream.begin() + static_cast<std::ptrdiff_t>(half), upstream.end());
    Floats d_branch(has_branch ? half : 0);
    Floats d_weight = added_to(in[2].size());
    Floats d_bias = added_to(in[3].size());
    // In place on d_residual, as the model calls it. Two users send a part of the upstream gradient each.
    Floats first(upstream.begin(), upstream.begin() + static_cast<std::ptrdiff_t>(half)), second(half);
    for (std::size_t i = 0; i < half && has_two_users; ++i) {
      second[i] = static_cast<float>(i % 7) * 0.3F;
      first[i] -= second[i];
    }
    LayerNormBackward call{};
    call.d_output = first.data();
    call.d_output_2 = has_two_users ? second.data() : nullptr;
    call.input = r.sum.data();
    call.weight = in[2].data();
    call.mean = r.mean.data();
    call.inverse_deviation = r.inverse_deviation.data();
    call.d_residual = call.d_residual_output = d_residual.data();
    call.d_branch = has_branch ? d_branch.data() : nullptr;
    call.rows = rows;
    call.channels = channels;
    call.rows_per_sample = rows_per_sample;
    call.dropout = dropout;
    call.accumulate = accumulate;
    // Frozen: the same gradient of the input, and none of the weights.
    Floats frozen = d_residual;
    std::swap(d_residual, frozen);
    call.d_residual = call.d_residual_output = frozen.data();
    backend.layer_norm_backward(call);
    call.d_residual = call.d_residual_output = d_residual.data();
    call.d_weight = d_weight.data();
    call.d_bias = d_bias.data();
    backend.layer_norm_backward(call);
    check_close("gradient of a frozen norm's input", doubled(d_residual), frozen, 1e-6);
    return std::vector<Floats>{d_residual, d_branch, accumulate ? without_start(d_weight) : d_weight,
                               accumulate ? without_start(d_bias) : d_bias};
  };
  op.workspace.channels = channels;
  return op;
}

std::vector<OpCase> table() {
  return {
      embedding_case(1, 1, 1),
      embedding_case(2, 5, 20),
      embedding_case(3, 7, 37, {.dropout = 0.3F}),
      embedding_case(3, 7, 37, {.dropout = 0.3F, .has_positions = true, .has_types = true}),
      embedding_case(2, 3, 130, {.has_types = true}),
      embedding_case(5, 1, 33, {.has_positions = true, .has_types = true}),
      embedding_case(2, 3, 16, {.first_position = 4}),
      narrow_embedding_case(DataType::kBf16, 9, 37),
      narrow_embedding_case(DataType::kInt8, 9, 37),
      narrow_embedding_case(DataType::kInt8, 400, 64),
      layer_norm_case(1, 1, 16, false, 0, true),
      layer_norm_case(7, 7, 37, false, 0, false),
      layer_norm_case(10, 5, 64, true, 0, true),
      layer_norm_case(9, 3, 21, true, 0.25F, true),
      layer_norm_case(9, 3, 21, true, 0.25F, true, true),
      layer_norm_case(40, 40, 700, true, 0, false, true),
      layer_norm_case(3, 3, 5, false, 0, true, true),
  };
}

} // namespace

int main() {
  add_operations(table());
  return run_cases();
}
