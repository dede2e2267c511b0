// The CUDA backend's host side on the emulated device: products of every kind against the CPU backend, memory that runs
// out, recorded passes, choices of algorithms that are kept, and a library that is missing or broken.
#include "temporary-folder.h"
#include "test-support-cuda-backend.h"
#include "test-support-cuda.h"

#include "backends/cuda/cuda-backend.h"
#include "backends/cuda/loader/cublaslt-places.h"
#include "backends/cuda/loader/cuda-loader.h"

#include <algorithm>
#include <cstdlib>

using namespace assay;
using namespace assay::test;

namespace {

#if defined(ASSAY_CUDA_EMULATION)
constexpr int kCapability = 90; // GELU is taken within products
#endif

cuda::CudaBackend& cuda_of(Backend& backend) {
  return static_cast<cuda::CudaBackend&>(backend);
}

std::unique_ptr<Backend> cuda_backend(const CudaOptions& options = {}) {
  auto backend = create_test_cuda_backend(options);
  backend->reserve_workspace(4 << 20);
  return backend;
}

template <class Body> void expect_error(const std::string& code, const std::string& part, const Body& body) {
  try {
    body();
  } catch (const Error& error) {
    CHECK_EQ(error.code(), code);
    if (std::string(error.what()).find(part) == std::string::npos) {
      fail_check(__FILE__, __LINE__, std::string("expected \"") + part + "\" in: " + error.what());
    }
    return;
  }
  fail_check(__FILE__, __LINE__, "expected " + code);
}

// Host numbers that went through the backend's own copies.
struct Array {
  Backend& backend;
  DataType type;
  std::size_t count;
  void* memory;

