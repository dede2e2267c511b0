// The embedding's kernels against the CPU backend's: lookups of every weight type, and gradients whose rows collide.
#include "backends/cuda/row-order.h"
#include "test-support-cuda.h"

#include <algorithm>
#include <numeric>

using namespace assay;
using namespace assay::test;

namespace {

struct Options {
  std::int64_t batch, seq_len, channels;
  std::int64_t vocab_size = 11;
  float dropout = 0.0F;
  bool has_positions = false;
  bool has_types = false;
  bool has_order = false;
  std::int64_t first_position = 0;
  DataType weight_type = DataType::kF32;
};

Dropout dropout_of(float probability) {
  return {probability, 0x123456789ABCDEFULL, 9, 4, 2};
}

struct Rows {
  std::vector<std::int32_t> tokens, positions, types, order;

  explicit Rows(const Options& o) {
    const auto rows = static_cast<std::size_t>(o.batch * o.seq_len);
    tokens = some_numbers(rows, o.vocab_size, 3);
    positions = some_numbers(rows, o.seq_len + 300, 4);
    types = some_numbers(rows, 2, 5);
    order.resize(rows);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int a, int b) { return tokens[a] < tokens[b]; });
  }
};

void check_forward(const Options& o, DataType type) {
  const Rows rows(o);
  const std::int64_t places = o.seq_len + 300;
  const TestWeight weight(o.weight_type, o.vocab_size, o.channels, true);
  const Floats position_weight = random_floats(static_cast<std::size_t>(places * o.channels), 1.0, 8);
  const Floats type_weight = random_floats(static_cast<std::size_t>(2 * o.channels), 1.0, 9);
  Floats expected(static_cast<std::size_t>(o.batch * o.seq_len * o.channels));
  EmbeddingForward call{rows.tokens.data(), weight.host(), position_weight.data(), expected.data(),      o.batch,
                        o.seq_len,          o.channels,    o.first_position,       dropout_of(o.dropout)};
  call.positions = o.has_positions ? rows.positions.data() : nullptr;
  call.token_types = o.has_types ? rows.types.data() : nullptr;
  call.token_type_weight = o.has_types ? type_weight.data() : nullptr;
  reference_backend()->embedding_forward(call);

  const DeviceArray<std::int32_t> tokens(rows.tokens), positions(rows.positions), types(rows.types);
  const DeviceArray<float> device_positions(position_weight), device_types(type_weight);
  const Floats found = run_twice([&] {
    const DeviceValues output(Floats(expected.size(), NAN), type);
    EmbeddingForward own = call;
    own.tokens = tokens.data();
    own.token_weight = weight.view();
    own.position_weight = device_positions.data();
    own.output = output;
    own.positions = o.has_positions ? positions.data() : nullptr;
    own.token_types = o.has_types ? types.data() : nullptr;
    own.token_type_weight = o.has_types ? device_types.data() : nullptr;
    cuda::embedding_forward(TestContext(), own);
    return output.floats();
  });
  check_values("output", expected, found, type);
}

