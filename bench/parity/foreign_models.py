"""What PyTorch computes from checkpoints that others wrote, and checkpoints laid out as others write them.

    python3 bench/parity/foreign_models.py logits --model MODEL --out DIR
        MODEL holds config.json and model.safetensors of a GPT-2 or BERT language model.
    python3 bench/parity/foreign_models.py biomedlm --width 320 --out DIR
        The names and layout of stanford-crfm/BioMedLM (GPT2LMHeadModel, 32 layers, 20 heads, vocabulary 28 896, causal
        masks stored as attn.bias and attn.masked_bias) with random weights: model.safetensors and pytorch_model.bin.
    python3 bench/parity/foreign_models.py biomedlm-headers --width 2560 --out DIR
        The same two files with a true header and holes where the values would be: they take no disk.
DIR also gets native-config.json, the model as the engine spells it, and but for the headers logits.safetensors: `logits` of
some `tokens`.
"""
from __future__ import annotations

import argparse
import json
import math
from collections import OrderedDict
from pathlib import Path

import torch

from families_cases import build
from head_losses import Batch
from model_config import Config
from sparse_checkpoints import write_sparse_bin, write_sparse_safetensors
from tensor_files import read_tensors, write_tensors

BIOMEDLM_LAYERS, BIOMEDLM_HEADS, BIOMEDLM_VOCABULARY, BIOMEDLM_CONTEXT = 32, 20, 28_896, 1024


def config_of(folder: Path) -> Config:
    found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    if found["model_type"] == "gpt2":
        width = found["n_embd"]
        return Config("gpt2", "causal-lm", found["vocab_size"], found["n_positions"], found["n_layer"], found["n_head"], width,
                      found.get("n_inner") or 4 * width, layer_norm_eps=found["layer_norm_epsilon"],
                      inverse_layer_scale=found.get("scale_attn_by_inverse_layer_idx", False))
    family = {"bert": "bert", "megatron-bert": "megatron_bert"}[found["model_type"]]
    return Config(family, "masked-lm", found["vocab_size"], found["max_position_embeddings"], found["num_hidden_layers"],
                  found["num_attention_heads"], found["hidden_size"], found["intermediate_size"], found["type_vocab_size"],
                  layer_norm_eps=found["layer_norm_eps"])


def some_tokens(config: Config, rows: int, length: int) -> torch.Tensor:
    return torch.randint(0, config.vocab_size, (rows, length), generator=torch.Generator().manual_seed(5))


def write_config(config: Config, out: Path) -> None:
    out.mkdir(parents=True, exist_ok=True)
    (out / "native-config.json").write_text(json.dumps(config.to_json()), encoding="utf-8")


def write_logits(model: torch.nn.Module, tokens: torch.Tensor, out: Path) -> None:
    with torch.no_grad():
        write_tensors(out / "logits.safetensors", {"tokens": tokens.float(), "logits": model(Batch(tokens))[0]})


def logits_of(folder: Path, out: Path) -> None:
    config = config_of(folder)
    model = build(config)
    stored = read_tensors(folder / "model.safetensors")
    prefix = "transformer." if config.family == "gpt2" else "bert."
    state = {name if name in stored else name.removeprefix(prefix): name for name in model.state_dict()}
    model.load_state_dict({name: stored[found] for found, name in state.items()})
    write_config(config, out)
    write_logits(model, some_tokens(config, 2, 33), out)


def biomedlm_config(width: int) -> Config:
    return Config("gpt2", "causal-lm", BIOMEDLM_VOCABULARY, BIOMEDLM_CONTEXT, BIOMEDLM_LAYERS, BIOMEDLM_HEADS, width, 4 * width,
                  inverse_layer_scale=True)


def biomedlm_config_json(width: int) -> dict[str, object]:
    return {
        "activation_function": "gelu_new", "architectures": ["GPT2LMHeadModel"], "attn_pdrop": 0.1, "bos_token_id": 28_895,
        "embd_pdrop": 0.1, "eos_token_id": 28_895, "initializer_range": 0.02, "layer_norm_epsilon": 1e-05,
        "model_type": "gpt2", "n_embd": width, "n_head": BIOMEDLM_HEADS, "n_inner": None, "n_layer": BIOMEDLM_LAYERS,
        "n_positions": BIOMEDLM_CONTEXT, "reorder_and_upcast_attn": False, "resid_pdrop": 0.1,
        "scale_attn_by_inverse_layer_idx": True, "scale_attn_weights": True, "torch_dtype": "float32", "use_cache": True,
        "vocab_size": BIOMEDLM_VOCABULARY,
    }


