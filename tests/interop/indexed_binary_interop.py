"""indexed_binary files against numpy, read as their index files say."""

import os
import sys
import tempfile
import unittest

import numpy as np

import format_tool

# (file, rows, columns, samples, edge)
SPECS = [
    (0, 1, 1, 1, 1),
    (1, 3, 7, 5, 4),
    (2, 61, 67, 3, 64),
    (3, 999, 1001, 1, 1000),
    (4, 2, 3, 1234, 2),
]
FORMATS = ("indexed_binary", "mmap_indexed_binary")


def sample_of(spec, sample):
    return format_tool.pattern(spec[0], sample, spec[1] * spec[2])


class IndexedBinaryInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.path = os.path.join(holder.name, "file.indexed_binary")

    def test_numpy_finds_every_sample_through_the_index(self):
        for fmt in FORMATS:
            for spec in SPECS:
                format_tool.run("encode", fmt, self.path, *spec)
                index = []
                for which in (0, 1):
                    format_tool.run("sidecar", fmt, self.path + ".idx", *spec,
                                    which)
                    index.append(np.fromfile(self.path + ".idx", np.uint64))
                self.assertEqual([len(part) for part in index], [spec[3]] * 2)
                data = np.memmap(self.path, np.uint8, "r")
                self.assertEqual(len(data), spec[1] * spec[2] * spec[3])
                for sample, (offset, size) in enumerate(zip(*index)):
                    np.testing.assert_array_equal(
                        data[int(offset):int(offset + size)],
                        sample_of(spec, sample))

    def test_numpys_files_are_read_in_all_styles(self):
        for spec in SPECS:
            np.concatenate([sample_of(spec, sample)
                            for sample in range(spec[3])]).tofile(self.path)
            for fmt in FORMATS:
                for style in ("reference", "large", "sample"):
                    for request in (512, 4096, 0):
                        _, samples = format_tool.read(
                            fmt, self.path, spec, style, request=request,
                            sample=spec[3] - 1)
                        self.assertEqual(samples, [spec[1] * spec[2]])


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
