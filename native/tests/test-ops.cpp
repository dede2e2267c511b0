// Every operation of the backend table, declared once: how to run it, its double-precision reference, and its inputs.
// On every backend the driver compares values with the reference, gradients with finite differences of the reference,
// and two runs bit for bit. Odd sizes throughout: single rows, sizes that no vector, block or chunk divides.
#include "test-support-backends.h"
#include "test-support-reference.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cstring>
#include <numeric>

using namespace assay;
using namespace assay::test;

namespace {

struct Input {
  std::string name;
  std::int64_t count;
  double deviation = 1.0;
};

struct OpCase {
  std::string title;
  std::vector<Input> inputs;
  std::function<Values(const std::vector<Values>&)> reference;
  std::function<Floats(Backend&, const std::vector<Floats>&)> forward;
  // Gradients of Σ output · upstream, by input; null where the operation has none.
  std::function<std::vector<Floats>(Backend&, const std::vector<Floats>&, const Floats& upstream)> backward;
  double tolerance = 2e-5;
  double smallest_scale = 1e-6; // outputs below it are compared absolutely: a loss is a difference of larger numbers
  WorkspaceRequest workspace = {};
};

constexpr int kThreads = 3; // more than divides anything, and uneven

void run_case(const OpCase& op, const BackendUnderTest& under_test) {
  const auto backend = under_test.create(kThreads);
  WorkspaceRequest request = op.workspace;
  for (const bool training : {false, true}) {
    request.training = training;
    backend->reserve_workspace(backend->workspace_bytes(request));
  }
  std::vector<Floats> inputs;
  std::vector<Values> exact;
  std::uint32_t seed = 100;
  for (const Input& input : op.inputs) {
    inputs.push_back(random_floats(static_cast<std::size_t>(input.count), input.deviation, ++seed));
    exact.push_back(doubled(inputs.back()));
  }
  const Values expected = op.reference(exact);
  const Floats output = op.forward(*backend, inputs);
  check_close("output", expected, output, op.tolerance, op.smallest_scale);
  CHECK(op.forward(*backend, inputs) == output);
  if (!op.backward) {
    return;
  }

  const Floats upstream = random_floats(output.size(), 1.0, 7);
  const std::vector<Floats> gradients = op.backward(*backend, inputs, upstream);
  CHECK(op.backward(*backend, inputs, upstream) == gradients);
  CHECK_EQ(gradients.size(), inputs.size());
  const auto objective = [&] {
    const Values values = op.reference(exact);
    return std::inner_product(values.begin(), values.end(), upstream.begin(), 0.0);
  };
  std::mt19937 random(11);
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    CHECK_EQ(gradients[i].size(), inputs[i].size());
    // A sample of the elements where there are many: each costs two runs of the reference.
    std::vector<std::size_t> elements(inputs[i].size());
    std::iota(elements.begin(), elements.end(), std::size_t{0});
    std::shuffle(elements.begin(), elements.end(), random);
    elements.resize(std::min<std::size_t>(elements.size(), 24));
    double largest = 0.0;
    for (const float gradient : gradients[i]) {
      largest = std::max(largest, std::fabs(static_cast<double>(gradient)));
    }
    for (const std::size_t element : elements) {
      constexpr double kStep = 1e-5;
      const double before = exact[i][element];
      exact[i][element] = before + kStep;
      const double above = objective();
      exact[i][element] = before - kStep;
      const double below = objective();
      exact[i][element] = before;
      const double slope = (above - below) / (2 * kStep);
      if (!(std::fabs(slope - static_cast<double>(gradients[i][element])) <=
            5 * op.tolerance * std::max(largest, op.smallest_scale) + 1e-7)) {
        std::ostringstream message;
        message << "gradient of " << op.inputs[i].name << '[' << element << "]: finite difference " << slope
                << ", backward " << gradients[i][element];
        fail_check(__FILE__, __LINE__, message.str());
      }
    }
  }
}

// Gradient buffers that an operation adds to start at this, so that forgetting to add shows; it is taken off
// afterwards.
constexpr float kAlreadyThere = 0.5F;

