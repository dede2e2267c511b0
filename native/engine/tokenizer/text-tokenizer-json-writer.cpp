// A tokenizer of any kind as tokenizer.json.
#include "engine/base/durable-file.h"
#include "engine/tokenizer/text-tokenizer-json.h"
#include "engine/tokenizer/tokenizer-json-steps.h"
#include "engine/tokenizer/tokenizer-json.h"

#include <algorithm>
#include <cmath>

namespace assay {

namespace {

[[noreturn]] void refuse(const std::string& why) {
  throw Error("NOT_SUPPORTED", "tokenizer.json cannot express this tokenizer: " + why + ".");
}

void write_added(JsonWriter& json, std::vector<AddedToken> added) {
  std::sort(added.begin(), added.end(),
            [](const AddedToken& left, const AddedToken& right) { return left.id < right.id; });
  json.key("added_tokens").begin_array();
  for (const AddedToken& token : added) {
    json.begin_object();
    json.key("id").value(static_cast<std::uint64_t>(token.id));
    json.key("content").value(token.content);
    json.key("single_word").value(token.single_word);
    json.key("lstrip").value(token.lstrip);
    json.key("rstrip").value(token.rstrip);
    json.key("normalized").value(token.normalized);
    json.key("special").value(token.special);
    json.end_object();
  }
  json.end_array();
}

void write_vocabulary(JsonWriter& json, const std::vector<std::string>& pieces) {
  json.key("vocab").begin_object();
  for (std::uint32_t id = 0; id < pieces.size(); ++id) {
    if (!pieces[id].empty()) {
      json.key(pieces[id]).value(static_cast<std::uint64_t>(id));
    }
  }
  json.end_object();
}

struct ModelWriter {
  JsonWriter& json;
  const TextTokenizerParts& parts;

  void operator()(const WordPieceModel& model) const {
    json.key("type").value("WordPiece");
    json.key("unk_token").value(model.unknown_token);
    json.key("continuing_subword_prefix").value(model.continuing_prefix);
    json.key("max_input_chars_per_word").value(static_cast<std::uint64_t>(model.max_word_characters));
    write_vocabulary(json, parts.pieces);
  }

  void operator()(const WordLevelModel& model) const {
    json.key("type").value("WordLevel");
    write_vocabulary(json, parts.pieces);
    json.key("unk_token").value(model.unknown_token);
  }

  void operator()(const UnigramModel& model) const {
    json.key("type").value("Unigram");
    json.key("unk_id");
    if (model.unknown_id.has_value()) {
      json.value(static_cast<std::uint64_t>(*model.unknown_id));
    } else {
      json.null();
    }
    json.key("vocab").begin_array();
    for (std::uint32_t id = 0; id < parts.pieces.size(); ++id) {
      // Pieces that never come from text are found as added tokens alone; their score is never used.
      const double score = std::isnan(model.scores[id]) ? 0.0 : model.scores[id];
      json.begin_array().value(parts.pieces[id]).value(score).end_array();
    }
    json.end_array();
    json.key("byte_fallback").value(model.byte_fallback);
  }

  void operator()(const CharacterBpeModel& model) const {
    for (std::uint32_t symbol = 0; symbol < model.symbols.size(); ++symbol) {
      const std::uint32_t token = model.token_of_symbol[symbol];
      if (token == kNoToken || parts.pieces[token] != model.symbols[symbol]) {
        refuse("its merges make \"" + model.symbols[symbol] + "\", which is no piece of its vocabulary");
      }
    }
    write_bpe(model.unknown_id, model.continuing_prefix, model.end_of_word_suffix, model.fuse_unknown,
              model.byte_fallback, model.ignore_merges);
    write_vocabulary(json, parts.pieces);
    json.key("merges").begin_array();
    std::vector<CharacterBpeModel::RankedMerge> merges = model.merges;
    std::stable_sort(merges.begin(), merges.end(),
                     [](const auto& left, const auto& right) { return left.rank < right.rank; });
    for (const CharacterBpeModel::RankedMerge& merge : merges) {
      json.begin_array().value(model.symbols[merge.left]).value(model.symbols[merge.right]).end_array();
    }
    json.end_array();
  }

