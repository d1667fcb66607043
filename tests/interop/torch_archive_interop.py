"""Checkpoint files against torch: what we write it loads, and the other way."""

import collections
import inspect
import io
import os
import sys
import tempfile
import unittest
import zipfile
import zlib

import numpy as np
import torch

import format_tool

FORMATS = ("torchzip", "torchzip-2.1", "torchzip-1.13")
TYPES = {"int8": torch.int8, "uint8": torch.uint8, "fp16": torch.float16,
         "bf16": torch.bfloat16, "fp32": torch.float32, "fp64": torch.float64}
# (group, key, type, elements)
FLAT = [("", name, name, 1000 + 3 * i) for i, name in enumerate(TYPES)]
NESTED = [(str(layer), str(i), "fp16", count)
          for layer in range(3)
          for i, count in enumerate([512, 31457, 20971, 512, 146800, 73400])]
OPTIMIZER = [("", str(i), "fp32", 300001 if i % 2 == 0 else 20480)
             for i in range(6)]
MIXED = [("0", "10", "int8", 5), ("0", "11", "int8", 5), ("2", "10", "int8", 3),
         ("", "combined", "int8", 8)]
EMPTY = [("", "aa", "fp32", 0), ("", "b", "fp32", 1), ("", "c", "fp16", 0)]


def itemsize(name):
    return torch.empty(0, dtype=TYPES[name]).element_size()


def content(index, name, elements):
    """Bytes of the tool's tensor `index`."""
    return format_tool.pattern(0, index, elements * itemsize(name))


def bits(tensor):
    """A tensor's elements as bytes, whatever floats they make."""
    flat = tensor.detach().contiguous().reshape(-1)
    return flat.view(torch.uint8).numpy().tobytes() if flat.numel() else b""


def state_of(tensors):
    """The dict that the tool's file describes, with keys that are new objects:
    a key met before would be written as a reference."""
    state = {}
    for index, (group, key, name, elements) in enumerate(tensors):
        data = torch.from_numpy(content(index, name, elements).copy())
        tensor = torch.empty(elements, dtype=TYPES[name])
        if elements:
            tensor.view(torch.uint8).copy_(data)
        place = state
        if group:
            group = next((k for k in state if k == group), fresh(group))
            place = state.setdefault(group, {})
        place[fresh(key)] = tensor
    return state


def fresh(text):
    return str(int(text)) if text.isdigit() else "".join(list(text))


def save(state):
    """torch.save into a file object, as the reference does."""
    out = io.BytesIO()
    torch.save(state, out)
    return out.getvalue()


class TorchArchiveInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = os.path.join(holder.name, "file.pt")

    def write(self, layout, tensors):
        format_tool.run("write", layout, self.path,
                        *(":".join(map(str, t)) for t in tensors))

    def expect_loaded(self, loaded, tensors):
        count = 0
        for index, (group, key, name, elements) in enumerate(tensors):
            tensor = loaded[group][key] if group else loaded[key]
            self.assertEqual(tensor.dtype, TYPES[name])
            self.assertEqual(tuple(tensor.shape), (elements,))
            self.assertFalse(tensor.requires_grad)
            self.assertEqual(bits(tensor),
                             content(index, name, elements).tobytes())
            count += 1
        found = sum(len(v) if isinstance(v, dict) else 1
                    for v in loaded.values())
        self.assertEqual(found, count)

    def expect_listed(self, layout, expected):
        """`expected`: of each tensor ((group, key, type), bytes)."""
        lines = format_tool.run("list", self.path).splitlines()
        self.assertEqual(lines[0], layout)
        with open(self.path, "rb") as file:
            data = file.read()
        found = {}
        for line in lines[1:]:
            group, key, name, elements, offset, size, crc = line.split("\t")
            offset, size = int(offset), int(size)
            part = data[offset:offset + size]
            self.assertEqual(size, int(elements) * itemsize(name))
            if crc != "-":
                self.assertEqual(int(crc, 16), zlib.crc32(part))
            found[(group, key, name)] = part
        self.assertEqual(found, expected)

    def save_and_list(self, state, expected):
        with open(self.path, "wb") as file:
            file.write(save(state))
        self.expect_listed("torchzip-1.13", {
            (group, key, name): bits(tensor)
            for (group, key, name), tensor in expected.items()})

    def test_torch_loads_ours(self):
        for layout in FORMATS:
            for tensors in (FLAT, NESTED, OPTIMIZER, MIXED, EMPTY, []):
                self.write(layout, tensors)
                self.expect_loaded(torch.load(self.path), tensors)

    def test_the_safe_loader_loads_ours(self):
        self.assertIn("weights_only", inspect.signature(torch.load).parameters)
        for layout in FORMATS:
            for tensors in (NESTED, OPTIMIZER):
                self.write(layout, tensors)
                self.expect_loaded(torch.load(self.path, weights_only=True),
                                   tensors)

    def test_checksums_are_right(self):
        for layout in FORMATS:
            for tensors in (FLAT, NESTED, EMPTY):
                self.write(layout, tensors)
                with zipfile.ZipFile(self.path) as archive:
                    self.assertIsNone(archive.testzip())

    def test_ours_equal_torchs_byte_for_byte(self):
        many = [("", str(i), "int8", 1) for i in range(1001)]
        for tensors in (FLAT, NESTED, OPTIMIZER, MIXED, EMPTY, [],
                        many[:255], many[:1000], many):
            self.write("torchzip-1.13", tensors)
            with open(self.path, "rb") as file:
                self.assertEqual(file.read(), save(state_of(tensors)),
                                 tensors[:3])

    def test_we_read_plain_dicts(self):
        state = {"a": torch.rand(7), "b": {"c": torch.rand(3, 5).half()},
                 3: torch.rand(2, 2, 2).bfloat16(), "n": None, "f": 1.5,
                 "l": [1, torch.arange(5, dtype=torch.float64)], "big": 2**70}
        self.save_and_list(state, {
            ("", "a", "fp32"): state["a"],
            ("b", "c", "fp16"): state["b"]["c"],
            ("", "3", "bf16"): state[3],
            ("l", "1", "fp64"): state["l"][1]})

    def test_we_read_modules(self):
        module = torch.nn.Sequential(torch.nn.Linear(7, 11),
                                     torch.nn.LayerNorm(11))
        state = module.state_dict()
        self.save_and_list(state, {("", key, "fp32"): tensor
                                   for key, tensor in state.items()})
        self.save_and_list(
            {"model": state, "epoch": 3},
            {("model", key, "fp32"): tensor for key, tensor in state.items()})

    def test_we_read_parameters(self):
        weight = torch.nn.Parameter(torch.rand(5, 5))
        self.save_and_list({"w": weight}, {("", "w", "fp32"): weight})

    def test_we_read_optimizers(self):
        weight = torch.nn.Parameter(torch.rand(6))
        adam = torch.optim.Adam([weight])
        weight.grad = torch.rand(6)
        adam.step()
        state = adam.state_dict()
        self.save_and_list(state, {
            ("state.0", key, "fp32"): tensor
            for key, tensor in state["state"][0].items()})

    def test_we_read_views_and_shared_storages(self):
        base = torch.rand(4, 6)
        state = {"whole": base, "row": base[2], "part": base[1:3],
                 "scalar": base[3, 5], "again": base}
        self.save_and_list(state, {("", key, "fp32"): tensor
                                   for key, tensor in state.items()})

    def test_we_read_many_tensors(self):
        state = collections.OrderedDict(
            (f"layer.{i}", torch.full((i % 7,), float(i)))
            for i in range(2500))
        self.save_and_list(state, {("", key, "fp32"): tensor
                                   for key, tensor in state.items()})

    def test_we_read_files_saved_by_path(self):
        # Then the top folder has the file's name.
        tensor = torch.rand(9)
        torch.save({"a": tensor}, self.path)
        self.expect_listed("torchzip-1.13", {("", "a", "fp32"): bits(tensor)})

    def test_we_refuse_by_name_what_we_do_not_read(self):
        for state, words in (
                ({"a": torch.arange(3)}, "torch.LongStorage"),
                ({"a": torch.rand(3, 4).t()}, "not contiguous"),
                ({"a": np.zeros(3)}, "numpy")):
            with open(self.path, "wb") as file:
                file.write(save(state))
            with self.assertRaisesRegex(AssertionError, words):
                format_tool.run("list", self.path)


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
