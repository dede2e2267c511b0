// Unigram: of all ways to cut a word into pieces the one of the highest sum of scores (Viterbi), the earlier found
// where sums are equal. A character that is no piece is unknown; neighbouring unknown characters are one token.
#include "engine/base/error.h"
#include "engine/tokenizer/aligned-text.h"
#include "engine/tokenizer/vocabulary-trie.h"
#include "engine/tokenizer/word-encoder.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay {

namespace {

// How far below the least likely piece an unknown character is rated, as sentencepiece does.
constexpr double kUnknownPenalty = 10.0;
// Longer pieces would let a vocabulary make encoding slow; those of real ones have at most a few dozen bytes.
constexpr std::size_t kLongestPiece = 1024;

struct UnigramTables {
  VocabularyTrie trie;
  std::vector<double> scores;
  // In bytes, and not below that of any character.
  std::size_t longest_piece = kMaxUtf8Length;
  std::uint32_t unknown_id = kNoToken;
  double unknown_score = 0;
  std::vector<std::uint32_t> byte_ids;
};

class UnigramEncoder final : public WordEncoder {
public:
  explicit UnigramEncoder(const UnigramTables& tables) : tables_(tables) {}

  void encode(std::string_view word, std::vector<WordToken>& tokens) override {
    constexpr double kUnreached = -std::numeric_limits<double>::infinity();
    // Kept from word to word; a place is made ready shortly before it can be reached, while it stays in cache.
    if (best_.size() <= word.size()) {
      best_.resize(word.size() + 1);
    }
    std::size_t ready = 0;
    best_[ready++] = {};
    std::uint32_t code_point = 0;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t character = next_character(word, at, code_point);
      for (const std::size_t reach = std::min(at + tables_.longest_piece, word.size()); ready <= reach; ++ready) {
        best_[ready] = {kUnreached, 0, kNoToken};
      }
      const double here = best_[at].score;
      bool has_single = false;
      tables_.trie.for_each_prefix(word.substr(at), [&](std::size_t length, std::uint32_t id) {
        relax(at, at + length, here + tables_.scores[id], id);
        has_single = has_single || length == character;
      });
      if (!has_single) {
        relax(at, at + character, here + tables_.unknown_score, kNoToken);
      }
      at += character;
    }
    path_.clear();
    for (std::size_t end = word.size(); end > 0; end = best_[end].begin) {
      path_.push_back({best_[end].id, best_[end].begin, static_cast<std::uint32_t>(end)});
    }
    std::reverse(path_.begin(), path_.end());
    bool after_unknown = false;
    for (const WordToken& each : path_) {
      const bool is_unknown = each.id == kNoToken;
      if (is_unknown) {
        add_unknown(word, each, after_unknown, tokens);
      } else {
        tokens.push_back(each);
      }
      after_unknown = is_unknown;
    }
  }

private:
  struct Best {
    double score = 0;
    std::uint32_t begin = 0;
    std::uint32_t id = kNoToken;
  };

  void relax(std::size_t begin, std::size_t end, double score, std::uint32_t id) {
    if (score > best_[end].score) {
      best_[end] = {score, static_cast<std::uint32_t>(begin), id};
    }
  }

  void add_unknown(std::string_view word, const WordToken& token, bool after_unknown,
                   std::vector<WordToken>& tokens) const {
    if (!tables_.byte_ids.empty()) {
      for (std::uint32_t at = token.begin; at < token.end; ++at) {
        tokens.push_back({tables_.byte_ids[static_cast<unsigned char>(word[at])], at, at + 1});
      }
    } else if (after_unknown) {
      tokens.back().end = token.end;
    } else {
      tokens.push_back({tables_.unknown_id, token.begin, token.end});
    }
  }

  const UnigramTables& tables_;
  std::vector<Best> best_;
  std::vector<WordToken> path_;
};

class UnigramFactory final : public WordEncoderFactory {
public:
  UnigramFactory(const UnigramModel& model, std::span<const std::string> pieces, const PieceIds& ids,
                 const std::string& source) {
    const auto fail = [&](const std::string& what) {
      throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source + ": " + what + ".");
    };
    if (model.byte_fallback) {
      tables_.byte_ids = byte_fallback_ids(ids);
    }
    double least = std::numeric_limits<double>::infinity();
    std::size_t bytes = 0;
    for (std::uint32_t id = 0; id < model.scores.size(); ++id) {
      if (!std::isnan(model.scores[id])) {
        least = std::min(least, model.scores[id]);
        bytes += pieces[id].size();
        tables_.longest_piece = std::max(tables_.longest_piece, pieces[id].size());
        if (pieces[id].size() > kLongestPiece) {
          fail("its piece " + std::to_string(id) + " has more than " + std::to_string(kLongestPiece) + " bytes");
        }
      }
    }
    if (!model.unknown_id.has_value() && tables_.byte_ids.empty()) {
      fail("it has no unknown token and no piece for each byte, so that not every text could be encoded");
    }
    tables_.unknown_id = model.unknown_id.value_or(kNoToken);
    tables_.unknown_score = (std::isinf(least) ? 0.0 : least) - kUnknownPenalty;
    tables_.scores = model.scores;
    tables_.trie = VocabularyTrie(bytes / 2);
    for (std::uint32_t id = 0; id < model.scores.size(); ++id) {
      if (!std::isnan(model.scores[id]) && !pieces[id].empty()) {
        tables_.trie.insert(pieces[id], id);
      }
    }
  }

  std::unique_ptr<WordEncoder> make() const override { return std::make_unique<UnigramEncoder>(tables_); }

private:
  UnigramTables tables_;
};

} // namespace

std::unique_ptr<WordEncoderFactory> make_unigram_factory(const UnigramModel& model, std::span<const std::string> pieces,
                                                         const PieceIds& ids, const std::string& source) {
  return std::make_unique<UnigramFactory>(model, pieces, ids, source);
}

} // namespace assay
