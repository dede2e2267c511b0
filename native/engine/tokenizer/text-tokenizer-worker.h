// One thread's way from a text to its tokens: added tokens are found, what is between them is normalized, cut into
// words, and each word goes through the model. Words met before are remembered up to a limit. Internal to
// TextTokenizer.
#pragma once

#include "engine/tokenizer/text-tokenizer.h"

#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace assay {

class TextTokenizerWorker {
public:
  // Everything must outlive the worker.
  TextTokenizerWorker(const TextTokenizerParts& parts, const VocabularyTrie& raw_added,
                      const VocabularyTrie& normalized_added, bool has_added, bool has_normalized_added,
                      std::unique_ptr<WordEncoder> encoder)
      : parts_(parts), raw_added_(raw_added), normalized_added_(normalized_added), has_added_(has_added),
        has_normalized_added_(has_normalized_added), encoder_(std::move(encoder)) {}

  // Without what is put around it. Throws BAD_ARGUMENT for a text of 2 GiB or more.
  TextEncoding encode(std::string_view text, bool match_special_tokens);
  void encode_ids(std::string_view text, TokenIds& ids);

private:
  struct Found {
    std::size_t begin = 0;
    std::size_t end = 0;
    // Index in parts_.added.
    std::uint32_t token = 0;
  };

  template <typename Sink> void run(std::string_view text, bool match_special_tokens, const Sink& sink);
  template <typename Sink> void run_section(AlignedText section, bool is_first, const Sink& sink);
  std::vector<Found> find_added(std::string_view text, const VocabularyTrie& trie, bool match_special_tokens) const;
  // Valid until the next call.
  std::span<const WordToken> tokens_of(std::string_view word);

  const TextTokenizerParts& parts_;
  const VocabularyTrie& raw_added_;
  const VocabularyTrie& normalized_added_;
  bool has_added_;
  bool has_normalized_added_;
  std::unique_ptr<WordEncoder> encoder_;
  bool matches_special_ = false;
  // A short word of few tokens, in a cache line of its own.
  struct alignas(64) KnownWord {
    static constexpr std::size_t kMaxBytes = 32;
    static constexpr std::size_t kMaxTokens = 5;
    std::uint32_t ids[kMaxTokens] = {};
    std::uint8_t begins[kMaxTokens] = {};
    std::uint8_t ends[kMaxTokens] = {};
    std::uint8_t length = 0;
    std::uint8_t count = 0;
    char bytes[kMaxBytes] = {};
  };
  static_assert(sizeof(KnownWord) == 64);
  // By hash of the word; a newer word takes the place of an older one.
  std::vector<KnownWord> known_words_;
  std::vector<WordToken> scratch_;
};

} // namespace assay
