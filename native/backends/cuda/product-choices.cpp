// The file has one line a choice: checksum, key, bytes of workspace and the algorithm's words, with tabs between. It is
// written anew under a lock and renamed into place.
#include "backends/cuda/product-choices.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>
#include <sstream>
#include <system_error>

#include "engine/base/durable-file.h"

namespace assay::cuda {

namespace {

namespace fs = std::filesystem;

constexpr std::uintmax_t kLongestFileBytes = 16U << 20; // tens of thousands of shapes
constexpr std::size_t kWords = sizeof(cublaslt::Algorithm) / sizeof(std::uint64_t);

// FNV-1a: finds cut and damaged lines; nobody is kept from forging one.
std::string checksum(const std::string& text) {
  std::uint64_t hash = 0xcbf29ce484222325U;
  for (const char character : text) {
    hash = (hash ^ static_cast<unsigned char>(character)) * 0x100000001b3U;
  }
  char digits[17];
  std::snprintf(digits, sizeof(digits), "%016" PRIx64, hash);
  return digits;
}

std::string line_of(const std::string& key, const ProductChoice& choice) {
  std::ostringstream text;
  text << key << '\t' << choice.workspace_bytes << '\t' << std::hex;
  for (const std::uint64_t word : choice.algorithm.data) {
    text << word << ' ';
  }
  return text.str();
}

bool parse_line(const std::string& line, std::string& key, ProductChoice& choice) {
  const std::size_t first = line.find('\t');
  if (first == std::string::npos || checksum(line.substr(first + 1)) != line.substr(0, first)) {
    return false;
  }
  const std::size_t second = line.find('\t', first + 1);
  if (second == std::string::npos) {
    return false;
  }
  key = line.substr(first + 1, second - first - 1);
  std::istringstream rest(line.substr(second + 1));
  rest >> choice.workspace_bytes >> std::hex;
  for (std::size_t i = 0; i < kWords; ++i) {
    rest >> choice.algorithm.data[i];
  }
  return !rest.fail();
}

// Held while the file is read and written anew, by one process at a time.
class FileLock {
public:
  explicit FileLock(const std::string& path) : descriptor_(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666)) {
    if (descriptor_ >= 0 && ::flock(descriptor_, LOCK_EX) != 0) {
      ::close(descriptor_);
      descriptor_ = -1;
    }
  }
  ~FileLock() {
    if (descriptor_ >= 0) {
      ::close(descriptor_);
    }
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;
  bool is_held() const noexcept { return descriptor_ >= 0; }

private:
  int descriptor_;
};

} // namespace

ProductChoices::ProductChoices(std::string path) : path_(std::move(path)) {
  if (path_.empty()) {
    return;
  }
  std::error_code ignored;
  fs::create_directories(fs::path(path_).parent_path(), ignored);
  const FileLock lock(path_ + ".lock");
  keeps_ = lock.is_held();
  read();
}

void ProductChoices::read() {
  std::error_code error;
  if (!fs::is_regular_file(path_, error) || fs::file_size(path_, error) > kLongestFileBytes || error) {
    return;
  }
  std::ifstream file(path_);
  std::string line;
  while (std::getline(file, line)) {
    std::string key;
    ProductChoice choice{};
    if (parse_line(line, key, choice)) {
      choices_.insert_or_assign(key, choice);
    }
  }
}

std::optional<ProductChoice> ProductChoices::find(const std::string& key) const {
  const auto found = choices_.find(key);
  return found != choices_.end() ? std::optional(found->second) : std::nullopt;
}

std::optional<ProductChoice> ProductChoices::keep(const std::string& key, const ProductChoice& choice) {
  const FileLock lock(path_ + ".lock");
  if (!keeps_ || !lock.is_held()) {
    return std::nullopt;
  }
  read();
  const auto [kept, is_new] = choices_.emplace(key, choice);
  if (!is_new) {
    return kept->second;
  }
  try {
    const std::string unfinished = path_ + ".new";
    DurableFile file(unfinished);
    for (const auto& [each, its_choice] : std::map(choices_.begin(), choices_.end())) {
      const std::string line = line_of(each, its_choice);
      file.write(checksum(line) + '\t' + line + '\n');
    }
    file.close();
    fs::rename(unfinished, path_);
    return choice;
  } catch (const std::exception&) {
    // A full disk or a folder gone is no reason not to train.
    choices_.erase(key);
    keeps_ = false;
    return std::nullopt;
  }
}

} // namespace assay::cuda