Floats added_to(std::size_t count) {
  return Floats(count, kAlreadyThere);
}

Floats without_start(Floats values) {
  for (float& value : values) {
    value -= kAlreadyThere;
  }
  return values;
}

Dropout dropout_of(float probability) {
  return {probability, 0x123456789ABCDEFULL, 9, 4, 2};
}

std::vector<std::int32_t> some_tokens(std::int64_t count, std::int64_t vocab_size, std::uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<std::int32_t> tokens(static_cast<std::size_t>(count));
  for (std::int32_t& token : tokens) {
    token = static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(vocab_size));
  }
  return tokens;
}

std::string sizes(std::initializer_list<std::int64_t> values) {
  std::string text;
  for (const std::int64_t value : values) {
    text += (text.empty() ? "" : "×") + std::to_string(value);
  }
  return text;
}

OpCase embedding_case(std::int64_t batch, std::int64_t seq_len, std::int64_t channels, float probability) {
  const std::int64_t vocab_size = 7;
  const auto tokens = some_tokens(batch * seq_len, vocab_size, 3);
  const Dropout dropout = dropout_of(probability);
  OpCase op;
  op.title = "embedding " + sizes({batch, seq_len, channels}) + (probability > 0 ? " with dropout" : "");
  op.inputs = {{"token weight", vocab_size * channels}, {"position weight", seq_len * channels}};
  op.reference = [=](const std::vector<Values>& in) {
    return embedding_reference(tokens, in[0], in[1], batch, seq_len, channels, 0, dropout);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(batch * seq_len * channels));
    backend.embedding_forward(
        {tokens.data(), in[0].data(), in[1].data(), output.data(), batch, seq_len, channels, 0, dropout});
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_token = added_to(in[0].size());
    Floats d_position = added_to(in[1].size());
    backend.embedding_backward(
        {tokens.data(), upstream.data(), d_token.data(), d_position.data(), batch, seq_len, channels, dropout});
    return std::vector<Floats>{without_start(d_token), without_start(d_position)};
  };
  op.workspace.channels = channels;
  return op;
}

// The residual sum has users of its own (the next layers), so both outputs count: output ‖ residual sum.
OpCase layer_norm_case(std::int64_t rows, std::int64_t rows_per_sample, std::int64_t channels, bool has_branch,
                       float probability, bool accumulate) {
  const Dropout dropout = dropout_of(probability);
  const float epsilon = 1e-5F;
  OpCase op;
  op.title = "layer norm " + sizes({rows, channels}) + (has_branch ? " with residual add" : "") +
             (probability > 0 ? " and dropout" : "") + (accumulate ? "" : ", gradients written");
  op.inputs = {{"residual", rows * channels},
               {"branch", has_branch ? rows * channels : 0},
               {"weight", channels},
               {"bias", channels}};
  op.reference = [=](const std::vector<Values>& in) {
    Values sum = residual_reference(in[0], in[1], rows_per_sample, channels, dropout);
    Values output = layer_norm_reference(sum, in[2], in[3], rows, channels, epsilon);
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
    // In place on d_residual, as the model calls it.
    backend.layer_norm_backward({upstream.data(), r.sum.data(), in[2].data(), r.mean.data(), r.inverse_deviation.data(),
                                 d_residual.data(), d_residual.data(), has_branch ? d_branch.data() : nullptr,
                                 d_weight.data(), d_bias.data(), rows, channels, rows_per_sample, dropout, accumulate});
    return std::vector<Floats>{d_residual, d_branch, accumulate ? without_start(d_weight) : d_weight,
                               accumulate ? without_start(d_bias) : d_bias};
  };
  op.workspace.channels = channels;
  return op;
}

