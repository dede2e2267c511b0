#include "engine/model/parameters.h"

#include "engine/base/error.h"

#include <array>
#include <string_view>
#include <utility>

namespace assay {

namespace {

// Multiples of kMomentBlock floats, so that 8-bit moments never share a block between tensors.
constexpr std::size_t kAlignment = static_cast<std::size_t>(kMomentBlock) * sizeof(float);

std::int64_t product(const std::vector<std::int64_t>& shape) {
  std::int64_t count = 1;
  for (const std::int64_t size : shape) {
    count *= size;
  }
  return count;
}

bool ends_with_module(std::string_view name, std::string_view target) {
  return name == target ||
         (name.size() > target.size() && name.ends_with(target) && name[name.size() - target.size() - 1] == '.');
}

class LayoutBuilder {
public:
  explicit LayoutBuilder(const ModelConfig& config) : c_(config), prefix_(base_prefix(config.family)) {}

  ParameterLayout build() {
    if (c_.family == Family::kGpt2) {
      add_gpt2();
    } else {
      add_encoder();
    }
    add_head();
    layout_.parameter_count = counted_;
    counted_ = 0;
    add_adapters();
    layout_.adapter_parameter_count = counted_;
    return std::move(layout_);
  }

private:
  std::size_t store(std::vector<std::int64_t> shape, ParameterKind kind, DataType type = DataType::kF32) {
    StoredTensor tensor;
    tensor.count = product(shape);
    tensor.shape = std::move(shape);
    tensor.kind = kind;
    tensor.type = type;
    tensor.is_head = in_head_;
    tensor.offset_bytes = place(static_cast<std::size_t>(tensor.count) * size_of(type));
    if (type == DataType::kInt8) {
      tensor.scales_offset_bytes = place(static_cast<std::size_t>(tensor.channels()) * sizeof(float));
    }
    counted_ += tensor.count;
    layout_.stored.push_back(std::move(tensor));
    return layout_.stored.size() - 1;
  }

  std::size_t place(std::size_t size_bytes) {
    const std::size_t offset = layout_.size_bytes;
    layout_.size_bytes += (size_bytes + kAlignment - 1) / kAlignment * kAlignment;
    return offset;
  }

  void name(std::string text, std::size_t stored, std::int64_t first_column, std::int64_t columns, bool is_transposed) {
    const StoredTensor& tensor = layout_.stored[stored];
    ParameterTensor named;
    named.name = std::move(text);
    named.stored = stored;
    named.first_column = first_column;
    named.is_transposed = is_transposed;
    if (tensor.shape.size() == 1) {
      named.shape = {columns};
    } else if (is_transposed) {
      named.shape = {columns, tensor.rows()};
    } else {
      named.shape = {tensor.rows(), columns};
    }
    named.count = product(named.shape);
    layout_.tensors.push_back(std::move(named));
  }

  std::size_t whole(std::string text, std::vector<std::int64_t> shape, ParameterKind kind,
                    DataType type = DataType::kF32) {
    const std::size_t stored = store(std::move(shape), kind, type);
    name(std::move(text), stored, 0, layout_.stored[stored].columns(), false);
    return stored;
  }

  NormPlaces norm(const std::string& text) {
    NormPlaces places;
    places.weight = whole(text + ".weight", {c_.d_model}, ParameterKind::kNormWeight);
    places.bias = whole(text + ".bias", {c_.d_model}, ParameterKind::kNormBias);
    return places;
  }

