#include "engine/tokenizer/sentencepiece-model.h"

#include "engine/base/mapped-file.h"
#include "engine/tokenizer/protobuf-reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace assay {

namespace {

enum class PieceType : std::uint32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct Piece {
  std::string text;
  float score = 0;
  PieceType type = PieceType::kNormal;
};

struct ModelFile {
  std::vector<Piece> pieces;
  // Trainer's settings, with the defaults of the format.
  std::uint64_t model_type = 1;
  bool byte_fallback = false;
  bool whitespace_as_suffix = false;
  std::string unknown_piece = "<unk>";
  std::string bos_piece = "<s>";
  std::string eos_piece = "</s>";
  std::string pad_piece = "<pad>";
  // Normalizer's.
  std::string charsmap;
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

void read_piece(std::string_view bytes, const std::string& source, ModelFile& file) {
  ProtobufReader reader(bytes, source);
  Piece piece;
  for (ProtobufField field; reader.next(field);) {
    if (field.number == 1 && field.wire_type == 2) {
      piece.text = field.bytes;
    } else if (field.number == 2 && field.wire_type == 5) {
      piece.score = field.as_float();
    } else if (field.number == 3 && field.wire_type == 0) {
      if (field.value < 1 || field.value > 6) {
        reader.fail("piece " + std::to_string(file.pieces.size()) + " is of the unknown type " +
                    std::to_string(field.value));
      }
      piece.type = static_cast<PieceType>(field.value);
    }
  }
  const std::string name = "piece " + std::to_string(file.pieces.size());
  if (piece.text.empty() || find_invalid_utf8(piece.text) != piece.text.size()) {
    reader.fail(name + " is empty or not UTF-8");
  }
  if (!std::isfinite(piece.score)) {
    reader.fail(name + " has no finite score");
  }
  file.pieces.push_back(std::move(piece));
}

void read_trainer(std::string_view bytes, const std::string& source, ModelFile& file) {
  ProtobufReader reader(bytes, source);
  for (ProtobufField field; reader.next(field);) {
    switch (field.number) {
    case 3:
      file.model_type = field.value;
      break;
    case 24:
      file.whitespace_as_suffix = field.value != 0;
      break;
    case 35:
      file.byte_fallback = field.value != 0;
      break;
    case 45:
      file.unknown_piece = field.bytes;
      break;
    case 46:
      file.bos_piece = field.bytes;
      break;
    case 47:
      file.eos_piece = field.bytes;
      break;
    case 48:
      file.pad_piece = field.bytes;
      break;
    default:
      break;
    }
  }
}

void read_normalizer_spec(std::string_view bytes, const std::string& source, ModelFile& file) {
  ProtobufReader reader(bytes, source);
  for (ProtobufField field; reader.next(field);) {
    switch (field.number) {
    case 2:
      file.charsmap = field.bytes;
      break;
    case 3:
      file.add_dummy_prefix = field.value != 0;
      break;
    case 4:
      file.remove_extra_whitespaces = field.value != 0;
      break;
    case 5:
      file.escape_whitespaces = field.value != 0;
      break;
    default:
      break;
    }
  }
}

ModelFile read_model_file(std::string_view bytes, const std::string& source) {
  ModelFile file;
  ProtobufReader reader(bytes, source);
  for (ProtobufField field; reader.next(field);) {
    if (field.wire_type != 2) {
      continue;
    }
    if (field.number == 1) {
      read_piece(field.bytes, source, file);
    } else if (field.number == 2) {
      read_trainer(field.bytes, source, file);
    } else if (field.number == 3) {
      read_normalizer_spec(field.bytes, source, file);
    }
  }
  if (file.pieces.empty()) {
    reader.fail("it holds no pieces");
  }
  return file;
}

[[noreturn]] void refuse(const std::string& source, const std::string& why) {
  throw Error("NOT_SUPPORTED", "Cannot use the SentencePiece model " + source + ": " + why + ".");
}

void add_steps(const ModelFile& file, const std::string& source, TextTokenizerParts& parts) {
  if (!file.charsmap.empty()) {
    parts.normalizer.emplace_back(
        CharsmapNormalizer{std::make_shared<const PrecompiledCharsmap>(file.charsmap, source)});
  }
  if (file.remove_extra_whitespaces) {
    for (const ReplacePattern pattern : {ReplacePattern::kLeadingSpaces, ReplacePattern::kTrailingSpaces}) {
      parts.normalizer.emplace_back(ReplaceNormalizer{pattern, "", ""});
    }
    parts.normalizer.emplace_back(ReplaceNormalizer{ReplacePattern::kSpaceRun, "", " "});
  }
  // A piece may hold a space within where the trainer was told not to split there; words then cannot be cut apart.
  const bool splits = std::all_of(file.pieces.begin(), file.pieces.end(), [](const Piece& piece) {
    return piece.text.find(kMetaspace, 1) == std::string::npos;
  });
  // The prefix is a normalizer's, because it is put before a text that already begins with a space, too.
  if (file.add_dummy_prefix) {
    parts.normalizer.emplace_back(PrependNormalizer{" "});
  }
  parts.splitter.emplace_back(MetaspaceSplitter{std::string(kMetaspace), PrependScheme::kNever, splits});
  parts.decoder.emplace_back(ReplaceDecoder{std::string(kMetaspace), " "});
  if (file.byte_fallback) {
    parts.decoder.emplace_back(ByteFallbackDecoder{});
  }
  parts.decoder.emplace_back(FuseDecoder{});
  if (file.add_dummy_prefix) {
    parts.decoder.emplace_back(StripDecoder{" ", 1, 0});
  }
}

void add_unigram(const ModelFile& file, TextTokenizerParts& parts) {
  UnigramModel model;
  for (const Piece& piece : file.pieces) {
    const bool is_matched = piece.type == PieceType::kNormal;
    model.scores.push_back(is_matched ? static_cast<double>(piece.score) : std::numeric_limits<double>::quiet_NaN());
    if (piece.type == PieceType::kUnknown) {
      model.unknown_id = static_cast<std::uint32_t>(model.scores.size() - 1);
    }
  }
  model.byte_fallback = file.byte_fallback;
  parts.model = std::move(model);
}

// SentencePiece merges two symbols where their text is a piece, the piece of the highest score first. The same as
// merges, all that make one piece of one rank.
void add_bpe(const ModelFile& file, const std::string& source, TextTokenizerParts& parts) {
  CharacterBpeModel model;
  std::unordered_map<std::string_view, std::uint32_t> ids;
  for (std::uint32_t id = 0; id < file.pieces.size(); ++id) {
    const Piece& piece = file.pieces[id];
    model.symbols.push_back(piece.text);
    model.token_of_symbol.push_back(id);
    if (piece.type == PieceType::kNormal) {
      ids.emplace(piece.text, id);
    } else if (piece.type == PieceType::kUnknown) {
      model.unknown_id = id;
    } else if (piece.type == PieceType::kUnused) {
      refuse(source, "its piece \"" + piece.text + "\" is marked as unused, which cuts merged pieces apart again");
    }
  }
  std::vector<std::uint32_t> by_score;
  for (std::uint32_t id = 0; id < file.pieces.size(); ++id) {
    if (file.pieces[id].type == PieceType::kNormal) {
      by_score.push_back(id);
    }
  }
  std::stable_sort(by_score.begin(), by_score.end(), [&](std::uint32_t left, std::uint32_t right) {
    return file.pieces[left].score > file.pieces[right].score;
  });
  std::uint32_t rank = 0;
  for (std::size_t index = 0; index < by_score.size(); ++index) {
    if (index > 0 && file.pieces[by_score[index]].score != file.pieces[by_score[index - 1]].score) {
      ++rank;
    }
    const std::string_view text = file.pieces[by_score[index]].text;
    for (std::size_t middle = 1; middle < text.size(); ++middle) {
      const auto left = ids.find(text.substr(0, middle));
      const auto right = left == ids.end() ? ids.end() : ids.find(text.substr(middle));
      if (right != ids.end()) {
        model.merges.push_back({left->second, right->second, by_score[index], rank});
      }
    }
  }
  model.fuse_unknown = true;
  model.byte_fallback = file.byte_fallback;
  parts.model = std::move(model);
}

} // namespace

TextTokenizerParts parse_sentencepiece_model(std::string_view bytes, const std::string& source) {
  const ModelFile file = read_model_file(bytes, source);
  if (file.model_type != 1 && file.model_type != 2) {
    refuse(source, "it is of the type " + std::string(file.model_type == 3 ? "word" : "char") +
                       ", and this build knows unigram and bpe");
  }
  if (file.whitespace_as_suffix || !file.escape_whitespaces) {
    refuse(source, "it puts spaces after words or leaves them as they are");
  }
  constexpr std::size_t kLongestPiece = 1024;
  TextTokenizerParts parts;
  for (std::uint32_t id = 0; id < file.pieces.size(); ++id) {
    const Piece& piece = file.pieces[id];
    if (piece.text.size() > kLongestPiece) {
      refuse(source, "its piece " + std::to_string(id) + " has more than " + std::to_string(kLongestPiece) + " bytes");
    }
    parts.pieces.push_back(piece.text);
    if (piece.type == PieceType::kUnknown || piece.type == PieceType::kControl ||
        piece.type == PieceType::kUserDefined) {
      AddedToken token;
      token.id = id;
      token.content = piece.text;
      token.special = piece.type != PieceType::kUserDefined;
      // Looked for in the whole normalized text, so that spaces around them stay.
      token.normalized = !token.special;
      parts.added.push_back(token);
    }
  }
  add_steps(file, source, parts);
  if (file.model_type == 1) {
    add_unigram(file, parts);
  } else {
    add_bpe(file, source, parts);
  }
  for (const auto& [role, piece] : {std::pair<const char*, const std::string&>{"unk", file.unknown_piece},
                                    {"bos", file.bos_piece},
                                    {"eos", file.eos_piece},
                                    {"pad", file.pad_piece}}) {
    if (std::find(parts.pieces.begin(), parts.pieces.end(), piece) != parts.pieces.end()) {
      parts.roles[role] = piece;
    }
  }
  return parts;
}

TextTokenizerParts read_sentencepiece_model(const std::string& path) {
  const MappedFile file(path);
  return parse_sentencepiece_model({reinterpret_cast<const char*>(file.bytes().data()), file.size()}, path);
}

} // namespace assay