  Array(Backend& owner, const Floats& values, DataType values_type = DataType::kF32)
      : backend(owner), type(values_type), count(values.size()),
        memory(owner.allocate(std::max<std::size_t>(values.size(), 1) * size_of(values_type))) {
    std::vector<std::uint16_t> halves;
    for (const float value : values) {
      halves.push_back(bf16_bits(value));
    }
    const void* source = type == DataType::kBf16 ? static_cast<const void*>(halves.data()) : values.data();
    backend.copy_to_backend(memory, source, count * size_of(type));
  }
  ~Array() { backend.release(memory); }
  Array(const Array&) = delete;
  Array& operator=(const Array&) = delete;
  Values values() const { return {memory, type}; }
  float* f32() const { return static_cast<float*>(memory); }
  Floats floats() const {
    Floats result(count);
    if (type == DataType::kF32) {
      backend.copy_to_host(result.data(), memory, count * 4);
      return result;
    }
    std::vector<std::uint16_t> halves(count);
    backend.copy_to_host(halves.data(), memory, count * 2);
    std::transform(halves.begin(), halves.end(), result.begin(), bf16_value);
    return result;
  }
};

// --- linear layers ---

struct LinearShape {
  std::int64_t rows, in, out;
};
constexpr LinearShape kShapes[] = {{1, 7, 5}, {17, 24, 40}, {33, 19, 50}, {40, 64, 24}};

void check_forward(DataType type, const LinearShape& shape, Activation activation, bool has_bias, bool keeps_sum,
                   bool add, DataType weight_type) {
  const auto backend = cuda_backend();
  const auto reference = reference_backend({shape.rows, 1, shape.in, shape.out, 1, 8, true});
  const Floats input = stored_as(random_floats(static_cast<std::size_t>(shape.rows * shape.in), 1.0, 1), type);
  const Floats bias = stored_as(random_floats(static_cast<std::size_t>(shape.out), 1.0, 2), type);
  const Floats before = stored_as(random_floats(static_cast<std::size_t>(shape.rows * shape.out), 1.0, 3), type);
  const TestWeight weight(weight_type, shape.in, shape.out, false);
  // A weight in 8 bits becomes the activations' type.
  const Floats host_weight = shape.rows > 16 ? stored_as(weight.stands_for, type) : weight.stands_for;
  Floats expected = before;
  Floats expected_sum(before.size());
  LinearForward call;
  call.input = ConstValues(const_cast<float*>(input.data()));
  call.weight = host_weight.data();
  call.bias = has_bias ? bias.data() : nullptr;
  call.output = expected.data();
  call.pre_activation = keeps_sum ? Values(expected_sum.data()) : Values(nullptr);
  call.activation = activation;
  call.rows = shape.rows;
  call.in = shape.in;
  call.out = shape.out;
  call.scale = 0.75F;
  call.add = add;
  reference->linear_forward(call);

  const Array device_input(*backend, input, type);
  const Array device_bias(*backend, bias);
  const Array output(*backend, before, type);
  const Array sum(*backend, before, type);
  call.input = device_input.values();
  call.weight = weight.view();
  call.bias = has_bias ? device_bias.f32() : nullptr;
  call.output = output.values();
  call.pre_activation = keeps_sum ? sum.values() : Values(nullptr);
  backend->linear_forward(call);
  // bf16: of what is rounded between sum and activation.
  const double of_largest = type == DataType::kBf16 ? 0x1.0p-8 : 2e-5;
  const std::string what = "output of " + std::to_string(shape.rows) + " · " + std::to_string(shape.in) + " · " +
                           std::to_string(shape.out) + ", activation " + std::to_string(static_cast<int>(activation)) +
                           (has_bias ? ", bias" : "") + (keeps_sum ? ", sum" : "") + (add ? ", added" : "") + ", " +
                           name_of_type(weight_type);
  check_values(what, expected, output.floats(), type, of_largest);
  if (keeps_sum) {
    check_values("sum", expected_sum, sum.floats(), type, of_largest);
  }
}

void check_all_forwards(DataType type) {
  for (const LinearShape& shape : kShapes) {
    for (const Activation activation :
         {Activation::kNone, Activation::kGeluNew, Activation::kGelu, Activation::kTanh}) {
      for (const bool has_bias : {false, true}) {
        for (const bool keeps_sum : {false, true}) {
          if (activation != Activation::kNone || !keeps_sum) { // the CPU keeps no sum without one
            check_forward(type, shape, activation, has_bias, keeps_sum, false, type);
          }
        }
      }
    }
    check_forward(type, shape, Activation::kNone, false, false, true, type);
    check_forward(type, shape, Activation::kGeluNew, true, false, false, DataType::kInt8);
  }
}

void check_backward(DataType type, const LinearShape& shape, Activation activation, bool accumulate, bool frozen,
                    bool add) {
  const auto backend = cuda_backend();
  const auto reference = reference_backend({shape.rows, 1, shape.in, shape.out, 1, 8, true});
  const auto count = [](std::int64_t a, std::int64_t b) { return static_cast<std::size_t>(a * b); };
  const Floats d_output = stored_as(random_floats(count(shape.rows, shape.out), 1.0, 1), type);
  const Floats input = stored_as(random_floats(count(shape.rows, shape.in), 1.0, 2), type);
  const Floats sums = stored_as(random_floats(count(shape.rows, shape.in), 1.0, 3), type);
  const TestWeight weight(type, shape.in, shape.out, false);
  const Floats before = stored_as(random_floats(count(shape.rows, shape.in), 1.0, 4), type);
  const Floats weight_before = random_floats(count(shape.in, shape.out), 1.0, 5);
  const Floats bias_before = random_floats(count(shape.out, 1), 1.0, 6);
  Floats d_input = before;
  Floats d_weight = weight_before;
  Floats d_bias = bias_before;
  const bool activates = activation != Activation::kNone;
  LinearBackward call;
  call.d_output = ConstValues(const_cast<float*>(d_output.data()));
  call.input = ConstValues(const_cast<float*>(input.data()));
  call.weight = weight.stands_for.data();
  call.d_input = d_input.data();
  call.input_pre_activation = activates ? ConstValues(const_cast<float*>(sums.data())) : ConstValues(nullptr);
  call.d_weight = frozen ? nullptr : d_weight.data();
  call.d_bias = frozen ? nullptr : d_bias.data();
  call.rows = shape.rows;
  call.in = shape.in;
  call.out = shape.out;
  call.accumulate = accumulate;
  call.input_activation = activates ? activation : Activation::kGeluNew;
  call.scale = 0.75F;
  call.add_to_d_input = add;
  reference->linear_backward(call);

  const Array device_output(*backend, d_output, type);
  const Array device_input(*backend, input, type);
  const Array device_sums(*backend, sums, type);
  const Array found_input(*backend, before, type);
  const Array found_weight(*backend, weight_before);
  const Array found_bias(*backend, bias_before);
  call.d_output = device_output.values();
  call.input = device_input.values();
  call.weight = weight.view();
  call.d_input = found_input.values();
  call.input_pre_activation = activates ? ConstValues(device_sums.values()) : ConstValues(nullptr);
  call.d_weight = frozen ? nullptr : found_weight.f32();
  call.d_bias = frozen ? nullptr : found_bias.f32();
  backend->linear_backward(call);
  check_values("d_input", d_input, found_input.floats(), type, type == DataType::kBf16 ? 0x1.0p-8 : 2e-5);
  check_values("d_weight", d_weight, found_weight.floats(), DataType::kF32);
  check_values("d_bias", d_bias, found_bias.floats(), DataType::kF32);
}

void check_all_backwards(DataType type) {
  for (const LinearShape& shape : kShapes) {
    for (const Activation activation :
         {Activation::kNone, Activation::kGeluNew, Activation::kGelu, Activation::kTanh}) {
      check_backward(type, shape, activation, true, false, false);
    }
    check_backward(type, shape, Activation::kNone, false, false, true);
    check_backward(type, shape, Activation::kGeluNew, true, true, false);
  }
  check_backward(type, {0, 5, 3}, Activation::kNone, false, false, false);
}

// --- classifier ---

void check_classifier(DataType type, bool trains, DataType weight_type, std::size_t device_bytes) {
  set_device_memory(device_bytes);
  const bool is_small = device_bytes < std::size_t{1} << 30; // rows go in chunks
  const std::int64_t rows = 45;
  const std::int64_t channels = is_small ? 8 : 24;
  const std::int64_t vocab = is_small ? 20001 : 211;
  const WorkspaceRequest request{rows, 1, channels, 4 * channels, 1, vocab, true, weight_type != type};
  const auto backend = create_test_cuda_backend();
  backend->reserve_workspace(backend->workspace_bytes(request));
  const auto reference = reference_backend(request);
  const TestWeight weight(weight_type, vocab, channels, true);
  const Floats hidden = stored_as(random_floats(static_cast<std::size_t>(rows * channels), 1.0, 1), type);
  const Floats bias = random_floats(static_cast<std::size_t>(vocab), 0.5, 2);
  const Floats weight_before = random_floats(static_cast<std::size_t>(vocab * channels), 1.0, 3);
  std::vector<std::int32_t> targets = some_numbers(static_cast<std::size_t>(rows), vocab, 4);
  targets[3] = targets[44] = -1;
  Floats d_hidden(hidden.size());
  Floats d_weight = weight_before;
  Floats d_bias = bias;
  double loss = 1.5;
  Classifier call;
  call.hidden = ConstValues(const_cast<float*>(hidden.data()));
  call.weight = weight.stands_for.data();
  call.targets = targets.data();
  call.rows = rows;
  call.channels = channels;
  call.vocab_size = vocab;
  call.gradient_scale = 0.1F;
  call.bias = bias.data();
  call.label_smoothing = 0.1F;
  call.loss = &loss;
  if (trains) {
    call.d_hidden = d_hidden.data();
    call.d_weight = d_weight.data();
    call.d_bias = d_bias.data();
    reference->classifier_train(call);
  } else {
    reference->classifier_evaluate(call);
  }

  const Array device_hidden(*backend, hidden, type);
  const Array device_bias(*backend, bias);
  const Array found_hidden(*backend, Floats(hidden.size()), type);
  const Array found_weight(*backend, weight_before);
  const Array found_bias(*backend, bias);
  const DeviceArray<std::int32_t> device_targets(targets);
  const DeviceArray<double> device_loss(std::vector<double>{1.5});
  call.hidden = device_hidden.values();
  call.weight = weight.view();
  call.targets = device_targets.data();
  call.bias = device_bias.f32();
  call.loss = device_loss.data();
  if (trains) {
    call.d_hidden = found_hidden.values();
    call.d_weight = found_weight.f32();
    call.d_bias = found_bias.f32();
    backend->classifier_train(call);
    const double of_largest = type == DataType::kBf16 ? 1e-2 : 2e-5;
    check_values("d_hidden", d_hidden, found_hidden.floats(), type, of_largest);
    check_values("d_weight", d_weight, found_weight.floats(), DataType::kF32, of_largest);
    check_values("d_bias", d_bias, found_bias.floats(), DataType::kF32, of_largest);
  } else {
    backend->classifier_evaluate(call);
  }
  backend->synchronize();
  double found_loss = 0.0;
  backend->copy_to_host(&found_loss, device_loss.data(), sizeof(double));
  CHECK(std::fabs(found_loss - loss) <= (type == DataType::kBf16 ? 5e-3 : 1e-5) * std::fabs(loss));
}

// The workspace planned for some rows serves every call of fewer, such as a step's last microbatch.
void check_fewer_rows(DataType type) {
  set_device_memory(std::size_t{64} << 20);
  const std::int64_t channels = 8;
  const std::int64_t vocab = type == DataType::kBf16 ? 4000 : 2000;
  const std::int64_t planned = 129; // in two chunks, where 128 rows are one
  const auto backend = create_test_cuda_backend();
  backend->reserve_workspace(backend->workspace_bytes({planned, 1, channels, 4 * channels, 1, vocab, true}));
  const Array hidden(*backend, Floats(static_cast<std::size_t>(planned * channels), 0.5F), type);
  const Array weight(*backend, Floats(static_cast<std::size_t>(vocab * channels), 0.25F), type);
  const Array d_hidden(*backend, Floats(static_cast<std::size_t>(planned * channels)), type);
  const DeviceArray<std::int32_t> targets(some_numbers(static_cast<std::size_t>(planned), vocab, 4));
  for (const std::int64_t rows : {std::int64_t{65}, std::int64_t{128}, planned}) {
    const DeviceArray<double> loss(std::vector<double>{0.0});
    Classifier call;
    call.hidden = hidden.values();
    call.weight = WeightView(weight.memory, type, nullptr);
    call.targets = targets.data();
    call.rows = rows;
    call.channels = channels;
    call.vocab_size = vocab;
    call.d_hidden = d_hidden.values();
    call.gradient_scale = 1.0F;
    call.loss = loss.data();
    backend->classifier_train(call);
    double found = 0.0;
    backend->copy_to_host(&found, loss.data(), sizeof(double));
    // All logits are equal.
    const double expected = static_cast<double>(rows) * std::log(static_cast<double>(vocab));
    CHECK(std::fabs(found - expected) <= 1e-5 * expected);
  }
}

void check_logits(DataType type, std::int64_t rows, DataType weight_type) {
  const auto backend = cuda_backend();
  const std::int64_t channels = 24;
  const std::int64_t vocab = 211;
  const auto reference = reference_backend({rows, 1, channels, 96, 1, vocab, false});
  const TestWeight weight(weight_type, vocab, channels, true);
  const Floats hidden = stored_as(random_floats(static_cast<std::size_t>(rows * channels), 1.0, 1), type);
  const Floats bias = random_floats(static_cast<std::size_t>(vocab), 0.5, 2);
  Floats expected(static_cast<std::size_t>(rows * vocab));
  reference->logits(ConstValues(const_cast<float*>(hidden.data())), weight.stands_for.data(), bias.data(),
                    expected.data(), rows, channels, vocab, false);
  const Array device_hidden(*backend, hidden, type);
  const Array device_bias(*backend, bias);
  const Array found(*backend, Floats(expected.size()));
  backend->logits(device_hidden.values(), weight.view(), device_bias.f32(), found.f32(), rows, channels, vocab, false);
  check_values("logits", expected, found.floats(), DataType::kF32);
}

// --- memory ---

void check_copies() {
  const auto backend = cuda_backend();
  // Several pieces of the ring, the last one short; and an address and a length that are no multiple of anything.
  std::vector<std::uint8_t> bytes((std::size_t{23} << 20) + 12345);
  std::mt19937 random(1);
  for (std::size_t i = 0; i < bytes.size(); i += 997) {
    bytes[i] = static_cast<std::uint8_t>(random());
  }
  auto* memory = static_cast<std::byte*>(backend->allocate(bytes.size() + 1));
  std::uint8_t first = 1;
  backend->copy_to_host(&first, memory, 1);
  CHECK_EQ(int{first}, 0);
  std::vector<std::uint8_t> source = bytes;
  backend->copy_to_backend(memory + 1, source.data(), source.size());
  std::fill(source.begin(), source.end(), std::uint8_t{0xAA}); // the caller's again
  std::vector<std::uint8_t> found(bytes.size());
  backend->copy_to_host(found.data(), memory + 1, found.size());
  CHECK(found == bytes);
  backend->zero(memory, bytes.size() + 1);
  backend->copy_to_host(found.data(), memory + 1, found.size());
  CHECK(std::count(found.begin(), found.end(), 0) == static_cast<std::ptrdiff_t>(found.size()));
  backend->release(memory);
}

#if defined(ASSAY_CUDA_EMULATION)
void check_out_of_memory() {
  emulation::device().memory_bytes = std::size_t{256} << 20;
  const auto backend = cuda_backend();
  expect_error("OUT_OF_MEMORY", "Cannot allocate 1099511627776 bytes (1024.0 GiB) on cuda:0, Emulated device",
               [&] { backend->allocate(std::size_t{1} << 40); });
  expect_error("OUT_OF_MEMORY", "lower the microbatch size", [&] { backend->reserve_workspace(std::size_t{1} << 40); });
  emulation::device().memory_bytes = std::size_t{16} << 20;
  expect_error("OUT_OF_MEMORY", "32 MiB that matrix products need", [] { create_emulated_cuda_backend(); });
  emulation::device().memory_bytes = std::size_t{256} << 20;
  // It goes on: the error was that call's alone, and there is no workspace that does not exist.
  CHECK_EQ(backend->reserved_workspace_bytes(), std::size_t{0});
  backend->reserve_workspace(1 << 20);
  const Array values(*backend, {1.0F, 2.0F});
  backend->add(values.values(), values.values(), 2);
  CHECK(values.floats() == (Floats{2.0F, 4.0F}));
}
#endif

// --- recorded passes ---

void check_repeat() {
  const auto backend = cuda_backend();
  const cuda::Graphs& graphs = cuda_of(*backend).graphs();
  const Array target(*backend, {0.0F});
  const Array one(*backend, {1.0F});
  int runs = 0;
  const auto pass = [&] {
    ++runs;
    backend->add(target.values(), one.values(), 1);
  };
  for (int i = 0; i < 5; ++i) {
    backend->repeat(7, pass);
  }
  CHECK(target.floats() == Floats{5.0F});
  CHECK_EQ(runs, 2); // run, recorded, then played
  CHECK_EQ(graphs.played_count(), std::size_t{4});
  // What a pass reads may change.
  const float ten = 10.0F;
  backend->copy_to_backend(one.memory, &ten, 4);
  backend->repeat(7, pass);
  CHECK(target.floats() == Floats{15.0F});
  // Memory that is released might have been the pass'.
  backend->release(backend->allocate(16));
  backend->repeat(7, pass);
  CHECK_EQ(runs, 3);
  CHECK(target.floats() == Floats{25.0F});
  // Many keys: the oldest are forgotten, and everything is still computed.
  const std::size_t recorded = graphs.recorded_count();
  for (int round = 0; round < 3; ++round) {
    for (std::uint64_t key = 100; key < 180; ++key) {
      backend->repeat(key, pass);
    }
  }
  CHECK(target.floats() == Floats{25.0F + 2400.0F});
  CHECK_EQ(graphs.recorded_count(), recorded);
}

void check_unrecordable() {
  const auto backend = cuda_backend();
  const cuda::Graphs& graphs = cuda_of(*backend).graphs();
  const Array target(*backend, {0.0F});
  const Array read(*backend, {0.0F});
  float value = 0.0F;
  const auto pass = [&] {
    value += 1.0F;
    backend->copy_to_backend(read.memory, &value, 4); // which a graph would do with the same value ever again
    backend->add(target.values(), read.values(), 1);
  };
  for (int i = 0; i < 4; ++i) {
    value = static_cast<float>(i);
    backend->repeat(1, pass);
  }
  CHECK_EQ(graphs.played_count(), std::size_t{0});
  // A pass that cannot be recorded was begun once more, up to the copy.
  CHECK(target.floats() == Floats{1.0F + 3.0F + 3.0F + 4.0F});
  // An error within a recording is the pass' own.
  bool fails = false;
  const auto failing = [&] {
    backend->add(target.values(), read.values(), 1);
    if (fails) {
      throw Error("BAD_ARGUMENT", "so it is");
    }
  };
  backend->repeat(2, failing);
  fails = true;
  expect_error("BAD_ARGUMENT", "so it is", [&] { backend->repeat(2, failing); });
  fails = false;
  const Floats before = target.floats();
  backend->repeat(2, failing);
  CHECK(target.floats() == Floats{before[0] + 4.0F});
}

#if defined(ASSAY_CUDA_EMULATION)
// --- choices of algorithms ---

Floats product_of(Backend& backend, std::int64_t rows = 64) {
  const std::int64_t in = 67;
  const std::int64_t out = 40;
  const Array input(backend, random_floats(static_cast<std::size_t>(rows * in), 1.0, 1));
  const Array weight(backend, random_floats(static_cast<std::size_t>(in * out), 1.0, 2));
  const Array output(backend, Floats(static_cast<std::size_t>(rows * out), 1.0F));
  LinearForward call;
  call.input = input.values();
  call.weight = weight.f32();
  call.output = output.values();
  call.rows = rows;
  call.in = in;
  call.out = out;
  call.add = true;
  backend.linear_forward(call);
  return output.floats();
}

Floats product_with(const CudaOptions& options, int only_algorithm = -1, std::int64_t rows = 64) {
  emulation::emulated_cublaslt_state() = {};
  emulation::emulated_cublaslt_state().only_algorithm = only_algorithm;
  return product_of(*cuda_backend(options), rows);
}

void check_kept_choices() {
  const TemporaryFolder folder;
  const CudaOptions keeping{.cache_folder = folder.file("new/folder")};
  const std::string path = folder.file("new/folder/cublaslt-choices.txt");
  // Without a place to keep choices nothing is measured, and the first proposal is taken.
  const Floats first_proposal = product_with({});
  CHECK_EQ(emulation::emulated_cublaslt_state().products, 1);
  CHECK_EQ(emulation::emulated_cublaslt_state().last_algorithm, 0);
  // Measured: what was added to was added to once, whichever algorithm it became.
  const Floats measured = product_with(keeping, 2);
  CHECK(emulation::emulated_cublaslt_state().products > 3); // runs that were timed
  check_values("measured", first_proposal, measured, DataType::kF32);
  const int chosen = emulation::emulated_cublaslt_state().last_algorithm;
  CHECK_EQ(chosen, 2);
  CHECK(measured != first_proposal); // another order of sums
  // Later runs take it, whatever they would measure, and ask nobody.
  CHECK(product_with(keeping) == measured);
  CHECK_EQ(emulation::emulated_cublaslt_state().products, 1);
  CHECK_EQ(emulation::emulated_cublaslt_state().heuristic_calls, 0);
  // A number of rows that may never come again is worth no measuring.
  const std::string before_odd_rows = read_file(path);
  product_with(keeping, -1, 67);
  CHECK_EQ(emulation::emulated_cublaslt_state().products, 1);
  CHECK_EQ(read_file(path), before_odd_rows);

  // A damaged line does not count, and is written anew.
  std::string text = read_file(path);
  const std::string whole = text;
  text[text.size() / 2] ^= 1;
  write_file(path, text);
  CHECK(product_with(keeping, 2) == measured);
  CHECK_EQ(emulation::emulated_cublaslt_state().heuristic_calls, 1);
  CHECK_EQ(read_file(path), whole);
  for (const std::string& junk : {std::string(), std::string("\t\t\t\n\n"), std::string(100000, '\xff'),
                                  whole.substr(0, whole.size() / 2), whole + whole.substr(0, 30)}) {
    write_file(path, junk);
    CHECK(product_with(keeping, 2) == measured);
  }
  // Bytes that are whole but no algorithm of this library.
  cuda::ProductChoices choices(path);
  CHECK(choices.keep("some other shape", {}).has_value());
  CHECK(choices.find("some other shape").has_value());
  CHECK(product_with(keeping) == measured);

  // Two processes that measured the same: the first to keep its choice decides for both.
  cuda::ProductChoices one(folder.file("both.txt"));
  cuda::ProductChoices two(folder.file("both.txt"));
  cuda::ProductChoice choice;
  choice.algorithm.data[0] = 11;
  const auto first = one.keep("a | b", choice);
  CHECK(first && first->algorithm.data[0] == 11U);
  choice.algorithm.data[0] = 12;
  const auto second = two.keep("a | b", choice);
  CHECK(second && second->algorithm.data[0] == 11U);

  // A folder that cannot be written: nothing is kept, and so nothing is measured.
  write_file(folder.file("file"), "");
  CHECK(product_with({.cache_folder = folder.file("file/below")}) == first_proposal);
  // Unless equal bits are not asked for.
  const Floats free = product_with({.deterministic = false}, 2);
  CHECK_EQ(emulation::emulated_cublaslt_state().last_algorithm, 2);
  CHECK(free == measured);
  emulation::emulated_cublaslt_state() = {};
}

// Epilogues' products of a layer without bias, forward and backward, on a device of some generation.
int gelu_epilogues(int compute_capability) {
  emulation::device().compute_capability = compute_capability;
  emulation::emulated_cublaslt_state() = {};
  check_forward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, false, true, false, DataType::kBf16);
  check_backward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, true, false, false);
  const int count = emulation::emulated_cublaslt_state().epilogue_products;
  emulation::emulated_cublaslt_state() = {};
  return count;
}

