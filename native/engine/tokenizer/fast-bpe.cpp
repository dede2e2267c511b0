#include "engine/tokenizer/fast-bpe.h"

#include "engine/base/error.h"
#include "engine/base/mapped-file.h"

#include <algorithm>

namespace assay {

namespace {

constexpr std::string_view kEndOfWord = "</w>";
constexpr std::string_view kGoesOn = "@@";

[[noreturn]] void fail(const std::string& source, std::size_t line, const std::string& what) {
  throw Error("TOKENIZER_INVALID",
              "Cannot read " + source + ": line " + std::to_string(line) + " " + what + "; fetch the file again.");
}

// Calls take(line number, line) for each line that is not empty.
template <typename Take> void for_each_line(std::string_view text, const Take& take) {
  std::size_t number = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    ++number;
    if (!line.empty()) {
      take(number, line);
    }
    at = end + 1;
  }
}

class SymbolTable {
public:
  explicit SymbolTable(CharacterBpeModel& model) : model_(model) {}

  std::uint32_t add(std::string text) {
    const auto [found, is_new] = ids_.emplace(std::move(text), static_cast<std::uint32_t>(model_.symbols.size()));
    if (is_new) {
      model_.symbols.push_back(found->first);
    }
    return found->second;
  }

private:
  CharacterBpeModel& model_;
  std::unordered_map<std::string, std::uint32_t> ids_;
};

} // namespace

TextTokenizerParts parse_fast_bpe(std::string_view codes, const std::string& codes_source, std::string_view dictionary,
                                  const std::string& dictionary_source, bool with_moses) {
  TextTokenizerParts parts;
  parts.pieces = {"<s>", "<pad>", "</s>", "<unk>"};
  for (std::uint32_t id = 0; id < parts.pieces.size(); ++id) {
    AddedToken token;
    token.id = id;
    token.content = parts.pieces[id];
    parts.added.push_back(token);
  }
  for (const auto& [source, text] : {std::pair{codes_source, codes}, {dictionary_source, dictionary}}) {
    if (const std::size_t invalid = find_invalid_utf8(text); invalid != text.size()) {
      throw Error("TOKENIZER_INVALID",
                  "Cannot read " + source + ": byte " + std::to_string(invalid) + " is not UTF-8.");
    }
  }
  for_each_line(dictionary, [&](std::size_t number, std::string_view line) {
    const std::size_t space = line.rfind(' ');
    if (space == std::string_view::npos || space == 0) {
      fail(dictionary_source, number, "is not a piece and its count");
    }
    parts.pieces.emplace_back(line.substr(0, space));
  });
  CharacterBpeModel model;
  model.end_of_word_suffix = kEndOfWord;
  model.unknown_id = 3;
  SymbolTable symbols(model);
  for_each_line(codes, [&](std::size_t number, std::string_view line) {
    const std::size_t first = line.find(' ');
    const std::size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
    const std::string_view left = line.substr(0, first);
    const std::string_view right =
        first == std::string_view::npos ? std::string_view() : line.substr(first + 1, second - first - 1);
    if (left.empty() || right.empty()) {
      fail(codes_source, number, "is not a pair of symbols and its count");
    }
    const auto rank = static_cast<std::uint32_t>(model.merges.size());
    const std::string result = std::string(left) + std::string(right);
    model.merges.push_back(
        {symbols.add(std::string(left)), symbols.add(std::string(right)), symbols.add(result), rank});
  });
  std::unordered_map<std::string_view, std::uint32_t> ids;
  for (std::uint32_t id = 0; id < parts.pieces.size(); ++id) {
    ids.emplace(parts.pieces[id], id);
  }
  // Single characters of the dictionary need no merge.
  for (const std::string& piece : parts.pieces) {
    const bool goes_on = piece.ends_with(kGoesOn);
    const std::string text = goes_on ? piece.substr(0, piece.size() - kGoesOn.size()) : piece;
    symbols.add(goes_on ? text : text + std::string(kEndOfWord));
  }
  for (const std::string& symbol : model.symbols) {
    const bool ends = symbol.ends_with(kEndOfWord);
    const std::string piece =
        ends ? symbol.substr(0, symbol.size() - kEndOfWord.size()) : symbol + std::string(kGoesOn);
    const auto found = ids.find(piece);
    model.token_of_symbol.push_back(found == ids.end() ? kNoToken : found->second);
  }
  using Kind = TemplatePart::Kind;
  const TemplatePart end{Kind::kSpecial, 0, "</s>", {2}};
  parts.post_processor.single = {end, {Kind::kFirst, 0, "", {}}};
  parts.post_processor.pair = {end, {Kind::kFirst, 0, "", {}}, end, {Kind::kSecond, 0, "", {}}};
  if (with_moses) {
    parts.normalizer.emplace_back(MosesNormalizer{});
  }
  parts.splitter.emplace_back(WhitespaceSplitter{});
  parts.decoder.emplace_back(ContinuationDecoder{});
  if (with_moses) {
    parts.decoder.emplace_back(MosesDecoder{});
  }
  parts.model = std::move(model);
  parts.roles = {{"bos", "<s>"}, {"pad", "<pad>"}, {"eos", "</s>"}, {"unk", "<unk>"}, {"sep", "</s>"}};
  return parts;
}

TextTokenizerParts read_fast_bpe(const std::string& codes_path, const std::string& dictionary_path, bool with_moses) {
  const MappedFile codes(codes_path);
  const MappedFile dictionary(dictionary_path);
  const auto text = [](const MappedFile& file) {
    return std::string_view(reinterpret_cast<const char*>(file.bytes().data()), file.size());
  };
  return parse_fast_bpe(text(codes), codes_path, text(dictionary), dictionary_path, with_moses);
}

} // namespace assay
