// Which algorithm was measured to be the fastest for a product, kept in a file between runs. It is what makes measuring
// and equal bits go together: algorithms differ in the order of their sums, and which is fastest is a matter of noise,
// so the first measurement of a shape on a machine decides for all runs after it. Whoever measured a shape that another
// process stored meanwhile takes the other's choice.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <unordered_map>

#include "backends/cuda/cublaslt.h"

namespace assay::cuda {

struct ProductChoice {
  cublaslt::Algorithm algorithm;
  std::size_t workspace_bytes = 0;
};

class ProductChoices {
public:
  // An empty path: nothing is kept. A file that is damaged, whole or in parts, counts for what of it is whole.
  explicit ProductChoices(std::string path);

  // Whether choices are kept. Where not, whoever wants equal bits must not measure.
  bool keeps() const noexcept { return keeps_; }
  std::optional<ProductChoice> find(const std::string& key) const;
  // Keeps the choice unless there is one already, and returns the one that counts; nothing if it could not be kept.
  std::optional<ProductChoice> keep(const std::string& key, const ProductChoice& choice);

private:
  void read();

  std::string path_;
  bool keeps_ = false;
  std::unordered_map<std::string, ProductChoice> choices_;
};

} // namespace assay::cuda
