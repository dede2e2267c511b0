#include "engine/tokenizer/trained-tokenizer.h"

#include "engine/tokenizer/vocab-txt.h"

#include <algorithm>
#include <limits>

namespace assay {

namespace {

constexpr const char* kSource = "this training";

// Those that are not added tokens yet.
void add_specials(TextTokenizerParts& parts, const std::vector<std::string>& specials) {
  for (const std::string& text : specials) {
    const bool is_known = std::any_of(parts.added.begin(), parts.added.end(),
                                      [&](const AddedToken& token) { return token.content == text; });
    const auto found = std::find(parts.pieces.begin(), parts.pieces.end(), text);
    if (!is_known && found != parts.pieces.end()) {
      AddedToken token;
      token.id = static_cast<std::uint32_t>(found - parts.pieces.begin());
      token.content = text;
      parts.added.push_back(token);
    }
  }
  std::sort(parts.added.begin(), parts.added.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

} // namespace

TextPipeline wordpiece_pipeline(bool lowercase) {
  BertNormalizer normalizer;
  normalizer.lowercase = lowercase;
  return {{normalizer}, {BertSplitter{}}};
}

TextPipeline unigram_pipeline() {
  return {{UnicodeForm::kNfkc}, {WhitespaceSplitter{}, MetaspaceSplitter{}}};
}

std::shared_ptr<const TextTokenizer> make_wordpiece(std::vector<std::string> pieces, bool lowercase,
                                                    const std::vector<std::string>& specials) {
  BertOptions options;
  options.lowercase = lowercase;
  TextTokenizerParts parts = bert_parts(std::move(pieces), options);
  add_specials(parts, specials);
  return std::make_shared<TextTokenizer>(std::move(parts), kSource);
}

std::shared_ptr<const TextTokenizer> make_unigram(std::vector<std::string> pieces, std::vector<double> scores,
                                                  const std::vector<std::string>& specials) {
  TextTokenizerParts parts;
  TextPipeline pipeline = unigram_pipeline();
  parts.normalizer = std::move(pipeline.normalizer);
  parts.splitter = std::move(pipeline.splitter);
  parts.decoder.emplace_back(MetaspaceDecoder{});
  UnigramModel model;
  model.scores = std::move(scores);
  for (double& score : model.scores) {
    // As a .model keeps it, so that both files say the same.
    score = static_cast<float>(score);
  }
  for (std::size_t id = 0; id < pieces.size(); ++id) {
    if (std::find(specials.begin(), specials.end(), pieces[id]) != specials.end()) {
      // Never from text, or a document could forge it.
      model.scores[id] = std::numeric_limits<double>::quiet_NaN();
    }
  }
  model.unknown_id = 0;
  parts.model = std::move(model);
  parts.pieces = std::move(pieces);
  add_specials(parts, specials);
  return std::make_shared<TextTokenizer>(std::move(parts), kSource);
}

} // namespace assay
