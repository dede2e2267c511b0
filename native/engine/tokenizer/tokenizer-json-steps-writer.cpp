// Steps as the objects of a tokenizer.json. One step stands alone, several as a Sequence, none as null.
#include "engine/tokenizer/base64.h"
#include "engine/tokenizer/tokenizer-json-steps.h"

#include <map>

namespace assay {

namespace {

template <typename Value> void field(JsonWriter& json, const char* name, const Value& value) {
  json.key(name).value(value);
}

void begin(JsonWriter& json, std::string_view type) {
  json.begin_object();
  json.key("type").value(type);
}

void write_pattern(JsonWriter& json, std::string_view regex, std::string_view text) {
  json.key("pattern").begin_object();
  if (regex.empty()) {
    json.key("String").value(text);
  } else {
    json.key("Regex").value(regex);
  }
  json.end_object();
}

const char* name_of(SplitBehavior behavior) {
  switch (behavior) {
  case SplitBehavior::kRemoved:
    return "Removed";
  case SplitBehavior::kIsolated:
    return "Isolated";
  case SplitBehavior::kMergedWithPrevious:
    return "MergedWithPrevious";
  case SplitBehavior::kMergedWithNext:
    return "MergedWithNext";
  case SplitBehavior::kContiguous:
    break;
  }
  return "Contiguous";
}

[[noreturn]] void refuse_moses() {
  throw Error("NOT_SUPPORTED", "tokenizer.json cannot express this tokenizer: Moses' rules come before its merges.");
}

struct NormalizerWriter {
  JsonWriter& json;

  void operator()(const BertNormalizer& step) const {
    begin(json, "BertNormalizer");
    field(json, "clean_text", step.clean_text);
    field(json, "handle_chinese_chars", step.handle_chinese_chars);
    json.key("strip_accents");
    if (step.strip_accents.has_value()) {
      json.value(*step.strip_accents);
    } else {
      json.null();
    }
    field(json, "lowercase", step.lowercase);
  }
  void operator()(const UnicodeForm& form) const {
    begin(json, form == UnicodeForm::kNfc    ? "NFC"
                : form == UnicodeForm::kNfd  ? "NFD"
                : form == UnicodeForm::kNfkc ? "NFKC"
                                             : "NFKD");
  }
  void operator()(const LowercaseNormalizer&) const { begin(json, "Lowercase"); }
  void operator()(const StripAccentsNormalizer&) const { begin(json, "StripAccents"); }
  void operator()(const StripNormalizer& step) const {
    begin(json, "Strip");
    field(json, "strip_left", step.left);
    field(json, "strip_right", step.right);
  }
  void operator()(const ReplaceNormalizer& step) const {
    begin(json, "Replace");
    write_pattern(json, regex_of(step.pattern), step.text);
    field(json, "content", step.content);
  }
  void operator()(const PrependNormalizer& step) const {
    begin(json, "Prepend");
    field(json, "prepend", step.text);
  }
  void operator()(const CharsmapNormalizer& step) const {
    begin(json, "Precompiled");
    field(json, "precompiled_charsmap", encode_base64(step.map->blob()));
  }
  void operator()(const MosesNormalizer&) const { refuse_moses(); }
};

struct SplitterWriter {
  JsonWriter& json;

  void operator()(const ByteLevelSplitter& step) const {
    begin(json, "ByteLevel");
    field(json, "add_prefix_space", step.add_prefix_space);
    field(json, "trim_offsets", true);
    field(json, "use_regex", step.use_regex);
  }
  void operator()(const BertSplitter&) const { begin(json, "BertPreTokenizer"); }
  void operator()(const WordSplitter&) const { begin(json, "Whitespace"); }
  void operator()(const WhitespaceSplitter&) const { begin(json, "WhitespaceSplit"); }
  void operator()(const PunctuationSplitter& step) const {
    begin(json, "Punctuation");
    field(json, "behavior", name_of(step.behavior));
  }
  void operator()(const DigitsSplitter& step) const {
    begin(json, "Digits");
    field(json, "individual_digits", step.individual);
  }
  void operator()(const MetaspaceSplitter& step) const {
    begin(json, "Metaspace");
    field(json, "replacement", step.replacement);
    field(json, "prepend_scheme",
          step.prepend == PrependScheme::kAlways  ? "always"
          : step.prepend == PrependScheme::kFirst ? "first"
                                                  : "never");
    field(json, "split", step.split);
  }
  void operator()(const PatternSplitter& step) const {
    begin(json, "Split");
    write_pattern(json, regex_of(step.pattern), step.text);
    field(json, "behavior", name_of(step.behavior));
    field(json, "invert", step.invert);
  }
};

struct DecoderWriter {
  JsonWriter& json;

