// A fresh folder for one test, removed with everything in it when it goes out of scope, and whole-file helpers.
#pragma once

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string>
#include <string_view>

namespace assay::test {

class TemporaryFolder {
public:
  TemporaryFolder() {
    std::string pattern = (std::filesystem::temp_directory_path() / "assay-test-XXXXXX").string();
    if (::mkdtemp(pattern.data()) == nullptr) {
      throw std::runtime_error("cannot make a temporary folder like " + pattern);
    }
    path_ = pattern;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string file(std::string_view name) const { return path_ + "/" + std::string(name); }
  const std::string& path() const noexcept { return path_; }

private:
  std::string path_;
};

inline void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream out(path, std::ios::binary | std::ios::trunc);
  out.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  if (!out.flush()) {
    throw std::runtime_error("cannot write " + path);
  }
}

inline std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return std::move(text).str();
}

} // namespace assay::test

// The statement must throw assay::Error with this code, and its message must contain this text.
#define CHECK_THROWS(statement, wanted_code, wanted_text)                                                              \
  do {                                                                                                                 \
    bool was_thrown = false;                                                                                           \
    try {                                                                                                              \
      statement;                                                                                                       \
    } catch (const ::assay::Error& error) {                                                                            \
      was_thrown = true;                                                                                               \
      CHECK_EQ(error.code(), std::string(wanted_code));                                                                \
      if (std::string_view(error.what()).find(wanted_text) == std::string_view::npos) {                                \
        ::assay::test::fail_check(__FILE__, __LINE__, std::string("message was: ") + error.what());                    \
      }                                                                                                                \
    }                                                                                                                  \
    CHECK(was_thrown);                                                                                                 \
  } while (false)
