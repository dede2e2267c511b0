// A model's tensors saved as one file or as shards with an index, in each type, and read back.
#include "check.h"
#include "temporary-folder.h"

#include "engine/base/error.h"
#include "engine/checkpoint/save-tensors.h"
#include "engine/checkpoint/tensor-source.h"

#include <filesystem>
#include <string>
#include <vector>

using namespace assay;
using namespace assay::test;

namespace {

// Tensors a, b, c, … of these counts; element k of tensor i is i + k / 4, which every type holds exactly.
std::vector<TensorToWrite> tensors_of(const std::vector<std::uint64_t>& counts) {
  std::vector<TensorToWrite> list;
  for (std::size_t index = 0; index < counts.size(); ++index) {
    list.push_back({std::string(1, static_cast<char>('a' + index)), {counts[index]}, [index](std::span<float> out) {
                      for (std::size_t at = 0; at < out.size(); ++at) {
                        out[at] = static_cast<float>(index) + static_cast<float>(at) / 4;
                      }
                    }});
  }
  return list;
}

void check_values(const TensorSource& source, const std::vector<std::uint64_t>& counts, const std::string& dtype) {
  CHECK_EQ(source.tensors().size(), counts.size());
  for (const TensorToWrite& tensor : tensors_of(counts)) {
    std::vector<float> expected(tensor.shape[0]);
    tensor.read(expected);
    std::vector<float> found(tensor.shape[0]);
    const SourceTensor* entry = source.find(tensor.name);
    CHECK(entry != nullptr);
    CHECK_EQ(entry->dtype, dtype);
    source.read(*entry, found);
    CHECK(found == expected);
  }
}

const bool added[] = {
    add_case("one file holds everything where no size is given, in each type",
             [] {
               const std::vector<std::uint64_t> counts = {3, 0, 70};
               const std::pair<TensorFileType, const char*> types[] = {
                   {TensorFileType::kF32, "F32"}, {TensorFileType::kF16, "F16"}, {TensorFileType::kBf16, "BF16"}};
               for (const auto& [type, name] : types) {
                 const TemporaryFolder folder;
                 const auto names =
                     save_tensors(folder.path(), tensors_of(counts), {.type = type, .max_shard_bytes = 0});
                 CHECK(names == std::vector<std::string>{"model.safetensors"});
                 check_values(*open_tensor_source(folder.path()), counts, name);
               }
             }),
    add_case("shards are filled in order up to their size, a larger tensor is alone, and nothing unfinished is left",
             [] {
               const TemporaryFolder folder;
               // In bytes of F16: 40, 20 | 30 | 200 | 10.
               const std::vector<std::uint64_t> counts = {20, 10, 15, 100, 5};
               const auto names = save_tensors(folder.path(), tensors_of(counts),
                                               {.type = TensorFileType::kF16, .max_shard_bytes = 60});
               CHECK_EQ(names.size(), std::size_t{5});
               CHECK_EQ(names.front(), std::string("model-00001-of-00004.safetensors"));
               CHECK_EQ(names.back(), std::string("model.safetensors.index.json"));
               const std::string index = read_file(folder.file(names.back()));
               CHECK(index.find("\"total_size\":300") != std::string::npos);
               CHECK(index.find("\"b\":\"model-00001-of-00004.safetensors\"") != std::string::npos);
               CHECK(index.find("\"d\":\"model-00003-of-00004.safetensors\"") != std::string::npos);
               check_values(*open_tensor_source(folder.path()), counts, "F16");
               std::size_t files = 0;
               for (const auto& entry : std::filesystem::directory_iterator(folder.path())) {
                 CHECK(entry.path().extension() != ".unfinished");
                 ++files;
               }
               CHECK_EQ(files, names.size());
             }),
    add_case("a save that fails leaves the file of that name as it was",
             [] {
               const TemporaryFolder folder;
               save_tensors(folder.path(), tensors_of({4}));
               const std::string before = read_file(folder.file("model.safetensors"));
               std::vector<TensorToWrite> failing = tensors_of({4, 4});
               failing[1].read = [](std::span<float>) { throw Error("BUG", "the tensor cannot be had"); };
               CHECK_THROWS(save_tensors(folder.path(), failing), "BUG", "cannot be had");
               CHECK(read_file(folder.file("model.safetensors")) == before);
               CHECK(!std::filesystem::exists(folder.file("model.safetensors.unfinished")));
               const std::string nowhere = folder.file("nowhere");
               CHECK_THROWS(save_tensors(nowhere, tensors_of({1})), "FILE_NOT_WRITABLE", "nowhere");
               std::vector<TensorToWrite> huge = tensors_of({1});
               huge[0].shape = {std::uint64_t{1} << 62, 4};
               CHECK_THROWS(save_tensors(folder.path(), huge), "BAD_ARGUMENT", "Tensor a");
             }),
};

} // namespace

int main() {
  return run_cases();
}