  void operator()(const ByteLevelDecoder&) const {
    begin(json, "ByteLevel");
    field(json, "add_prefix_space", true);
    field(json, "trim_offsets", true);
    field(json, "use_regex", true);
  }
  void operator()(const WordPieceDecoder& step) const {
    begin(json, "WordPiece");
    field(json, "prefix", step.prefix);
    field(json, "cleanup", step.cleanup);
  }
  void operator()(const MetaspaceDecoder& step) const {
    begin(json, "Metaspace");
    field(json, "replacement", step.replacement);
    field(json, "prepend_scheme", step.strips_first ? "always" : "never");
    field(json, "split", true);
  }
  void operator()(const SuffixDecoder& step) const {
    begin(json, "BPEDecoder");
    field(json, "suffix", step.suffix);
  }
  void operator()(const MosesDecoder&) const { refuse_moses(); }
  void operator()(const ContinuationDecoder& step) const {
    throw Error("NOT_SUPPORTED",
                "tokenizer.json cannot express this tokenizer: no decoder of it joins pieces that end in " + step.mark +
                    ".");
  }
  void operator()(const ByteFallbackDecoder&) const { begin(json, "ByteFallback"); }
  void operator()(const FuseDecoder&) const { begin(json, "Fuse"); }
  void operator()(const StripDecoder& step) const {
    begin(json, "Strip");
    field(json, "content", step.content);
    field(json, "start", static_cast<std::uint64_t>(step.start));
    field(json, "stop", static_cast<std::uint64_t>(step.stop));
  }
  void operator()(const ReplaceDecoder& step) const {
    begin(json, "Replace");
    write_pattern(json, "", step.text);
    field(json, "content", step.content);
  }
};

template <typename Step, typename Writer>
void write_steps(JsonWriter& json, const char* list, const std::vector<Step>& steps, const Writer& writer) {
  if (steps.empty()) {
    json.null();
    return;
  }
  const bool is_list = steps.size() > 1;
  if (is_list) {
    begin(json, "Sequence");
    json.key(list).begin_array();
  }
  for (const Step& step : steps) {
    std::visit(writer, step);
    json.end_object();
  }
  if (is_list) {
    json.end_array();
    json.end_object();
  }
}

void write_template(JsonWriter& json, const char* name, const std::vector<TemplatePart>& parts) {
  json.key(name).begin_array();
  for (const TemplatePart& part : parts) {
    const bool is_special = part.kind == TemplatePart::Kind::kSpecial;
    json.begin_object().key(is_special ? "SpecialToken" : "Sequence").begin_object();
    field(json, "id", is_special ? part.name : part.kind == TemplatePart::Kind::kFirst ? "A" : "B");
    field(json, "type_id", static_cast<std::uint64_t>(part.type_id));
    json.end_object().end_object();
  }
  json.end_array();
}

void write_trimming(JsonWriter& json) {
  begin(json, "ByteLevel");
  field(json, "add_prefix_space", true);
  field(json, "trim_offsets", true);
  field(json, "use_regex", true);
  json.end_object();
}

} // namespace

void write_normalizers(JsonWriter& json, const std::vector<NormalizerStep>& steps) {
  write_steps(json, "normalizers", steps, NormalizerWriter{json});
}

void write_splitters(JsonWriter& json, const std::vector<SplitterStep>& steps) {
  write_steps(json, "pretokenizers", steps, SplitterWriter{json});
}

void write_decoders(JsonWriter& json, const std::vector<DecoderStep>& steps) {
  write_steps(json, "decoders", steps, DecoderWriter{json});
}

void write_post_processor(JsonWriter& json, const PostProcessor& processor) {
  const bool has_template = !processor.single.empty();
  if (!has_template && !processor.trim_offsets) {
    json.null();
    return;
  }
  if (processor.trim_offsets && has_template) {
    begin(json, "Sequence");
    json.key("processors").begin_array();
  }
  if (processor.trim_offsets) {
    write_trimming(json);
  }
  if (has_template) {
    begin(json, "TemplateProcessing");
    write_template(json, "single", processor.single);
    write_template(json, "pair", processor.pair);
    // In the order of their names, so that the same tokenizer gives the same bytes.
    std::map<std::string, std::vector<std::uint32_t>> specials;
    for (const auto* parts : {&processor.single, &processor.pair}) {
      for (const TemplatePart& part : *parts) {
        if (part.kind == TemplatePart::Kind::kSpecial) {
          specials.emplace(part.name, part.ids);
        }
      }
    }
    json.key("special_tokens").begin_object();
    for (const auto& [name, ids] : specials) {
      json.key(name).begin_object();
      field(json, "id", name);
      json.key("ids").begin_array();
      for (const std::uint32_t id : ids) {
        json.value(static_cast<std::uint64_t>(id));
      }
      json.end_array().key("tokens").begin_array();
      for (std::size_t index = 0; index < ids.size(); ++index) {
        json.value(name);
      }
      json.end_array().end_object();
    }
    json.end_object().end_object();
  }
  if (processor.trim_offsets && has_template) {
    json.end_array().end_object();
  }
}

} // namespace assay
