#include "engine/tokenizer/sentencepiece-writer.h"

#include "engine/base/durable-file.h"
#include "engine/base/error.h"
#include "engine/tokenizer/charsmap-builder.h"

#include <algorithm>
#include <cmath>
#include <cstring>

namespace assay {

namespace {

enum class PieceType : std::uint8_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

constexpr std::uint64_t kUnigram = 1;
constexpr std::string_view kMetaspace = "\u2581";

[[noreturn]] void refuse(const std::string& why) {
  throw Error("NOT_SUPPORTED",
              "A SentencePiece model cannot express this tokenizer: " + why + "; write tokenizer.json instead.");
}

class ProtobufWriter {
public:
  void number(std::uint32_t field, std::uint64_t value) {
    tag(field, 0);
    varint(value);
  }
  void real(std::uint32_t field, float value) {
    tag(field, 5);
    char bytes[sizeof value] = {};
    std::memcpy(bytes, &value, sizeof value);
    bytes_.append(bytes, sizeof bytes);
  }
  void text(std::uint32_t field, std::string_view value) {
    tag(field, 2);
    varint(value.size());
    bytes_.append(value);
  }
  const std::string& bytes() const noexcept { return bytes_; }

private:
  void tag(std::uint32_t field, std::uint32_t wire_type) { varint((field << 3) | wire_type); }
  void varint(std::uint64_t value) {
    for (; value >= 0x80; value >>= 7) {
      bytes_.push_back(static_cast<char>(value | 0x80U));
    }
    bytes_.push_back(static_cast<char>(value));
  }