void check_backward(const Options& o, DataType type) {
  const Rows rows(o);
  const std::int64_t places = o.seq_len + 300;
  const auto count = static_cast<std::size_t>(o.batch * o.seq_len * o.channels);
  const Floats d_output = stored_as(random_floats(count, 1.0, 7), type);
  const auto table = [&](std::int64_t table_rows) {
    return Floats(static_cast<std::size_t>(table_rows * o.channels), 0.5F);
  };
  Floats d_token = table(o.vocab_size), d_position = table(places), d_type = table(2);
  EmbeddingBackward call{rows.tokens.data(), d_output.data(), d_token.data(),       d_position.data(), o.batch,
                         o.seq_len,          o.channels,      dropout_of(o.dropout)};
  call.positions = o.has_positions ? rows.positions.data() : nullptr;
  call.token_types = o.has_types ? rows.types.data() : nullptr;
  call.d_token_type_weight = o.has_types ? d_type.data() : nullptr;
  WorkspaceRequest request;
  request.channels = o.channels;
  request.training = true;
  reference_backend(request)->embedding_backward(call);

  const DeviceArray<std::int32_t> tokens(rows.tokens), positions(rows.positions), types(rows.types), order(rows.order);
  const DeviceValues device_d_output(d_output, type);
  const auto found = run_twice([&] {
    const DeviceArray<float> own_token(table(o.vocab_size)), own_position(table(places)), own_type(table(2));
    EmbeddingBackward own = call;
    own.tokens = tokens.data();
    own.d_output = device_d_output;
    own.d_token_weight = own_token.data();
    own.d_position_weight = own_position.data();
    own.positions = o.has_positions ? positions.data() : nullptr;
    own.token_types = o.has_types ? types.data() : nullptr;
    own.d_token_type_weight = o.has_types ? own_type.data() : nullptr;
    own.token_order = o.has_order ? order.data() : nullptr;
    cuda::embedding_backward(TestContext(cuda::embedding_backward_workspace(o.batch * o.seq_len, o.channels)), own);
    return std::vector<Floats>{own_token.to_host(), own_position.to_host(), own_type.to_host()};
  });
  // The gradients are kept in fp32, whatever they are sums of.
  check_values("d_token_weight", d_token, found[0], DataType::kF32);
  check_values("d_position_weight", d_position, found[1], DataType::kF32);
  check_values("d_token_type_weight", d_type, found[2], DataType::kF32);

  // Frozen tables are left alone.
  const DeviceArray<float> alone(table(places));
  EmbeddingBackward own = call;
  own.tokens = tokens.data();
  own.d_output = device_d_output;
  own.d_token_weight = own.d_token_type_weight = nullptr;
  own.d_position_weight = alone.data();
  own.positions = o.has_positions ? positions.data() : nullptr;
  own.token_types = o.has_types ? types.data() : nullptr;
  cuda::embedding_backward(TestContext(cuda::embedding_backward_workspace(o.batch * o.seq_len, o.channels)), own);
  CHECK(alone.to_host() == found[1]);
}

void check_order(std::size_t rows, std::int64_t keys_below) {
  const std::vector<std::int32_t> keys = some_numbers(rows, keys_below, 6);
  std::vector<std::int32_t> expected(rows);
  std::iota(expected.begin(), expected.end(), 0);
  std::stable_sort(expected.begin(), expected.end(), [&](int a, int b) { return keys[a] < keys[b]; });
  const DeviceArray<std::int32_t> device_keys(keys);
  const auto found = run_twice([&] {
    const DeviceArray<std::int32_t> order(rows), scratch(rows);
    cuda::order_rows(TestContext(), device_keys.data(), static_cast<std::int64_t>(rows), order.data(), scratch.data());
    return order.to_host();
  });
  CHECK(found == expected);
}

} // namespace

int main() {
  add_case("rows are sorted by keys of one to four bytes, equal keys in order", [] {
    for (const std::int64_t keys_below : {1LL, 2LL, 256LL, 60000LL, 1LL << 20, 1LL << 31}) {
      for (const std::size_t rows : {1, 31, 33, 1000, 5003}) {
        check_order(rows, keys_below);
      }
    }
  });
  for (const DataType weight_type : {DataType::kF32, DataType::kBf16, DataType::kInt8}) {
    add_typed_cases(std::string("tokens of ") + name_of_type(weight_type) + " are looked up", [=](DataType type) {
      Options options{3, 7, 24};
      options.weight_type = weight_type;
      check_forward(options, type);
      options.channels = 19; // no group of 16 bytes divides it
      check_forward(options, type);
    });
  }
  add_typed_cases("positions, token types and dropout join the lookup", [](DataType type) {
    check_forward({2, 7, 768, 11, 0.3F, true, true}, type);
    check_forward({2, 1, 24, 11, 0.0F, false, true, false, 130}, type);
    check_forward({3, 5, 25, 11, 0.3F, false, false, false, 2}, type);
  });
  add_typed_cases("gradients of rows that share tokens are summed", [](DataType type) {
    check_backward({1, 1, 24}, type);
    check_backward({3, 7, 24, 11, 0.0F, false, false, true}, type);
    check_backward({3, 43, 19, 11, 0.3F, false, false, true}, type);
    check_backward({2, 65, 40, 1000, 0.3F}, type);
  });
  add_typed_cases("one token everywhere, and runs that begin and end anywhere, are summed", [](DataType type) {
    check_backward({2, 130, 24, 1, 0.0F, false, false, true}, type);
    check_backward({2, 130, 24, 2}, type);
    check_backward({5, 16, 24, 5, 0.0F, false, false, true}, type);
    check_backward({4, 4100, 8, 50}, type); // enough rows for longer pieces
  });
  add_typed_cases("gradients of given positions and of token types are summed", [](DataType type) {
    check_backward({3, 43, 24, 11, 0.3F, true, true, true}, type);
    check_backward({2, 130, 19, 300, 0.0F, true, true}, type);
  });
  return run_cases();
}
