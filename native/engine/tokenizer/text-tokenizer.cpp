#include "engine/tokenizer/text-tokenizer.h"

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/tokenizer/byte-alphabet.h"
#include "engine/tokenizer/text-tokenizer-worker.h"
#include "engine/tokenizer/unicode-text.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <limits>

namespace assay {

namespace {

// Texts of a batch are handed to threads in groups of about this many bytes.
constexpr std::size_t kGroupBytes = std::size_t{1} << 16;

// The names that special tokens go by, the most telling first.
const std::map<std::string_view, std::vector<std::string_view>>& usual_names() {
  static const std::map<std::string_view, std::vector<std::string_view>> names = {
      {"pad", {"[PAD]", "<pad>", "<|padding|>", "<|pad|>"}},
      {"cls", {"[CLS]", "<cls>", "<s>"}},
      {"sep", {"[SEP]", "<sep>", "</s>"}},
      {"mask", {"[MASK]", "<mask>", "<|mask|>"}},
      {"unk", {"[UNK]", "<unk>", "<|unk|>"}},
      {"bos", {"<s>", "<|begin_of_text|>", "<|endoftext|>", "[BOS]"}},
      {"eos", {"<|endoftext|>", "</s>", "<|end_of_text|>", "[EOS]"}},
  };
  return names;
}

} // namespace

std::vector<std::string> pieces_of(const Tokenizer& tokenizer) {
  std::vector<std::string> pieces;
  pieces.reserve(tokenizer.vocab_size());
  for (std::uint32_t id = 0; id < tokenizer.vocab_size(); ++id) {
    const std::string_view bytes = tokenizer.token_bytes(id);
    pieces.push_back(tokenizer.is_special(id) ? std::string(bytes) : bytes_to_piece(bytes));
  }
  return pieces;
}

class TextTokenizer::Worker : public TextTokenizerWorker {
public:
  using TextTokenizerWorker::TextTokenizerWorker;
};

TextTokenizer::TextTokenizer(TextTokenizerParts parts, const std::string& source) : parts_(std::move(parts)) {
  index(source);
  if (cuts_as_gpt2()) {
    byte_level_ = std::make_unique<EncoderPool>(std::get<std::shared_ptr<const Tokenizer>>(parts_.model));
  }
}

bool TextTokenizer::cuts_as_gpt2() const {
  if (kind() != TokenizerKind::kByteBpe || !parts_.normalizer.empty() || parts_.splitter.size() != 1 ||
      std::any_of(parts_.added.begin(), parts_.added.end(), [](const AddedToken& token) { return !token.special; })) {
    return false;
  }
  const auto* splitter = std::get_if<ByteLevelSplitter>(&parts_.splitter.front());
  return splitter != nullptr && !splitter->add_prefix_space && splitter->use_regex;
}

TextTokenizer::TextTokenizer(std::shared_ptr<const Tokenizer> byte_level)
    : byte_level_(std::make_unique<EncoderPool>(byte_level)) {
  parts_.pieces = pieces_of(*byte_level);
  for (const SpecialToken& special : byte_level->specials()) {
    parts_.added.push_back({special.id, parts_.pieces[special.id], special.single_word, special.lstrip, special.rstrip,
                            special.normalized, true});
  }
  parts_.splitter.emplace_back(ByteLevelSplitter{});
  parts_.decoder.emplace_back(ByteLevelDecoder{});
  parts_.model = std::move(byte_level);
  index("a byte-level BPE");
}

TextTokenizer::~TextTokenizer() = default;

void TextTokenizer::index(const std::string& source) {
  const auto fail = [&](const std::string& what) {
    throw Error("TOKENIZER_INVALID", "Cannot use the tokenizer of " + source + ": " + what + ".");
  };
  if (parts_.pieces.empty()) {
    fail("its vocabulary is empty");
  }
  ids_.reserve(parts_.pieces.size());
  for (std::uint32_t id = 0; id < parts_.pieces.size(); ++id) {
    // Of two tokens of one text the first is the one that encoding finds.
    if (!parts_.pieces[id].empty()) {
      ids_.emplace(parts_.pieces[id], id);
    }
  }
  special_.assign(parts_.pieces.size(), false);
  // What a normalizer puts before a text is no part of a token within it.
  std::vector<NormalizerStep> content_steps;
  std::copy_if(parts_.normalizer.begin(), parts_.normalizer.end(), std::back_inserter(content_steps),
               [](const NormalizerStep& step) { return !std::holds_alternative<PrependNormalizer>(step); });
  for (std::uint32_t index = 0; index < parts_.added.size(); ++index) {
    const AddedToken& token = parts_.added[index];
    if (token.id >= parts_.pieces.size()) {
      fail("the added token \"" + token.content + "\" has the id " + std::to_string(token.id) +
           ", which is not below the vocabulary's size " + std::to_string(parts_.pieces.size()));
    }
    if (token.content.empty()) {
      continue;
    }
    special_[token.id] = special_[token.id] || token.special;
    has_added_ = true;
    if (!token.normalized) {
      raw_added_.insert(token.content, index);
      continue;
    }
    AlignedText content(token.content, {0, static_cast<std::uint32_t>(token.content.size())});
    normalize(content, content_steps);
    if (content.size() > 0) {
      normalized_added_.insert(content.text(), index);
      has_normalized_added_ = true;
    }
  }
  const auto check = [&](const std::vector<TemplatePart>& template_parts) {
    for (const TemplatePart& part : template_parts) {
      for (const std::uint32_t id : part.ids) {
        if (id >= parts_.pieces.size()) {
          fail("its template puts in token " + std::to_string(id) + ", which the vocabulary lacks");
        }
      }
    }
  };
  check(parts_.post_processor.single);
  check(parts_.post_processor.pair);
  factory_ = make_word_encoder_factory(parts_.model, parts_.pieces, ids_, source);
}

TokenizerKind TextTokenizer::kind() const {
  struct Kinds {
    TokenizerKind operator()(const WordPieceModel&) const { return TokenizerKind::kWordPiece; }
    TokenizerKind operator()(const UnigramModel&) const { return TokenizerKind::kUnigram; }
    TokenizerKind operator()(const CharacterBpeModel&) const { return TokenizerKind::kCharacterBpe; }
    TokenizerKind operator()(const WordLevelModel&) const { return TokenizerKind::kWordLevel; }
    TokenizerKind operator()(const std::shared_ptr<const Tokenizer>&) const { return TokenizerKind::kByteBpe; }
  };
  return std::visit(Kinds{}, parts_.model);
}

bool TextTokenizer::lowercases() const {
  return std::any_of(parts_.normalizer.begin(), parts_.normalizer.end(), [](const NormalizerStep& step) {
    const auto* bert = std::get_if<BertNormalizer>(&step);
    return std::holds_alternative<LowercaseNormalizer>(step) || (bert != nullptr && bert->lowercase);
  });
}

const std::string& TextTokenizer::piece(std::uint32_t id) const {
  if (id >= parts_.pieces.size()) {
    throw Error("BAD_ARGUMENT", "There is no token " + std::to_string(id) + ": the vocabulary has ids 0 to " +
                                    std::to_string(parts_.pieces.size() - 1) + ".");
  }
  return parts_.pieces[id];
}

std::optional<std::uint32_t> TextTokenizer::id_of_piece(std::string_view piece) const {
  const auto found = ids_.find(piece);
  return found == ids_.end() ? std::nullopt : std::optional(found->second);
}

std::string TextTokenizer::token_bytes(std::uint32_t id) const {
  if (const auto* bytes = std::get_if<std::shared_ptr<const Tokenizer>>(&parts_.model)) {
    return std::string((*bytes)->token_bytes(id));
  }
  return piece(id);
}

std::optional<std::uint32_t> TextTokenizer::id_of_bytes(std::string_view bytes) const {
  if (const auto* tokenizer = std::get_if<std::shared_ptr<const Tokenizer>>(&parts_.model)) {
    return (*tokenizer)->id_of_bytes(bytes);
  }
  return id_of_piece(bytes);
}

std::string TextTokenizer::streamed_bytes(std::uint32_t id) const {
  if (kind() == TokenizerKind::kByteBpe || is_special(id)) {
    return token_bytes(id);
  }
  // A piece before it, so that the steps do not take this one for the first; its own text is what that one lacks.
  const std::vector<std::string> before = {"x"};
  std::vector<std::string> both = before;
  both.push_back(piece(id));
  return decode_pieces(std::move(both), parts_.decoder).substr(decode_pieces(before, parts_.decoder).size());
}

bool TextTokenizer::is_special(std::uint32_t id) const {
  return id < special_.size() && special_[id];
}

std::optional<std::uint32_t> TextTokenizer::role_id(std::string_view role) const {
  if (const auto said = parts_.roles.find(std::string(role)); said != parts_.roles.end()) {
    return id_of_piece(said->second);
  }
  if (const auto names = usual_names().find(role); names != usual_names().end()) {
    for (const std::string_view name : names->second) {
      if (const auto id = id_of_piece(name); id.has_value()) {
        return id;
      }
    }
  }
  return std::nullopt;
}

bool TextTokenizer::starts_word(std::uint32_t id) const {
  if (is_special(id)) {
    return true;
  }
  const std::string bytes = token_bytes(id);
  if (const auto* word_piece = std::get_if<WordPieceModel>(&parts_.model)) {
    return !bytes.starts_with(word_piece->continuing_prefix) || bytes.size() == word_piece->continuing_prefix.size();
  }
  if (kind() == TokenizerKind::kByteBpe) {
    const auto first = static_cast<unsigned char>(bytes.empty() ? 0 : bytes[0]);
    return first < 0x80 && kAsciiClass[first] != CharacterClass::kLetter &&
           kAsciiClass[first] != CharacterClass::kNumber;
  }
  for (const SplitterStep& step : parts_.splitter) {
    if (const auto* metaspace = std::get_if<MetaspaceSplitter>(&step)) {
      return bytes.starts_with(metaspace->replacement);
    }
  }
  // Nothing in a piece that marks ends of words says where it begins.
  return true;
}

std::unique_ptr<TextTokenizer::Worker> TextTokenizer::take() const {
  {
    const std::lock_guard lock(mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Worker> worker = std::move(idle_.back());
      idle_.pop_back();
      return worker;
    }
  }
  return std::make_unique<Worker>(parts_, raw_added_, normalized_added_, has_added_, has_normalized_added_,
                                  factory_->make());
}

void TextTokenizer::give_back(std::unique_ptr<Worker> worker) const {
  const std::lock_guard lock(mutex_);
  idle_.push_back(std::move(worker));
}

TextEncoding TextTokenizer::encode(std::string_view text, const EncodeOptions& options) const {
  std::unique_ptr<Worker> worker = take();
  TextEncoding encoding = assemble(worker->encode(text, options.match_special_tokens), nullptr, parts_.post_processor,
                                   options.truncation, options.add_special_tokens);
  give_back(std::move(worker));
  if (options.padding.has_value()) {
    pad(encoding, *options.padding, padded_length(*options.padding, encoding.size()));
  }
  return encoding;
}

TextEncoding TextTokenizer::encode_pair(std::string_view first, std::string_view second,
                                        const EncodeOptions& options) const {
  std::unique_ptr<Worker> worker = take();
  TextEncoding other = worker->encode(second, options.match_special_tokens);
  TextEncoding encoding = assemble(worker->encode(first, options.match_special_tokens), &other, parts_.post_processor,
                                   options.truncation, options.add_special_tokens);
  give_back(std::move(worker));
  if (options.padding.has_value()) {
    pad(encoding, *options.padding, padded_length(*options.padding, encoding.size()));
  }
  return encoding;
}

namespace {

struct Group {
  std::size_t begin = 0;
  std::size_t end = 0;
};

std::vector<Group> groups_of(std::span<const std::string_view> texts) {
  std::vector<Group> groups;
  for (std::size_t begin = 0; begin < texts.size();) {
    std::size_t end = begin;
    for (std::size_t bytes = 0; end < texts.size() && bytes < kGroupBytes; ++end) {
      bytes += texts[end].size();
    }
    groups.push_back({begin, end});
    begin = end;
  }
  return groups;
}

// Calls body(text index) for each text from several threads, with a worker that `take` gives and `give_back` takes.
template <typename Take, typename GiveBack, typename Body>
void for_each_text(std::span<const std::string_view> texts, unsigned threads, const Take& take,
                   const GiveBack& give_back, const Body& body) {
  const std::vector<Group> groups = groups_of(texts);
  std::atomic<std::size_t> next{0};
  const auto wanted =
      static_cast<unsigned>(std::min<std::size_t>(std::max(threads, 1U), std::max<std::size_t>(groups.size(), 1)));
  run_parallel(wanted, [&](unsigned) {
    auto worker = take();
    for (std::size_t index = next++; index < groups.size(); index = next++) {
      for (std::size_t text = groups[index].begin; text < groups[index].end; ++text) {
        body(*worker, text);
      }
    }
    give_back(std::move(worker));
  });
}

} // namespace

std::vector<TextEncoding> TextTokenizer::encode_batch(std::span<const std::string_view> texts,
                                                      const EncodeOptions& options, unsigned threads) const {
  std::vector<TextEncoding> encodings(texts.size());
  for_each_text(
      texts, threads, [&] { return take(); }, [&](auto worker) { give_back(std::move(worker)); },
      [&](Worker& worker, std::size_t text) {
        encodings[text] = assemble(worker.encode(texts[text], options.match_special_tokens), nullptr,
                                   parts_.post_processor, options.truncation, options.add_special_tokens);
      });
  if (options.padding.has_value()) {
    std::size_t longest = 0;
    for (const TextEncoding& each : encodings) {
      longest = std::max(longest, each.size());
    }
    const std::size_t length = padded_length(*options.padding, longest);
    for (TextEncoding& each : encodings) {
      pad(each, *options.padding, length);
    }
  }
  return encodings;
}

EncodedBatch TextTokenizer::encode_ids(std::span<const std::string_view> texts, unsigned threads) const {
  if (byte_level_ != nullptr) {
    return byte_level_->encode_batch(texts, threads);
  }
  std::vector<TokenIds> ids(texts.size());
  for_each_text(
      texts, threads, [&] { return take(); }, [&](auto worker) { give_back(std::move(worker)); },
      [&](Worker& worker, std::size_t text) { worker.encode_ids(texts[text], ids[text]); });
  EncodedBatch batch;
  batch.offsets.assign(texts.size() + 1, 0);
  for (std::size_t text = 0; text < texts.size(); ++text) {
    batch.offsets[text + 1] = batch.offsets[text] + ids[text].size();
  }
  batch.ids.reserve(batch.offsets.back());
  for (TokenIds& each : ids) {
    batch.ids.insert(batch.ids.end(), each.begin(), each.end());
    each = {};
  }
  return batch;
}

std::string TextTokenizer::decode(std::span<const std::uint32_t> ids, bool skip_special_tokens) const {
  if (byte_level_ != nullptr && !skip_special_tokens) {
    return byte_level_->tokenizer().decode(ids);
  }
  std::vector<std::string> pieces;
  pieces.reserve(ids.size());
  for (const std::uint32_t id : ids) {
    const std::string& text = piece(id);
    if (!skip_special_tokens || !is_special(id)) {
      pieces.push_back(text);
    }
  }
  return decode_pieces(std::move(pieces), parts_.decoder);
}

} // namespace assay
