#include "engine/tokenizer/tokenizer-trainer.h"

#include "engine/base/error.h"
#include "engine/tokenizer/trained-tokenizer.h"
#include "engine/tokenizer/unigram-trainer.h"
#include "engine/tokenizer/wordpiece-trainer.h"

namespace assay {

namespace {

constexpr std::string_view kWordBegin = "\u2581";

WordStatisticsOptions with_pipeline(TrainableType type, bool lowercase, WordStatisticsOptions options) {
  if (type == TrainableType::kWordPiece) {
    options.pipeline = wordpiece_pipeline(lowercase);
  } else if (type == TrainableType::kUnigram) {
    options.pipeline = unigram_pipeline();
  }
  return options;
}

} // namespace

TokenizerTrainer::TokenizerTrainer(TrainableType type, bool lowercase, WordStatisticsOptions options)
    : type_(type), lowercase_(lowercase), trainer_(with_pipeline(type, lowercase, std::move(options))) {}

// As the pipeline leaves them.
std::vector<std::string> TokenizerTrainer::as_words(const std::vector<std::string>& protected_words) const {
  std::vector<std::string> words;
  for (const std::string& word : protected_words) {
    if (type_ == TrainableType::kByteBpe) {
      words.push_back(word.starts_with(' ') ? word : ' ' + word);
      continue;
    }
    const TextPipeline pipeline =
        type_ == TrainableType::kWordPiece ? wordpiece_pipeline(lowercase_) : unigram_pipeline();
    AlignedText aligned(word, {0, static_cast<std::uint32_t>(word.size())});
    normalize(aligned, pipeline.normalizer);
    const std::vector<Stretch> stretches = split(aligned, pipeline.splitter, true);
    if (stretches.size() != 1) {
      throw Error("BAD_ARGUMENT", "Cannot protect \"" + word + "\": the tokenizer makes " +
                                      std::to_string(stretches.size()) +
                                      " words of it, and a piece never crosses their border; protect one word.");
    }
    std::string_view found =
        std::string_view(aligned.text()).substr(stretches[0].begin, stretches[0].end - stretches[0].begin);
    if (type_ == TrainableType::kUnigram && found.starts_with(kWordBegin)) {
      found.remove_prefix(kWordBegin.size());
    }
    words.emplace_back(found);
  }
  return words;
}

TokenizerTrainResult TokenizerTrainer::train(const TokenizerTrainOptions& options) const {
  std::vector<std::string> specials = options.first_tokens;
  specials.insert(specials.end(), options.last_tokens.begin(), options.last_tokens.end());
  if (type_ == TrainableType::kByteBpe) {
    BpeTrainOptions bpe;
    bpe.vocab_size = options.vocab_size;
    bpe.min_frequency = options.min_frequency;
    bpe.special_tokens = specials;
    bpe.protected_words = as_words(options.protected_words);
    bpe.on_progress = options.on_progress;
    BpeTrainResult result = trainer_.train(bpe);
    return {std::make_shared<TextTokenizer>(std::make_shared<const Tokenizer>(std::move(result.tokenizer))),
            {result.min_word_count, result.words_left_out}};
  }
  if (type_ == TrainableType::kWordPiece) {
    WordPieceTrainOptions wordpiece;
    wordpiece.vocab_size = options.vocab_size;
    wordpiece.min_frequency = options.min_frequency;
    wordpiece.special_tokens = options.first_tokens;
    wordpiece.last_tokens = options.last_tokens;
    wordpiece.protected_words = as_words(options.protected_words);
    wordpiece.on_progress = options.on_progress;
    WordPieceTrainResult result = train_wordpiece(words(), wordpiece);
    return {make_wordpiece(std::move(result.pieces), lowercase_, specials),
            {result.min_word_count, result.words_left_out}};
  }
  UnigramTrainOptions unigram;
  unigram.vocab_size = options.vocab_size;
  unigram.special_tokens = options.first_tokens;
  unigram.last_tokens = options.last_tokens;
  unigram.protected_words = as_words(options.protected_words);
  unigram.threads = options.threads;
  unigram.on_progress = options.on_progress;
  UnigramTrainResult result = train_unigram(words(), unigram);
  return {make_unigram(std::move(result.pieces), std::move(result.scores), specials),
          {result.min_word_count, result.words_left_out}};
}

} // namespace assay
