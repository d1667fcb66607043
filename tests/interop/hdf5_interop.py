"""hdf5 files against h5py: bytes, foreign variants, and system calls."""

import os
import struct
import sys
import tempfile
import unittest

import h5py
import numpy as np

import format_tool

# (file, rows, columns, samples, edge of a chunk)
CONTIGUOUS = [
    (0, 1, 1, 1, 0),
    (1, 3, 7, 1, 0),
    (2, 3, 2, 300, 0),
    (3, 61, 67, 5, 0),
    (4, 45, 45, 9, 0),
    (5, 50, 50, 100, 0),      # samples of less than 64 KiB
    (6, 256, 256, 4, 0),      # of exactly that
    (7, 256, 257, 4, 0),      # and more
    (8, 999, 1001, 1, 0),
    (9, 1, 1, 5000, 0),
]
# At most 64 chunks, all in the library's cache and none below 2 KiB: what h5py
# puts in order and without gaps.
ONE_NODE = [
    (20, 50, 60, 1, 100),     # a chunk as large as the sample
    (21, 300, 200, 2, 100),
    (22, 338, 338, 3, 100),
    (23, 100, 30, 3, 40),     # as wide as the sample
    (24, 1000, 999, 1, 512),
]
OTHER_CHUNKS = [
    (29, 10, 10, 1, 100),     # one, but of a tiny chunk
    (30, 10, 10, 1, 1),
    (31, 20, 20, 3, 2),
    (32, 500, 500, 20, 50),
    (33, 70, 67, 5, 1),       # three levels
    (34, 64, 64, 64, 8),      # every node full
]
# Chunks above 1 MiB.
LARGE = [
    (40, 1300, 1300, 2, 1025),
    (41, 3000, 1000, 2, 1600),
    (42, 2048, 2048, 2, 1024),
]


def array_of(spec):
    return format_tool.array_pattern(spec[0], (spec[3], spec[1], spec[2]))


def save(path, spec, **options):
    with h5py.File(path, "w") as file:
        if spec[4] > 0:
            options["chunks"] = (1, min(spec[4], spec[1]),
                                 min(spec[4], spec[2]))
        file.create_dataset("records", data=array_of(spec), **options)
        file.create_dataset("labels", data=[0] * spec[3])


def trace_h5py(jobs):
    """System reads of File(path)["records"][sample] for each (path, sample)."""
    return format_tool.trace(
        "import sys, h5py\n"
        "for path, k in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    with h5py.File(path, 'r') as file:\n"
        "        file['records'][int(k)]\n",
        format_tool.flat(jobs), [path for path, _ in jobs])


