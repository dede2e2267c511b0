#include "engine/tokenizer/tiktoken-ranks.h"

#include "engine/base/error.h"

#include <algorithm>

namespace assay {

namespace {

// Merging a token below takes time quadratic in its length; real ones have at most some hundred bytes.
constexpr std::size_t kMaxTokenBytes = 2048;

using RankOfBytes = std::unordered_map<std::string_view, std::uint32_t>;

// Merges the bytes of `token` by ranks below `limit` and returns the parts that remain, as offsets with both ends.
std::vector<std::size_t> merge_below(std::string_view token, std::uint32_t limit, const RankOfBytes& ranks) {
  std::vector<std::size_t> cuts(token.size() + 1);
  for (std::size_t i = 0; i < cuts.size(); ++i) {
    cuts[i] = i;
  }
  for (;;) {
    std::uint32_t best_rank = limit;
    std::size_t best = 0;
    for (std::size_t i = 0; i + 2 < cuts.size(); ++i) {
      const auto found = ranks.find(token.substr(cuts[i], cuts[i + 2] - cuts[i]));
      if (found != ranks.end() && found->second < best_rank) {
        best_rank = found->second;
        best = i;
      }
    }
    if (best_rank == limit) {
      return cuts;
    }
    cuts.erase(cuts.begin() + static_cast<std::ptrdiff_t>(best) + 1);
  }
}

} // namespace

Tokenizer tokenizer_from_ranks(std::vector<std::string> ranks,
                               std::span<const std::pair<std::string, std::uint32_t>> specials) {
  const std::string source = "tiktoken ranks";
  TokenizerParts parts;
  std::size_t count = ranks.size();
  for (const auto& [text, id] : specials) {
    // Refused here, because the id decides how much memory is taken.
    if (id >= ranks.size() + specials.size()) {
      throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source + ": the special token \"" + text +
                                           "\" has id " + std::to_string(id) +
                                           ", but ids must run from 0 without a gap.");
    }
    count = std::max<std::size_t>(count, id + std::size_t{1});
  }
  parts.tokens = std::move(ranks);
  parts.tokens.resize(count);
  for (const auto& [text, id] : specials) {
    if (!parts.tokens[id].empty() && parts.tokens[id] != text) {
      throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source + ": id " + std::to_string(id) +
                                           " is both an ordinary token and the special token \"" + text + "\".");
    }
    parts.tokens[id].clear();
  }
  RankOfBytes rank_of_bytes;
  rank_of_bytes.reserve(count);
  for (std::uint32_t id = 0; id < count; ++id) {
    if (!parts.tokens[id].empty()) {
      rank_of_bytes.emplace(parts.tokens[id], id);
    }
  }
  for (std::uint32_t id = 0; id < count; ++id) {
    const std::string_view token = parts.tokens[id];
    if (token.size() < 2) {
      continue;
    }
    if (token.size() > kMaxTokenBytes) {
      throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source + ": token " + std::to_string(id) +
                                           " has " + std::to_string(token.size()) + " bytes, more than " +
                                           std::to_string(kMaxTokenBytes) + ".");
    }
    const std::vector<std::size_t> cuts = merge_below(token, id, rank_of_bytes);
    const auto left = rank_of_bytes.find(token.substr(0, cuts[1]));
    const auto right = rank_of_bytes.find(token.substr(cuts[1]));
    if (cuts.size() == 3 && left != rank_of_bytes.end() && right != rank_of_bytes.end()) {
      parts.merges.push_back({left->second, right->second, id});
    } else {
      // No merge leads there; tiktoken still gives a word that is this token as a whole.
      parts.ignore_merges = true;
    }
  }
  for (const auto& [text, id] : specials) {
    parts.tokens[id] = text;
    parts.specials.push_back({.id = id});
  }
  return Tokenizer(std::move(parts), source);
}

} // namespace assay