  // Modules share the columns evenly: one name, or query, key and value. Conv1D keeps (in, out), nn.Linear (out, in).
  LinearPlaces linear(const std::vector<std::string>& modules, std::int64_t in, std::int64_t out, ParameterKind kind,
                      DataType type, bool is_transposed, bool has_bias = true) {
    LinearPlaces places;
    places.has_bias = has_bias;
    places.weight = store({in, out}, kind, type);
    if (has_bias) {
      places.bias = store({out}, ParameterKind::kLinearBias);
    }
    const std::int64_t columns = out / static_cast<std::int64_t>(modules.size());
    std::int64_t first = 0;
    for (const std::string& module : modules) {
      name(module + ".weight", places.weight, first, columns, is_transposed);
      if (has_bias) {
        name(module + ".bias", places.bias, first, columns, false);
      }
      for (const std::string& target : c_.lora.targets) {
        if (!in_head_ && c_.lora.rank > 0 && ends_with_module(module, target)) {
          places.adapters.push_back({0, 0, first, columns, module});
          break;
        }
      }
      first += columns;
    }
    return places;
  }

  void add_gpt2() {
    const DataType type = c_.weight_type;
    layout_.token_embedding =
        whole(prefix_ + "wte.weight", {c_.vocab_size, c_.d_model}, ParameterKind::kEmbedding, type);
    layout_.position_embedding = whole(prefix_ + "wpe.weight", {c_.max_seq_len, c_.d_model}, ParameterKind::kEmbedding);
    for (std::int64_t layer = 0; layer < c_.n_layers; ++layer) {
      const std::string h = prefix_ + "h." + std::to_string(layer) + ".";
      BlockPlaces block;
      block.norm_1 = norm(h + "ln_1");
      block.qkv = linear({h + "attn.c_attn"}, c_.d_model, 3 * c_.d_model, ParameterKind::kLinearWeight, type, false);
      block.attention_output =
          linear({h + "attn.c_proj"}, c_.d_model, c_.d_model, ParameterKind::kResidualWeight, type, false);
      block.norm_2 = norm(h + "ln_2");
      block.up = linear({h + "mlp.c_fc"}, c_.d_model, c_.d_inner, ParameterKind::kLinearWeight, type, false);
      block.down = linear({h + "mlp.c_proj"}, c_.d_inner, c_.d_model, ParameterKind::kResidualWeight, type, false);
      layout_.blocks.push_back(std::move(block));
    }
    layout_.final_norm = norm(prefix_ + "ln_f");
  }

  void add_encoder() {
    const DataType type = c_.weight_type;
    const bool is_megatron = c_.family == Family::kMegatronBert;
    const std::string e = prefix_ + "embeddings.";
    layout_.token_embedding =
        whole(e + "word_embeddings.weight", {c_.vocab_size, c_.d_model}, ParameterKind::kEmbedding, type);
    layout_.position_embedding =
        whole(e + "position_embeddings.weight", {c_.max_seq_len, c_.d_model}, ParameterKind::kEmbedding);
    layout_.token_type_embedding =
        whole(e + "token_type_embeddings.weight", {c_.type_vocab_size, c_.d_model}, ParameterKind::kEmbedding);
    if (!is_megatron) {
      layout_.embedding_norm = norm(e + "LayerNorm");
    }
    for (std::int64_t layer = 0; layer < c_.n_layers; ++layer) {
      const std::string l = prefix_ + "encoder.layer." + std::to_string(layer) + ".";
      BlockPlaces block;
      if (is_megatron) {
        block.norm_1 = norm(l + "attention.ln");
      }
      const std::string s = l + "attention.self.";
      block.qkv = linear({s + "query", s + "key", s + "value"}, c_.d_model, 3 * c_.d_model,
                         ParameterKind::kLinearWeight, type, true);
      block.attention_output =
          linear({l + "attention.output.dense"}, c_.d_model, c_.d_model, ParameterKind::kResidualWeight, type, true);
      if (is_megatron) {
        block.norm_2 = norm(l + "ln");
      } else {
        block.norm_1 = norm(l + "attention.output.LayerNorm");
      }
      block.up = linear({l + "intermediate.dense"}, c_.d_model, c_.d_inner, ParameterKind::kLinearWeight, type, true);
      block.down = linear({l + "output.dense"}, c_.d_inner, c_.d_model, ParameterKind::kResidualWeight, type, true);
      if (!is_megatron) {
        block.norm_2 = norm(l + "output.LayerNorm");
      }
      layout_.blocks.push_back(std::move(block));
    }
    if (is_megatron) {
      layout_.final_norm = norm(prefix_ + "encoder.ln");
    }
  }

