// PyTorch's checkpoints (pytorch_model.bin, *.pt) as named tensors: the zip archives of torch.save since version 1.6
// and the plain pickles before. The pickle goes through a reader that executes nothing (pickle.h); tensors may be
// strided and share their storage. Nothing is allocated by what the file claims.
#pragma once

#include "engine/base/file-bytes.h"
#include "engine/checkpoint/pickle.h"
#include "engine/checkpoint/tensor-source.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace assay {

class TorchArchive final : public TensorSource {
public:
  // A dictionary of tensors, or one under "state_dict", "model_state_dict", "model", "module" or "state". What else
  // lies in it is passed over. Throws PYTORCH_DAMAGED naming file and tensor, PICKLE_NOT_ALLOWED or NOT_SUPPORTED.
  explicit TorchArchive(FileBytes file);

  bool are_equal(const SourceTensor& left, const SourceTensor& right) const override;
  const char* format() const noexcept override { return "pytorch"; }
  std::uint64_t file_bytes() const noexcept override { return file_.size(); }

private:
  struct Place {
    // From the tensor's first element to the end of its storage.
    const std::byte* begin = nullptr;
    // In elements, one an axis.
    std::vector<std::uint64_t> strides;
  };
  // The bytes of a storage of that key, element type and count, all checked.
  using FindStorage = std::function<std::span<const std::byte>(const PickleNode&, const std::string& tensor)>;

  void read_zip();
  void read_plain_pickles();
  void add_tensors(const PickleReader& pickle, const PickleNode& root, const FindStorage& find_storage);
  void add_tensor(const PickleReader& pickle, std::string name, const PickleNode& tensor,
                  const FindStorage& find_storage);
  void read_values(std::size_t position, std::span<float> values) const override;
  [[noreturn]] void fail(const std::string& what) const;
  [[noreturn]] void fail(std::string_view tensor, const std::string& what) const;

  FileBytes file_;
  std::vector<Place> places_;
};

} // namespace assay