OpCase linear_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size, bool has_bias, bool accumulate) {
  OpCase op;
  op.title = "linear " + sizes({rows, in_size, out_size}) + (has_bias ? "" : " without bias") +
             (accumulate ? "" : ", gradients written");
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"bias", has_bias ? out_size : 0}};
  op.reference = [=](const std::vector<Values>& in) {
    return linear_reference(in[0], in[1], in[2], rows, in_size, out_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * out_size), NAN);
    backend.linear_forward({in[0].data(), in[1].data(), has_bias ? in[2].data() : nullptr, output.data(), nullptr,
                            Activation::kNone, rows, in_size, out_size});
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_input(in[0].size(), NAN);
    Floats d_weight = added_to(in[1].size());
    Floats d_bias = added_to(in[2].size());
    backend.linear_backward({upstream.data(), in[0].data(), in[1].data(), d_input.data(), nullptr, d_weight.data(),
                             has_bias ? d_bias.data() : nullptr, rows, in_size, out_size, accumulate});
    return std::vector<Floats>{d_input, accumulate ? without_start(d_weight) : d_weight,
                               accumulate || !has_bias ? without_start(d_bias) : d_bias};
  };
  return op;
}

OpCase linear_gelu_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size, bool keeps_sum) {
  OpCase op;
  op.title = std::string("linear with GELU ") + sizes({rows, in_size, out_size}) + (keeps_sum ? "" : ", sum not kept");
  op.inputs = {{"input", rows * in_size}, {"weight", in_size * out_size}, {"bias", out_size}};
  op.reference = [=](const std::vector<Values>& in) {
    Values sums = linear_reference(in[0], in[1], in[2], rows, in_size, out_size);
    Values output;
    for (const double sum : sums) {
      output.push_back(gelu_reference(sum));
    }
    if (keeps_sum) {
      output.insert(output.end(), sums.begin(), sums.end());
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * out_size));
    Floats sums(keeps_sum ? output.size() : 0);
    backend.linear_forward({in[0].data(), in[1].data(), in[2].data(), output.data(), keeps_sum ? sums.data() : nullptr,
                            Activation::kGeluNew, rows, in_size, out_size});
    output.insert(output.end(), sums.begin(), sums.end());
    return output;
  };
  return op;
}

