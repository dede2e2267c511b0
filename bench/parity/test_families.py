"""The references of families, heads, LoRA and bf16 products, held against PyTorch's own layers, finite differences and each
other. Run: /usr/bin/python3 -m unittest discover -s bench/parity
"""
from __future__ import annotations

import tempfile
import unittest
from dataclasses import replace
from pathlib import Path

import torch
from torch import nn

import gpt2_reference
from bert_reference import Bert
from block_adamw_reference import BlockAdamW, dynamic_map, through_eight_bits
from families_cases import Case, all_cases, build, expected_values, make_batch, randomize, training_losses
from foreign_models import biomedlm_config, stored_shapes
from gpt2_heads_reference import Gpt2WithHead
from head_losses import Batch, LossOptions
from reference_parts import PRODUCTS, Lora, add_lora, merge_lora, set_precision
from sparse_checkpoints import write_sparse_bin, write_sparse_safetensors
from tensor_files import read_tensors

CASES = all_cases()


def case_named(name: str) -> Case:
    return next(case for case in CASES if case.name == name)


def random_model(case: Case, seed: int = 3) -> nn.Module:
    model = build(case.config)
    randomize(model, seed)
    return model


class Families(unittest.TestCase):
    def compare_with_torch_layers(self, name: str) -> None:
        case = case_named(name)
        config = case.config
        model = random_model(case)
        assert isinstance(model, Bert)
        is_first = config.family == "megatron_bert"
        layer = nn.TransformerEncoderLayer(config.d_model, config.n_heads, config.d_inner, 0.0, "gelu", config.layer_norm_eps,
                                           batch_first=True, norm_first=is_first)
        theirs = nn.TransformerEncoder(layer, config.n_layers, model.bert.encoder.ln if is_first else None)
        for ours, block in zip(model.bert.encoder.layer, theirs.layers):
            own = ours.attention.self
            block.self_attn.in_proj_weight = nn.Parameter(torch.cat([own.query.weight, own.key.weight, own.value.weight]))
            block.self_attn.in_proj_bias = nn.Parameter(torch.cat([own.query.bias, own.key.bias, own.value.bias]))
            block.self_attn.out_proj.load_state_dict(ours.attention.output.dense.state_dict())
            block.linear1.load_state_dict(ours.intermediate.dense.state_dict())
            block.linear2.load_state_dict(ours.output.dense.state_dict())
            block.norm1 = ours.attention.ln if is_first else ours.attention.output.LayerNorm
            block.norm2 = ours.ln if is_first else ours.output.LayerNorm
        batch = make_batch(case, 4)
        is_padding = batch.segments_or_one() < 0
        expected = theirs(model.bert.embeddings(batch), src_key_padding_mask=is_padding)
        torch.testing.assert_close(model.bert(batch)[~is_padding], expected[~is_padding], rtol=1e-5, atol=1e-5)

    def test_bert_equals_torch_encoder_layers_that_normalise_last(self) -> None:
        self.compare_with_torch_layers("bert-masked-lm")

    def test_megatron_bert_equals_torch_encoder_layers_that_normalise_first(self) -> None:
        self.compare_with_torch_layers("megatron_bert-masked-lm")

    def test_gpt2_equals_the_training_reference_in_loss_and_gradients(self) -> None:
        case = case_named("gpt2-causal-lm")
        config = case.config
        model = random_model(case)
        other = gpt2_reference.Gpt2(gpt2_reference.Config(config.vocab_size, config.max_seq_len, config.n_layers,
                                                          config.n_heads, config.d_model, config.d_inner))
        with torch.no_grad():
            for name, values in model.state_dict().items():
                other.parameters[name].copy_(values)
        windows = torch.randint(0, config.vocab_size, (3, 20), generator=torch.Generator().manual_seed(1))
        ours, theirs = model.loss(Batch(windows[:, :-1], targets=windows[:, 1:])), other.loss(windows)
        ours.backward()
        theirs.backward()
        torch.testing.assert_close(ours, theirs)
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(parameter.grad, other.parameters[name].grad, rtol=1e-4, atol=1e-6)

    def test_a_packed_document_reads_as_if_it_were_alone(self) -> None:
        for name in ("gpt2-causal-lm-packed", "bert-masked-lm-packed"):
            case = case_named(name)
            model, batch = random_model(case), make_batch(case, 5)
            logits = model(batch)[0]
            for document in range(3):
                places = batch.segments[0] == document
                types = None if batch.token_types is None else batch.token_types[:1, places]
                alone = model(Batch(batch.tokens[:1, places], token_types=types))[0]
                torch.testing.assert_close(logits[:1, places], alone, rtol=1e-5, atol=1e-5)

    def test_inverse_layer_scale_equals_queries_divided_by_the_layers_number(self) -> None:
        case = case_named("gpt2-causal-lm")
        scaled = build(replace(case.config, inverse_layer_scale=True))
        randomize(scaled, 3)
        plain = random_model(case)
        width = case.config.d_model
        with torch.no_grad():
            for layer, block in enumerate(plain.transformer.h):
                block.attn.c_attn.weight[:, :width] /= layer + 1
                block.attn.c_attn.bias[:width] /= layer + 1
        batch = make_batch(case, 4)
        torch.testing.assert_close(scaled(batch)[0], plain(batch)[0], rtol=1e-5, atol=1e-5)
        self.assertGreater(float((scaled(batch)[0] - random_model(case)(batch)[0]).abs().max()), 1e-2)