void check_gelu_by_generation() {
  for (const int without : {80, 86, 89, 120}) {
    CHECK_EQ(gelu_epilogues(without), 0);
  }
  CHECK_EQ(gelu_epilogues(100), 2);
  CHECK_EQ(gelu_epilogues(kCapability), 2);
}

void check_without_epilogues() {
  emulation::emulated_cublaslt_state() = {};
  check_forward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, true, true, false, DataType::kBf16);
  CHECK(emulation::emulated_cublaslt_state().epilogue_products > 0);
  emulation::emulated_cublaslt_state() = {};
  emulation::emulated_cublaslt_state().has_epilogues = false;
  check_forward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, true, true, false, DataType::kBf16);
  check_backward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, true, false, false);
  CHECK_EQ(emulation::emulated_cublaslt_state().epilogue_products, 0);
  emulation::emulated_cublaslt_state() = {};
}

// What the library proposes it may still refuse to run.
void check_refused_proposals() {
  const Floats first_proposal = product_with({});
  check_values("of another proposal", first_proposal, product_with({}, 2), DataType::kF32);
  CHECK_EQ(emulation::emulated_cublaslt_state().last_algorithm, 2);
  CHECK_EQ(emulation::emulated_cublaslt_state().products, 1); // added once
  expect_error("CUDA_FAILED", "has no product of 64 · 67 by 67 · 40", [] { product_with({}, 3); });
  emulation::emulated_cublaslt_state() = {};
  emulation::emulated_cublaslt_state().runs_epilogues = false;
  check_forward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, true, true, false, DataType::kBf16);
  check_backward(DataType::kBf16, {40, 64, 24}, Activation::kGeluNew, true, false, false);
  CHECK_EQ(emulation::emulated_cublaslt_state().epilogue_products, 0);
  emulation::emulated_cublaslt_state() = {};
}

