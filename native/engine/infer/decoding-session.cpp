#include "engine/infer/decoding-session.h"

#include "engine/base/error.h"
#include "engine/model/forward-pass.h"

#include <algorithm>
#include <atomic>
#include <string>

namespace assay {

namespace {

DecodingOptions checked_options(const ModelConfig& c, DecodingOptions options) {
  if (!c.is_causal() || c.head != HeadKind::kCausalLm) {
    throw Error("NOT_SUPPORTED",
                "Only a causal language model writes text; this model is an encoder or has another head.");
  }
  if (options.capacity < 1 || options.capacity > c.max_seq_len) {
    throw Error("CONTEXT_TOO_LONG", "A decoding session of " + std::to_string(options.capacity) +
                                        " positions was asked of a model that reads 1 to " +
                                        std::to_string(c.max_seq_len) + ".");
  }
  options.sequences = std::max<std::int64_t>(options.sequences, 1);
  options.rows = std::max(options.rows > 0 ? options.rows : options.capacity, options.sequences);
  options.logit_rows = std::max(options.logit_rows, options.sequences);
  return options;
}

// Work over a context is divided by its length rounded up to this, so that a recorded pass serves many positions.
constexpr std::int64_t kContextStep = 256;

std::uint64_t next_identity() {
  static std::atomic<std::uint64_t> last = 0;
  return ++last;
}

} // namespace

DecodingSession::DecodingSession(TransformerModel& model, const DecodingOptions& options)
    : model_(model), options_(checked_options(model.config(), options)), identity_(next_identity()),
      bf16_(model.inference_precision() == Precision::kAmpBf16 || model.config().weight_type != DataType::kF32),
      type_(model.backend().activation_type(bf16_)), positions_(static_cast<std::size_t>(options_.sequences), 0) {
  const ModelConfig& c = model.config();
  const std::int64_t rows = options_.rows;
  const std::int64_t widest = std::max(3 * c.d_model, c.d_inner);
  ArenaPlan plan;
  const auto place = [&](std::int64_t count) { return plan.place(static_cast<std::size_t>(count) * size_of(type_)); };
  const std::size_t tokens = plan.place_values(rows);
  const std::size_t past = plan.place_values(options_.sequences);
  const std::size_t token_positions = plan.place_values(rows);
  const std::size_t logit_indices = plan.place_values(options_.logit_rows);
  const std::size_t residual = place(rows * c.d_model);
  const std::size_t norm = place(rows * c.d_model);
  const std::size_t branch = place(rows * c.d_model);
  const std::size_t attention = place(rows * c.d_model);
  const std::size_t wide = place(rows * widest);
  const std::size_t gathered = place(options_.logit_rows * c.d_model);
  const std::size_t logits = plan.place_values(options_.logit_rows * c.vocab_size);
  const std::size_t adapter_low = place(rows * c.lora.rank);
  const std::size_t adapter_wide = place(c.lora.rank > 0 ? rows * widest : 0);
  const std::size_t caches = place(c.n_layers * 2 * options_.sequences * options_.capacity * c.d_model);
  memory_ = Buffer(model.backend(), plan.size_bytes());
  const auto values = [&](std::size_t offset) { return Values(memory_.bytes() + offset, type_); };
  const auto integers = [&](std::size_t offset) { return reinterpret_cast<std::int32_t*>(memory_.bytes() + offset); };
  tokens_ = integers(tokens);
  past_ = integers(past);
  token_positions_ = integers(token_positions);
  logit_indices_ = integers(logit_indices);
  residual_ = values(residual);
  norm_ = values(norm);
  branch_ = values(branch);
  attention_ = values(attention);
  wide_ = values(wide);
  gathered_ = values(gathered);
  logits_ = reinterpret_cast<float*>(memory_.bytes() + logits);
  adapter_low_ = values(adapter_low);
  adapter_wide_ = values(adapter_wide);
  caches_ = values(caches);
  host_logits_.resize(static_cast<std::size_t>(options_.logit_rows * c.vocab_size));
  Backend& backend = model.backend();
  backend.reserve_workspace(backend.workspace_bytes({.rows = rows,
                                                     .seq_len = options_.capacity,
                                                     .channels = c.d_model,
                                                     .inner_channels = c.d_inner,
                                                     .heads = c.n_heads,
                                                     .vocab_size = c.vocab_size,
                                                     .training = false}));
}

void DecodingSession::check(const SequenceTokens& piece) const {
  const auto count = static_cast<std::int64_t>(piece.tokens.size());
  const std::int64_t at = position(piece.sequence);
  if (count == 0) {
    throw Error("BAD_ARGUMENT", "Decoding needs at least one token to go on from.");
  }
  if (count > options_.capacity - at) {
    throw Error("CONTEXT_TOO_LONG", "Cannot append " + std::to_string(count) + " tokens at position " +
                                        std::to_string(at) + " of a context of " + std::to_string(options_.capacity) +
                                        ".");
  }
  for (const std::int32_t token : piece.tokens) {
    if (token < 0 || token >= model_.config().vocab_size) {
      throw Error("TOKEN_OUT_OF_RANGE", "The text holds token " + std::to_string(token) +
                                            " but the model's vocabulary has " +
                                            std::to_string(model_.config().vocab_size) +
                                            " entries; use the tokenizer that belongs to the model.");
    }
  }
}

// Tokens and positions of all rows, and which sequences attention can take together.
void DecodingSession::upload(std::span<const SequenceTokens> pieces) {
  host_tokens_.clear();
  host_positions_.clear();
  groups_.clear();
  for (const SequenceTokens& piece : pieces) {
    check(piece);
    const auto count = static_cast<std::int64_t>(piece.tokens.size());
    const auto first_row = static_cast<std::int64_t>(host_tokens_.size());
    const bool joins = !groups_.empty() && groups_.back().count == count &&
                       groups_.back().sequence + groups_.back().sequences == piece.sequence;
    const std::int64_t end = std::min(
        (position(piece.sequence) + count + kContextStep - 1) / kContextStep * kContextStep, options_.capacity);
    if (joins) {
      ++groups_.back().sequences;
      groups_.back().longest = std::max(groups_.back().longest, end);
    } else {
      groups_.push_back({piece.sequence, 1, first_row, count, end});
    }
    host_tokens_.insert(host_tokens_.end(), piece.tokens.begin(), piece.tokens.end());
    for (std::int64_t i = 0; i < count; ++i) {
      host_positions_.push_back(static_cast<std::int32_t>(position(piece.sequence) + i));
    }
  }
  row_count_ = static_cast<std::int64_t>(host_tokens_.size());
  if (row_count_ < 1 || row_count_ > options_.rows) {
    throw Error("BAD_ARGUMENT", "A pass of " + std::to_string(row_count_) +
                                    " tokens was asked of a session made for 1 to " + std::to_string(options_.rows) +
                                    ".");
  }
  const std::size_t bytes = host_tokens_.size() * sizeof(std::int32_t);
  model_.backend().copy_to_backend(tokens_, host_tokens_.data(), bytes);
  model_.backend().copy_to_backend(token_positions_, host_positions_.data(), bytes);
  model_.backend().copy_to_backend(past_, positions_.data(), positions_.size() * sizeof(std::int32_t));
}

void DecodingSession::append(std::span<const SequenceTokens> pieces, Pass pass) {
  upload(pieces);
  run_pass(pass);
  for (const SequenceTokens& piece : pieces) {
    positions_[static_cast<std::size_t>(piece.sequence)] += static_cast<std::int32_t>(piece.tokens.size());
  }
}

std::span<const float> DecodingSession::logits(std::span<const std::int32_t> rows) {
  const ModelConfig& c = model_.config();
  Backend& backend = model_.backend();
  const auto count = static_cast<std::int64_t>(rows.size());
  if (count > options_.logit_rows) {
    throw Error("BAD_ARGUMENT", "Logits of " + std::to_string(count) + " rows were asked of a session made for " +
                                    std::to_string(options_.logit_rows) + ".");
  }
  if (count == 0) {
    return {};
  }
  const float* found = logits_;
  const bool are_neighbours = rows.back() - rows.front() == count - 1 && std::is_sorted(rows.begin(), rows.end());
  if (has_logits_ && are_neighbours) {
    found += rows.front() * c.vocab_size;
  } else {
    ConstValues hidden = norm_ + rows.front() * c.d_model;
    if (!are_neighbours) {
      backend.copy_to_backend(logit_indices_, rows.data(), rows.size_bytes());
      backend.gather_rows(norm_, logit_indices_, gathered_, count, c.d_model);
      hidden = gathered_;
    }
    has_logits_ = false;
    compute_logits(hidden, count);
  }
  const auto values = static_cast<std::size_t>(count * c.vocab_size);
  backend.copy_to_host(host_logits_.data(), found, values * sizeof(float));
  return std::span<const float>(host_logits_).first(values);
}

// In fp32 whatever the pass, where activations are: so few rows cost the reading of the weights.
void DecodingSession::compute_logits(ConstValues hidden, std::int64_t count) {
  const ModelConfig& c = model_.config();
  const bool bf16 = type_ == DataType::kBf16;
  model_.backend().logits(hidden, model_.weights_for(bf16).token_embedding, nullptr, logits_, count, c.d_model,
                          c.vocab_size, bf16);
}

std::span<const float> DecodingSession::feed(std::span<const std::int32_t> tokens) {
  check({0, tokens});
  const Pass pass = position() > 0 && tokens.size() == 1 ? Pass::kDecode : Pass::kPrompt;
  std::int64_t count = 0;
  while (!tokens.empty()) {
    count = std::min(static_cast<std::int64_t>(tokens.size()), options_.rows);
    const SequenceTokens piece{0, tokens.first(static_cast<std::size_t>(count))};
    append(std::span(&piece, 1), pass);
    tokens = tokens.subspan(static_cast<std::size_t>(count));
  }
  const auto last = static_cast<std::int32_t>(count - 1);
  return logits(std::span(&last, 1));
}

void DecodingSession::attend(std::size_t layer, bool bf16) {
  const ModelConfig& c = model_.config();
  const std::int64_t sequence_count = options_.capacity * c.d_model;
  const Values keys = caches_ + static_cast<std::int64_t>(layer) * 2 * options_.sequences * sequence_count;
  const Values values = keys + options_.sequences * sequence_count;
  for (const Group& group : groups_) {
    AttentionCached call{};
    call.qkv = wide_ + group.first_row * 3 * c.d_model;
    call.key_cache = keys + group.sequence * sequence_count;
    call.value_cache = values + group.sequence * sequence_count;
    call.output = attention_ + group.first_row * c.d_model;
    call.past = past_ + group.sequence;
    call.sequences = group.sequences;
    call.longest = group.longest;
    call.count = group.count;
    call.capacity = options_.capacity;
    call.heads = c.n_heads;
    call.head_size = c.head_size();
    call.bf16 = bf16;
    model_.backend().attention_cached(call);
  }
}

// One token of each text is a pass like the last one, and short: what it takes to start its many operations is recorded
// where the backend can, logits included.
void DecodingSession::run_pass(Pass pass) {
  const bool is_bf16 = type_ == DataType::kBf16;
  const bool bf16 = bf16_ && (pass == Pass::kPrompt || is_bf16);
  // Outside the pass: copies of the weights are made once.
  model_.weights_for(is_bf16);
  const bool is_repeated = pass == Pass::kDecode && row_count_ <= options_.logit_rows &&
                           std::all_of(groups_.begin(), groups_.end(), [](const Group& g) { return g.count == 1; });
  has_logits_ = is_repeated;
  if (!is_repeated) {
    run_layers(bf16);
    return;
  }
  model_.backend().repeat(key_of_pass(), [&] {
    run_layers(bf16);
    compute_logits(norm_, row_count_);
  });
}

// FNV-1a over all that the operations of a pass and their arguments follow from.
std::uint64_t DecodingSession::key_of_pass() const {
  std::uint64_t key = 0xCBF29CE484222325ULL;
  const auto add = [&key](std::uint64_t value) { key = (key ^ value) * 0x100000001B3ULL; };
  add(identity_);
  for (const Group& group : groups_) {
    for (const std::int64_t value : {group.sequence, group.sequences, group.longest}) {
      add(static_cast<std::uint64_t>(value));
    }
  }
  return key;
}

// Leaves the final norm's output of the new positions in norm_.
void DecodingSession::run_layers(bool bf16) {
  const ModelConfig& c = model_.config();
  const ModelWeights& weights = model_.weights_for(type_ == DataType::kBf16);
  Backend& backend = model_.backend();
  PhaseSeconds phases;
  OuterActivations outer{};
  outer.branch = branch_;
  outer.adapter_low = adapter_low_;
  outer.adapter_wide = adapter_wide_;
  DeviceBatch batch;
  batch.batch = 1;
  batch.seq_len = row_count_;
  batch.tokens = tokens_;
  batch.positions = token_positions_;
  PassContext context{backend, c, weights, batch, outer, phases};
  context.bf16 = bf16;
  const ForwardPass forward(context);
  const auto norm = [&](ConstValues branch, const NormPointers& w) {
    LayerNormForward call{};
    call.residual = residual_;
    call.branch = branch;
    call.residual_output = branch ? residual_ : Values();
    call.weight = w.weight;
    call.bias = w.bias;
    call.output = norm_;
    call.rows = row_count_;
    call.channels = c.d_model;
    call.rows_per_sample = row_count_;
    call.epsilon = c.layer_norm_eps;
    backend.layer_norm_forward(call);
  };

  forward.embed(residual_);
  ConstValues branch;
  for (std::size_t layer = 0; layer < weights.blocks.size(); ++layer) {
    const BlockWeights& block = weights.blocks[layer];
    norm(branch, block.norm_1);
    branch = branch_;
    forward.linear(block.qkv, norm_, wide_, nullptr, Activation::kNone, 0);
    attend(layer, bf16);
    forward.linear(block.attention_output, attention_, branch_, nullptr, Activation::kNone, 0);
    norm(branch, block.norm_2);
    forward.linear(block.up, norm_, wide_, nullptr, c.activation, 0);
    forward.linear(block.down, wide_, branch_, nullptr, Activation::kNone, 0);
  }
  norm(branch, weights.final_norm);
}

} // namespace assay
