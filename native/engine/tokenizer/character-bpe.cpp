// BPE whose first symbols are characters, each perhaps marked as beginning or ending a word: always the pair of the
// lowest rank, the leftmost of those. By heap, so that long words take linear time times a logarithm.
#include "engine/base/error.h"
#include "engine/tokenizer/aligned-text.h"
#include "engine/tokenizer/pair-table.h"
#include "engine/tokenizer/word-encoder.h"

#include <algorithm>
#include <queue>

namespace assay {

namespace {

constexpr std::uint32_t kNone = 0xFFFFFFFFU;

struct MergeTarget {
  std::uint32_t rank = 0;
  std::uint32_t result = 0;
};

struct CharacterBpeTables {
  const CharacterBpeModel& model;
  std::unordered_map<std::string_view, std::uint32_t> symbol_ids;
  PairTable<MergeTarget> merges;
  std::vector<std::uint32_t> byte_ids;
};

class CharacterBpeEncoder final : public WordEncoder {
public:
  explicit CharacterBpeEncoder(const CharacterBpeTables& tables) : tables_(tables) {}

  void encode(std::string_view word, std::vector<WordToken>& tokens) override {
    const CharacterBpeModel& model = tables_.model;
    if (model.ignore_merges) {
      const auto whole = tables_.symbol_ids.find(word);
      if (whole != tables_.symbol_ids.end() && model.token_of_symbol[whole->second] != kNoToken) {
        tokens.push_back({model.token_of_symbol[whole->second], 0, static_cast<std::uint32_t>(word.size())});
        return;
      }
    }
    start(word);
    for (std::uint32_t at = 0; at + 1 < symbols_.size(); ++at) {
      rate(at);
    }
    while (!heap_.empty()) {
      const Candidate best = heap_.top();
      heap_.pop();
      merge(best);
    }
    append(tokens);
  }

private:
  struct Symbol {
    std::uint32_t id = kNone;
    std::uint32_t begin = 0;
    std::uint32_t end = 0;
    std::uint32_t previous = kNone;
    std::uint32_t next = kNone;
    bool is_taken = false;
    bool is_unknown = false;
  };
  struct Candidate {
    std::uint32_t rank = 0;
    std::uint32_t position = 0;
    std::uint32_t left = 0;
    std::uint32_t right = 0;
    std::uint32_t result = 0;
    // Of std::priority_queue, which gives the largest first.
    bool operator<(const Candidate& other) const {
      return rank != other.rank ? rank > other.rank : position > other.position;
    }
  };

  void push(Symbol symbol) {
    const auto at = static_cast<std::uint32_t>(symbols_.size());
    symbol.previous = at == 0 ? kNone : at - 1;
    if (at > 0) {
      symbols_.back().next = at;
    }
    symbols_.push_back(symbol);
  }

  void start(std::string_view word) {
    const CharacterBpeModel& model = tables_.model;
    symbols_.clear();
    std::uint32_t code_point = 0;
    for (std::size_t at = 0; at < word.size();) {
      const std::size_t end = at + next_character(word, at, code_point);
      spelled_.clear();
      if (at > 0) {
        spelled_ += model.continuing_prefix;
      }
      spelled_.append(word, at, end - at);
      if (end == word.size()) {
        spelled_ += model.end_of_word_suffix;
      }
      Symbol symbol;
      symbol.begin = static_cast<std::uint32_t>(at);
      symbol.end = static_cast<std::uint32_t>(end);
      if (const auto found = tables_.symbol_ids.find(spelled_); found != tables_.symbol_ids.end()) {
        symbol.id = found->second;
        push(symbol);
      } else if (!tables_.byte_ids.empty()) {
        for (std::uint32_t byte = symbol.begin; byte < symbol.end; ++byte) {
          Symbol part;
          part.begin = byte;
          part.end = byte + 1;
          part.id = tables_.byte_ids[static_cast<unsigned char>(word[byte])];
          push(part);
        }
      } else {
        symbol.is_unknown = true;
        if (model.fuse_unknown && !symbols_.empty() && symbols_.back().is_unknown) {
          symbols_.back().end = symbol.end;
        } else {
          push(symbol);
        }
      }
      at = end;
    }
  }

