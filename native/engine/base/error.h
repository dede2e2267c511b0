// The engine's only error type: a stable code that the TypeScript side knows by the same name, and one sentence
// that says what was tried, what was found and what to do.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace assay {

class Error : public std::runtime_error {
public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}

  const std::string& code() const noexcept { return code_; }

private:
  std::string code_;
};

} // namespace assay