def stored_shapes(config: Config) -> "OrderedDict[str, tuple[str, tuple[int, ...]]]":
    """Dtype and shape of every tensor of the file, in the order of GPT2LMHeadModel.state_dict()."""
    c, inner, context = config.d_model, config.d_inner, config.max_seq_len
    shapes: OrderedDict[str, tuple[str, tuple[int, ...]]] = OrderedDict()

    def add(name: str, *shape: int, dtype: str = "F32") -> None:
        shapes[name] = (dtype, shape)

    add("transformer.wte.weight", config.vocab_size, c)
    add("transformer.wpe.weight", context, c)
    for layer in range(config.n_layers):
        h = f"transformer.h.{layer}."
        add(h + "ln_1.weight", c)
        add(h + "ln_1.bias", c)
        add(h + "attn.bias", 1, 1, context, context, dtype="U8")
        add(h + "attn.masked_bias")
        for name, inputs, outputs in (("attn.c_attn", c, 3 * c), ("attn.c_proj", c, c)):
            add(h + name + ".weight", inputs, outputs)
            add(h + name + ".bias", outputs)
        add(h + "ln_2.weight", c)
        add(h + "ln_2.bias", c)
        for name, inputs, outputs in (("mlp.c_fc", c, inner), ("mlp.c_proj", inner, c)):
            add(h + name + ".weight", inputs, outputs)
            add(h + name + ".bias", outputs)
    add("transformer.ln_f.weight", c)
    add("transformer.ln_f.bias", c)
    add("lm_head.weight", config.vocab_size, c)
    return shapes


def biomedlm(width: int, out: Path) -> None:
    config = biomedlm_config(width)
    model = build(config)
    generator = torch.Generator().manual_seed(29)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            is_norm_weight = parameter.dim() == 1 and name.endswith("weight")
            parameter.normal_(1.0 if is_norm_weight else 0.0, 0.05, generator=generator)
            if name.endswith("c_proj.weight"):
                parameter.div_(math.sqrt(2 * config.n_layers))
    values = dict(model.state_dict())
    values["lm_head.weight"] = values["transformer.wte.weight"]  # one storage, as tied weights are saved
    mask = torch.ones(BIOMEDLM_CONTEXT, BIOMEDLM_CONTEXT, dtype=torch.uint8).tril().reshape(1, 1, BIOMEDLM_CONTEXT, BIOMEDLM_CONTEXT)
    state: OrderedDict[str, torch.Tensor] = OrderedDict()
    for name, (_, shape) in stored_shapes(config).items():
        if name.endswith(".attn.bias"):
            state[name] = mask.clone()
        elif name.endswith("masked_bias"):
            state[name] = torch.tensor(-1e4)
        else:
            state[name] = values[name]
        assert tuple(state[name].shape) == shape, name
    write_config(config, out)
    torch.save(state, out / "pytorch_model.bin")
    # Hugging Face leaves the second name of a tied tensor out of safetensors files.
    write_tensors(out / "model.safetensors", {name: values for name, values in state.items() if name != "lm_head.weight"})
    (out / "config.json").write_text(json.dumps(biomedlm_config_json(width)), encoding="utf-8")
    write_logits(model, some_tokens(config, 2, 48), out)


def biomedlm_headers(width: int, out: Path) -> None:
    config = biomedlm_config(width)
    shapes = stored_shapes(config)
    write_config(config, out)
    write_sparse_bin(out / "pytorch_model.bin", shapes, {"lm_head.weight": "transformer.wte.weight"})
    write_sparse_safetensors(out / "model.safetensors", {name: entry for name, entry in shapes.items() if name != "lm_head.weight"})
    (out / "config.json").write_text(json.dumps(biomedlm_config_json(width)), encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("logits", "biomedlm", "biomedlm-headers"))
    parser.add_argument("--model", type=Path)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.command == "logits":
        logits_of(arguments.model, arguments.out)
    elif arguments.command == "biomedlm":
        biomedlm(arguments.width, arguments.out)
    else:
        biomedlm_headers(arguments.width, arguments.out)


if __name__ == "__main__":
    main()