  void rate(std::uint32_t left) {
    const Symbol& symbol = symbols_[left];
    if (symbol.next == kNone || symbol.id == kNone || symbols_[symbol.next].id == kNone) {
      return;
    }
    const MergeTarget* target = tables_.merges.find(pair_key(symbol.id, symbols_[symbol.next].id));
    if (target != nullptr) {
      heap_.push({target->rank, left, symbol.id, symbols_[symbol.next].id, target->result});
    }
  }

  void merge(const Candidate& best) {
    Symbol& left = symbols_[best.position];
    // Entries of pairs that are no more are left in the heap and passed over here.
    if (left.is_taken || left.id != best.left || left.next == kNone || symbols_[left.next].id != best.right) {
      return;
    }
    Symbol& right = symbols_[left.next];
    left.id = best.result;
    left.end = right.end;
    right.is_taken = true;
    left.next = right.next;
    if (left.next != kNone) {
      symbols_[left.next].previous = best.position;
    }
    if (left.previous != kNone) {
      rate(left.previous);
    }
    rate(best.position);
  }

  void append(std::vector<WordToken>& tokens) const {
    const CharacterBpeModel& model = tables_.model;
    bool after_unknown = false;
    for (std::uint32_t at = symbols_.empty() ? kNone : 0; at != kNone; at = symbols_[at].next) {
      const Symbol& symbol = symbols_[at];
      const std::uint32_t token = symbol.id == kNone ? kNoToken : model.token_of_symbol[symbol.id];
      if (token != kNoToken) {
        tokens.push_back({token, symbol.begin, symbol.end});
      } else if (model.unknown_id.has_value()) {
        if (model.fuse_unknown && after_unknown) {
          tokens.back().end = symbol.end;
        } else {
          tokens.push_back({*model.unknown_id, symbol.begin, symbol.end});
        }
      }
      after_unknown = token == kNoToken;
    }
  }

  const CharacterBpeTables& tables_;
  std::vector<Symbol> symbols_;
  std::priority_queue<Candidate> heap_;
  std::string spelled_;
};

class CharacterBpeFactory final : public WordEncoderFactory {
public:
  CharacterBpeFactory(const CharacterBpeModel& model, const PieceIds& ids, const std::string& source)
      : tables_{model, {}, PairTable<MergeTarget>(model.merges.size()), {}} {
    tables_.symbol_ids.reserve(model.symbols.size());
    for (std::uint32_t symbol = 0; symbol < model.symbols.size(); ++symbol) {
      tables_.symbol_ids.emplace(model.symbols[symbol], symbol);
    }
    for (const CharacterBpeModel::RankedMerge& merge : model.merges) {
      const std::size_t count = model.symbols.size();
      if (merge.left >= count || merge.right >= count || merge.result >= count) {
        throw Error("TOKENIZER_INVALID",
                    "Cannot use the tokenizer of " + source + ": a merge names a symbol that it lacks.");
      }
      // Of a pair that occurs twice the first counts.
      tables_.merges.insert(pair_key(merge.left, merge.right), {merge.rank, merge.result});
    }
    if (model.byte_fallback) {
      for (const std::uint32_t id : byte_fallback_ids(ids)) {
        // Bytes are symbols too, so that their pieces could merge.
        const auto found = std::find(model.token_of_symbol.begin(), model.token_of_symbol.end(), id);
        tables_.byte_ids.push_back(static_cast<std::uint32_t>(found - model.token_of_symbol.begin()));
      }
    }
  }

  std::unique_ptr<WordEncoder> make() const override { return std::make_unique<CharacterBpeEncoder>(tables_); }

private:
  CharacterBpeTables tables_;
};

} // namespace

std::unique_ptr<WordEncoderFactory> make_character_bpe_factory(const CharacterBpeModel& model, const PieceIds& ids,
                                                               const std::string& source) {
  return std::make_unique<CharacterBpeFactory>(model, ids, source);
}

} // namespace assay
