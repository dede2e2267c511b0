#include "engine/tokenizer/bpe-trainer.h"

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/pre-tokenizer.h"

#include <algorithm>
#include <array>
#include <atomic>

namespace assay {

namespace {

constexpr std::size_t kByteCount = 256;
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

std::vector<std::string_view> cut_into_pieces(std::span<const std::string_view> texts) {
  std::vector<std::string_view> pieces;
  for (const std::string_view text : texts) {
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end =
          text.size() - begin <= kPieceBytes ? text.size() : find_word_boundary(text, begin + kPieceBytes);
      pieces.push_back(text.substr(begin, end - begin));
      begin = end;
    }
  }
  return pieces;
}

void check_special_tokens(const std::vector<std::string>& tokens) {
  for (std::size_t index = 0; index < tokens.size(); ++index) {
    if (tokens[index].empty()) {
      throw Error("BAD_ARGUMENT", "Cannot train a tokenizer: special token " + std::to_string(index) + " is empty.");
    }
    if (std::find(tokens.begin(), tokens.begin() + static_cast<std::ptrdiff_t>(index), tokens[index]) !=
        tokens.begin() + static_cast<std::ptrdiff_t>(index)) {
      throw Error("BAD_ARGUMENT",
                  "Cannot train a tokenizer: the special token \"" + tokens[index] + "\" is given twice.");
    }
  }
}

} // namespace

BpeTrainer::BpeTrainer(const BpeTrainerOptions& options) : options_(options) {
  if (options.max_word_bytes < 2 || options.max_word_bytes > kLargestWord) {
    throw Error("BAD_ARGUMENT", "Cannot train a tokenizer with words of at most " +
                                    std::to_string(options.max_word_bytes) + " bytes: choose 2 to 65535.");
  }
  options_.threads = std::max(options.threads, 1U);
}

void BpeTrainer::add(std::span<const std::string_view> texts) {
  const std::vector<std::string_view> pieces = cut_into_pieces(texts);
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

BpeTrainer::Tally BpeTrainer::count_text(std::string_view text, WordCounter& counter) const {
  Tally tally;
  tally.bytes = text.size();
  const char* const end = text.data() + text.size();
  for_each_word(text, [&](std::string_view word) {
    while (word.size() > options_.max_word_bytes) {
      counter.add(word.substr(0, options_.max_word_bytes), static_cast<std::size_t>(end - word.data()));
      word.remove_prefix(options_.max_word_bytes);
      ++tally.words;
    }
    counter.add(word, static_cast<std::size_t>(end - word.data()));
    ++tally.words;
  });
  return tally;
}

// Moves a thread's counts to the common ones, and those to the file when they have grown too large.
void BpeTrainer::absorb(WordCounter& local) {
  const std::lock_guard lock(mutex_);
  local.for_each([&](std::string_view word, std::uint64_t count) { counter_.add(word, word.size(), count); });
  local.clear();
  if (counter_.memory_bytes() > std::max(options_.max_memory_bytes / kCommonShare, kLeastThreadBytes)) {
    runs_.spill(counter_);
    counter_.clear();
  }
}

void BpeTrainer::for_each_word_count(const std::function<void(std::string_view, std::uint64_t)>& take) const {
  if (runs_.empty()) {
    counter_.for_each(take);
  } else {
    runs_.for_each(counter_, take);
  }
}

std::uint64_t BpeTrainer::distinct_words() const {
  if (runs_.empty()) {
    return counter_.distinct_words();
  }
  std::uint64_t words = 0;
  for_each_word_count([&](std::string_view, std::uint64_t) { ++words; });
  return words;
}

// All words, or those frequent enough that learning from them fits the memory limit. The cut follows from the exact
// counts.
WordList BpeTrainer::gather_words(std::uint64_t& min_word_count, std::uint64_t& words_left_out) const {
  std::array<std::uint64_t, kCountClasses + 1> bytes_of_count{};
  for_each_word_count([&](std::string_view word, std::uint64_t count) {
    bytes_of_count[std::min<std::uint64_t>(count, kCountClasses)] += WordList::learning_bytes(word.size());
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
  min_word_count = least;
  words_left_out = 0;
  WordList words;
  for_each_word_count([&](std::string_view word, std::uint64_t count) {
    if (count >= least) {
      words.add(word, count);
    } else {
      ++words_left_out;
    }
  });
  return words;
}

BpeTrainResult BpeTrainer::train(const BpeTrainOptions& options) {
  check_special_tokens(options.special_tokens);
  if (word_count_ == 0) {
    throw Error("CORPUS_EMPTY", "Cannot train a tokenizer: the input has no text.");
  }
  const std::size_t least = kByteCount + options.special_tokens.size();
  if (options.vocab_size < least) {
    throw Error("BAD_ARGUMENT", "Cannot train a tokenizer with " + std::to_string(options.vocab_size) +
                                    " tokens: the 256 bytes and the special tokens alone are " + std::to_string(least) +
                                    "; ask for more.");
  }
  std::uint64_t min_word_count = 1;
  std::uint64_t words_left_out = 0;
  WordList words = gather_words(min_word_count, words_left_out);
  const std::size_t wanted = options.vocab_size - least;
  LearnOptions learn;
  // Each merge takes at least one symbol away, so there cannot be more of them than symbols.
  learn.max_merges = std::min(wanted, words.symbols().size());
  learn.min_frequency = options.min_frequency;
  if (options.on_progress) {
    learn.on_progress = [&](std::size_t merges) { options.on_progress(merges, wanted); };
  }
  const std::vector<LearnedMerge> learned = learn_merges(std::move(words), learn);
  TokenizerParts parts;
  parts.tokens.reserve(least + learned.size());
  for (const std::uint8_t byte : kByteOfId) {
    parts.tokens.emplace_back(1, static_cast<char>(byte));
  }
  parts.merges.reserve(learned.size());
  for (const LearnedMerge& each : learned) {
    parts.tokens.push_back(parts.tokens[each.merge.left] + parts.tokens[each.merge.right]);
    parts.merges.push_back(each.merge);
  }
  for (const std::string& text : options.special_tokens) {
    parts.specials.push_back({.id = static_cast<std::uint32_t>(parts.tokens.size())});
    parts.tokens.push_back(text);
  }
  if (options.on_progress) {
    options.on_progress(learned.size(), learned.size());
  }
  return {Tokenizer(std::move(parts), "this training"), min_word_count, words_left_out};
}

} // namespace assay
