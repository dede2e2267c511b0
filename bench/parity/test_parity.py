"""The Python references themselves: order, files, optimizer. Run: /usr/bin/python3 -m unittest discover -s bench/parity"""
from __future__ import annotations

import json
import math
import tempfile
import unittest
from pathlib import Path

import torch

import data_order
import gpt2_reference as reference
import safetensors_plain

GOLDEN = Path(__file__).resolve().parents[2] / "test" / "golden" / "data-order.json"
STREAM_GOLDEN = GOLDEN.with_name("stream-order.json")
CONFIG = reference.Config(vocab_size=19, max_seq_len=8, n_layers=1, n_heads=2, d_model=8)


class DataOrder(unittest.TestCase):
    def test_agrees_with_the_shared_vectors(self) -> None:
        cases = json.loads(GOLDEN.read_text(encoding="utf-8"))["cases"]
        self.assertGreater(len(cases), 5)
        for case in cases:
            order = data_order.EpochPermutation(case["windowCount"], case["seed"], case["epoch"])
            found = [order.window_at(position) for position in range(case["from"], case["to"])]
            self.assertEqual(found, case["windows"])

    def test_visits_every_window_once_an_epoch(self) -> None:
        sequence = data_order.SampleSequence(37, 17)
        for epoch in range(3):
            seen = [sequence.window_of(epoch * 37 + at) for at in range(37)]
            self.assertEqual(sorted(seen), list(range(37)))

    def test_a_stream_agrees_with_the_shared_vectors(self) -> None:
        cases = json.loads(STREAM_GOLDEN.read_text(encoding="utf-8"))["cases"]
        self.assertGreater(len(cases), 5)
        for case in cases:
            self.assertTrue(data_order.is_as_stated(case), case["seed"])

    def test_a_stream_visits_every_window_of_every_shard_once_an_epoch(self) -> None:
        samples = data_order.stream_samples([4, 0, 7, 1, 3], 3, 2)
        for epoch in range(3):
            seen = data_order.take(samples, 15)
            self.assertEqual({sample[0] for sample in seen}, {epoch})
            self.assertEqual(len({(shard, window) for _, _, shard, window in seen}), 15)


class Safetensors(unittest.TestCase):
    def test_reads_back_what_a_model_saved(self) -> None:
        model = reference.Gpt2(CONFIG)
        model.initialize(3)
        with tempfile.TemporaryDirectory() as folder:
            path = str(Path(folder) / "model.safetensors")
            model.save(path)
            again = reference.Gpt2(CONFIG)
            again.load(path)
        for name, values in model.parameters.items():
            self.assertTrue(torch.equal(values, again.parameters[name]), name)

    def test_refuses_a_header_that_is_longer_than_the_file(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "bad.safetensors"
            path.write_bytes((1 << 40).to_bytes(8, "little") + b"{}")
            with self.assertRaises(Exception):
                safetensors_plain.read_safetensors(path)


class Training(unittest.TestCase):
    def test_schedule_warms_up_from_zero_and_ends_at_alpha_f(self) -> None:
        rates = [reference.cosine_with_warmup(step, 100, 10, 2.0, 0.1) for step in range(101)]
        self.assertEqual(rates[0], 0.0)
        self.assertAlmostEqual(rates[10], 2.0)
        self.assertAlmostEqual(rates[100], 0.2)

    def test_decay_is_relative_to_the_first_rate(self) -> None:
        parameter = torch.ones(4, requires_grad=True)
        optimizer = reference.DecoupledAdamW({"w": parameter}, lr=0.5, weight_decay=0.2)
        parameter.grad = torch.zeros(4)
        optimizer.step(0.25)
        self.assertTrue(torch.allclose(parameter, torch.full((4,), 1 - 0.2 * 0.5)))

    def test_learns_a_repeating_sequence(self) -> None:
        model = reference.Gpt2(CONFIG)
        model.initialize(3)
        optimizer = reference.DecoupledAdamW(model.parameters, lr=1e-2)
        tokens = torch.arange(9).repeat(4, 1)
        losses = [reference.train_step(model, optimizer, tokens, 1e-2, 1.0)[0] for _ in range(60)]
        self.assertAlmostEqual(losses[0], math.log(19), delta=0.2)
        self.assertLess(losses[-1], 0.5)


if __name__ == "__main__":
    unittest.main()
