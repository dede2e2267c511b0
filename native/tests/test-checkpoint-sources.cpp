// Tensors out of what others wrote: PyTorch's archives (made by PyTorch itself, test/fixtures/make.py), shards and
// their index, GGUF; values that are known, and every lie refused by name.
#include "check.h"
#include "temporary-folder.h"

#include "engine/base/error.h"
#include "engine/checkpoint/element-type.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/safetensors.h"
#include "engine/checkpoint/tensor-source.h"

#include <cmath>
#include <filesystem>
#include <limits>
#include <memory>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

using Values = std::vector<float>;
using Shape = std::vector<std::uint64_t>;

std::string fixture(const std::string& name) {
  return std::string(ASSAY_FIXTURES) + "/" + name;
}

Values values_of(const TensorSource& source, const std::string& name) {
  const SourceTensor* tensor = source.find(name);
  CHECK(tensor != nullptr);
  std::uint64_t count = 0;
  CHECK(shape_product(tensor->shape, count));
  Values values(count);
  source.read(*tensor, values);
  return values;
}

// By value: CHECK_EQ keeps references.
float value_of(const TensorSource& source, const std::string& name, std::size_t index) {
  return values_of(source, name)[index];
}

Values counting(std::size_t count, float from = 0) {
  Values values(count);
  for (std::size_t index = 0; index < count; ++index) {
    values[index] = from + static_cast<float>(index);
  }
  return values;
}

// What make.py's tensors() holds.
void check_tensors(const TensorSource& source) {
  CHECK_EQ(std::string(source.format()), std::string("pytorch"));
  CHECK_EQ(source.tensors().size(), std::size_t{13});
  CHECK(values_of(source, "whole") == counting(24));
  CHECK(source.find("transposed")->shape == (Shape{6, 4}));
  const Values transposed = values_of(source, "transposed");
  const Values cube = values_of(source, "cube");
  CHECK(source.find("cube")->shape == (Shape{4, 2, 3}));
  for (std::size_t row = 0; row < 6; ++row) {
    for (std::size_t column = 0; column < 4; ++column) {
      CHECK_EQ(transposed[row * 4 + column], static_cast<float>(column * 6 + row));
    }
  }
  for (std::size_t a = 0; a < 4; ++a) {
    for (std::size_t b = 0; b < 2; ++b) {
      for (std::size_t c = 0; c < 3; ++c) {
        CHECK_EQ(cube[(a * 2 + b) * 3 + c], static_cast<float>(b * 12 + c * 4 + a));
      }
    }
  }
  CHECK(values_of(source, "sliced") == (Values{6, 8, 10, 12, 14, 16}));
  CHECK(values_of(source, "column") == (Values{2, 8, 14, 20}));
  CHECK(source.find("scalar")->shape.empty());
  CHECK(values_of(source, "scalar") == (Values{2.5F}));
  CHECK(source.find("empty")->shape == (Shape{0, 3}));
  CHECK(values_of(source, "empty").empty());
  CHECK(values_of(source, "half") == (Values{1, -2, 65504, 0x1p-24F}));
  CHECK_EQ(source.find("brain")->dtype, std::string("BF16"));
  CHECK_EQ(value_of(source, "brain", 1), -2.0F);
  const Values wide = values_of(source, "double");
  CHECK_EQ(wide[1], std::numeric_limits<float>::infinity());
  CHECK_EQ(wide[2], -0.1F);
  CHECK(values_of(source, "parameter") == counting(24, 100));
  CHECK_EQ(source.find("long")->dtype, std::string("I64"));
  CHECK_THROWS(values_of(source, "long"), "CHECKPOINT_MISMATCH", "tensor long is I64");
  CHECK_THROWS(values_of(source, "boolean"), "CHECKPOINT_MISMATCH", "tensor boolean is BOOL");
}

void refuses_torch(const std::string& name, const std::string& code, const std::string& text) {
  CHECK_THROWS(open_tensor_source(fixture("torch/" + name)), code, text);
}

void refuses_gguf(const std::string& name, const std::string& code, const std::string& text) {
  const TemporaryFolder folder;
  std::filesystem::copy_file(fixture("fuzz/gguf/" + name), folder.file("model.gguf"));
  CHECK_THROWS(open_tensor_source(folder.file("model.gguf")), code, text);
}

void write_shard(const std::string& path, const std::vector<std::string>& names) {
  std::vector<TensorToWrite> list;
  for (const std::string& name : names) {
    list.push_back({name, {3}, [&name](std::span<float> out) {
                      out[0] = static_cast<float>(name.back());
                      out[1] = out[2] = 0;
                    }});
  }
  write_safetensors(path, list);
}

