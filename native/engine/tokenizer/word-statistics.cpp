#include "engine/tokenizer/word-statistics.h"

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/tokenizer/pre-tokenizer.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <string>
#include <vector>

namespace assay {

namespace {

// Longer texts are cut between words, so that threads can share one.
constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr std::size_t kLargestWord = 65535;
// Of the memory limit, a third is for the common counts (spilling sorts a list of about their size), and a quarter for
// what the threads hold before they hand it over.
constexpr std::uint64_t kCommonShare = 3;
constexpr std::uint64_t kThreadShare = 4;
constexpr std::uint64_t kLeastThreadBytes = std::uint64_t{1} << 16;
// Words that occur at least this often are never left out.
constexpr std::size_t kCountClasses = 4096;

bool is_white(char byte) {
  return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

} // namespace

WordStatistics::WordStatistics(const WordStatisticsOptions& options) : options_(options) {
  if (options.max_word_bytes < 2 || options.max_word_bytes > kLargestWord) {
    throw Error("BAD_ARGUMENT", "Cannot train a tokenizer with words of at most " +
                                    std::to_string(options.max_word_bytes) + " bytes: choose 2 to 65535.");
  }
  options_.threads = std::max(options.threads, 1U);
}

// Where a piece of the text that begins at `begin` may end: between two words.
std::size_t WordStatistics::piece_end(std::string_view text, std::size_t begin) const {
  if (text.size() - begin <= kPieceBytes) {
    return text.size();
  }
  if (!options_.pipeline) {
    return find_word_boundary(text, begin + kPieceBytes);
  }
  const auto* end = std::find_if(text.data() + begin + kPieceBytes, text.data() + text.size(), is_white);
  return static_cast<std::size_t>(end - text.data());
}

void WordStatistics::add(std::span<const std::string_view> texts) {
  std::vector<std::string_view> pieces;
  for (const std::string_view text : texts) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = piece_end(text, begin);
      pieces.push_back(text.substr(begin, end - begin));
      begin = end;
    }
  }
  if (pieces.empty()) {
    return;
  }
  const auto threads = static_cast<unsigned>(std::min<std::size_t>(options_.threads, pieces.size()));
  const std::uint64_t thread_bytes = std::max(options_.max_memory_bytes / kThreadShare / threads, kLeastThreadBytes);
  std::atomic<std::size_t> next{0};
  run_parallel(threads, [&](unsigned) {
    WordCounter local;
    Tally tally;
    for (std::size_t index = next++; index < pieces.size(); index = next++) {
      const Tally piece = count_text(pieces[index], local);
      tally.words += piece.words;
      tally.bytes += piece.bytes;
      if (local.memory_bytes() > thread_bytes) {
        absorb(local);
      }
    }
    absorb(local);
    const std::lock_guard lock(mutex_);
    word_count_ += tally.words;
    byte_count_ += tally.bytes;
  });
}

WordStatistics::Tally WordStatistics::count_text(std::string_view text, WordCounter& counter) const {
  Tally tally;
  tally.bytes = text.size();
  if (options_.pipeline) {
    AlignedText aligned(text, {0, static_cast<std::uint32_t>(text.size())});
    normalize(aligned, options_.pipeline->normalizer);
    for (const Stretch& stretch : split(aligned, options_.pipeline->splitter, true)) {
      const std::string_view word = std::string_view(aligned.text()).substr(stretch.begin, stretch.end - stretch.begin);
      if (word.size() <= options_.max_word_bytes) {
        counter.add(word, aligned.size() - stretch.begin);
      }
      ++tally.words;
    }
    return tally;
  }
  const PreTokenizer words(text);
  std::size_t ends[PreTokenizer::kMaxEnds];
  struct {
    WordKey key;
    std::uint64_t hash = 0;
  } shorts[PreTokenizer::kMaxEnds];
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t count = words.word_ends(begin, ends);
    for (std::size_t index = 0, at = begin; index < count; at = ends[index++]) {
      if (ends[index] - at <= kMaxShortWord) {
        shorts[index].key = make_word_key(text.substr(at, ends[index] - at), text.size() - at);
        shorts[index].hash = counter.prepare(shorts[index].key);
      }
    }
    for (std::size_t index = 0; index < count; begin = ends[index++]) {
      std::string_view word = text.substr(begin, ends[index] - begin);
      ++tally.words;
      if (word.size() <= std::min(kMaxShortWord, options_.max_word_bytes)) {
        counter.add_short(shorts[index].key, shorts[index].hash, 1);
        continue;
      }
      for (; word.size() > options_.max_word_bytes; word.remove_prefix(options_.max_word_bytes)) {
        counter.add(word.substr(0, options_.max_word_bytes), options_.max_word_bytes);
        ++tally.words;
      }
      counter.add(word, word.size());
    }
  }
  return tally;
}

// Moves a thread's counts to the common ones, and those to the file when they have grown too large.
void WordStatistics::absorb(WordCounter& local) {
  const std::lock_guard lock(mutex_);
  local.for_each([&](std::string_view word, std::uint64_t count) { counter_.add(word, word.size(), count); });
  local.clear();
  if (counter_.memory_bytes() > std::max(options_.max_memory_bytes / kCommonShare, kLeastThreadBytes)) {
    runs_.spill(counter_);
    counter_.clear();
  }
}

void WordStatistics::for_each_word_count(const std::function<void(std::string_view, std::uint64_t)>& take) const {
  if (runs_.empty()) {
    counter_.for_each(take);
  } else {
    runs_.for_each(counter_, take);
  }
}

std::uint64_t WordStatistics::distinct_words() const {
  if (runs_.empty()) {
    return counter_.distinct_words();
  }
  std::uint64_t words = 0;
  for_each_word_count([&](std::string_view, std::uint64_t) { ++words; });
  return words;
}

WordStatistics::Gathered
WordStatistics::gather(const std::function<std::uint64_t(std::string_view)>& learning_bytes,
                       const std::function<void(std::string_view, std::uint64_t)>& take) const {
  std::array<std::uint64_t, kCountClasses + 1> bytes_of_count{};
  for_each_word_count([&](std::string_view word, std::uint64_t count) {
    bytes_of_count[std::min<std::uint64_t>(count, kCountClasses)] += learning_bytes(word);
  });
  std::uint64_t bytes = 0;
  std::size_t least = kCountClasses + 1;
  while (least > 1 && bytes + bytes_of_count[least - 1] <= options_.max_memory_bytes) {
    bytes += bytes_of_count[--least];
  }
  if (least > kCountClasses) {
    throw Error("OUT_OF_MEMORY", "Cannot train a tokenizer within " + std::to_string(options_.max_memory_bytes) +
                                     " bytes: even the most frequent words take " +
                                     std::to_string(bytes_of_count[kCountClasses]) +
                                     "; allow more memory or train on a part of the text.");
  }
  Gathered gathered;
  gathered.min_word_count = least;
  for_each_word_count([&](std::string_view word, std::uint64_t count) {
    if (count >= least) {
      take(word, count);
    } else {
      ++gathered.words_left_out;
    }
  });
  return gathered;
}

} // namespace assay