  void operator()(const std::shared_ptr<const Tokenizer>& tokenizer) const {
    write_bpe(std::nullopt, "", "", false, false, tokenizer->ignore_merges());
    write_vocabulary(json, parts.pieces);
    json.key("merges").begin_array();
    for (const Merge& merge : tokenizer->merges()) {
      json.value(parts.pieces[merge.left] + " " + parts.pieces[merge.right]);
    }
    json.end_array();
  }

private:
  void write_optional(const char* name, const std::string& text) const {
    json.key(name);
    if (text.empty()) {
      json.null();
    } else {
      json.value(text);
    }
  }

  void write_bpe(const std::optional<std::uint32_t>& unknown, const std::string& prefix, const std::string& suffix,
                 bool fuses, bool falls_back, bool ignores) const {
    json.key("type").value("BPE");
    json.key("dropout").null();
    write_optional("unk_token", unknown.has_value() ? parts.pieces[*unknown] : "");
    write_optional("continuing_subword_prefix", prefix);
    write_optional("end_of_word_suffix", suffix);
    json.key("fuse_unk").value(fuses);
    json.key("byte_fallback").value(falls_back);
    json.key("ignore_merges").value(ignores);
  }
};

void write_truncation(JsonWriter& json, const std::optional<Truncation>& truncation) {
  json.key("truncation");
  if (!truncation.has_value()) {
    json.null();
    return;
  }
  json.begin_object();
  json.key("direction").value(truncation->side == Side::kLeft ? "Left" : "Right");
  json.key("max_length").value(static_cast<std::uint64_t>(truncation->max_length));
  json.key("strategy")
      .value(truncation->strategy == TruncationStrategy::kOnlyFirst    ? "OnlyFirst"
             : truncation->strategy == TruncationStrategy::kOnlySecond ? "OnlySecond"
                                                                       : "LongestFirst");
  json.key("stride").value(static_cast<std::uint64_t>(truncation->stride));
  json.end_object();
}

void write_padding(JsonWriter& json, const std::optional<Padding>& padding) {
  json.key("padding");
  if (!padding.has_value()) {
    json.null();
    return;
  }
  json.begin_object();
  json.key("strategy");
  if (padding->length.has_value()) {
    json.begin_object().key("Fixed").value(static_cast<std::uint64_t>(*padding->length)).end_object();
  } else {
    json.value("BatchLongest");
  }
  json.key("direction").value(padding->side == Side::kLeft ? "Left" : "Right");
  json.key("pad_to_multiple_of");
  if (padding->multiple_of > 1) {
    json.value(static_cast<std::uint64_t>(padding->multiple_of));
  } else {
    json.null();
  }
  json.key("pad_id").value(static_cast<std::uint64_t>(padding->pad_id));
  json.key("pad_type_id").value(static_cast<std::uint64_t>(padding->pad_type_id));
  json.key("pad_token").value(padding->pad_token);
  json.end_object();
}

} // namespace

std::string format_tokenizer_json(const TextTokenizer& tokenizer) {
  const TextTokenizerParts& parts = tokenizer.parts();
  const bool is_plain = parts.post_processor.single.empty() && !parts.post_processor.trim_offsets &&
                        !parts.truncation.has_value() && !parts.padding.has_value();
  if (tokenizer.byte_level() != nullptr && is_plain) {
    return format_tokenizer_json(tokenizer.byte_level()->tokenizer());
  }
  JsonWriter json(2);
  json.begin_object();
  json.key("version").value("1.0");
  write_truncation(json, parts.truncation);
  write_padding(json, parts.padding);
  write_added(json, parts.added);
  json.key("normalizer");
  write_normalizers(json, parts.normalizer);
  json.key("pre_tokenizer");
  write_splitters(json, parts.splitter);
  json.key("post_processor");
  write_post_processor(json, parts.post_processor);
  json.key("decoder");
  write_decoders(json, parts.decoder);
  json.key("model").begin_object();
  std::visit(ModelWriter{json, parts}, parts.model);
  json.end_object();
  json.end_object();
  return std::move(json).take();
}

void write_tokenizer_json(const TextTokenizer& tokenizer, const std::string& path) {
  const std::string text = format_tokenizer_json(tokenizer);
  DurableFile file(path);
  file.write(text);
  file.close();
}

} // namespace assay