// linear(gelu(x)): backward is one fused call.
OpCase linear_of_gelu_case(std::int64_t rows, std::int64_t in_size, std::int64_t out_size) {
  const auto activated = [](const auto& values) {
    auto result = values;
    for (auto& value : result) {
      value = static_cast<std::decay_t<decltype(value)>>(gelu_reference(static_cast<double>(value)));
    }
    return result;
  };
  OpCase op;
  op.title = "linear of GELU " + sizes({rows, in_size, out_size});
  op.inputs = {{"pre-activation", rows * in_size, 2.0}, {"weight", in_size * out_size}, {"bias", out_size}};
  op.reference = [=](const std::vector<Values>& in) {
    return linear_reference(activated(in[0]), in[1], in[2], rows, in_size, out_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    const Floats input = activated(in[0]);
    Floats output(static_cast<std::size_t>(rows * out_size));
    backend.linear_forward(
        {input.data(), in[1].data(), in[2].data(), output.data(), nullptr, Activation::kNone, rows, in_size, out_size});
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    const Floats input = activated(in[0]);
    Floats d_sum(in[0].size(), NAN), d_weight = added_to(in[1].size()), d_bias = added_to(in[2].size());
    backend.linear_backward({upstream.data(), input.data(), in[1].data(), d_sum.data(), in[0].data(), d_weight.data(),
                             d_bias.data(), rows, in_size, out_size, true});
    return std::vector<Floats>{d_sum, without_start(d_weight), without_start(d_bias)};
  };
  return op;
}

std::string name_of(Activation activation) {
  constexpr const char* kNames[] = {"no activation", "gelu_new", "gelu", "tanh"};
  return kNames[static_cast<int>(activation)];
}

OpCase activation_case(Activation activation, std::int64_t count) {
  OpCase op;
  op.title = name_of(activation) + " of " + std::to_string(count);
  op.inputs = {{"input", count, 2.0}};
  op.reference = [=](const std::vector<Values>& in) {
    Values output;
    for (const double value : in[0]) {
      output.push_back(activation_reference(activation, value));
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(in[0].size(), NAN), in_place = in[0];
    backend.activation_forward(output.data(), in[0].data(), count, activation);
    backend.activation_forward(in_place.data(), in_place.data(), count, activation);
    CHECK(in_place == output);
    return output;
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats gradient = upstream;
    backend.activation_backward(gradient.data(), in[0].data(), count, activation);
    return std::vector<Floats>{gradient};
  };
  op.tolerance = 5e-7;
  return op;
}

OpCase attention_case(std::int64_t batch, std::int64_t seq_len, std::int64_t heads, std::int64_t head_size,
                      float probability, const std::string& pattern = "", const Visibility& visibility = {}) {
  const Dropout dropout = dropout_of(probability);
  OpCase op;
  op.title =
      "attention " + pattern + sizes({batch, seq_len, heads, head_size}) + (probability > 0 ? " with dropout" : "");
  const std::int64_t channels = heads * head_size;
  op.inputs = {{"qkv", batch * seq_len * 3 * channels}};
  op.reference = [=](const std::vector<Values>& in) {
    return attention_reference(in[0], batch, seq_len, heads, head_size, dropout, visibility);
  };
  const auto run = [=](Backend& backend, const Floats& qkv, Floats& log_sum_exp) {
    Floats output(static_cast<std::size_t>(batch * seq_len * channels), NAN);
    log_sum_exp.assign(static_cast<std::size_t>(batch * heads * seq_len), NAN);
    AttentionForward call{qkv.data(), output.data(), log_sum_exp.data(), batch, seq_len, heads, head_size, dropout};
    call.causal = visibility.causal;
    call.key_begin = visibility.key_begin.empty() ? nullptr : visibility.key_begin.data();
    call.key_end = visibility.key_end.empty() ? nullptr : visibility.key_end.data();
    backend.attention_forward(call);
    CHECK(std::all_of(log_sum_exp.begin(), log_sum_exp.end(), [](float value) { return std::isfinite(value); }));
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats log_sum_exp;
    return run(backend, in[0], log_sum_exp);
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats log_sum_exp;
    const Floats output = run(backend, in[0], log_sum_exp);
    Floats d_qkv(in[0].size(), NAN);
    AttentionBackward call{upstream.data(), in[0].data(), output.data(), log_sum_exp.data(), d_qkv.data(),
                           batch,           seq_len,      heads,         head_size,          dropout};
    call.causal = visibility.causal;
    call.key_begin = visibility.key_begin.empty() ? nullptr : visibility.key_begin.data();
    call.key_end = visibility.key_end.empty() ? nullptr : visibility.key_end.data();
    backend.attention_backward(call);
    return std::vector<Floats>{d_qkv};
  };
  op.workspace.seq_len = seq_len;
  return op;
}

// Every query of a sequence sees the run of its neighbours that holds it (texts packed into one sequence); the lengths
// are of the runs, a negative one is padding, whose queries see nothing.
Visibility packed(bool causal, std::int64_t batch, std::int64_t seq_len, const std::vector<std::int64_t>& lengths) {
  Visibility visibility{causal, {}, {}};
  std::size_t next = 0;
  for (std::int64_t row = 0; row < batch; ++row) {
    for (std::int64_t begin = 0; begin < seq_len;) {
      const std::int64_t length = lengths[next++ % lengths.size()];
      const std::int64_t end = std::min(begin + std::abs(length), seq_len);
      for (std::int64_t at = begin; at < end; ++at) {
        visibility.key_begin.push_back(static_cast<std::int32_t>(length < 0 ? 0 : begin));
        visibility.key_end.push_back(static_cast<std::int32_t>(length < 0 ? 0 : end));
      }
      begin = end;
    }
  }
  return visibility;
}

// Ranges that follow no order, some of them empty, some of them reaching outside the sequence.
Visibility scattered(bool causal, std::int64_t batch, std::int64_t seq_len) {
  Visibility visibility{causal, {}, {}};
  std::mt19937 random(29);
  for (std::int64_t row = 0; row < batch * seq_len; ++row) {
    const auto place = [&] { return static_cast<std::int32_t>(random() % static_cast<unsigned>(seq_len + 8)) - 4; };
    visibility.key_begin.push_back(place());
    visibility.key_end.push_back(place());
  }
  return visibility;
}

// Sequences in pieces against their caches equal the sequences at once. Each sequence starts with its own first piece,
// so that they have different pasts; the further pieces are of one size and go together.
OpCase attention_cached_case(std::vector<std::int64_t> first_pieces, std::vector<std::int64_t> pieces,
                             std::int64_t heads, std::int64_t head_size) {
  const auto sequences = static_cast<std::int64_t>(first_pieces.size());
  const std::int64_t further = std::accumulate(pieces.begin(), pieces.end(), std::int64_t{0});
  const std::int64_t longest = *std::max_element(first_pieces.begin(), first_pieces.end()) + further;
  const std::int64_t capacity = longest + 3;
  const std::int64_t channels = heads * head_size;
  OpCase op;
  op.title = "attention of " + std::to_string(sequences) + " against their caches, " + std::to_string(pieces.size()) +
             " further pieces, " + sizes({longest, heads, head_size});
  op.inputs = {{"qkv", sequences * longest * 3 * channels}};
  const auto length = [=](std::int64_t sequence) { return first_pieces[sequence] + further; };
  op.reference = [=](const std::vector<Values>& in) {
    Values output(static_cast<std::size_t>(sequences * longest * channels), 0.0);
    for (std::int64_t s = 0; s < sequences; ++s) {
      const auto begin = in[0].begin() + s * longest * 3 * channels;
      const Values own =
          attention_reference({begin, begin + length(s) * 3 * channels}, 1, length(s), heads, head_size, {});
      std::copy(own.begin(), own.end(), output.begin() + s * longest * channels);
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats keys(static_cast<std::size_t>(sequences * capacity * channels), NAN), values = keys;
    Floats output(static_cast<std::size_t>(sequences * longest * channels), 0.0F);
    std::vector<std::int64_t> past(first_pieces.size(), 0);
    // Sequences [begin, end) at once.
    const auto feed = [&](std::int64_t begin, std::int64_t end, std::int64_t count) {
      Floats qkv, result(static_cast<std::size_t>((end - begin) * count * channels), NAN);
      for (std::int64_t s = begin; s < end; ++s) {
        const auto from = in[0].begin() + (s * longest + past[s]) * 3 * channels;
        qkv.insert(qkv.end(), from, from + count * 3 * channels);
      }
      backend.attention_cached({qkv.data(), keys.data() + begin * capacity * channels,
                                values.data() + begin * capacity * channels, result.data(),
                                std::span(past).subspan(begin, end - begin), count, capacity, heads, head_size});
      for (std::int64_t s = begin; s < end; ++s) {
        const auto from = result.begin() + (s - begin) * count * channels;
        std::copy(from, from + count * channels, output.begin() + (s * longest + past[s]) * channels);
        past[s] += count;
      }
    };
    for (std::int64_t s = 0; s < sequences; ++s) {
      feed(s, s + 1, first_pieces[s]);
    }
    for (const std::int64_t count : pieces) {
      feed(0, sequences, count);
    }
    return output;
  };
  op.workspace = {.rows = sequences * longest, .seq_len = capacity, .channels = channels, .heads = heads};
  return op;
}

// Output: the scaled sum of losses, whose gradient both passes of the classifier give at once.
OpCase classifier_case(std::int64_t rows, std::int64_t channels, std::int64_t vocab_size, bool accumulate) {
  auto targets = some_tokens(rows, vocab_size, 5);
  if (rows > 2) {
    targets[1] = -1;
  }
  OpCase op;
  op.title = "classifier " + sizes({rows, channels, vocab_size}) + (accumulate ? "" : ", gradients written");
  op.inputs = {{"hidden", rows * channels}, {"weight", vocab_size * channels}};
  op.reference = [=](const std::vector<Values>& in) {
    const Values losses = classifier_reference(in[0], in[1], targets, channels, vocab_size);
    return Values{std::accumulate(losses.begin(), losses.end(), 0.0)};
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    return Floats{static_cast<float>(
        backend.classifier_evaluate({in[0].data(), in[1].data(), targets.data(), rows, channels, vocab_size}))};
  };
  op.backward = [=](Backend& backend, const std::vector<Floats>& in, const Floats& upstream) {
    Floats d_hidden(in[0].size(), NAN);
    Floats d_weight = added_to(in[1].size());
    const double loss =
        backend.classifier_train({in[0].data(), in[1].data(), targets.data(), rows, channels, vocab_size,
                                  d_hidden.data(), d_weight.data(), upstream[0], accumulate});
    check_close("training's loss", {loss},
                {static_cast<float>(backend.classifier_evaluate(
                    {in[0].data(), in[1].data(), targets.data(), rows, channels, vocab_size}))},
                1e-6);
    return std::vector<Floats>{d_hidden, accumulate ? without_start(d_weight) : d_weight};
  };
  op.workspace.rows = rows;
  op.workspace.vocab_size = vocab_size;
  op.smallest_scale = 0.1;
  return op;
}

OpCase logits_case(std::int64_t rows, std::int64_t channels, std::int64_t vocab_size) {
  OpCase op;
  op.title = "logits " + sizes({rows, channels, vocab_size});
  op.inputs = {{"hidden", rows * channels}, {"weight", vocab_size * channels}};
  op.reference = [=](const std::vector<Values>& in) {
    Values transposed(in[1].size());
    for (std::int64_t v = 0; v < vocab_size; ++v) {
      for (std::int64_t c = 0; c < channels; ++c) {
        transposed[c * vocab_size + v] = in[1][v * channels + c];
      }
    }
    return linear_reference(in[0], transposed, {}, rows, channels, vocab_size);
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats output(static_cast<std::size_t>(rows * vocab_size));
    backend.logits(in[0].data(), in[1].data(), nullptr, output.data(), rows, channels, vocab_size, false);
    return output;
  };
  return op;
}

std::vector<OpCase> table() {
  return {
      embedding_case(1, 1, 1, 0),
      embedding_case(2, 5, 20, 0),
      embedding_case(3, 7, 37, 0.3F),
      layer_norm_case(1, 1, 16, false, 0, true),
      layer_norm_case(7, 7, 37, false, 0, false),
      layer_norm_case(10, 5, 64, true, 0, true),
      layer_norm_case(9, 3, 21, true, 0.25F, true),
      linear_case(1, 5, 3, true, true),
      linear_case(1, 70, 600, true, true),
      linear_case(33, 17, 45, true, false),
      linear_case(5, 64, 1, true, true),
      linear_case(70, 300, 64, false, false),
      linear_case(150, 33, 1100, true, true),
      linear_gelu_case(1, 9, 50, false),
      linear_gelu_case(13, 31, 70, true),
      linear_gelu_case(200, 8, 700, true),
      linear_of_gelu_case(1, 3, 2),
      linear_of_gelu_case(19, 45, 23),
      linear_of_gelu_case(130, 700, 9),
      activation_case(Activation::kNone, 19),
      activation_case(Activation::kGeluNew, 1003),
      activation_case(Activation::kGelu, 1),
      activation_case(Activation::kGelu, 1003),
      activation_case(Activation::kTanh, 1),
      activation_case(Activation::kTanh, 1003),
      attention_case(1, 1, 1, 1, 0),
      attention_case(2, 5, 3, 4, 0),
      attention_case(1, 64, 2, 16, 0),
      attention_case(2, 67, 2, 5, 0.2F),
      attention_case(1, 331, 1, 8, 0),
      attention_case(1, 270, 2, 3, 0.5F),
      attention_case(1, 1, 1, 3, 0, "both ways ", {false, {}, {}}),
      attention_case(2, 70, 2, 5, 0.2F, "both ways ", {false, {}, {}}),
      attention_case(1, 331, 1, 8, 0, "both ways ", {false, {}, {}}),
      attention_case(2, 67, 2, 5, 0.2F, "within texts ", packed(true, 2, 67, {20, 1, 30, -9, 40})),
      attention_case(2, 67, 2, 5, 0.2F, "both ways within texts ", packed(false, 2, 67, {20, 1, 30, -9, 40})),
      attention_case(2, 330, 1, 3, 0, "within texts ", packed(true, 2, 330, {299, -500, 70, 70, 100})),
      attention_case(2, 330, 1, 3, 0, "both ways within texts ", packed(false, 2, 330, {299, -500, 70, 70, 100})),
      attention_case(2, 9, 1, 4, 0, "of padding alone ", packed(false, 2, 9, {-9})),
      attention_case(2, 130, 1, 4, 0.3F, "of ranges in no order ", scattered(true, 2, 130)),
      attention_case(1, 300, 2, 4, 0, "both ways of ranges in no order ", scattered(false, 1, 300)),
      attention_cached_case({1}, {1, 1}, 2, 8),
      attention_cached_case({70}, {1, 200, 1, 30, 4}, 3, 5),
      attention_cached_case({600}, {1, 2}, 2, 64),
      attention_cached_case({3, 70, 1, 257}, {1, 1, 5, 3, 70, 1}, 2, 20),
      attention_cached_case(std::vector<std::int64_t>(18, 2), {1, 1}, 1, 3),
      classifier_case(1, 3, 2, true),
      classifier_case(37, 19, 50, false),
      classifier_case(70, 8, 1003, true),
      classifier_case(261, 5, 17, true),
      logits_case(1, 33, 101),
      logits_case(6, 40, 77),
  };
}

void add_dropout_cases() {
  add_backend_cases(
      "dropout drops the share it is asked to, and scales what it keeps", [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(2);
        const std::int64_t rows = 64, channels = 1000;
        const Floats zeros(static_cast<std::size_t>(rows * channels), 0.0F), ones(zeros.size(), 1.0F);
        const Floats weight(channels, 1.0F), bias(channels, 0.0F);
        for (const float probability : {0.1F, 0.5F, 0.9F}) {
          Floats sum(zeros.size()), output(zeros.size());
          backend->layer_norm_forward({zeros.data(), ones.data(), sum.data(), weight.data(), bias.data(), output.data(),
                                       nullptr, nullptr, rows, channels, 16, 1e-5F, dropout_of(probability)});
          const auto dropped =
              static_cast<double>(std::count(sum.begin(), sum.end(), 0.0F)) / static_cast<double>(sum.size());
          // Five standard deviations of a fair draw.
          CHECK(std::fabs(dropped - probability) <
                5 * std::sqrt(probability * (1 - probability) / static_cast<double>(sum.size())));
          for (const float value : sum) {
            CHECK(value == 0.0F || std::fabs(value - 1.0F / (1.0F - probability)) < 1e-5F);
          }
        }
      });
  add_backend_cases(
      "dropout's mask differs between samples, steps, sites and seeds, and not between microbatches",
      [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(2);
        const std::int64_t channels = 256;
        const Floats weight(channels, 1.0F), bias(channels, 0.0F);
        const auto mask = [&](const Dropout& dropout, std::int64_t samples) {
          const Floats zeros(static_cast<std::size_t>(samples * channels), 0.0F), ones(zeros.size(), 1.0F);
          Floats sum(zeros.size()), output(zeros.size());
          backend->layer_norm_forward({zeros.data(), ones.data(), sum.data(), weight.data(), bias.data(), output.data(),
                                       nullptr, nullptr, samples, channels, 1, 1e-5F, dropout});
          return sum;
        };
        const Dropout base = dropout_of(0.5F);
        const Floats both = mask(base, 2);
        const Floats first(both.begin(), both.begin() + channels), second(both.begin() + channels, both.end());
        CHECK(first != second);
        Dropout other = base;
        other.first_sample += 1;
        CHECK(mask(other, 1) == second);
        for (auto change : {+[](Dropout& d) { ++d.step; }, +[](Dropout& d) { ++d.site; }, +[](Dropout& d) { ++d.seed; },
                            +[](Dropout& d) { d.seed ^= std::uint64_t{1} << 40; }}) {
          Dropout changed = base;
          change(changed);
          CHECK(mask(changed, 1) != first);
        }
      });
}

void add_memory_cases() {
  add_case("memory that no machine has is refused with its size", [] {
    const auto backend = create_cpu_backend({1});
    try {
      backend->allocate(std::size_t{1} << 60);
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("OUT_OF_MEMORY"));
      CHECK(std::string(error.what()).find("1152921504606846976") != std::string::npos);
    }
  });
  add_case("a thread count below zero is refused", [] {
    try {
      create_cpu_backend({-1});
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("THREADS_INVALID"));
    }
  });
  add_case("an operation that finds its workspace too small says so instead of writing past it", [] {
    const auto backend = create_cpu_backend({2, GemmChoice::kPortable});
    const Floats hidden(4 * 8), weight(1000 * 8);
    const std::vector<std::int32_t> targets(4, 1);
    try {
      backend->classifier_evaluate({hidden.data(), weight.data(), targets.data(), 4, 8, 1000});
      CHECK(false);
    } catch (const Error& error) {
      CHECK_EQ(error.code(), std::string("WORKSPACE_TOO_SMALL"));
    }
  });
}

void add_special_value_cases() {
  add_backend_cases(
      "softmax survives scores far apart, and a NaN is not hidden", [](const BackendUnderTest& under_test) {
        const auto backend = under_test.create(1);
        backend->reserve_workspace(backend->workspace_bytes({2, 4, 4, 4, 1, 3, true}));
        const Floats weight = {200.0F, -200.0F, 0.0F};
        const std::vector<std::int32_t> targets = {1, 0};
        Floats hidden = {1.0F, 1.0F};
        check_close(
            "loss", {400.0},
            {static_cast<float>(backend->classifier_evaluate({hidden.data(), weight.data(), targets.data(), 2, 1, 3}))},
            1e-6);
        hidden[1] = NAN;
        CHECK(std::isnan(backend->classifier_evaluate({hidden.data(), weight.data(), targets.data(), 2, 1, 3})));
      });
}

// Values far out and near zero, each to the last few units of its own magnitude: a table entry compares with the
// largest.
void add_activation_cases() {
  add_backend_cases("activations are right in their tails and near zero", [](const BackendUnderTest& under_test) {
    const auto backend = under_test.create(1);
    Floats input;
    for (float size = 1e-20F; size < 12.0F; size *= 1.05F) {
      input.push_back(size);
      input.push_back(-size);
    }
    for (const Activation activation : {Activation::kGelu, Activation::kTanh}) {
      Floats output(input.size());
      backend->activation_forward(output.data(), input.data(), static_cast<std::int64_t>(input.size()), activation);
      for (std::size_t i = 0; i < input.size(); ++i) {
        const double expected = activation_reference(activation, static_cast<double>(input[i]));
        CHECK(std::fabs(static_cast<double>(output[i]) - expected) <= 5e-6 * std::fabs(expected) + 1e-33);
      }
    }
    input = {INFINITY, -INFINITY, NAN, 100.0F, -100.0F};
    Floats output(input.size()), slope(input.size(), 1.0F);
    backend->activation_forward(output.data(), input.data(), 5, Activation::kTanh);
    backend->activation_backward(slope.data(), input.data(), 5, Activation::kTanh);
    CHECK(output[0] == 1.0F && output[1] == -1.0F && std::isnan(output[2]) && slope[0] == 0.0F && std::isnan(slope[2]));
    slope.assign(5, 1.0F);
    backend->activation_forward(output.data(), input.data(), 5, Activation::kGelu);
    backend->activation_backward(slope.data(), input.data(), 5, Activation::kGelu);
    CHECK(std::isnan(output[2]) && output[3] == 100.0F && output[4] == 0.0F && slope[3] == 1.0F && slope[4] == 0.0F);
  });
}

} // namespace

int main() {
  for (const OpCase& op : table()) {
    add_backend_cases(op.title, [op](const BackendUnderTest& under_test) { run_case(op, under_test); });
  }
  add_dropout_cases();
  add_special_value_cases();
  add_activation_cases();
  add_memory_cases();
  return run_cases();
}
