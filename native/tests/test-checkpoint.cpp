// safetensors read and written, with every kind of lie, and a model's weights and optimizer state through them.
#include "check.h"
#include "temporary-folder.h"

#include "backends/cpu/cpu-backend.h"
#include "engine/base/error.h"
#include "engine/checkpoint/model-checkpoint.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/model/transformer.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

std::string with_length(const std::string& header, std::uint64_t length, const std::string& data) {
  std::string bytes;
  for (int byte = 0; byte < 8; ++byte) {
    bytes.push_back(static_cast<char>((length >> (8 * byte)) & 0xFFU));
  }
  return bytes + header + data;
}

std::string safetensors(const std::string& header, const std::string& data) {
  return with_length(header, header.size(), data);
}

std::string tensor(const std::string& name, const std::string& dtype, const std::string& shape,
                   const std::string& offsets) {
  return "\"" + name + "\":{\"dtype\":\"" + dtype + "\",\"shape\":" + shape + ",\"data_offsets\":" + offsets + "}";
}

void refuses(const std::string& bytes, const std::string& text) {
  const TemporaryFolder folder;
  write_file(folder.file("file.safetensors"), bytes);
  CHECK_THROWS(SafetensorsFile(folder.file("file.safetensors")), "SAFETENSORS_DAMAGED", text);
}

ModelConfig tiny_config() {
  ModelConfig config;
  config.vocab_size = 13;
  config.max_seq_len = 8;
  config.n_layers = 2;
  config.n_heads = 2;
  config.d_model = 8;
  return config;
}

std::vector<float> values_of(const TransformerModel& model, const std::string& name) {
  std::vector<float> values(static_cast<std::size_t>(model.parameters().find(name).count));
  model.read_parameter(name, values);
  return values;
}

bool same_weights(const TransformerModel& left, const TransformerModel& right) {
  for (const ParameterTensor& each : left.parameters().tensors) {
    const std::vector<float> a = values_of(left, each.name);
    const std::vector<float> b = values_of(right, each.name);
    if (std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) != 0) {
      return false;
    }
  }
  return true;
}

// The model's tensors as something to write, with a change applied to the list.
template <typename Change> void write_changed(const TransformerModel& model, const std::string& path, Change change) {
  std::vector<TensorToWrite> list;
  for (const ParameterTensor& each : model.parameters().tensors) {
    list.push_back({each.name,
                    {each.shape.begin(), each.shape.end()},
                    [&model, name = each.name](std::span<float> values) { model.read_parameter(name, values); }});
  }
  change(list);
  write_safetensors(path, list);
}

TrainingOptions tiny_training() {
  TrainingOptions options;
  options.microbatch_size = 2;
  options.seq_len = 8;
  options.global_batch_size = 2;
  return options;
}

const std::vector<std::int32_t> kBatch = {1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 8, 7, 6, 5, 4, 3, 2, 1};