void check_failing_library() {
  const auto backend = cuda_backend();
  emulation::emulated_cublaslt_state().is_failing = true;
  expect_error("CUDA_FAILED", "A product of 64 · 67 by 67 · 40 failed with CUBLAS_STATUS_EXECUTION_FAILED",
               [&] { product_of(*backend); });
  emulation::emulated_cublaslt_state() = {};
  CHECK_EQ(product_of(*backend).size(), std::size_t{2560});
}

// --- loading ---

// An environment's variable as long as this lives.
class Environment {
public:
  Environment(const char* name, const std::string& value) : name_(name) { ::setenv(name, value.c_str(), 1); }
  ~Environment() { ::unsetenv(name_); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

private:
  const char* name_;
};

void check_probe() {
  const CudaReport report = probe_cuda();
  if (report.has_driver) {
    CHECK(report.driver_version > 0);
    return;
  }
  CHECK(report.missing.find("libcuda.so.1") != std::string::npos);
  CHECK(report.devices.empty());
  expect_error("CUDA_NOT_AVAILABLE", "install its driver", [] { create_cuda_backend(0); });
}

void check_loading() {
  const TemporaryFolder folder;
  expect_error("CUDA_NOT_AVAILABLE", "cannot be loaded", [&] { cuda::load_backend(folder.file("missing.so"), 0, {}); });
  write_file(folder.file("broken.so"), "no library at all");
  expect_error("CUDA_NOT_AVAILABLE", "cannot be loaded", [&] { cuda::load_backend(folder.file("broken.so"), 0, {}); });
  expect_error("CUDA_NOT_AVAILABLE", "another version of Assay", [] { cuda::load_backend("libm.so.6", 0, {}); });
  // The whole way, with the emulated device in the library: operations, and errors that come through as what they are.
  const auto backend = cuda::load_backend(ASSAY_EMULATED_LIBRARY, 0, {});
  CHECK_EQ(backend->info().name, std::string("cuda:0"));
  CHECK(backend->info().is_device);
  CHECK_EQ(product_of(*backend).size(), std::size_t{2560});
  expect_error("OUT_OF_MEMORY", "cuda:0", [&] { backend->allocate(std::size_t{1} << 45); });
  expect_error("CUDA_NOT_AVAILABLE", "There is no device cuda:3",
               [] { cuda::load_backend(ASSAY_EMULATED_LIBRARY, 3, {}); });

  CHECK_EQ(cuda::find_backend_library({.library = folder.file("missing.so")}), std::string());
  CHECK_EQ(cuda::find_backend_library({.library = ASSAY_EMULATED_LIBRARY}), std::string(ASSAY_EMULATED_LIBRARY));
  const Environment chosen("ASSAY_CUDA_BACKEND", folder.file("broken.so"));
  CHECK_EQ(cuda::find_backend_library({}), folder.file("broken.so"));
}

void check_cublaslt_places() {
  const TemporaryFolder folder;
  namespace fs = std::filesystem;
  const std::string packages = "venv/lib/python3.12/site-packages/nvidia/";
  for (const std::string& place : {packages + "cublas/lib", packages + "cu13/lib", std::string("app")}) {
    fs::create_directories(folder.file(place));
  }
  const std::string of_pip = folder.file(packages + "cublas/lib/libcublasLt.so.12");
  const std::string of_pip_13 = folder.file(packages + "cu13/lib/libcublasLt.so.13");
  write_file(of_pip, "");
  write_file(of_pip_13, "");
  const Environment venv("VIRTUAL_ENV", folder.file("venv"));
  const auto contains = [](const std::vector<std::string>& all, const std::string& one) {
    return std::find(all.begin(), all.end(), one) != all.end();
  };
  cuda::CublasLtPlaces places = cuda::cublaslt_places("", folder.file("app"));
  CHECK(contains(places.files, of_pip) && contains(places.files, of_pip_13));
  CHECK(contains(places.files, "libcublasLt.so.12"));
  // Beside the app is before everything else.
  write_file(folder.file("app/libcublasLt.so.12"), "");
  places = cuda::cublaslt_places("", folder.file("app"));
  CHECK_EQ(places.files.front(), folder.file("app/libcublasLt.so.12"));
  CHECK_EQ(places.first_existing(), folder.file("app/libcublasLt.so.12"));
  // What is named is the only place.
  CHECK(cuda::cublaslt_places(of_pip, "").files == std::vector<std::string>{of_pip});
  const Environment chosen("ASSAY_CUBLASLT", folder.file("nowhere"));
  CHECK(cuda::cublaslt_places("", folder.file("app")).files.empty());
  expect_error("CUDA_NOT_AVAILABLE", "cuBLASLt was not found at " + folder.file("nowhere"),
               [] { cuda::load_cublaslt("", ""); });
  // Files that are no library, and a library that is no cuBLASLt.
  expect_error("CUDA_NOT_AVAILABLE", "was not found at", [&] { cuda::load_cublaslt(of_pip, ""); });
  expect_error("CUDA_NOT_AVAILABLE", "is no cuBLASLt that Assay can use",
               [] { cuda::load_cublaslt(ASSAY_EMULATED_LIBRARY, ""); });
}
#endif

} // namespace

