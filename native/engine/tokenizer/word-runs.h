// Counted words that did not fit in memory: sorted runs in one unnamed temporary file, read back merged, so that counts
// stay exact however large the corpus. The file vanishes with the object, or with the process.
#pragma once

#include "engine/tokenizer/word-counter.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace assay {

class WordRuns {
public:
  WordRuns() = default;
  ~WordRuns();
  WordRuns(const WordRuns&) = delete;
  WordRuns& operator=(const WordRuns&) = delete;

  bool empty() const noexcept { return runs_.empty(); }
  // Appends the counter's words as one sorted run, in the system's folder for temporary files (TMPDIR). Throws
  // DISK_FULL or FILE_NOT_WRITABLE.
  void spill(const WordCounter& counter);
  // Calls take(word, count) once a distinct word of the runs and of `rest`, the counter that was not spilled yet, in
  // the order of bytes.
  void for_each(const WordCounter& rest, const std::function<void(std::string_view, std::uint64_t)>& take) const;
  std::uint64_t file_bytes() const noexcept { return end_; }

private:
  struct Run {
    std::uint64_t begin = 0;
    std::uint64_t end = 0;
  };

  void open_file();
  void write(std::string_view bytes);

  int descriptor_ = -1;
  std::uint64_t end_ = 0;
  std::vector<Run> runs_;
};

} // namespace assay
