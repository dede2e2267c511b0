#include "engine/tokenizer/vocab-txt.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/mapped-file.h"
#include "engine/tokenizer/unicode-text.h"

#include <algorithm>

namespace assay {

namespace {

bool is_bracketed(const std::string& piece) {
  return piece.size() > 2 && piece.front() == '[' && piece.back() == ']';
}

bool holds_capital(const std::string& piece) {
  for (std::size_t at = 0; at < piece.size();) {
    std::uint32_t code_point = 0;
    at += next_character(piece, at, code_point);
    if (general_category(code_point) == GeneralCategory::kUppercaseLetter && !lower_case(code_point).empty()) {
      return true;
    }
  }
  return false;
}

std::uint32_t position_of(const std::vector<std::string>& pieces, std::string_view piece) {
  return static_cast<std::uint32_t>(std::find(pieces.begin(), pieces.end(), piece) - pieces.begin());
}

} // namespace

TextTokenizerParts bert_parts(std::vector<std::string> pieces, const BertOptions& options) {
  TextTokenizerParts parts;
  const bool is_cased = std::any_of(pieces.begin(), pieces.end(), [](const std::string& piece) {
    return !is_bracketed(piece) && holds_capital(piece);
  });
  BertNormalizer normalizer;
  normalizer.lowercase = options.lowercase.value_or(!is_cased);
  normalizer.strip_accents = options.strip_accents;
  normalizer.handle_chinese_chars = options.handle_chinese_chars;
  parts.normalizer.emplace_back(normalizer);
  parts.splitter.emplace_back(BertSplitter{});
  parts.decoder.emplace_back(WordPieceDecoder{});
  parts.model = WordPieceModel{};
  parts.pieces = std::move(pieces);
  for (const std::string_view name : {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"}) {
    if (const std::uint32_t id = position_of(parts.pieces, name); id < parts.pieces.size()) {
      AddedToken token;
      token.id = id;
      token.content = name;
      parts.added.push_back(token);
    }
  }
  const std::uint32_t cls = position_of(parts.pieces, "[CLS]");
  const std::uint32_t sep = position_of(parts.pieces, "[SEP]");
  if (cls < parts.pieces.size() && sep < parts.pieces.size()) {
    using Kind = TemplatePart::Kind;
    const TemplatePart first{Kind::kFirst, 0, "", {}};
    const TemplatePart begin{Kind::kSpecial, 0, "[CLS]", {cls}};
    const TemplatePart end{Kind::kSpecial, 0, "[SEP]", {sep}};
    parts.post_processor.single = {begin, first, end};
    parts.post_processor.pair = {begin, first, end, {Kind::kSecond, 1, "", {}}, {Kind::kSpecial, 1, "[SEP]", {sep}}};
  }
  return parts;
}

TextTokenizerParts parse_vocab_txt(std::string_view text, const std::string& source, const BertOptions& options) {
  if (const std::size_t invalid = find_invalid_utf8(text); invalid != text.size()) {
    throw Error("TOKENIZER_INVALID", "Cannot read the vocabulary " + source + ": byte " + std::to_string(invalid) +
                                         " is not UTF-8; it should hold one piece a line.");
  }
  std::vector<std::string> pieces;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    std::string_view line = text.substr(at, end - at);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    pieces.emplace_back(line);
    at = end + 1;
  }
  if (std::find(pieces.begin(), pieces.end(), "[UNK]") == pieces.end()) {
    throw Error("TOKENIZER_INVALID",
                "Cannot read " + source + " as BERT's vocab.txt: no line is [UNK]; name a file with one piece a line.");
  }
  return bert_parts(std::move(pieces), options);
}

TextTokenizerParts read_vocab_txt(const std::string& path, const BertOptions& options) {
  const MappedFile file(path);
  return parse_vocab_txt({reinterpret_cast<const char*>(file.bytes().data()), file.size()}, path, options);
}

std::string format_vocab_txt(const TextTokenizer& tokenizer) {
  const auto refuse = [](const std::string& why) {
    throw Error("NOT_SUPPORTED", "vocab.txt cannot express this tokenizer: " + why + "; write tokenizer.json instead.");
  };
  const auto* model = std::get_if<WordPieceModel>(&tokenizer.parts().model);
  if (model == nullptr) {
    refuse("it is not WordPiece");
  }
  if (model->continuing_prefix != "##" || model->unknown_token != "[UNK]") {
    refuse("its continuing pieces or its unknown token are not written as BERT writes them");
  }
  std::string text;
  for (const std::string& piece : tokenizer.parts().pieces) {
    if (piece.find_first_of("\r\n") != std::string::npos) {
      refuse("a piece holds a line end");
    }
    text += piece;
    text += '\n';
  }
  return text;
}

void write_vocab_txt(const TextTokenizer& tokenizer, const std::string& path) {
  const std::string text = format_vocab_txt(tokenizer);
  DurableFile file(path);
  file.write(text);
  file.close();
}

} // namespace assay
