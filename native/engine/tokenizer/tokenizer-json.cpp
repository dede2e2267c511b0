#include "engine/tokenizer/tokenizer-json.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/base/json-writer.h"
#include "engine/base/json.h"
#include "engine/base/mapped-file.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/vocabulary-reader.h"

#include <initializer_list>

namespace assay {

namespace {

class TokenizerJsonReader {
public:
  TokenizerJsonReader(const JsonValue& root, const std::string& source)
      : root_(root), source_(source), vocabulary_(source) {}

  Tokenizer read() {
    if (!root_.is_object()) {
      vocabulary_.fail(std::string("it holds ") + root_.kind_name() + " and should hold an object");
    }
    check_keys(root_, "",
               {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer", "post_processor",
                "decoder", "model"});
    const JsonValue& version = require(root_, "", "version");
    if (!version.is_string() || version.as_string() != "1.0") {
      refuse("version", "this build reads \"1.0\"");
    }
    for (const char* field : {"truncation", "padding", "normalizer"}) {
      if (!is_absent(root_, field)) {
        refuse(field, "this engine has none; set it to null");
      }
    }
    check_byte_level("pre_tokenizer", true);
    check_byte_level("post_processor", false);
    check_byte_level("decoder", true);
    const JsonValue& model = require(root_, "", "model");
    if (!model.is_object()) {
      vocabulary_.fail("\"model\" is not an object");
    }
    check_model(model);
    vocabulary_.add_vocabulary(require(model, "model.", "vocab"));
    read_added_tokens();
    check_unknown_token(model);
    read_merges(require(model, "model.", "merges"));
    const JsonValue* ignore_merges = model.find("ignore_merges");
    return std::move(vocabulary_).finish(ignore_merges != nullptr && ignore_merges->as_boolean());
  }

private:
  [[noreturn]] void refuse(const std::string& field, const std::string& why) const {
    throw Error("NOT_SUPPORTED", "Cannot use the tokenizer of " + source_ + ": its field \"" + field +
                                     "\" asks for what byte-level BPE as GPT-2 has it does not do (" + why + ").");
  }

  static bool is_absent(const JsonValue& object, const char* field) {
    const JsonValue* value = object.find(field);
    return value == nullptr || value->is_null();
  }

  const JsonValue& require(const JsonValue& object, const std::string& prefix, const char* field) const {
    const JsonValue* value = object.find(field);
    if (value == nullptr) {
      vocabulary_.fail("it has no \"" + prefix + field + "\"");
    }
    return *value;
  }

  // A key we do not know might change what the tokenizer does.
  void check_keys(const JsonValue& object, const std::string& prefix,
                  std::initializer_list<std::string_view> known) const {
    for (const JsonMember& member : object.members()) {
      bool is_known = false;
      for (const std::string_view each : known) {
        is_known = is_known || each == member.key;
      }
      if (!is_known && !member.value.is_null()) {
        refuse(prefix + member.key, "this build does not know it");
      }
    }
  }

  void check_flag(const JsonValue& object, const std::string& prefix, const char* field, bool wanted,
                  const char* why) const {
    const JsonValue* value = object.find(field);
    if (value == nullptr || value->is_null()) {
      return;
    }
    if (!value->is_boolean() || value->as_boolean() != wanted) {
      refuse(prefix + field, why);
    }
  }