const bool added[] = {
    add_case("what is written reads back, begins at a multiple of 8 and is the same bytes each time",
             [] {
               const TemporaryFolder folder;
               const std::vector<TensorToWrite> list = {
                   {"b\"quoted",
                    {2, 3},
                    [](std::span<float> out) {
                      for (std::size_t i = 0; i < out.size(); ++i) {
                        out[i] = static_cast<float>(i);
                      }
                    }},
                   {"a", {}, [](std::span<float> out) { out[0] = -1.5F; }},
                   {"empty", {0, 4}, [](std::span<float>) {}},
               };
               write_safetensors(folder.file("one"), list);
               write_safetensors(folder.file("two"), list);
               CHECK(read_file(folder.file("one")) == read_file(folder.file("two")));
               const SafetensorsFile file(folder.file("one"));
               CHECK_EQ(file.entries().size(), 3U);
               CHECK_EQ(file.metadata().at("format"), "pt");
               CHECK_EQ(static_cast<int>(read_file(folder.file("one"))[0]) % 8, 0);
               const SafetensorsEntry* entry = file.find("b\"quoted");
               CHECK(entry != nullptr);
               CHECK_EQ(shape_text(entry->shape), "(2, 3)");
               float last = 0;
               std::memcpy(&last, file.bytes(*entry).data() + 20, 4);
               CHECK_EQ(last, 5.0F);
               CHECK(file.find("c") == nullptr);
               CHECK_EQ(file.bytes(*file.find("empty")).size(), 0U);
             }),
    add_case("a header length that lies is refused before anything is read or allocated",
             [] {
               refuses("", "0 bytes");
               refuses("1234567", "7 bytes");
               refuses(with_length("{}", 3, ""), "header of 3 bytes");
               refuses(with_length("{}", ~std::uint64_t{0}, ""), "header of 18446744073709551615 bytes");
               refuses(with_length("{}", std::uint64_t{1} << 40, ""), "header of");
             }),
    add_case("a header that is not an object of tensors is refused",
             [] {
               refuses(safetensors("{\"a\"", ""), "JSON");
               refuses(safetensors("[]", ""), "an array");
               refuses(safetensors(std::string(200, '['), ""), "JSON");
               refuses(safetensors("{\"a\":1}", ""), "tensor a lacks");
               refuses(safetensors("{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", "1234"), "tensor a lacks");
               refuses(safetensors("{\"__metadata__\":{\"a\":1}}", ""), "__metadata__");
               refuses(safetensors("{\"\xFF\":{}}", ""), "JSON");
             }),
    add_case(
        "offsets that are negative, fractional, backwards, overlapping, beyond the end or leave holes are refused",
        [] {
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[-4,0]") + "}", "1234"), "tensor a has data_offsets");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[0,4.5]") + "}", "1234"), "tensor a has data_offsets");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[0,4,8]") + "}", "1234"), "tensor a has data_offsets");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[4,0]") + "}", "1234"), "tensor a");
          refuses(safetensors("{" + tensor("a", "F32", "[2]", "[0,8]") + "}", "1234"), "the file was cut");
          refuses(safetensors("{" + tensor("a", "F32", "[2]", "[0,4]") + "}", "1234"), "needs 8 bytes");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[4,8]") + "}", "12345678"), "where 0 was expected");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("b", "F32", "[1]", "[2,6]") + "}",
                              "12345678"),
                  "tensor b begins at byte 2");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[0,4]") + "}", "12345678"), "end at byte 4 of 8");
        }),
    add_case(
        "shapes whose product overflows, unknown types and names that occur twice are refused",
        [] {
          refuses(safetensors("{" + tensor("a", "F32", "[4294967296,4294967296]", "[0,4]") + "}", "1234"), "overflows");
          refuses(safetensors("{" + tensor("a", "F32", "[4611686018427387904]", "[0,0]") + "}", ""), "overflows");
          refuses(safetensors("{" + tensor("a", "F32", "[-1]", "[0,4]") + "}", "1234"), "tensor a has a shape");
          refuses(safetensors("{" + tensor("a", "F33", "[1]", "[0,4]") + "}", "1234"), "unknown type \"F33\"");
          refuses(safetensors("{" + tensor("a", "F32", "[1]", "[0,4]") + "," + tensor("a", "F32", "[1]", "[0,4]") + "}",
                              "1234"),
                  "\"a\" occurs twice");
        }),
    add_case("every cut of a good file is refused",
             [] {
               const std::string whole = safetensors("{" + tensor("a", "F32", "[3]", "[0,12]") + "}", "123456789012");
               for (std::size_t length = 0; length < whole.size(); ++length) {
                 refuses(whole.substr(0, length), "Cannot read");
               }
             }),
    add_case("a model's weights come back bit for bit, with or without the prefix",
             [] {
               const TemporaryFolder folder;
               const auto backend = create_cpu_backend({.threads = 1});
               TransformerModel model(*backend, tiny_config());
               model.initialize(17);
               save_weights(model, folder.file("model.safetensors"));
               TransformerModel other(*backend, tiny_config());
               load_weights(other, folder.file("model.safetensors"));
               CHECK(same_weights(model, other));

               write_changed(model, folder.file("bare"), [](auto& list) {
                 for (auto& each : list) {
                   each.name = each.name.substr(12);
                 }
               });
               TransformerModel third(*backend, tiny_config());
               load_weights(third, folder.file("bare"));
               CHECK(same_weights(model, third));
             }),
    add_case("a tied head and mask buffers are accepted, a head of its own is not",
             [] {
               const TemporaryFolder folder;
               const auto backend = create_cpu_backend({.threads = 1});
               TransformerModel model(*backend, tiny_config());
               model.initialize(17);
               TransformerModel other(*backend, tiny_config());
               write_changed(model, folder.file("tied"), [](auto& list) {
                 TensorToWrite head = list.front();
                 head.name = "lm_head.weight";
                 list.push_back(head);
                 list.push_back({"transformer.h.0.attn.bias", {1, 1, 8, 8}, [](std::span<float>) {}});
                 list.push_back({"h.1.attn.masked_bias", {}, [](std::span<float>) {}});
               });
               load_weights(other, folder.file("tied"));
               CHECK(same_weights(model, other));
               write_changed(model, folder.file("untied"), [](auto& list) {
                 list.push_back({"lm_head.weight", list.front().shape, [](std::span<float> out) { out[0] = 1.0F; }});
               });
               CHECK_THROWS(load_weights(other, folder.file("untied")), "CHECKPOINT_MISMATCH", "lm_head.weight");
             }),
    add_case("a missing, superfluous or differently shaped tensor is named with both shapes and nothing changes",
             [] {
               const TemporaryFolder folder;
               const auto backend = create_cpu_backend({.threads = 1});
               TransformerModel model(*backend, tiny_config());
               model.initialize(17);
               TransformerModel target(*backend, tiny_config());
               target.initialize(3);
               const std::vector<float> before = values_of(target, "transformer.wte.weight");
               const std::string path = folder.file("changed");
               write_changed(model, path, [](auto& list) { list.pop_back(); });
               CHECK_THROWS(load_weights(target, path), "CHECKPOINT_MISMATCH",
                            "transformer.ln_f.bias of shape (8) is missing");
               write_changed(model, path, [](auto& list) { list.push_back({"extra", {1}, [](std::span<float>) {}}); });
               CHECK_THROWS(load_weights(target, path), "CHECKPOINT_MISMATCH", "extra");
               write_changed(model, path, [](auto& list) {
                 list.back() = {"transformer.ln_f.bias", {9}, [](std::span<float>) {}};
               });
               CHECK_THROWS(load_weights(target, path), "CHECKPOINT_MISMATCH", "(9) there and (8) in the model");
               CHECK(values_of(target, "transformer.wte.weight") == before);
             }),
    add_case("half and bfloat16 weights are widened exactly",
             [] {
               const TemporaryFolder folder;
               const auto backend = create_cpu_backend({.threads = 1});
               TransformerModel model(*backend, tiny_config());
               for (const bool brain : {false, true}) {
                 std::string header = "{";
                 std::string data;
                 for (const ParameterTensor& each : model.parameters().tensors) {
                   std::string shape;
                   for (const std::int64_t extent : each.shape) {
                     shape += (shape.empty() ? "[" : ",") + std::to_string(extent);
                   }
                   const std::size_t begin = data.size();
                   for (std::int64_t index = 0; index < each.count; ++index) {
                     // 1.0, -2.0 and the smallest denormal by turns.
                     const std::uint16_t halves[] = {0x3C00, 0xC000, 0x0001};
                     const std::uint16_t brains[] = {0x3F80, 0xC000, 0x0001};
                     const std::uint16_t value = brain ? brains[index % 3] : halves[index % 3];
                     data.push_back(static_cast<char>(value & 0xFFU));
                     data.push_back(static_cast<char>(value >> 8));
                   }
                   header += (header.size() == 1 ? "" : ",") +
                             tensor(each.name, brain ? "BF16" : "F16", shape + "]",
                                    "[" + std::to_string(begin) + "," + std::to_string(data.size()) + "]");
                 }
                 write_file(folder.file("half"), safetensors(header + "}", data));
                 load_weights(model, folder.file("half"));
                 const std::vector<float> values = values_of(model, "transformer.h.1.mlp.c_fc.weight");
                 CHECK_EQ(values[0], 1.0F);
                 CHECK_EQ(values[1], -2.0F);
                 CHECK_EQ(values[2], brain ? 0x1.0p-133F : 0x1.0p-24F);
               }
             }),
    add_case("weights of another type are refused by name",
             [] {
               const TemporaryFolder folder;
               const auto backend = create_cpu_backend({.threads = 1});
               TransformerModel model(*backend, tiny_config());
               write_file(
                   folder.file("integers"),
                   safetensors("{" + tensor("wte.weight", "I8", "[13,8]", "[0,104]") + "}", std::string(104, 'a')));
               CHECK_THROWS(load_weights(model, folder.file("integers")), "CHECKPOINT_MISMATCH", "wte.weight is I8");
             }),
    add_case("training goes on bit for bit from saved weights and optimizer state",
             [] {
               const TemporaryFolder folder;
               const auto backend = create_cpu_backend({.threads = 1});
               TransformerModel model(*backend, tiny_config());
               model.initialize(17);
               CHECK_THROWS(save_optimizer(model, folder.file("optimizer")), "TRAINING_NOT_PREPARED",
                            "prepareTraining");
               model.prepare_training(tiny_training());
               for (std::int64_t step = 1; step <= 3; ++step) {
                 model.train_step(kBatch, step, 1e-3);
               }
               save_weights(model, folder.file("weights"));
               save_optimizer(model, folder.file("optimizer"));
               TransformerModel resumed(*backend, tiny_config());
               resumed.prepare_training(tiny_training());
               load_weights(resumed, folder.file("weights"));
               load_optimizer(resumed, folder.file("optimizer"));
               const double expected = model.train_step(kBatch, 4, 1e-3).loss;
               CHECK_EQ(resumed.train_step(kBatch, 4, 1e-3).loss, expected);
               CHECK(same_weights(model, resumed));
               CHECK_THROWS(load_optimizer(resumed, folder.file("weights")), "CHECKPOINT_MISMATCH",
                            "transformer.wte.weight.exp_avg");
             }),
    add_case("a folder that is not there and a full disk are told apart from damage",
             [] {
               const auto backend = create_cpu_backend({.threads = 1});
               const TransformerModel model(*backend, tiny_config());
               CHECK_THROWS(save_weights(model, "/nowhere/model.safetensors"), "FILE_NOT_WRITABLE",
                            "/nowhere/model.safetensors");
               CHECK_THROWS(save_weights(model, "/dev/full"), "DISK_FULL", "/dev/full");
             }),
};

} // namespace

int main() {
  return run_cases();
}