int main() {
#if defined(ASSAY_CUDA_EMULATION)
  emulation::device().compute_capability = kCapability;
#endif
  add_typed_cases("linear layers on CUDA are the CPU's, with every activation, bias or sum", check_all_forwards);
  add_typed_cases("gradients of linear layers on CUDA are the CPU's, written, added to or frozen", check_all_backwards);
  for (const std::size_t bytes : {std::size_t{2} << 30, std::size_t{64} << 20}) {
    add_typed_cases("loss and gradients of the output layer on CUDA are the CPU's, on a device of " +
                        std::to_string(bytes >> 20) + " MiB",
                    [=](DataType type) {
                      check_classifier(type, true, type, bytes);
                      check_classifier(type, true, DataType::kInt8, bytes);
                      check_classifier(type, false, type, bytes);
                      check_classifier(type, false, DataType::kInt8, bytes);
                    });
  }
  add_typed_cases("the workspace planned for the output layer serves every smaller number of rows", check_fewer_rows);
  add_typed_cases("logits on CUDA are the CPU's for few rows and many, of weights of each type", [](DataType type) {
    set_device_memory(std::size_t{2} << 30);
    for (const std::int64_t rows : {1, 16, 37}) {
      check_logits(type, rows, type);
      check_logits(type, rows, DataType::kInt8);
    }
  });
  add_case("copies of any length and place arrive whole, and the source may be reused at once", check_copies);
#if defined(ASSAY_CUDA_EMULATION)
  add_case("memory that runs out is an error with the numbers, and the backend lives on", check_out_of_memory);
#endif
  add_case("a repeated pass is run, recorded, then played, until memory is released", check_repeat);
  add_case("a pass that cannot be recorded is run each time, and its own errors come out", check_unrecordable);
#if defined(ASSAY_CUDA_EMULATION)
  add_case("measured choices of algorithms are kept, so that later runs give the same bits", check_kept_choices);
  add_case("GELU is taken within products on the generations where that is faster", check_gelu_by_generation);
  add_case("without the library's epilogues kernels do the rest", check_without_epilogues);
  add_case("an algorithm that is proposed and then refused gives way to the next, or to a product and kernels",
           check_refused_proposals);
  add_case("a product that fails is an error, and the next one works", check_failing_library);
  add_case("the probe says in one sentence what is missing", check_probe);
  add_case("a backend's library that is missing, broken or another version's is refused", check_loading);
  add_case("cuBLASLt is looked for where it is named, beside the app and in Python's packages", check_cublaslt_places);
#endif
  return run_cases();
}
