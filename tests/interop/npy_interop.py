"""npy files against numpy: bytes, foreign variants, and system calls."""

import os
import sys
import tempfile
import unittest

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
    (6, 8192 - 128, 1, 1, 1),
    (7, 12107, 97, 1, 12107),
]
STYLES = ("reference", "large", "sample", "direct")
BUFSIZ = 8192  # glibc's


def array_of(spec):
    return format_tool.array_pattern(spec[0], (spec[1], spec[2], spec[3]))


def trace_numpy(jobs):
    """System reads of numpy.load(path) for each (path, unit), in order.

    Python's buffer is set to `unit`; that of the C stream stays at what the
    file system says, which is why the two are cut apart, where numpy makes the
    stream: each trace is a pair.
    """
    pairs = []
    for trace in format_tool.trace(
            "import sys, numpy as np\n"
            "for path, unit in zip(sys.argv[1::2], sys.argv[2::2]):\n"
            "    with open(path, 'rb', buffering=int(unit)) as file:\n"
            "        np.load(file)\n",
            format_tool.flat(jobs), [path for path, _ in jobs], mark="fcntl"):
        cut = trace.index(None) if None in trace else len(trace)
        pairs.append((trace[:cut],
                      [read for read in trace[cut:] if read is not None]))
    return pairs


class NpyInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)

    def path(self, name):
        return os.path.join(self.folder, name)

    def test_files_equal_numpys_byte_for_byte(self):
        for spec in SPECS:
            np.save(self.path("theirs.npy"), array_of(spec))
            format_tool.run("encode", "npy", self.path("ours.npy"), *spec)
            with open(self.path("theirs.npy"), "rb") as theirs, \
                    open(self.path("ours.npy"), "rb") as ours:
                self.assertEqual(theirs.read(), ours.read(), spec)

    def test_numpy_loads_ours(self):
        spec = SPECS[4]
        format_tool.run("encode", "npy", self.path("ours.npy"), *spec)
        np.testing.assert_array_equal(np.load(self.path("ours.npy")),
                                      array_of(spec))

    def test_all_styles_read_numpys_files(self):
        for spec in SPECS:
            np.save(self.path("file.npy"), array_of(spec))
            for style in STYLES:
                for request in (512, 4096, 0):
                    _, samples = format_tool.read(
                        "npy", self.path("file.npy"), spec, style,
                        request=request, sample=spec[3] - 1)
                    self.assertEqual(samples, [spec[1] * spec[2]])

    def test_short_headers_are_read(self):
        # numpy before 1.23 leaves no room for the array to grow.
        spec = SPECS[1]
        text = "{'descr': '|u1', 'fortran_order': False, 'shape': (3, 7, 1), }"
        header = text.ljust(128 - 11) + "\n"
        short = text.ljust(96 - 11) + "\n"
        for body in (header, short):
            with open(self.path("file.npy"), "wb") as file:
                file.write(b"\x93NUMPY\x01\x00")
                file.write(len(body).to_bytes(2, "little"))
                file.write(body.encode() + array_of(spec).tobytes())
            np.testing.assert_array_equal(np.load(self.path("file.npy")),
                                          array_of(spec))
            # The shorter file is not of the size that the spec promises.
            for style in STYLES if body is header else ("reference", "large"):
                _, samples = format_tool.read("npy", self.path("file.npy"),
                                              spec, style)
                self.assertEqual(samples, [21])

    def test_reads_are_numpys_read_for_read(self):
        jobs, expected_of = [], []
        sizes = [1, 2000, 3967, 3968, 3969, 7900, 8064, 8065, 12345, 65536,
                 262144, 1000003, 16000000]
        for i, size in enumerate(sizes):
            spec = (i, 1, size, 1, 1)
            np.save(self.path(f"{size}.npy"), array_of(spec))
            for unit in (512, 4096, 65536, 1 << 20):
                jobs.append((self.path(f"{size}.npy"), unit))
                expected_of.append(spec)
        traces = trace_numpy(jobs)
        self.assertEqual(len(traces), len(jobs))
        for (path, unit), spec, (first, second) in zip(jobs, expected_of,
                                                       traces):
            ours, _ = format_tool.read("npy", path, spec, unit=unit)
            self.assertEqual(ours[:len(first)], first, (path, unit))
            blksize = os.stat(path).st_blksize
            stream = min(blksize, BUFSIZ)
            ours, _ = format_tool.read("npy", path, spec, unit=stream)
            begins = next(i for i in range(1, len(ours)) if ours[i][0] == 0)
            self.assertEqual(ours[begins:], second, (path, unit))


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
