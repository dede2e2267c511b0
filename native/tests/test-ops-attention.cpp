// Attention: causal and both ways, within key ranges, and against caches.
#include "test-support-operations.h"

using namespace assay;
using namespace assay::test;

namespace {

OpCase attention_case(std::int64_t batch, std::int64_t seq_len, std::int64_t heads, std::int64_t head_size,
                      float probability, const std::string& pattern = "", const Visibility& visibility = {},
                      bool bf16 = false) {
  const Dropout dropout = dropout_of(probability);
  OpCase op;
  op.title = "attention " + pattern + sizes({batch, seq_len, heads, head_size}) +
             (probability > 0 ? " with dropout" : "") + (bf16 ? " in bf16" : "");
  const std::int64_t channels = heads * head_size;
  op.inputs = {{"qkv", batch * seq_len * 3 * channels}};
  op.reference = [=](const std::vector<Doubles>& in) {
    return attention_reference(in[0], batch, seq_len, heads, head_size, dropout, visibility);
  };
  const auto run = [=](Backend& backend, const Floats& qkv, Floats& log_sum_exp) {
    Floats output(static_cast<std::size_t>(batch * seq_len * channels), NAN);
    log_sum_exp.assign(static_cast<std::size_t>(batch * heads * seq_len), NAN);
    AttentionForward call{qkv.data(), output.data(), log_sum_exp.data(), batch, seq_len, heads, head_size, dropout};
    call.bf16 = bf16;
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
    call.bf16 = bf16;
    call.causal = visibility.causal;
    call.key_begin = visibility.key_begin.empty() ? nullptr : visibility.key_begin.data();
    call.key_end = visibility.key_end.empty() ? nullptr : visibility.key_end.data();
    backend.attention_backward(call);
    return std::vector<Floats>{d_qkv};
  };
  op.workspace = {.rows = batch * seq_len, .seq_len = seq_len, .channels = channels, .heads = heads};
  // bf16 keeps 8 bits of each operand.
  op.tolerance = bf16 ? 1.5e-2 : 2e-5;
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
  op.reference = [=](const std::vector<Doubles>& in) {
    Doubles output(static_cast<std::size_t>(sequences * longest * channels), 0.0);
    for (std::int64_t s = 0; s < sequences; ++s) {
      const auto begin = in[0].begin() + s * longest * 3 * channels;
      const Doubles own =
          attention_reference({begin, begin + length(s) * 3 * channels}, 1, length(s), heads, head_size, {});
      std::copy(own.begin(), own.end(), output.begin() + s * longest * channels);
    }
    return output;
  };
  op.forward = [=](Backend& backend, const std::vector<Floats>& in) {
    Floats keys(static_cast<std::size_t>(sequences * capacity * channels), NAN), values = keys;
    Floats output(static_cast<std::size_t>(sequences * longest * channels), 0.0F);
    std::vector<std::int32_t> past(first_pieces.size(), 0);
    // Sequences [begin, end) at once.
    const auto feed = [&](std::int64_t begin, std::int64_t end, std::int64_t count) {
      Floats qkv, result(static_cast<std::size_t>((end - begin) * count * channels), NAN);
      for (std::int64_t s = begin; s < end; ++s) {
        const auto from = in[0].begin() + (s * longest + past[s]) * 3 * channels;
        qkv.insert(qkv.end(), from, from + count * 3 * channels);
      }
      backend.attention_cached({qkv.data(), keys.data() + begin * capacity * channels,
                                values.data() + begin * capacity * channels, result.data(), past.data() + begin,
                                end - begin, count, capacity, heads, head_size, longest});
      for (std::int64_t s = begin; s < end; ++s) {
        const auto from = result.begin() + (s - begin) * count * channels;
        std::copy(from, from + count * channels, output.begin() + (s * longest + past[s]) * channels);
        past[s] += static_cast<std::int32_t>(count);
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

std::vector<OpCase> table() {
  return {
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
      // Few heads of many keys: backward divides them.
      attention_case(1, 1030, 1, 3, 0.1F),
      attention_case(1, 600, 3, 5, 0, "both ways ", {false, {}, {}}),
      attention_case(1, 600, 1, 3, 0, "within texts ", packed(true, 1, 600, {150, -50, 120})),
      attention_case(1, 67, 2, 8, 0.2F, "", {}, true),
      attention_case(2, 130, 2, 16, 0, "both ways within texts ", packed(false, 2, 130, {60, -5, 90}), true),
      attention_cached_case({1}, {1, 1}, 2, 8),
      attention_cached_case({70}, {1, 200, 1, 30, 4}, 3, 5),
      attention_cached_case({600}, {1, 2}, 2, 64),
      attention_cached_case({3, 70, 1, 257}, {1, 1, 5, 3, 70, 1}, 2, 20),
      attention_cached_case(std::vector<std::int64_t>(18, 2), {1, 1}, 1, 3),
  };
}

// The table runs on three threads; here the same bits must come from any number.
void add_thread_cases() {
  const std::vector<OpCase> cases = {
      attention_case(3, 130, 2, 8, 0.1F),
      attention_case(1, 600, 2, 16, 0.1F),
      attention_case(2, 600, 3, 4, 0, "within texts ", packed(false, 2, 600, {150, -50, 120})),
      attention_cached_case({600, 20, 300}, {1, 3, 70}, 3, 16),
  };
  for (const OpCase& op : cases) {
    add_backend_cases("the same bits on any number of threads: " + op.title, [op](const BackendUnderTest& under_test) {
      std::vector<Floats> inputs, first;
      for (const Input& input : op.inputs) {
        inputs.push_back(random_floats(static_cast<std::size_t>(input.count), input.deviation, 5));
      }
      for (const int threads : {1, 2, 7}) {
        const auto backend = under_test.create(threads);
        WorkspaceRequest request = op.workspace;
        for (const bool training : {false, true}) {
          request.training = training;
          backend->reserve_workspace(backend->workspace_bytes(request));
        }
        std::vector<Floats> found = {op.forward(*backend, inputs)};
        if (op.backward) {
          const Floats upstream = random_floats(found[0].size(), 1.0, 7);
          found.push_back(op.backward(*backend, inputs, upstream).front());
        }
        CHECK(first.empty() || found == first);
        first = found;
      }
    });
  }
}

// The last microbatch of an evaluation or of a data set may be smaller than planned, and fewer heads are divided.
void add_planning_case() {
  add_backend_cases("a workspace planned for many sequences serves one", [](const BackendUnderTest& under_test) {
    const auto backend = under_test.create(2);
    const std::int64_t seq_len = 1024, heads = 2, channels = 8;
    backend->reserve_workspace(backend->workspace_bytes(
        {.rows = 64 * seq_len, .seq_len = seq_len, .channels = channels, .heads = heads, .training = true}));
    const OpCase op = attention_case(1, seq_len, heads, channels / heads, 0);
    const std::vector<Floats> inputs = {random_floats(static_cast<std::size_t>(op.inputs[0].count), 1.0, 3)};
    const Floats gradient =
        op.backward(*backend, inputs, random_floats(static_cast<std::size_t>(seq_len * channels), 1.0, 4)).front();
    CHECK(std::all_of(gradient.begin(), gradient.end(), [](float value) { return std::isfinite(value); }));
  });
}

} // namespace

int main() {
  add_operations(table());
  add_thread_cases();
  add_planning_case();
  return run_cases();
}