  // The post-processor only trims offsets that Hugging Face reports, and the decoder reads none of its flags.
  void check_byte_level(const std::string& field, bool is_required) const {
    const JsonValue* value = root_.find(field);
    if (value == nullptr || value->is_null()) {
      if (is_required) {
        refuse(field, "it should be ByteLevel");
      }
      return;
    }
    const JsonValue* type = value->find("type");
    if (type == nullptr || !type->is_string() || type->as_string() != "ByteLevel") {
      refuse(field, type != nullptr && type->is_string() ? "it is " + type->as_string() + ", and should be ByteLevel"
                                                         : "it should be ByteLevel");
    }
    check_keys(*value, field + ".", {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    if (field == "pre_tokenizer") {
      const JsonValue* prefix_space = value->find("add_prefix_space");
      if (prefix_space == nullptr) {
        refuse("pre_tokenizer.add_prefix_space", "where it is missing it counts as true; set it to false");
      }
      check_flag(*value, "pre_tokenizer.", "add_prefix_space", false, "it should be false");
      check_flag(*value, "pre_tokenizer.", "use_regex", true, "it should be true");
    }
  }

  void check_model(const JsonValue& model) const {
    check_keys(model, "model.",
               {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix", "fuse_unk",
                "byte_fallback", "ignore_merges", "vocab", "merges"});
    // Files of the first versions have no type.
    const JsonValue* type = model.find("type");
    if (type != nullptr && (!type->is_string() || type->as_string() != "BPE")) {
      refuse("model.type", "it should be BPE");
    }
    if (!is_absent(model, "dropout") &&
        !(model.find("dropout")->is_number() && model.find("dropout")->as_number() == 0)) {
      refuse("model.dropout", "merges are never dropped");
    }
    for (const char* field : {"continuing_subword_prefix", "end_of_word_suffix"}) {
      const JsonValue* value = model.find(field);
      if (!is_absent(model, field) && (!value->is_string() || !value->as_string().empty())) {
        refuse(std::string("model.") + field, "it should be null or empty");
      }
    }
    check_flag(model, "model.", "byte_fallback", false, "it should be false");
    const JsonValue* ignore_merges = model.find("ignore_merges");
    if (ignore_merges != nullptr && !ignore_merges->is_boolean()) {
      vocabulary_.fail("\"model.ignore_merges\" is not true or false");
    }
  }

  // Every byte has a token, so an unknown token never comes up; naming one does no harm if it exists.
  void check_unknown_token(const JsonValue& model) const {
    const JsonValue* unknown = model.find("unk_token");
    if (is_absent(model, "unk_token")) {
      return;
    }
    if (!unknown->is_string() || !vocabulary_.has_piece(unknown->as_string())) {
      vocabulary_.fail("\"model.unk_token\" is not in the vocabulary");
    }
  }

  void read_added_tokens() {
    if (is_absent(root_, "added_tokens")) {
      return;
    }
    const JsonValue& added = *root_.find("added_tokens");
    if (!added.is_array()) {
      vocabulary_.fail("\"added_tokens\" is not an array");
    }
    for (std::size_t index = 0; index < added.as_array().size(); ++index) {
      const JsonValue& token = added.as_array()[index];
      const std::string field = "added_tokens[" + std::to_string(index) + "]";
      if (!token.is_object()) {
        vocabulary_.fail("\"" + field + "\" is not an object");
      }
      check_keys(token, field + ".", {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
      const JsonValue& id = require(token, field + ".", "id");
      const JsonValue& content = require(token, field + ".", "content");
      if (!id.is_unsigned() || id.as_unsigned() > 0xFFFFFFFFU || !content.is_string()) {
        vocabulary_.fail("\"" + field + "\" needs a whole number as id and a string as content");
      }
      if (!read_flag(token, "special")) {
        refuse(field + " (\"" + content.as_string() + "\")", "a token that is cut out of the text before merging; only "
                                                             "special tokens, which never come from text, are kept");
      }
      SpecialToken special;
      special.id = static_cast<std::uint32_t>(id.as_unsigned());
      special.single_word = read_flag(token, "single_word");
      special.lstrip = read_flag(token, "lstrip");
      special.rstrip = read_flag(token, "rstrip");
      special.normalized = read_flag(token, "normalized");
      vocabulary_.add_special(content.as_string(), special);
    }
  }

  bool read_flag(const JsonValue& token, const char* field) const {
    const JsonValue* value = token.find(field);
    if (value != nullptr && !value->is_boolean()) {
      vocabulary_.fail(std::string("\"added_tokens\": \"") + field + "\" is not true or false");
    }
    return value != nullptr && value->as_boolean();
  }

  void read_merges(const JsonValue& merges) {
    if (!merges.is_array()) {
      vocabulary_.fail("\"model.merges\" is not an array");
    }
    for (std::size_t index = 0; index < merges.as_array().size(); ++index) {
      const JsonValue& merge = merges.as_array()[index];
      if (merge.is_array() && merge.as_array().size() == 2 && merge.as_array()[0].is_string() &&
          merge.as_array()[1].is_string()) {
        vocabulary_.add_merge(merge.as_array()[0].as_string(), merge.as_array()[1].as_string());
        continue;
      }
      const std::string_view text = merge.is_string() ? std::string_view(merge.as_string()) : std::string_view();
      const std::size_t space = text.find(' ');
      if (space == std::string_view::npos || text.find(' ', space + 1) != std::string_view::npos) {
        vocabulary_.fail("merge " + std::to_string(index) + " is neither \"a b\" nor [\"a\", \"b\"]");
      }
      vocabulary_.add_merge(text.substr(0, space), text.substr(space + 1));
    }
  }

  const JsonValue& root_;
  const std::string& source_;
  VocabularyReader vocabulary_;
};

void write_byte_level(JsonWriter& json, const char* field, bool add_prefix_space) {
  json.key(field).begin_object();
  json.key("type").value("ByteLevel");
  json.key("add_prefix_space").value(add_prefix_space);
  json.key("trim_offsets").value(true);
  json.key("use_regex").value(true);
  json.end_object();
}

} // namespace

Tokenizer read_tokenizer_json(const std::string& path) {
  const MappedFile file(path);
  return parse_tokenizer_json({reinterpret_cast<const char*>(file.bytes().data()), file.size()}, path);
}

Tokenizer parse_tokenizer_json(std::string_view text, const std::string& source) {
  const JsonValue root = parse_json(text, source);
  return TokenizerJsonReader(root, source).read();
}

std::string format_tokenizer_json(const Tokenizer& tokenizer, MergeSpelling spelling) {
  JsonWriter json(2);
  json.begin_object();
  json.key("version").value("1.0");
  json.key("truncation").null();
  json.key("padding").null();
  json.key("added_tokens").begin_array();
  for (const SpecialToken& special : tokenizer.specials()) {
    json.begin_object();
    json.key("id").value(static_cast<std::uint64_t>(special.id));
    json.key("content").value(tokenizer.token_bytes(special.id));
    json.key("single_word").value(special.single_word);
    json.key("lstrip").value(special.lstrip);
    json.key("rstrip").value(special.rstrip);
    json.key("normalized").value(special.normalized);
    json.key("special").value(true);
    json.end_object();
  }
  json.end_array();
  json.key("normalizer").null();
  write_byte_level(json, "pre_tokenizer", false);
  json.key("post_processor").null();
  write_byte_level(json, "decoder", true);
  json.key("model").begin_object();
  json.key("type").value("BPE");
  json.key("dropout").null();
  json.key("unk_token").null();
  json.key("continuing_subword_prefix").null();
  json.key("end_of_word_suffix").null();
  json.key("fuse_unk").value(false);
  json.key("byte_fallback").value(false);
  json.key("ignore_merges").value(tokenizer.ignore_merges());
  json.key("vocab").begin_object();
  std::vector<std::string> pieces(tokenizer.vocab_size());
  for (std::uint32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    pieces[id] = tokenizer.is_special(id) ? std::string(bytes) : bytes_to_piece(bytes);
    json.key(pieces[id]).value(static_cast<std::uint64_t>(id));
  }
  json.end_object();
  json.key("merges").begin_array();
  for (const Merge& merge : tokenizer.merges()) {
    if (spelling == MergeSpelling::kText) {
      json.value(pieces[merge.left] + " " + pieces[merge.right]);
    } else {
      json.begin_array().value(pieces[merge.left]).value(pieces[merge.right]).end_array();
    }
  }
  json.end_array();
  json.end_object();
  json.end_object();
  return std::move(json).take();
}

void write_tokenizer_json(const Tokenizer& tokenizer, const std::string& path, MergeSpelling spelling) {
  const std::string text = format_tokenizer_json(tokenizer, spelling);
  DurableFile file(path);
  file.write(text);
  file.close();
}

} // namespace assay