  void add_head() {
    in_head_ = true;
    const auto plain_linear = [&](const std::string& module, std::int64_t out, bool has_bias = true) {
      return linear({module}, c_.d_model, out, ParameterKind::kLinearWeight, DataType::kF32, true, has_bias);
    };
    if (c_.has_pooler()) {
      layout_.pooler = plain_linear(prefix_ + "pooler.dense", c_.d_model);
    }
    if (c_.has_masked_lm()) {
      layout_.vocabulary_bias = whole("cls.predictions.bias", {c_.vocab_size}, ParameterKind::kLinearBias);
      layout_.transform = plain_linear("cls.predictions.transform.dense", c_.d_model);
      layout_.transform_norm = norm("cls.predictions.transform.LayerNorm");
    }
    switch (c_.head) {
    case HeadKind::kCausalLm:
    case HeadKind::kMaskedLm:
      break;
    case HeadKind::kPretraining:
      layout_.head = plain_linear("cls.seq_relationship", c_.head_outputs());
      break;
    case HeadKind::kSequenceClassification:
      layout_.head = c_.family == Family::kGpt2 ? plain_linear("score", c_.head_outputs(), false)
                                                : plain_linear("classifier", c_.head_outputs());
      break;
    case HeadKind::kMultipleChoice:
    case HeadKind::kTokenClassification:
      layout_.head = plain_linear("classifier", c_.head_outputs());
      break;
    case HeadKind::kSpanQa:
      layout_.head = plain_linear("qa_outputs", c_.head_outputs());
      break;
    }
    in_head_ = false;
  }

  // Behind everything else, so that they are one run of memory.
  void add_adapters() {
    if (c_.lora.rank == 0) {
      return;
    }
    std::size_t adapted = 0;
    for (BlockPlaces& block : layout_.blocks) {
      for (LinearPlaces* places : {&block.qkv, &block.attention_output, &block.up, &block.down}) {
        const std::int64_t in = layout_.stored[places->weight].rows();
        for (LinearPlaces::Adapter& adapter : places->adapters) {
          adapter.a = store({in, c_.lora.rank}, ParameterKind::kLoraA);
          name(adapter.module + ".lora_A.weight", adapter.a, 0, c_.lora.rank, true);
          adapter.b = store({c_.lora.rank, adapter.columns}, ParameterKind::kLoraB);
          name(adapter.module + ".lora_B.weight", adapter.b, 0, adapter.columns, true);
          ++adapted;
        }
      }
    }
    if (adapted == 0) {
      throw Error("MODEL_CONFIG_INVALID", "The model's lora.targets name no linear layer of its blocks: the first is " +
                                              c_.lora.targets.front() + "; use names such as " +
                                              (c_.family == Family::kGpt2 ? "c_attn or mlp.c_fc." : "query or value."));
    }
  }

  const ModelConfig& c_;
  std::string prefix_;
  ParameterLayout layout_;
  std::int64_t counted_ = 0;
  bool in_head_ = false;
};

} // namespace

const char* base_prefix(Family family) {
  return family == Family::kGpt2 ? "transformer." : "bert.";
}

const ParameterTensor& ParameterLayout::find(const std::string& name) const {
  const std::array<std::string, 3> spellings = {name, base_prefix(Family::kGpt2) + name,
                                                base_prefix(Family::kBert) + name};
  for (const std::string& spelling : spellings) {
    for (const ParameterTensor& tensor : tensors) {
      if (tensor.name == spelling) {
        return tensor;
      }
    }
  }
  throw Error("TENSOR_UNKNOWN", "The model has no tensor named " + name + "; its tensors carry Hugging Face's names.");
}

ParameterLayout parameter_layout(const ModelConfig& config) {
  return LayoutBuilder(config).build();
}

} // namespace assay