void refuses_index(const TemporaryFolder& folder, const std::string& map, const std::string& code,
                   const std::string& text) {
  write_file(folder.file("model.safetensors.index.json"), "{\"weight_map\":" + map + "}");
  CHECK_THROWS(open_tensor_source(folder.path()), code, text);
}

std::uint32_t load_pickle(const std::string& bytes) {
  PickleReader reader(std::as_bytes(std::span(bytes.data(), bytes.size())), "test.bin");
  return reader.load();
}

const bool added[] = {
    add_case("PyTorch's archives are read: transposed, sliced, shared, permuted, empty and of every float type",
             [] {
               check_tensors(*open_tensor_source(fixture("torch/plain.bin")));
               check_tensors(*open_tensor_source(fixture("torch/protocol-4.bin")));
             }),
    add_case("PyTorch's format before version 1.6 is read alike",
             [] { check_tensors(*open_tensor_source(fixture("torch/older.bin"))); }),
    add_case("a state dict is found inside a training checkpoint, and what lies beside it is passed over",
             [] {
               check_tensors(*open_tensor_source(fixture("torch/wrapped.bin")));
               check_tensors(*open_tensor_source(fixture("torch/nested.bin")));
             }),
    add_case("a module's own state dict with its _metadata is read",
             [] {
               const auto source = open_tensor_source(fixture("torch/module.bin"));
               CHECK_EQ(source->tensors().size(), std::size_t{4});
               CHECK(source->find("first.weight")->shape == (Shape{3, 2}));
               CHECK(values_of(*source, "first.weight") == counting(6));
               CHECK(values_of(*source, "last.bias") == counting(3));
             }),
    add_case("a pickle that would call a function is refused by the function's name, whatever else it holds",
             [] {
               refuses_torch("runs.bin", "PICKLE_NOT_ALLOWED", "asks for posix.system");
               refuses_torch("runs-older.bin", "PICKLE_NOT_ALLOWED", "asks for posix.system");
               CHECK_THROWS(load_pickle("\x80\x02"
                                        "cbuiltins\neval\n."),
                            "PICKLE_NOT_ALLOWED", "asks for builtins.eval");
               // The same through a name that is put together on the stack.
               CHECK_THROWS(load_pickle("\x80\x04\x8c\x08"
                                        "builtins\x8c\x04"
                                        "exec\x93."),
                            "PICKLE_NOT_ALLOWED", "asks for builtins.exec");
               CHECK_THROWS(load_pickle("\x80\x02"
                                        "ctorch\nload\n."),
                            "PICKLE_NOT_ALLOWED", "asks for torch.load");
               CHECK_THROWS(load_pickle("\x80\x02"
                                        "ccollections\nOrderedDict.__init__\n."),
                            "PICKLE_NOT_ALLOWED", "OrderedDict.__init__");
               refuses_torch("unknown-opcode.bin", "PICKLE_NOT_ALLOWED", "opcode 0x69");
             }),
    add_case("attributes are set of dictionaries only",
             [] {
               CHECK_THROWS(load_pickle("\x80\x02]}b."), "PICKLE_NOT_ALLOWED", "sets attributes");
               CHECK_EQ(load_pickle("\x80\x02}}b."), 5U);
             }),
    add_case("a damaged pickle is refused: values missing or left over, a mark without end, cycles and depth",
             [] {
               refuses_torch("unbalanced.bin", "PYTORCH_DAMAGED", "a mark is missing");
               refuses_torch("cycle.bin", "PYTORCH_DAMAGED", "no dictionary of tensors");
               refuses_torch("deep.bin", "PYTORCH_DAMAGED", "no dictionary of tensors");
               CHECK_THROWS(load_pickle("\x80\x02."), "PYTORCH_DAMAGED", "empty stack");
               CHECK_THROWS(load_pickle("\x80\x02NN."), "PYTORCH_DAMAGED", "left over");
               CHECK_THROWS(load_pickle("\x80\x02N"), "PYTORCH_DAMAGED", "cut");
               CHECK_THROWS(load_pickle("\x80\x02h\x05."), "PYTORCH_DAMAGED", "never kept");
               CHECK_THROWS(load_pickle(std::string("\x80\x02X\xff\xff\xff\x7f", 7) + "abc."), "PYTORCH_DAMAGED",
                            "cut");
               CHECK_THROWS(load_pickle("\x80\x02NR."), "PYTORCH_DAMAGED", "empty stack");
               CHECK_THROWS(load_pickle("\x80\x02N(a."), "PYTORCH_DAMAGED", "empty stack");
             }),
    add_case("a tensor that leaves or outgrows its storage is refused by name",
             [] {
               refuses_torch("far-offset.bin", "PYTORCH_DAMAGED", "tensor whole of shape (2, 3), offset 1");
               refuses_torch("far-stride.bin", "PYTORCH_DAMAGED",
                             "tensor whole of shape (2, 3), offset 0 and strides (4, 1)");
               refuses_torch("huge.bin", "PYTORCH_DAMAGED",
                             "tensor whole of shape (1152921504606846976, 115292150460684");
               refuses_torch("negative.bin", "PYTORCH_DAMAGED", "tensor whole has a negative size");
               refuses_torch("expanded.bin", "PYTORCH_DAMAGED", "tensor whole of shape (1000, 1000) is larger");
               refuses_torch("without-storage.bin", "PYTORCH_DAMAGED", "tensor whole lies in archive/data/0");
               refuses_torch("short-storage.bin", "PYTORCH_DAMAGED", "tensor whole lies in a storage of 24 elements");
             }),
    add_case("archives that are compressed, cut or hold no tensors are refused with a reason",
             [] {
               refuses_torch("deflated.bin", "PYTORCH_DAMAGED", "is compressed");
               refuses_torch("cut.bin", "PYTORCH_DAMAGED", "no end record");
               refuses_torch("no-tensors.bin", "PYTORCH_DAMAGED", "no dictionary of tensors");
               const TemporaryFolder folder;
               write_file(folder.file("pytorch_model.bin"), "no checkpoint at all");
               CHECK_THROWS(open_tensor_source(folder.path()), "PICKLE_NOT_ALLOWED", "opcode");
             }),
    add_case("two names of one storage are equal, and so are two copies, and nothing else",
             [] {
               const auto source = open_tensor_source(fixture("torch/plain.bin"));
               const auto equal = [&](const char* left, const char* right) {
                 return source->are_equal(*source->find(left), *source->find(right));
               };
               CHECK(equal("whole", "whole"));
               CHECK(!equal("whole", "parameter"));
               CHECK(!equal("whole", "transposed"));
               const TemporaryFolder folder;
               write_shard(folder.file("x"), {"a", "ca", "b"});
               const auto file = open_tensor_source(folder.file("x"));
               CHECK(file->are_equal(*file->find("a"), *file->find("ca")));
               CHECK(!file->are_equal(*file->find("a"), *file->find("b")));
             }),
    add_case("shards are read through their index, and a folder's first known file is taken",
             [] {
               const TemporaryFolder folder;
               CHECK_THROWS(open_tensor_source(folder.path()), "CHECKPOINT_NOT_FOUND", "holds none of");
               write_shard(folder.file("model-00001-of-00002.safetensors"), {"a", "b"});
               write_shard(folder.file("model-00002-of-00002.safetensors"), {"c"});
               write_file(folder.file("model.safetensors.index.json"),
                          R"({"metadata":{"total_size":36},"weight_map":{"a":"model-00001-of-00002.safetensors",)"
                          R"("c":"model-00002-of-00002.safetensors","b":"model-00001-of-00002.safetensors"}})");
               const auto source = open_tensor_source(folder.path());
               CHECK_EQ(source->tensors().size(), std::size_t{3});
               CHECK_EQ(value_of(*source, "c", 0), 99.0F);
               CHECK_EQ(value_of(*source, "b", 0), 98.0F);
               CHECK(source->describe(*source->find("c")).ends_with("model-00002-of-00002.safetensors: tensor c"));
               CHECK_EQ(source->file_bytes(),
                        std::filesystem::file_size(folder.file("model-00001-of-00002.safetensors")) +
                            std::filesystem::file_size(folder.file("model-00002-of-00002.safetensors")));
               write_shard(folder.file("model.safetensors"), {"z"});
               const auto whole = open_tensor_source(folder.path());
               CHECK_EQ(whole->tensors().front().name, std::string("z"));
             }),
    add_case("an index that leads out of its folder, to files that are not there or to other tensors is refused",
             [] {
               const TemporaryFolder folder;
               write_shard(folder.file("one.safetensors"), {"a"});
               for (const char* name : {"../one.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "a\\\\b"}) {
                 refuses_index(folder, "{\"a\":\"" + std::string(name) + "\"}", "CHECKPOINT_DAMAGED",
                               "tensor a is mapped to");
               }
               refuses_index(folder, "{\"a\":1}", "CHECKPOINT_DAMAGED", "tensor a is mapped to a number");
               refuses_index(folder, "{}", "CHECKPOINT_DAMAGED", "weight_map is empty");
               refuses_index(folder, "[]", "CHECKPOINT_DAMAGED", "no weight_map");
               refuses_index(folder, "{\"a\":\"two.safetensors\"}", "CHECKPOINT_NOT_FOUND", "two.safetensors");
               refuses_index(folder, "{\"a\":\"one.safetensors\",\"b\":\"one.safetensors\"}", "CHECKPOINT_DAMAGED",
                             "tensor b is said to be in one.safetensors");
               refuses_index(folder, "{\"a\":\"one.safetensors\",\"a\":\"one.safetensors\"}", "JSON_INVALID", "a");
             }),
    add_case("GGUF gives shapes slowest axis first, widened values and its metadata",
             [] {
               const auto source = open_tensor_source(fixture("fuzz/gguf/all"));
               CHECK_EQ(std::string(source->format()), std::string("gguf"));
               CHECK(source->find("f")->shape == (Shape{2, 3}));
               CHECK(values_of(*source, "f") == counting(6));
               CHECK(values_of(*source, "h") == (Values{1, -2, 0.5F, 0}));
               const Values quantized = values_of(*source, "q");
               for (std::size_t index = 0; index < 32; ++index) {
                 CHECK_EQ(quantized[index], 0.5F * (static_cast<float>(index) - 16));
               }
               const auto& metadata = source->metadata();
               CHECK_EQ(metadata.at("general.architecture"), std::string("gpt2"));
               CHECK_EQ(metadata.at("a.i8"), std::string("-7"));
               CHECK_EQ(metadata.at("a.i64"), std::string("-1099511627776"));
               CHECK_EQ(metadata.at("a.f64"), std::string("0.25"));
               CHECK_EQ(metadata.at("tokenizer.ggml.tokens"), std::string("[2 strings]"));
               CHECK_EQ(metadata.at("a.nested"), std::string("[2 arrays]"));
             }),
    add_case("GGUF files that lie are refused by the tensor's or key's name",
             [] {
               refuses_gguf("version-1", "GGUF_DAMAGED", "of version 1");
               refuses_gguf("overlap", "GGUF_DAMAGED", "tensor b overlaps");
               refuses_gguf("twice", "GGUF_DAMAGED", "tensor a is there twice");
               refuses_gguf("huge", "GGUF_DAMAGED", "tensor a has a shape");
               refuses_gguf("outside", "GGUF_DAMAGED", "tensor a of 64 bytes at byte 32 leaves");
               refuses_gguf("unaligned", "GGUF_DAMAGED", "tensor a begins at byte 4");
               refuses_gguf("ragged", "GGUF_DAMAGED", "tensor a of shape (33) in Q8_0");
               refuses_gguf("q4", "NOT_SUPPORTED", "tensor a is of ggml's type 2");
               refuses_gguf("counts", "GGUF_DAMAGED", "cut");
               refuses_gguf("long-array", "GGUF_DAMAGED", "key a is an array");
               refuses_gguf("deep-array", "GGUF_DAMAGED", "nested too deep");
               refuses_gguf("alignment-0", "GGUF_DAMAGED", "alignment of 0");
               refuses_gguf("cut", "GGUF_DAMAGED", "tensor q");
             }),
    add_case("halves and bfloat16 round to the nearest, ties to even, and every half survives the way there and back",
             [] {
               for (std::uint32_t bits = 0; bits < 0x10000; ++bits) {
                 const auto half = static_cast<std::uint16_t>(bits);
                 const float value = half_to_float(half);
                 if (!std::isnan(value)) {
                   CHECK_EQ(float_to_half(value), half);
                 } else {
                   CHECK(std::isnan(half_to_float(float_to_half(value))));
                 }
               }
               CHECK_EQ(float_to_half(65519.0F), 0x7BFF);
               CHECK_EQ(float_to_half(65520.0F), 0x7C00);
               CHECK_EQ(float_to_half(1.0F + 0x1p-11F), 0x3C00);
               CHECK_EQ(float_to_half(1.0F + 3 * 0x1p-11F), 0x3C02);
               CHECK_EQ(float_to_half(0x1p-25F), 0x0000);
               CHECK_EQ(float_to_half(3 * 0x1p-25F), 0x0002);
               CHECK_EQ(float_to_bfloat16(1.0F + 0x1p-8F), 0x3F80);
               CHECK_EQ(float_to_bfloat16(1.0F + 3 * 0x1p-8F), 0x3F82);
               CHECK_EQ(float_to_bfloat16(std::numeric_limits<float>::max()), 0x7F80);
             }),
    add_case("a caller that asks for the wrong number of values or a tensor of another file is told so",
             [] {
               const auto source = open_tensor_source(fixture("torch/plain.bin"));
               Values few(3);
               CHECK_THROWS(source->read(*source->find("whole"), few), "TENSOR_SIZE_MISMATCH", "whole");
               CHECK_THROWS(source->read({"other", "F32", {3}}, few), "TENSOR_UNKNOWN", "other");
             }),
};

} // namespace

int main() {
  return run_cases();
}
