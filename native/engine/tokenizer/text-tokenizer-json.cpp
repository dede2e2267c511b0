#include "engine/tokenizer/text-tokenizer-json.h"

#include "engine/base/mapped-file.h"
#include "engine/tokenizer/tokenizer-json-steps.h"
#include "engine/tokenizer/tokenizer-json.h"
#include "engine/tokenizer/vocabulary-reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay {

namespace {

// Ids that stand for nothing are kept as gaps; more of them than this is a damaged file.
constexpr std::size_t kMostGaps = 65536;

std::pair<std::string_view, std::string_view> read_merge(const JsonFields& model, const JsonArray& merges,
                                                         std::size_t index) {
  const JsonValue& merge = merges[index];
  if (merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
      merge.as_array()[1].is_string()) {
    return {merge.as_array()[0].as_string(), merge.as_array()[1].as_string()};
  }
  const std::string_view text = merge.is_string() ? std::string_view(merge.as_string()) : std::string_view();
  const std::size_t space = text.find(' ');
  if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
    model.fail("merge " + std::to_string(index) + " is neither \"a b\" nor [\"a\", \"b\"]");
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

class AnyTokenizerJsonReader {
public:
  AnyTokenizerJsonReader(const JsonValue& root, const std::string& source)
      : root_(root, "", source), model_(root_.child("model")), source_(source) {}

  TextTokenizerParts read() {
    if (root_.text("version") != "1.0") {
      root_.refuse("version", "this build reads \"1.0\"");
    }
    root_.allow({"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                 "decoder", "model"});
    if (root_.find("normalizer") != nullptr) {
      read_normalizer(root_.child("normalizer"), parts_.normalizer);
    }
    if (root_.find("pre_tokenizer") != nullptr) {
      read_splitter(root_.child("pre_tokenizer"), parts_.splitter);
    }
    if (root_.find("post_processor") != nullptr) {
      read_post_processor(root_.child("post_processor"), parts_.post_processor);
    }
    if (root_.find("decoder") != nullptr) {
      read_decoder(root_.child("decoder"), parts_.decoder);
    }
    read_truncation();
    read_padding();
    read_added_tokens();
    const std::string type = model_type();
    if (type == "WordPiece") {
      read_word_piece();
    } else if (type == "Unigram") {
      read_unigram();
    } else if (type == "WordLevel") {
      read_word_level();
    } else if (type == "BPE") {
      read_bpe();
    } else {
      model_.refuse("type", "it is " + type);
    }
    return std::move(parts_);
  }

private:
  // Files of the first versions have no type.
  std::string model_type() const {
    if (model_.find("type") != nullptr) {
      return model_.text("type");
    }
    return model_.find("merges") != nullptr                      ? "BPE"
           : model_.require("vocab").is_array()                  ? "Unigram"
           : model_.find("continuing_subword_prefix") != nullptr ? "WordPiece"
                                                                 : "WordLevel";
  }

  void place(std::uint64_t id, const std::string& piece, std::size_t count) {
    if (id >= count + kMostGaps) {
      model_.fail("the id " + std::to_string(id) + " of \"" + piece + "\" is far beyond its " + std::to_string(count) +
                  " pieces");
    }
    if (id >= parts_.pieces.size()) {
      parts_.pieces.resize(id + 1);
    }
    std::string& held = parts_.pieces[id];
    if (!held.empty() && held != piece) {
      model_.fail("the id " + std::to_string(id) + " is both \"" + held + "\" and \"" + piece + "\"");
    }
    held = piece;
  }

  void read_vocabulary_object() {
    const JsonValue& vocab = model_.require("vocab");
    if (!vocab.is_object()) {
      model_.fail("\"model.vocab\" is not an object");
    }
    const std::size_t count = vocab.members().size() + parts_.added.size();
    parts_.pieces.reserve(count);
    for (const JsonMember& member : vocab.members()) {
      if (!member.value.is_unsigned()) {
        model_.fail("the id of \"" + member.key + "\" is not a whole number");
      }
      place(member.value.as_unsigned(), member.key, count);
    }
    place_added(count);
  }

  void place_added(std::size_t count) {
    for (const AddedToken& token : parts_.added) {
      place(token.id, token.content, count);
    }
  }

  void read_added_tokens() {
    if (root_.find("added_tokens") == nullptr) {
      return;
    }
    for (std::size_t index = 0; index < root_.array("added_tokens").size(); ++index) {
      const JsonFields fields = root_.item("added_tokens", index);
      fields.allow({"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      AddedToken token;
      fields.require("id");
      token.id = static_cast<std::uint32_t>(fields.whole_or("id", 0));
      token.content = fields.text("content");
      token.single_word = fields.flag_or("single_word", false);
      token.lstrip = fields.flag_or("lstrip", false);
      token.rstrip = fields.flag_or("rstrip", false);
      token.special = fields.flag_or("special", false);
      token.normalized = fields.flag_or("normalized", !token.special);
      parts_.added.push_back(std::move(token));
    }
  }

  void read_word_piece() {
    model_.allow({"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
    read_vocabulary_object();
    WordPieceModel model;
    model.unknown_token = model_.text_or("unk_token", "[UNK]");
    model.continuing_prefix = model_.text_or("continuing_subword_prefix", "##");
    model.max_word_characters = model_.whole_or("max_input_chars_per_word", 100);
    parts_.model = model;
  }

  void read_word_level() {
    model_.allow({"type", "unk_token", "vocab"});
    read_vocabulary_object();
    parts_.model = WordLevelModel{model_.text_or("unk_token", "[UNK]")};
  }

  void read_unigram() {
    model_.allow({"type", "unk_id", "byte_fallback", "vocab"});
    const JsonArray& vocab = model_.array("vocab");
    UnigramModel model;
    for (std::size_t id = 0; id < vocab.size(); ++id) {
      const JsonValue& entry = vocab[id];
      if (!entry.is_array() || entry.as_array().size() != 2 || !entry.as_array()[0].is_string() ||
          !entry.as_array()[1].is_number() || !std::isfinite(entry.as_array()[1].as_number())) {
        model_.fail("\"model.vocab[" + std::to_string(id) + "]\" is not a piece and its score");
      }
      parts_.pieces.push_back(entry.as_array()[0].as_string());
      model.scores.push_back(entry.as_array()[1].as_number());
    }
    place_added(vocab.size() + parts_.added.size());
    model.scores.resize(parts_.pieces.size(), std::numeric_limits<double>::quiet_NaN());
    if (model_.find("unk_id") != nullptr) {
      model.unknown_id = static_cast<std::uint32_t>(model_.whole_or("unk_id", 0));
      if (*model.unknown_id >= vocab.size()) {
        model_.fail("\"model.unk_id\" is not in the vocabulary");
      }
    }
    model.byte_fallback = model_.flag_or("byte_fallback", false);
    // Pieces that stand for no text are not found in it, whatever score the file gives them.
    const auto hide = [&](std::uint32_t id) { model.scores[id] = std::numeric_limits<double>::quiet_NaN(); };
    for (const AddedToken& token : parts_.added) {
      if (token.special) {
        hide(token.id);
      }
    }
    if (model.unknown_id.has_value()) {
      hide(*model.unknown_id);
    }
    for (std::uint32_t id = 0; model.byte_fallback && id < parts_.pieces.size(); ++id) {
      if (parts_.pieces[id].size() == 6 && parts_.pieces[id].starts_with("<0x") && parts_.pieces[id].back() == '>') {
        hide(id);
      }
    }
    parts_.model = std::move(model);
  }

  void read_bpe() {
    model_.allow({"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                  "byte_fallback", "ignore_merges", "vocab", "merges"});
    if (const JsonValue* dropout = model_.find("dropout");
        dropout != nullptr && !(dropout->is_number() && dropout->as_number() == 0)) {
      model_.refuse("dropout", "merges are never dropped");
    }
    const bool is_byte_level =
        std::any_of(parts_.splitter.begin(), parts_.splitter.end(),
                    [](const SplitterStep& step) { return std::holds_alternative<ByteLevelSplitter>(step); });
    if (is_byte_level) {
      read_byte_bpe();
    } else {
      read_character_bpe();
    }
  }

  void read_byte_bpe() {
    for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      if (!model_.text_or(field, "").empty()) {
        model_.refuse(field, "byte-level BPE has none");
      }
    }
    if (model_.flag_or("byte_fallback", false)) {
      model_.refuse("byte_fallback", "byte-level BPE needs none");
    }
    VocabularyReader vocabulary(source_);
    vocabulary.add_vocabulary(model_.require("vocab"));
    for (const AddedToken& token : parts_.added) {
      vocabulary.add_special(token.content,
                             {token.id, token.single_word, token.lstrip, token.rstrip, token.normalized});
    }
    const JsonArray& merges = model_.array("merges");
    for (std::size_t index = 0; index < merges.size(); ++index) {
      const auto [left, right] = read_merge(model_, merges, index);
      vocabulary.add_merge(left, right);
    }
    auto tokenizer =
        std::make_shared<const Tokenizer>(std::move(vocabulary).finish(model_.flag_or("ignore_merges", false)));
    parts_.pieces = pieces_of(*tokenizer);
    parts_.model = std::move(tokenizer);
  }

  void read_character_bpe() {
    read_vocabulary_object();
    CharacterBpeModel model;
    model.continuing_prefix = model_.text_or("continuing_subword_prefix", "");
    model.end_of_word_suffix = model_.text_or("end_of_word_suffix", "");
    model.fuse_unknown = model_.flag_or("fuse_unk", false);
    model.byte_fallback = model_.flag_or("byte_fallback", false);
    model.ignore_merges = model_.flag_or("ignore_merges", false);
    std::unordered_map<std::string_view, std::uint32_t> ids;
    ids.reserve(parts_.pieces.size());
    for (std::uint32_t id = 0; id < parts_.pieces.size(); ++id) {
      ids.emplace(parts_.pieces[id], id);
    }
    const auto id_of = [&](std::string_view piece, std::size_t merge) {
      const auto found = ids.find(piece);
      if (found == ids.end()) {
        model_.fail("merge " + std::to_string(merge) + " needs \"" + std::string(piece) +
                    "\", which is not in the vocabulary");
      }
      return found->second;
    };
    const JsonArray& merges = model_.array("merges");
    for (std::size_t index = 0; index < merges.size(); ++index) {
      const auto [left, right] = read_merge(model_, merges, index);
      const std::size_t prefix = right.starts_with(model.continuing_prefix) ? model.continuing_prefix.size() : 0;
      const std::string result = std::string(left).append(right.substr(prefix));
      model.merges.push_back(
          {id_of(left, index), id_of(right, index), id_of(result, index), static_cast<std::uint32_t>(index)});
    }
    if (model_.find("unk_token") != nullptr) {
      const auto unknown = ids.find(model_.text("unk_token"));
      if (unknown == ids.end()) {
        model_.fail("\"model.unk_token\" is not in the vocabulary");
      }
      model.unknown_id = unknown->second;
    }
    model.symbols = parts_.pieces;
    model.token_of_symbol.resize(parts_.pieces.size());
    for (std::uint32_t id = 0; id < parts_.pieces.size(); ++id) {
      model.token_of_symbol[id] = id;
    }
    parts_.model = std::move(model);
  }

  void read_truncation() {
    if (root_.find("truncation") == nullptr) {
      return;
    }
    const JsonFields fields = root_.child("truncation");
    fields.allow({"direction", "max_length", "strategy", "stride"});
    Truncation truncation;
    truncation.max_length = fields.whole_or("max_length", 512);
    truncation.stride = fields.whole_or("stride", 0);
    truncation.side = fields.text_or("direction", "Right") == "Left" ? Side::kLeft : Side::kRight;
    const std::string strategy = fields.text_or("strategy", "LongestFirst");
    truncation.strategy = strategy == "OnlyFirst"    ? TruncationStrategy::kOnlyFirst
                          : strategy == "OnlySecond" ? TruncationStrategy::kOnlySecond
                                                     : TruncationStrategy::kLongestFirst;
    parts_.truncation = truncation;
  }

  void read_padding() {
    if (root_.find("padding") == nullptr) {
      return;
    }
    const JsonFields fields = root_.child("padding");
    fields.allow({"strategy", "direction", "pad_to_multiple_of", "pad_id", "pad_type_id", "pad_token"});
    Padding padding;
    if (const JsonValue* strategy = fields.find("strategy"); strategy != nullptr && strategy->is_object()) {
      padding.length = fields.child("strategy").whole_or("Fixed", 0);
    }
    padding.side = fields.text_or("direction", "Right") == "Left" ? Side::kLeft : Side::kRight;
    padding.multiple_of = fields.whole_or("pad_to_multiple_of", 1);
    padding.pad_id = static_cast<std::uint32_t>(fields.whole_or("pad_id", 0));
    padding.pad_type_id = static_cast<std::uint32_t>(fields.whole_or("pad_type_id", 0));
    padding.pad_token = fields.text_or("pad_token", "[PAD]");
    parts_.padding = padding;
  }

  JsonFields root_;
  JsonFields model_;
  const std::string& source_;
  TextTokenizerParts parts_;
};

} // namespace

std::shared_ptr<const TextTokenizer> open_tokenizer_json(const std::string& path, const TokenRoles& roles) {
  const MappedFile file(path);
  return parse_any_tokenizer_json({reinterpret_cast<const char*>(file.bytes().data()), file.size()}, path, roles);
}

std::shared_ptr<const TextTokenizer> parse_any_tokenizer_json(std::string_view text, const std::string& source,
                                                              const TokenRoles& roles) {
  const JsonValue root = parse_json(text, source);
  TextTokenizerParts parts = AnyTokenizerJsonReader(root, source).read();
  parts.roles = roles;
  return std::make_shared<const TextTokenizer>(std::move(parts), source);
}

} // namespace assay
