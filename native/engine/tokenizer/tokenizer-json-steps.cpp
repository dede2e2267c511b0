#include "engine/tokenizer/tokenizer-json-steps.h"

#include "engine/tokenizer/base64.h"

namespace assay {

namespace {

const std::string& type_of(const JsonFields& fields) {
  return fields.text("type");
}

template <typename Step, typename Read>
void read_sequence(const JsonFields& fields, const char* field, std::vector<Step>& steps, const Read& read) {
  fields.allow({"type", field});
  for (std::size_t index = 0; index < fields.array(field).size(); ++index) {
    read(fields.item(field, index), steps);
  }
}

// {"String": …} or {"Regex": …}.
struct Pattern {
  bool is_regex = false;
  std::string text;
};

Pattern read_pattern(const JsonFields& fields) {
  const JsonFields pattern = fields.child("pattern");
  pattern.allow({"String", "Regex"});
  if (pattern.find("Regex") != nullptr) {
    return {true, pattern.text("Regex")};
  }
  return {false, pattern.text("String")};
}

SplitBehavior read_behavior(const JsonFields& fields, SplitBehavior otherwise) {
  if (fields.find("behavior") == nullptr) {
    return otherwise;
  }
  const std::string& name = fields.text("behavior");
  if (name == "Removed") {
    return SplitBehavior::kRemoved;
  }
  if (name == "Isolated") {
    return SplitBehavior::kIsolated;
  }
  if (name == "MergedWithPrevious") {
    return SplitBehavior::kMergedWithPrevious;
  }
  if (name == "MergedWithNext") {
    return SplitBehavior::kMergedWithNext;
  }
  if (name != "Contiguous") {
    fields.refuse("behavior", "it is " + name);
  }
  return SplitBehavior::kContiguous;
}

NormalizerStep read_replace(const JsonFields& fields) {
  fields.allow({"type", "pattern", "content"});
  ReplaceNormalizer step;
  step.content = fields.text("content");
  const Pattern pattern = read_pattern(fields);
  if (!pattern.is_regex) {
    step.text = pattern.text;
    return step;
  }
  for (const ReplacePattern known :
       {ReplacePattern::kSpaceRun, ReplacePattern::kLeadingSpaces, ReplacePattern::kTrailingSpaces}) {
    if (regex_of(known) == pattern.text) {
      step.pattern = known;
      return step;
    }
  }
  fields.refuse("pattern",
                "it is the regular expression \"" + pattern.text + "\"; only those for runs of spaces are known");
}

PrependScheme read_prepend_scheme(const JsonFields& fields) {
  if (fields.find("prepend_scheme") == nullptr) {
    return fields.flag_or("add_prefix_space", true) ? PrependScheme::kAlways : PrependScheme::kNever;
  }
  const std::string& name = fields.text("prepend_scheme");
  if (name == "always") {
    return PrependScheme::kAlways;
  }
  if (name == "first") {
    return PrependScheme::kFirst;
  }
  if (name != "never") {
    fields.refuse("prepend_scheme", "it is " + name);
  }
  return PrependScheme::kNever;
}

SplitterStep read_split(const JsonFields& fields) {
  fields.allow({"type", "pattern", "behavior", "invert"});
  PatternSplitter step;
  step.behavior = read_behavior(fields, SplitBehavior::kIsolated);
  step.invert = fields.flag_or("invert", false);
  const Pattern pattern = read_pattern(fields);
  if (!pattern.is_regex) {
    step.text = pattern.text;
    return step;
  }
  const auto known = pattern_of_regex(pattern.text);
  if (!known.has_value()) {
    fields.refuse("pattern", "it is the regular expression \"" + pattern.text +
                                 "\"; only those of GPT-2, cl100k and o200k are known");
  }
  step.pattern = *known;
  return step;
}

std::vector<TemplatePart> read_template(const JsonFields& fields, const char* field) {
  std::vector<TemplatePart> parts;
  for (std::size_t index = 0; index < fields.array(field).size(); ++index) {
    const JsonFields item = fields.item(field, index);
    item.allow({"SpecialToken", "Sequence"});
    TemplatePart part;
    if (item.find("SpecialToken") == nullptr) {
      const JsonFields sequence = item.child("Sequence");
      const std::string& name = sequence.text("id");
      if (name != "A" && name != "B") {
        sequence.fail("\"" + sequence.name("id") + "\" is neither A nor B");
      }
      part.kind = name == "A" ? TemplatePart::Kind::kFirst : TemplatePart::Kind::kSecond;
      part.type_id = static_cast<std::uint32_t>(sequence.whole_or("type_id", 0));
    } else {
      const JsonFields special = item.child("SpecialToken");
      part.kind = TemplatePart::Kind::kSpecial;
      part.name = special.text("id");
      part.type_id = static_cast<std::uint32_t>(special.whole_or("type_id", 0));
      const JsonFields named = fields.child("special_tokens").child(part.name);
      for (const JsonValue& id : named.array("ids")) {
        if (!id.is_unsigned() || id.as_unsigned() >= kNoToken) {
          named.fail("\"" + named.name("ids") + "\" holds something that is no id");
        }
        part.ids.push_back(static_cast<std::uint32_t>(id.as_unsigned()));
      }
    }
    parts.push_back(std::move(part));
  }
  return parts;
}

TemplatePart read_pair_of_text_and_id(const JsonFields& fields, const char* field) {
  const JsonArray& pair = fields.array(field);
  if (pair.size() != 2 || !pair[0].is_string() || !pair[1].is_unsigned() || pair[1].as_unsigned() >= kNoToken) {
    fields.fail("\"" + fields.name(field) + "\" is not a token and its id");
  }
  return {TemplatePart::Kind::kSpecial, 0, pair[0].as_string(), {static_cast<std::uint32_t>(pair[1].as_unsigned())}};
}

} // namespace

void read_normalizer(const JsonFields& fields, std::vector<NormalizerStep>& steps) {
  const std::string& type = type_of(fields);
  if (type == "Sequence") {
    read_sequence(fields, "normalizers", steps, read_normalizer);
  } else if (type == "BertNormalizer") {
    fields.allow({"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
    BertNormalizer step;
    step.clean_text = fields.flag_or("clean_text", true);
    step.handle_chinese_chars = fields.flag_or("handle_chinese_chars", true);
    step.lowercase = fields.flag_or("lowercase", true);
    if (fields.find("strip_accents") != nullptr) {
      step.strip_accents = fields.flag_or("strip_accents", false);
    }
    steps.emplace_back(step);
  } else if (type == "NFC" || type == "NFD" || type == "NFKC" || type == "NFKD") {
    fields.allow({"type"});
    steps.emplace_back(type == "NFC"    ? UnicodeForm::kNfc
                       : type == "NFD"  ? UnicodeForm::kNfd
                       : type == "NFKC" ? UnicodeForm::kNfkc
                                        : UnicodeForm::kNfkd);
  } else if (type == "Lowercase") {
    fields.allow({"type"});
    steps.emplace_back(LowercaseNormalizer{});
  } else if (type == "StripAccents") {
    fields.allow({"type"});
    steps.emplace_back(StripAccentsNormalizer{});
  } else if (type == "Strip") {
    fields.allow({"type", "strip_left", "strip_right"});
    steps.emplace_back(StripNormalizer{fields.flag_or("strip_left", true), fields.flag_or("strip_right", true)});
  } else if (type == "Replace") {
    steps.push_back(read_replace(fields));
  } else if (type == "Prepend") {
    fields.allow({"type", "prepend"});
    steps.emplace_back(PrependNormalizer{fields.text("prepend")});
  } else if (type == "Precompiled") {
    fields.allow({"type", "precompiled_charsmap"});
    if (fields.find("precompiled_charsmap") == nullptr) {
      return;
    }
    const auto blob = decode_base64(fields.text("precompiled_charsmap"));
    if (!blob.has_value()) {
      fields.fail("\"" + fields.name("precompiled_charsmap") + "\" is not base64");
    }
    if (!blob->empty()) {
      steps.emplace_back(CharsmapNormalizer{std::make_shared<const PrecompiledCharsmap>(*blob, fields.source())});
    }
  } else {
    fields.refuse("type", "it is " + type);
  }
}

void read_splitter(const JsonFields& fields, std::vector<SplitterStep>& steps) {
  const std::string& type = type_of(fields);
  if (type == "Sequence") {
    read_sequence(fields, "pretokenizers", steps, read_splitter);
  } else if (type == "ByteLevel") {
    fields.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    steps.emplace_back(ByteLevelSplitter{fields.flag_or("add_prefix_space", true), fields.flag_or("use_regex", true)});
  } else if (type == "BertPreTokenizer") {
    fields.allow({"type"});
    steps.emplace_back(BertSplitter{});
  } else if (type == "Whitespace") {
    fields.allow({"type"});
    steps.emplace_back(WordSplitter{});
  } else if (type == "WhitespaceSplit") {
    fields.allow({"type"});
    steps.emplace_back(WhitespaceSplitter{});
  } else if (type == "Punctuation") {
    fields.allow({"type", "behavior"});
    steps.emplace_back(PunctuationSplitter{read_behavior(fields, SplitBehavior::kIsolated)});
  } else if (type == "Digits") {
    fields.allow({"type", "individual_digits"});
    steps.emplace_back(DigitsSplitter{fields.flag_or("individual_digits", false)});
  } else if (type == "Metaspace") {
    fields.allow({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    steps.emplace_back(MetaspaceSplitter{fields.text_or("replacement", "\u2581"), read_prepend_scheme(fields),
                                         fields.flag_or("split", true)});
  } else if (type == "Split") {
    steps.push_back(read_split(fields));
  } else if (type == "CharDelimiterSplit") {
    fields.allow({"type", "delimiter"});
    steps.emplace_back(PatternSplitter{SplitPattern::kText, fields.text("delimiter"), SplitBehavior::kRemoved, false});
  } else {
    fields.refuse("type", "it is " + type);
  }
}

void read_post_processor(const JsonFields& fields, PostProcessor& processor) {
  using Kind = TemplatePart::Kind;
  const std::string& type = type_of(fields);
  if (type == "Sequence") {
    fields.allow({"type", "processors"});
    for (std::size_t index = 0; index < fields.array("processors").size(); ++index) {
      read_post_processor(fields.item("processors", index), processor);
    }
    return;
  }
  if (type == "ByteLevel") {
    fields.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    processor.trim_offsets = processor.trim_offsets || fields.flag_or("trim_offsets", true);
    return;
  }
  if (!processor.single.empty()) {
    fields.refuse("type", "it is a second template");
  }
  const TemplatePart first{Kind::kFirst, 0, "", {}};
  const TemplatePart second{Kind::kSecond, 0, "", {}};
  if (type == "TemplateProcessing") {
    fields.allow({"type", "single", "pair", "special_tokens"});
    processor.single = read_template(fields, "single");
    processor.pair = read_template(fields, "pair");
  } else if (type == "BertProcessing" || type == "RobertaProcessing") {
    fields.allow({"type", "sep", "cls", "trim_offsets", "add_prefix_space"});
    const TemplatePart cls = read_pair_of_text_and_id(fields, "cls");
    const TemplatePart sep = read_pair_of_text_and_id(fields, "sep");
    processor.single = {cls, first, sep};
    if (type == "BertProcessing") {
      TemplatePart last = sep;
      last.type_id = 1;
      processor.pair = {cls, first, sep, {Kind::kSecond, 1, "", {}}, last};
    } else {
      processor.pair = {cls, first, sep, sep, second, sep};
      processor.trim_offsets = processor.trim_offsets || fields.flag_or("trim_offsets", true);
    }
  } else {
    fields.refuse("type", "it is " + type);
  }
}

void read_decoder(const JsonFields& fields, std::vector<DecoderStep>& steps) {
  const std::string& type = type_of(fields);
  if (type == "Sequence") {
    read_sequence(fields, "decoders", steps, read_decoder);
  } else if (type == "ByteLevel") {
    fields.allow({"type", "add_prefix_space", "trim_offsets", "use_regex"});
    steps.emplace_back(ByteLevelDecoder{});
  } else if (type == "WordPiece") {
    fields.allow({"type", "prefix", "cleanup"});
    steps.emplace_back(WordPieceDecoder{fields.text_or("prefix", "##"), fields.flag_or("cleanup", true)});
  } else if (type == "Metaspace") {
    fields.allow({"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
    steps.emplace_back(MetaspaceDecoder{fields.text_or("replacement", "\u2581"),
                                        read_prepend_scheme(fields) != PrependScheme::kNever});
  } else if (type == "BPEDecoder") {
    fields.allow({"type", "suffix"});
    steps.emplace_back(SuffixDecoder{fields.text_or("suffix", "</w>")});
  } else if (type == "ByteFallback") {
    fields.allow({"type"});
    steps.emplace_back(ByteFallbackDecoder{});
  } else if (type == "Fuse") {
    fields.allow({"type"});
    steps.emplace_back(FuseDecoder{});
  } else if (type == "Strip") {
    fields.allow({"type", "content", "start", "stop"});
    steps.emplace_back(StripDecoder{fields.text_or("content", " "),
                                    static_cast<std::size_t>(fields.whole_or("start", 0)),
                                    static_cast<std::size_t>(fields.whole_or("stop", 0))});
  } else if (type == "Replace") {
    fields.allow({"type", "pattern", "content"});
    const Pattern pattern = read_pattern(fields);
    if (pattern.is_regex) {
      fields.refuse("pattern", "it is a regular expression");
    }
    steps.emplace_back(ReplaceDecoder{pattern.text, fields.text("content")});
  } else {
    fields.refuse("type", "it is " + type);
  }
}

} // namespace assay