class Hdf5Interop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def encode(self, name, spec):
        format_tool.run("encode", "hdf5", self.path(name), *spec)
        return self.path(name)

    def assert_refused(self, path, spec, reason, **options):
        with self.assertRaises(AssertionError) as refused:
            format_tool.read("hdf5", path, spec, **options)
        self.assertIn(reason, str(refused.exception))

    def both(self, spec):
        save(self.path("theirs.hdf5"), spec)
        self.encode("ours.hdf5", spec)
        for name in ("theirs.hdf5", "ours.hdf5"):
            with open(self.path(name), "rb") as file:
                yield bytearray(file.read())

    def test_files_equal_h5pys_byte_for_byte(self):
        for spec in CONTIGUOUS:
            theirs, ours = self.both(spec)
            self.assertEqual(theirs, ours, spec)

    def test_chunked_files_equal_h5pys_but_for_the_index_end(self):
        # The key behind the last chunk: the library's depends on the order in
        # which it inserted the chunks.
        for spec in ONE_NODE:
            theirs, ours = self.both(spec)
            (chunks,) = struct.unpack_from("<H", theirs, 1400 + 6)
            key = 1400 + 24 + 48 * chunks
            for data in (theirs, ours):
                data[key:key + 40] = bytes(40)
            self.assertEqual(theirs, ours, spec)

    def test_h5py_reads_ours(self):
        for spec in CONTIGUOUS + ONE_NODE + OTHER_CHUNKS + LARGE:
            with h5py.File(self.encode("ours.hdf5", spec), "r") as file:
                records, labels = file["records"], file["labels"]
                self.assertEqual(records.dtype, np.uint8)
                self.assertEqual(
                    records.chunks,
                    (1, min(spec[4], spec[1]), min(spec[4], spec[2]))
                    if spec[4] else None)
                np.testing.assert_array_equal(records[:], array_of(spec))
                self.assertEqual(labels.dtype, np.int64)
                self.assertEqual(labels[:].tolist(), [0] * spec[3])
                if spec[4] == 0:
                    self.assertEqual(records.id.get_offset(), 2048)

    def test_h5py_can_go_on_writing_ours(self):
        # The library finds every object and its free space in order.
        for spec in (CONTIGUOUS[3], ONE_NODE[1], OTHER_CHUNKS[2]):
            with h5py.File(self.encode("ours.hdf5", spec), "r+") as file:
                file.create_dataset("more", data=[1, 2, 3])
                file["records"][0] = 7
            with h5py.File(self.path("ours.hdf5"), "r") as file:
                self.assertTrue((file["records"][0] == 7).all())
                np.testing.assert_array_equal(file["records"][1:],
                                              array_of(spec)[1:])
                self.assertEqual(file["more"][:].tolist(), [1, 2, 3])

    def test_all_styles_read_ours(self):
        for spec in CONTIGUOUS + ONE_NODE + OTHER_CHUNKS + LARGE:
            path = self.encode("ours.hdf5", spec)
            for style in ("reference", "large", "sample"):
                for request in (1000, 262144, 0):
                    _, samples = format_tool.read(
                        "hdf5", path, spec, style, request=request,
                        sample=spec[3] - 1)
                    self.assertEqual(samples, [spec[1] * spec[2]])

    def test_h5pys_files_are_read(self):
        for spec in CONTIGUOUS + ONE_NODE + OTHER_CHUNKS + LARGE:
            save(self.path("theirs.hdf5"), spec)
            for sample in {0, spec[3] // 2, spec[3] - 1}:
                _, samples = format_tool.read(
                    "hdf5", self.path("theirs.hdf5"), spec, sample=sample)
                self.assertEqual(samples, [spec[1] * spec[2]])
            if spec[4] == 0:
                format_tool.read("hdf5", self.path("theirs.hdf5"), spec,
                                 "large", sample=spec[3] - 1)
                format_tool.read("hdf5", self.path("theirs.hdf5"), spec,
                                 "sample", sample=spec[3] - 1)

    def test_chunks_in_another_order_are_refused_where_the_index_is_not_used(
            self):
        spec = OTHER_CHUNKS[3]
        save(self.path("theirs.hdf5"), spec)
        self.assert_refused(self.path("theirs.hdf5"), spec,
                            "as the reference does only", style="large")

    def test_what_cannot_be_read_is_refused_by_name(self):
        spec = ONE_NODE[1]
        path = self.path("file.hdf5")
        save(path, spec, compression="gzip")
        self.assert_refused(path, spec, "compressed")
        with h5py.File(path, "w", libver="latest") as file:
            file.create_dataset("records", data=array_of(spec))
        self.assert_refused(path, spec, "libver='latest'")
        with h5py.File(path, "w") as file:
            file.create_dataset("others", data=array_of(spec))
        self.assert_refused(path, spec, 'expected a dataset "records"')
        with h5py.File(path, "w") as file:
            file.create_dataset("records", data=array_of(spec), dtype=np.int16)
        self.assert_refused(path, spec, 'expected "records" of uint8')
        with h5py.File(path, "w") as file:
            file.create_dataset("records", data=array_of(spec)[0])
        self.assert_refused(path, spec, "three dimensions")
        with h5py.File(path, "w") as file:
            file.create_dataset("records", data=array_of(spec),
                                chunks=(2, 50, 50))
        self.assert_refused(path, spec, "expected chunks of one sample")

    def test_reads_are_h5pys_read_for_read(self):
        jobs, specs = [], []
        for spec in CONTIGUOUS + ONE_NODE + OTHER_CHUNKS + LARGE:
            theirs = self.path(f"theirs{spec[0]}.hdf5")
            save(theirs, spec)
            for path in (theirs, self.encode(f"ours{spec[0]}.hdf5", spec)):
                for sample in sorted({0, spec[3] // 2, spec[3] - 1}):
                    jobs.append((path, sample))
                    specs.append(spec)
        traces = trace_h5py(jobs)
        self.assertEqual(len(traces), len(jobs))
        for (path, sample), spec, trace in zip(jobs, specs, traces):
            ours, _ = format_tool.read("hdf5", path, spec, sample=sample)
            self.assertEqual(ours, trace, (path, sample))


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
