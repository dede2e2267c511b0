#include "engine/data/language-batch.h"

#include "engine/base/error.h"
#include "engine/base/philox.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace assay {

namespace {

// Apart from dropout's sites and from initial weights'.
constexpr std::uint32_t kMaskingSite = 0x40000000U;
enum Draw : std::uint32_t { kOrder, kKind, kToken, kPair };

std::uint32_t draw(const MaskingOptions& options, Draw kind, std::uint32_t index, std::uint32_t step,
                   std::uint32_t sample) {
  return philox4x32({index, sample, step, kMaskingSite | kind},
                    {static_cast<std::uint32_t>(options.seed), static_cast<std::uint32_t>(options.seed >> 32)})[0];
}

void check_id(std::int32_t id, const char* name, std::int64_t vocab_size) {
  if (id < 0 || id >= vocab_size) {
    throw Error("TRAINING_OPTIONS_INVALID", std::string("The masking option ") + name + " is " + std::to_string(id) +
                                                ", which is no token of a vocabulary of " + std::to_string(vocab_size) +
                                                ".");
  }
}

} // namespace

void validate(const MaskingOptions& options, std::int64_t vocab_size) {
  if (!(options.probability > 0.0 && options.probability < 1.0)) {
    throw Error("TRAINING_OPTIONS_INVALID", "The masking option probability is " + std::to_string(options.probability) +
                                                "; it must be above 0 and below 1.");
  }
  check_id(options.mask_id, "maskId", vocab_size);
  check_id(options.cls_id, "clsId", vocab_size);
  check_id(options.sep_id, "sepId", vocab_size);
  check_id(options.pad_id, "padId", vocab_size);
  for (const std::int32_t id : options.specials) {
    check_id(id, "specials", vocab_size);
  }
  if (options.whole_word && static_cast<std::int64_t>(options.word_starts.size()) != vocab_size) {
    throw Error("TRAINING_OPTIONS_INVALID",
                "The masking option wordStarts has " + std::to_string(options.word_starts.size()) +
                    " entries; whole words need one for each of the " + std::to_string(vocab_size) + " tokens.");
  }
}

Batch LanguageBatch::causal_documents(std::span<const std::int32_t> windows, std::int64_t batch, std::int64_t seq_len,
                                      std::int32_t end_of_text_id) {
  const auto rows = static_cast<std::size_t>(batch * seq_len);
  for (std::vector<std::int32_t>* values : {&tokens_, &targets_, &segments_, &positions_}) {
    values->resize(rows);
  }
  for (std::int64_t sequence = 0; sequence < batch; ++sequence) {
    const std::int32_t* window = windows.data() + sequence * (seq_len + 1);
    std::int32_t segment = 0;
    std::int32_t position = 0;
    for (std::int64_t t = 0; t < seq_len; ++t) {
      const auto at = static_cast<std::size_t>(sequence * seq_len + t);
      if (window[t] == end_of_text_id && t > 0) {
        ++segment;
        position = 0;
      }
      tokens_[at] = window[t];
      targets_[at] = window[t + 1];
      segments_[at] = segment;
      positions_[at] = position++;
    }
  }
  Batch view;
  view.batch = batch;
  view.seq_len = seq_len;
  view.tokens = tokens_;
  view.targets = targets_;
  view.segments = segments_;
  view.positions = positions_;
  return view;
}

void LanguageBatch::mask_sequence(std::span<std::int32_t> tokens, std::span<std::int32_t> targets,
                                  const MaskingOptions& options, std::int64_t vocab_size, std::uint32_t step,
                                  std::uint32_t sample) {
  words_.clear();
  std::int64_t maskable = 0;
  bool continues = false;
  for (std::size_t at = 0; at < tokens.size(); ++at) {
    const auto token = static_cast<std::size_t>(tokens[at]);
    if (is_special_[token] != 0) {
      continues = false;
      continue;
    }
    ++maskable;
    const auto place = static_cast<std::int32_t>(at);
    if (options.whole_word && continues && options.word_starts[token] == 0) {
      words_.back().second.second = place + 1;
    } else {
      words_.push_back({draw(options, kOrder, static_cast<std::uint32_t>(at), step, sample), {place, place + 1}});
    }
    continues = true;
  }
  std::sort(words_.begin(), words_.end());
  const auto wanted = std::max<std::int64_t>(
      1, static_cast<std::int64_t>(std::nearbyint(options.probability * static_cast<double>(maskable))));
  std::int64_t chosen = 0;
  for (const auto& [order, range] : words_) {
    const std::int64_t length = range.second - range.first;
    if (chosen + length > wanted && chosen > 0) {
      continue; // a shorter word may still fit
    }
    for (std::int32_t at = range.first; at < range.second; ++at) {
      const auto place = static_cast<std::size_t>(at);
      targets[place] = tokens[place];
      const float kind = uniform_from_bits(draw(options, kKind, static_cast<std::uint32_t>(at), step, sample));
      if (kind < 0.8F) {
        tokens[place] = options.mask_id;
      } else if (kind < 0.9F) {
        const std::uint64_t random = draw(options, kToken, static_cast<std::uint32_t>(at), step, sample);
        const auto other = static_cast<std::size_t>((random * static_cast<std::uint64_t>(vocab_size)) >> 32);
        if (is_special_[other] == 0) {
          tokens[place] = static_cast<std::int32_t>(other);
        }
      }
    }
    chosen += length;
    if (chosen >= wanted) {
      break;
    }
  }
}

