#include "engine/tokenizer/word-runs.h"

#include "engine/base/error.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <queue>
#include <stdlib.h>
#include <string>
#include <unistd.h>

namespace assay {

namespace {

constexpr std::size_t kWriteBuffer = std::size_t{1} << 20;
constexpr std::size_t kReadBuffer = std::size_t{1} << 16;

std::string temporary_folder() {
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::temp_directory_path(ignored);
  return folder.empty() ? "/tmp" : folder.string();
}

[[noreturn]] void fail(const char* verb, int code) {
  const std::string place =
      std::string("Cannot ") + verb + " the word counts in a temporary file in " + temporary_folder();
  if (code == ENOSPC || code == EDQUOT) {
    throw Error("DISK_FULL", place + ": no space is left on the disk; free some, or set TMPDIR to another folder.");
  }
  throw Error("FILE_NOT_WRITABLE", place + ": " + std::strerror(code) + "; set TMPDIR to another folder.");
}

// A record is the word's length (u32), its bytes and its count (u64).
void append_record(std::string& buffer, std::string_view word, std::uint64_t count) {
  const auto length = static_cast<std::uint32_t>(word.size());
  buffer.append(reinterpret_cast<const char*>(&length), sizeof length);
  buffer.append(word);
  buffer.append(reinterpret_cast<const char*>(&count), sizeof count);
}

struct CountedWord {
  std::string_view word;
  std::uint64_t count = 0;
};

// The views last as long as the counter does not change.
std::vector<CountedWord> sorted_words(const WordCounter& counter) {
  std::vector<CountedWord> words;
  words.reserve(counter.distinct_words());
  counter.for_each([&](std::string_view word, std::uint64_t count) { words.push_back({word, count}); });
  std::sort(words.begin(), words.end(),
            [](const CountedWord& left, const CountedWord& right) { return left.word < right.word; });
  return words;
}

class RunReader {
public:
  RunReader(int descriptor, std::uint64_t begin, std::uint64_t end) : descriptor_(descriptor), at_(begin), end_(end) {}

  const std::string& word() const { return word_; }
  std::uint64_t count() const { return count_; }

  // Goes to the next record; false at the end.
  bool advance() {
    if (used_ == buffer_.size() && at_ == end_) {
      return false;
    }
    std::uint32_t length = 0;
    read(reinterpret_cast<char*>(&length), sizeof length);
    word_.resize(length);
    read(word_.data(), length);
    read(reinterpret_cast<char*>(&count_), sizeof count_);
    return true;
  }

private:
  void read(char* place, std::size_t size) {
    while (size > 0) {
      if (used_ == buffer_.size()) {
        fill();
      }
      const std::size_t part = std::min(size, buffer_.size() - used_);
      std::memcpy(place, buffer_.data() + used_, part);
      used_ += part;
      place += part;
      size -= part;
    }
  }

  void fill() {
    buffer_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(kReadBuffer, end_ - at_)));
    used_ = 0;
    std::size_t filled = 0;
    while (filled < buffer_.size()) {
      const ssize_t count =
          ::pread(descriptor_, buffer_.data() + filled, buffer_.size() - filled, static_cast<off_t>(at_));
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count <= 0) {
        fail("read back", count < 0 ? errno : EIO);
      }
      filled += static_cast<std::size_t>(count);
      at_ += static_cast<std::uint64_t>(count);
    }
    if (buffer_.empty()) {
      fail("read back", EIO);
    }
  }

  int descriptor_;
  std::uint64_t at_;
  std::uint64_t end_;
  std::string buffer_;
  std::size_t used_ = 0;
  std::string word_;
  std::uint64_t count_ = 0;
};

} // namespace

WordRuns::~WordRuns() {
  if (descriptor_ >= 0) {
    ::close(descriptor_);
  }
}

void WordRuns::open_file() {
  std::string path = temporary_folder() + "/assay-words-XXXXXX";
  descriptor_ = ::mkstemp(path.data());
  if (descriptor_ < 0) {
    fail("keep", errno);
  }
  // Without a name it cannot be left behind.
  ::unlink(path.c_str());
}

void WordRuns::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(descriptor_, bytes.data(), bytes.size());
    if (written < 0) {
      if (errno == EINTR) {
        continue;
      }
      fail("keep", errno);
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
    end_ += static_cast<std::uint64_t>(written);
  }
}

void WordRuns::spill(const WordCounter& counter) {
  if (counter.distinct_words() == 0) {
    return;
  }
  if (descriptor_ < 0) {
    open_file();
  }
  const std::uint64_t begin = end_;
  std::string buffer;
  for (const CountedWord& each : sorted_words(counter)) {
    append_record(buffer, each.word, each.count);
    if (buffer.size() >= kWriteBuffer) {
      write(buffer);
      buffer.clear();
    }
  }
  write(buffer);
  runs_.push_back({begin, end_});
}

void WordRuns::for_each(const WordCounter& rest,
                        const std::function<void(std::string_view, std::uint64_t)>& take) const {
  std::vector<RunReader> readers;
  readers.reserve(runs_.size());
  for (const Run& run : runs_) {
    readers.emplace_back(descriptor_, run.begin, run.end);
  }
  const auto later = [&](std::size_t left, std::size_t right) { return readers[left].word() > readers[right].word(); };
  std::priority_queue<std::size_t, std::vector<std::size_t>, decltype(later)> queue(later);
  for (std::size_t index = 0; index < readers.size(); ++index) {
    if (readers[index].advance()) {
      queue.push(index);
    }
  }
  const std::vector<CountedWord> in_memory = sorted_words(rest);
  auto next_in_memory = in_memory.begin();
  std::string word;
  while (!queue.empty() || next_in_memory != in_memory.end()) {
    if (queue.empty() || (next_in_memory != in_memory.end() && next_in_memory->word < readers[queue.top()].word())) {
      word = next_in_memory->word;
    } else {
      word = readers[queue.top()].word();
    }
    std::uint64_t count = 0;
    if (next_in_memory != in_memory.end() && next_in_memory->word == word) {
      count += next_in_memory->count;
      ++next_in_memory;
    }
    while (!queue.empty() && readers[queue.top()].word() == word) {
      const std::size_t index = queue.top();
      queue.pop();
      count += readers[index].count();
      if (readers[index].advance()) {
        queue.push(index);
      }
    }
    take(word, count);
  }
}

} // namespace assay