class Gradients(unittest.TestCase):
    def test_every_case_agrees_with_finite_differences(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                model = random_model(case).double()
                if case.lora is not None:
                    add_lora(model, case.lora)
                    model.double()
                    randomize(model, 6)
                batch = make_batch(case, 7)
                model.loss(batch, case.options).backward()
                trained = [p for p in model.parameters() if p.requires_grad]
                generator = torch.Generator().manual_seed(8)
                direction = [torch.randn(p.shape, generator=generator, dtype=p.dtype) for p in trained]
                slope = sum(float((p.grad * d).sum()) for p, d in zip(trained, direction))
                losses = []
                step = 1e-6
                for side in (step, -2 * step):
                    with torch.no_grad():
                        for p, d in zip(trained, direction):
                            p += side * d
                        losses.append(float(model.loss(batch, case.options)))
                self.assertAlmostEqual(slope, (losses[0] - losses[1]) / (2 * step), delta=1e-5 * max(1.0, abs(slope)))

    def test_padding_does_not_matter(self) -> None:
        for case in CASES:
            with self.subTest(case.name):
                model, batch = random_model(case), make_batch(case, 9)
                loss = model.loss(batch, case.options)
                batch.tokens = torch.where(batch.segments_or_one() < 0, 1, batch.tokens)
                self.assertEqual(float(loss), float(model.loss(batch, case.options)))

    def test_span_loss_is_the_mean_of_two_cross_entropies(self) -> None:
        case = case_named("bert-span-qa")
        model, batch = random_model(case), make_batch(case, 9)
        batch.segments = None
        logits = model(batch)[0]
        for smoothing in (0.0, 0.1):
            measure = nn.CrossEntropyLoss(ignore_index=-1, label_smoothing=smoothing)
            expected = 0.5 * (measure(logits[:, :, 0], batch.targets[:, 0]) + measure(logits[:, :, 1], batch.targets[:, 1]))
            torch.testing.assert_close(model.loss(batch, LossOptions(smoothing)), expected)


class Bf16(unittest.TestCase):
    def test_rounded_products_stay_near_fp32_and_autocast(self) -> None:
        case = case_named("gpt2-causal-lm")
        model, batch = random_model(case), make_batch(case, 9)
        exact, _ = expected_values(model, batch, case.options, "fp32")
        rounded, gradients = expected_values(model, batch, case.options, "bf16")
        set_precision(model, "fp32")
        model.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model.loss(batch, case.options)
        loss.backward()
        self.assertNotEqual(exact, rounded)
        self.assertLess(abs(exact - rounded), 5e-3 * exact)
        self.assertLess(abs(float(loss) - rounded), 1e-2 * exact)
        weight = "transformer.h.1.mlp.c_fc.weight"
        autocast = model.get_parameter(weight).grad
        self.assertLess(float((autocast - gradients[f"gradient.{weight}"]).norm()), 5e-2 * float(autocast.norm()))

    def test_operands_are_rounded_to_eight_bits_of_fraction(self) -> None:
        a = torch.tensor([[1.0 + 2.0**-9]], requires_grad=True)
        b = torch.tensor([[3.0 + 2.0**-7]])
        product = PRODUCTS["bf16"](a, b)
        self.assertEqual(product.item(), 1.0 * 3.0)
        product.backward()
        self.assertEqual(a.grad.item(), 3.0)


class EightBitMoments(unittest.TestCase):
    def test_codes_are_the_papers(self) -> None:
        for signed, smallest in ((True, 5.5e-7), (False, 3.25e-7)):
            codes = dynamic_map(signed)
            self.assertEqual(len(codes.unique()), 256)
            self.assertEqual(float(codes[-1]), 1.0)
            self.assertIn(0.0, codes.tolist())
            self.assertAlmostEqual(float(codes[codes > 0].min()), smallest)
            self.assertEqual(bool((codes < 0).any()), signed)

    def test_keep_every_value_near_itself(self) -> None:
        values = torch.randn(700, generator=torch.Generator().manual_seed(3))
        values[512:] *= 1e-6  # a block of its own has a scale of its own
        kept = through_eight_bits(values, dynamic_map(True))
        self.assertLess(float(((kept - values).abs() / values.abs().clamp_min(1e-9)).median()), 0.03)
        for begin in (0, 256, 512):
            block = slice(begin, begin + 256)
            self.assertLess(float((kept[block] - values[block]).abs().max()), 0.02 * float(values[block].abs().max()))

    def test_train_as_far_as_fp32(self) -> None:
        case = case_named("gpt2-causal-lm")
        model, batch = random_model(case), make_batch(case, 4)
        exact = training_losses(model, batch, case.options, gpt2_reference.DecoupledAdamW)
        narrow = training_losses(model, batch, case.options, BlockAdamW)
        self.assertLess(exact[-1], 0.5 * exact[0])
        self.assertNotEqual(exact, narrow)
        self.assertLess(abs(narrow[-1] - exact[-1]), 0.1 * exact[0])


class LoraAdapters(unittest.TestCase):
    def test_merged_weights_give_the_same_logits_in_both_layouts(self) -> None:
        for name in ("gpt2-causal-lm-lora", "bert-masked-lm-lora"):
            case = case_named(name)
            model, batch = random_model(case), make_batch(case, 9)
            before = model(batch)[0]
            adapted = add_lora(model, case.lora)
            torch.testing.assert_close(model(batch)[0], before)  # B is zero at first
            self.assertGreater(len(adapted), 3)
            randomize(model, 5)
            changed = model(batch)[0]
            names = set(model.state_dict())
            merge_lora(model)
            torch.testing.assert_close(model(batch)[0], changed, rtol=1e-5, atol=1e-5)
            self.assertEqual(set(model.state_dict()), {n for n in names if ".lora_" not in n})

    def test_targets_match_whole_ends_of_module_names(self) -> None:
        lora = Lora(2, 2.0, ("dense", "mlp.c_fc"))
        self.assertTrue(lora.covers("bert.encoder.layer.0.intermediate.dense"))
        self.assertTrue(lora.covers("transformer.h.0.mlp.c_fc"))
        self.assertFalse(lora.covers("transformer.h.0.other_mlp.c_fc"))
        self.assertFalse(lora.covers("bert.condense"))


class Generation(unittest.TestCase):
    def test_takes_the_likeliest_token(self) -> None:
        case = case_named("gpt2-causal-lm")
        model = random_model(case)
        assert isinstance(model, Gpt2WithHead)
        ids, _ = model.generate([1, 2, 3], 5)
        logits = model(Batch(torch.tensor([[1, 2, 3, *ids[:-1]]])))[0][0]
        self.assertEqual(logits[2:].argmax(-1).tolist(), ids)


class SparseCheckpoints(unittest.TestCase):
    def test_are_what_torch_and_the_plain_reader_open(self) -> None:
        config = replace(biomedlm_config(20), vocab_size=7, max_seq_len=4, n_layers=2)
        shapes = stored_shapes(config)
        with tempfile.TemporaryDirectory() as folder:
            write_sparse_bin(Path(folder) / "a.bin", shapes, {"lm_head.weight": "transformer.wte.weight"})
            write_sparse_safetensors(Path(folder) / "a.safetensors", shapes)
            found = {"bin": torch.load(Path(folder) / "a.bin"), "safetensors": read_tensors(Path(folder) / "a.safetensors")}
        for name, tensors in found.items():
            self.assertEqual({key: tuple(t.shape) for key, t in tensors.items()}, {key: s for key, (_, s) in shapes.items()}, name)
            self.assertEqual(tensors["transformer.h.1.attn.bias"].dtype, torch.uint8)
        tied = found["bin"]["lm_head.weight"]
        self.assertEqual(tied.data_ptr(), found["bin"]["transformer.wte.weight"].data_ptr())


if __name__ == "__main__":
    unittest.main()
