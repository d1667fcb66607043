"""npz files against numpy: bytes, foreign variants, and system calls."""

import os
import re
import struct
import sys
import tempfile
import unittest
import zipfile

import numpy as np

import format_tool

# (file, rows, columns, samples, edge)
SPECS = [
    (0, 1, 1, 1, 1),
    (1, 3, 7, 1, 4),
    (2, 61, 67, 1, 64),
    (3, 5, 4, 9, 4),
    (4, 123, 457, 2, 300),
    (5, 999, 1001, 1, 1000),
    (6, 7, 3, 1234, 5),
    (7, 12107, 97, 1, 12107),
]


def array_of(spec):
    file, rows, columns, samples, _ = spec
    count = rows * columns * samples
    return format_tool.pattern(file, 0, count).reshape(rows, columns, samples)


def save(path, spec):
    np.savez(path, x=array_of(spec), y=[0] * spec[3])


class FarFile:
    """A file that keeps small writes only, for archives of many GiB."""

    def __init__(self):
        self.position = 0
        self.size = 0
        self.writes = {}

    def write(self, data):
        if len(data) < 1 << 20:
            self.writes[self.position] = bytes(data)
        self.position += len(data)
        self.size = max(self.size, self.position)
        return len(data)

    def tell(self):
        return self.position

    def seek(self, offset, whence=0):
        assert whence == 0
        self.position = offset
        return offset

    def flush(self):
        pass

    def close(self):
        pass


def ends_by_zipfile(rows, columns, samples):
    """An archive of zeros as numpy writes it, without the array's data."""
    out = FarFile()
    total = rows * columns * samples
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED, allowZip64=True) as zipf:
        with zipf.open("x.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, {
                "descr": "|u1", "fortran_order": False,
                "shape": (rows, columns, samples)})
            block = bytes(16 << 20)
            for begin in range(0, total, len(block)):
                member.write(block[:min(len(block), total - begin)])
        with zipf.open("y.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array(member, np.array([0] * samples))
    small = bytearray()
    for position in sorted(out.writes):
        if not 183 <= position < 183 + total:
            small += out.writes[position]
    return small.hex()


def trace_numpy(jobs):
    """System reads of numpy.load(path)["x"] for each (path, unit), in order.

    Unit 0 leaves the buffer's size to Python.
    """
    return format_tool.trace(
        "import sys, numpy as np\n"
        "for path, unit in zip(sys.argv[1::2], sys.argv[2::2]):\n"
        "    if unit == '0':\n"
        "        np.load(path)['x']\n"
        "        continue\n"
        "    with open(path, 'rb', buffering=int(unit)) as file:\n"
        "        np.load(file)['x']\n",
        format_tool.flat(jobs), [path for path, _ in jobs])


class NpzInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_files_equal_numpys_byte_for_byte(self):
        for spec in SPECS:
            save(self.path("theirs.npz"), spec)
            format_tool.run("encode", "npz", self.path("ours.npz"), *spec)
            with open(self.path("theirs.npz"), "rb") as theirs, \
                    open(self.path("ours.npz"), "rb") as ours:
                self.assertEqual(theirs.read(), ours.read(), spec)

    def test_numpy_loads_ours(self):
        spec = SPECS[4]
        format_tool.run("encode", "npz", self.path("ours.npz"), *spec)
        with np.load(self.path("ours.npz")) as loaded:
            np.testing.assert_array_equal(loaded["x"], array_of(spec))
            self.assertEqual(loaded["y"].tolist(), [0, 0])
        with zipfile.ZipFile(self.path("ours.npz")) as zipf:
            self.assertIsNone(zipf.testzip())

    def test_archives_beyond_2_and_4_GiB_equal_zipfiles(self):
        for shape in [(46341, 46342, 1),     # just above 2 GiB
                      (46340, 46341, 1),     # 2 GiB reached by headers only
                      (65536, 65537, 1)]:    # just above 4 GiB
            ours = format_tool.run("ends", *shape).strip()
            self.assertEqual(ours, ends_by_zipfile(*shape), shape)

    def test_every_style_reads_numpys_files(self):
        for spec in SPECS:
            save(self.path("file.npz"), spec)
            for style, request in (("reference", 1), ("large", 0),
                                   ("large", 1000), ("sample", 65536),
                                   ("direct", 1)):
                _, samples = format_tool.read(
                    "npz", self.path("file.npz"), spec, style,
                    request=request, sample=spec[3] - 1)
                self.assertEqual(samples, [spec[1] * spec[2]])

    def test_headers_of_newer_cpython_are_read(self):
        # 3.11.4 and later: version 45, and 0xFFFFFFFF for the sizes in the
        # local headers, whose extra fields have the true ones.
        spec = SPECS[4]
        save(self.path("file.npz"), spec)
        with open(self.path("file.npz"), "r+b") as file:
            data = bytearray(file.read())
            for match in re.finditer(rb"PK\x03\x04\x14\x00", data):
                at = match.start()
                data[at + 4:at + 6] = struct.pack("<H", 45)
                data[at + 18:at + 26] = b"\xff" * 8
            for match in re.finditer(rb"PK\x01\x02\x14\x03\x14\x00", data):
                at = match.start()
                data[at + 4:at + 8] = struct.pack("<BBH", 45, 3, 45)
            file.seek(0)
            file.write(data)
        self.assertEqual(data.count(b"PK\x03\x04\x2d\x00"), 2)
        for style in ("reference", "large", "direct"):
            _, samples = format_tool.read("npz", self.path("file.npz"), spec,
                                          style)
            self.assertEqual(samples, [spec[1] * spec[2]])

    def with_zip64_end(self, spec):
        """A small archive with the zip64 end records of a large one."""
        save(self.path("small.npz"), spec)
        with open(self.path("small.npz"), "rb") as file:
            data = file.read()
        _, _, _, count, _, size, offset, _ = struct.unpack("<IHHHHIIH",
                                                           data[-22:])
        end64 = struct.pack("<IQHHIIQQQQ", 0x06064b50, 44, 45, 45, 0, 0, count,
                            count, size, offset)
        locator = struct.pack("<IIQI", 0x07064b50, 0, len(data) - 22, 1)
        path = self.path("zip64.npz")
        with open(path, "wb") as file:
            file.write(data[:-22] + end64 + locator + data[-22:])
        return path

    def test_reads_are_numpys_read_for_read(self):
        jobs, expected_of = [], []
        sizes = [1, 2000, 3967, 3968, 3969, 7900, 12345, 65536, 262144, 266112,
                 524288 + 3968, 1000003, 4 * 262144 - 178, 16000000]
        for i, size in enumerate(sizes):
            spec = (i, 1, size, 1, 1)
            save(self.path(f"{size}.npz"), spec)
            for unit in (512, 4096, 65536, 131072, 262144, 1 << 20, 4 << 20):
                jobs.append((self.path(f"{size}.npz"), unit))
                expected_of.append(spec)
        spec = (0, 300, 700, 3, 1)
        path = self.with_zip64_end(spec)
        for unit in (512, 4096, 65536, 1 << 20):
            jobs.append((path, unit))
            expected_of.append(spec)
        jobs.append((path, 0))
        expected_of.append(spec)
        traces = trace_numpy(jobs)
        self.assertEqual(len(traces), len(jobs))
        for (path, unit), spec, trace in zip(jobs, expected_of, traces):
            ours, _ = format_tool.read(
                "npz", path, spec, unit=unit or os.stat(path).st_blksize)
            self.assertEqual(ours, trace, (path, unit))


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