Batch LanguageBatch::masked(std::span<const std::int32_t> windows, std::int64_t batch, std::int64_t seq_len,
                            const MaskingOptions& options, std::int64_t vocab_size, std::uint32_t step,
                            std::uint32_t first_sample) {
  const std::int64_t frame = options.sentence_order ? 3 : 2;
  if (seq_len < frame + 2) {
    throw Error("TRAINING_OPTIONS_INVALID",
                "Sequences of " + std::to_string(seq_len) +
                    " positions are too short for masked language modelling; use at least " +
                    std::to_string(frame + 2) + ".");
  }
  is_special_.assign(static_cast<std::size_t>(vocab_size), 0);
  for (const std::int32_t id : options.specials) {
    is_special_[static_cast<std::size_t>(id)] = 1;
  }
  for (const std::int32_t id : {options.mask_id, options.cls_id, options.sep_id, options.pad_id}) {
    is_special_[static_cast<std::size_t>(id)] = 1;
  }
  const auto rows = static_cast<std::size_t>(batch * seq_len);
  tokens_.resize(rows);
  targets_.assign(rows, -1);
  token_types_.assign(rows, 0);
  sentence_targets_.assign(static_cast<std::size_t>(batch), -1);
  const std::int64_t text = seq_len - frame;
  for (std::int64_t sequence = 0; sequence < batch; ++sequence) {
    const std::int32_t* window = windows.data() + sequence * (seq_len + 1);
    const std::uint32_t sample = first_sample + static_cast<std::uint32_t>(sequence);
    std::int32_t* tokens = tokens_.data() + sequence * seq_len;
    std::int32_t* types = token_types_.data() + sequence * seq_len;
    tokens[0] = options.cls_id;
    if (!options.sentence_order) {
      std::copy_n(window, text, tokens + 1);
    } else {
      // The border lies in the middle half; a segment of a few tokens would give the order away.
      const std::uint64_t random = draw(options, kPair, 0, step, sample);
      const std::int64_t border =
          std::max<std::int64_t>(1, text / 4) +
          static_cast<std::int64_t>((random * static_cast<std::uint64_t>(std::max<std::int64_t>(1, text / 2))) >> 32);
      const bool is_swapped = (draw(options, kPair, 1, step, sample) & 1U) != 0;
      const std::int64_t first_length = is_swapped ? text - border : border;
      std::copy_n(is_swapped ? window + border : window, first_length, tokens + 1);
      tokens[1 + first_length] = options.sep_id;
      std::copy_n(is_swapped ? window : window + border, text - first_length, tokens + 2 + first_length);
      std::fill(types + 2 + first_length, types + seq_len, 1);
      sentence_targets_[static_cast<std::size_t>(sequence)] = is_swapped ? 1 : 0;
    }
    tokens[seq_len - 1] = options.sep_id;
    const auto at = static_cast<std::size_t>(sequence * seq_len);
    const auto length = static_cast<std::size_t>(seq_len);
    mask_sequence(std::span(tokens_).subspan(at, length), std::span(targets_).subspan(at, length), options, vocab_size,
                  step, sample);
  }
  Batch view;
  view.batch = batch;
  view.seq_len = seq_len;
  view.tokens = tokens_;
  view.targets = targets_;
  view.token_types = token_types_;
  if (options.sentence_order) {
    view.sentence_targets = sentence_targets_;
  }
  return view;
}

} // namespace assay