  std::string bytes_;
};

// What SentencePiece does before it looks for pieces.
struct Normalizing {
  std::string charsmap;
  bool adds_prefix = false;
  bool removes_spaces = false;
};

bool is_metaspace(const SplitterStep& step, PrependScheme prepend) {
  const auto* metaspace = std::get_if<MetaspaceSplitter>(&step);
  return metaspace != nullptr && metaspace->replacement == kMetaspace && metaspace->prepend == prepend;
}

bool removes(const NormalizerStep& step, ReplacePattern pattern, std::string_view content) {
  const auto* replace = std::get_if<ReplaceNormalizer>(&step);
  return replace != nullptr && replace->pattern == pattern && replace->content == content;
}

// The steps of a tokenizer that was read from a .model.
Normalizing as_read(const TextTokenizerParts& parts) {
  Normalizing found;
  auto step = parts.normalizer.begin();
  const auto end = parts.normalizer.end();
  if (step != end && std::holds_alternative<CharsmapNormalizer>(*step)) {
    found.charsmap = std::get<CharsmapNormalizer>(*step++).map->blob();
  }
  if (end - step >= 3 && removes(step[0], ReplacePattern::kLeadingSpaces, "") &&
      removes(step[1], ReplacePattern::kTrailingSpaces, "") && removes(step[2], ReplacePattern::kSpaceRun, " ")) {
    found.removes_spaces = true;
    step += 3;
  }
  if (step != end && std::holds_alternative<PrependNormalizer>(*step) &&
      std::get<PrependNormalizer>(*step).text == " ") {
    found.adds_prefix = true;
    ++step;
  }
  if (step != end || parts.splitter.size() != 1 || !is_metaspace(parts.splitter[0], PrependScheme::kNever)) {
    refuse("its normalizers or the way it cuts words are not SentencePiece's");
  }
  return found;
}

Normalizing normalizing_of(const TextTokenizerParts& parts) {
  const bool is_trained_here =
      parts.normalizer.size() == 1 && std::holds_alternative<UnicodeForm>(parts.normalizer[0]) &&
      std::get<UnicodeForm>(parts.normalizer[0]) == UnicodeForm::kNfkc && parts.splitter.size() == 2 &&
      std::holds_alternative<WhitespaceSplitter>(parts.splitter[0]) &&
      is_metaspace(parts.splitter[1], PrependScheme::kAlways);
  return is_trained_here ? Normalizing{build_charsmap(nfkc_entries()), true, true} : as_read(parts);
}

bool is_byte_piece(const std::string& piece) {
  return piece.size() == 6 && piece.starts_with("<0x") && piece.ends_with('>');
}

std::vector<PieceType> types_of(const TextTokenizerParts& parts, const UnigramModel& model) {
  std::vector<PieceType> types;
  for (std::uint32_t id = 0; id < parts.pieces.size(); ++id) {
    if (parts.pieces[id].empty()) {
      refuse("its piece " + std::to_string(id) + " is empty");
    }
    types.push_back(!std::isnan(model.scores[id])                            ? PieceType::kNormal
                    : model.byte_fallback && is_byte_piece(parts.pieces[id]) ? PieceType::kByte
                                                                             : PieceType::kUnused);
  }
  for (const AddedToken& token : parts.added) {
    if (token.single_word || token.lstrip || token.rstrip) {
      refuse("\"" + token.content + "\" takes what stands around it into account");
    }
    types[token.id] = token.special ? PieceType::kControl : PieceType::kUserDefined;
  }
  types[*model.unknown_id] = PieceType::kUnknown;
  return types;
}

std::string trainer_spec(const TextTokenizer& tokenizer, const UnigramModel& model) {
  const TextTokenizerParts& parts = tokenizer.parts();
  ProtobufWriter spec;
  spec.number(3, kUnigram);
  spec.number(4, parts.pieces.size());
  spec.number(35, model.byte_fallback ? 1 : 0);
  // The id of each role, and its text; −1 where there is none.
  struct Role {
    const char* name;
    std::uint32_t id_field;
    std::uint32_t text_field;
  };
  for (const Role& role : {Role{"bos", 41, 46}, Role{"eos", 42, 47}, Role{"pad", 43, 48}}) {
    const auto id = tokenizer.role_id(role.name);
    const auto number = id.has_value() ? static_cast<std::int64_t>(*id) : std::int64_t{-1};
    spec.number(role.id_field, static_cast<std::uint64_t>(number));
    if (id.has_value()) {
      spec.text(role.text_field, parts.pieces[*id]);
    }
  }
  spec.number(40, *model.unknown_id);
  spec.text(45, parts.pieces[*model.unknown_id]);
  return spec.bytes();
}

} // namespace

std::string format_sentencepiece_model(const TextTokenizer& tokenizer) {
  const TextTokenizerParts& parts = tokenizer.parts();
  const auto* model = std::get_if<UnigramModel>(&parts.model);
  if (model == nullptr) {
    refuse("only Unigram is written as one");
  }
  if (!model->unknown_id.has_value()) {
    refuse("it has no unknown token");
  }
  if (!parts.post_processor.single.empty() || !parts.post_processor.pair.empty()) {
    refuse("it puts special tokens around a text");
  }
  const Normalizing normalizing = normalizing_of(parts);
  const std::vector<PieceType> types = types_of(parts, *model);
  ProtobufWriter file;
  for (std::uint32_t id = 0; id < parts.pieces.size(); ++id) {
    ProtobufWriter piece;
    piece.text(1, parts.pieces[id]);
    piece.real(2, types[id] == PieceType::kNormal ? static_cast<float>(model->scores[id]) : 0.0F);
    piece.number(3, static_cast<std::uint64_t>(types[id]));
    file.text(1, piece.bytes());
  }
  file.text(2, trainer_spec(tokenizer, *model));
  ProtobufWriter spec;
  spec.text(1, "user_defined");
  spec.text(2, normalizing.charsmap);
  spec.number(3, normalizing.adds_prefix ? 1 : 0);
  spec.number(4, normalizing.removes_spaces ? 1 : 0);
  spec.number(5, 1);
  file.text(3, spec.bytes());
  return file.bytes();
}

void write_sentencepiece_model(const TextTokenizer& tokenizer, const std::string& path) {
  const std::string bytes = format_sentencepiece_model(tokenizer);
  DurableFile file(path);
  file.write(bytes);
  file.close();
}

} // namespace assay
