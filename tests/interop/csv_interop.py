"""csv files against pandas: as a writer, as a parser and as a reader."""

import csv
import os
import sys
import tempfile
import unittest

import numpy as np
import pandas as pd

import format_tool

# (file, rows, columns, samples, edge)
SPECS = [
    (1, 1, 1, 1, 1),
    (2, 3, 7, 12, 4),
    (3, 40, 30, 2, 34),
    (4, 111, 10, 101, 33),
]


def values_of(spec):
    content = format_tool.pattern(spec[0], 0, spec[1] * spec[2]).astype(int)
    return 100 + 155 * content // 256


def trace_pandas(paths):
    """What pandas reads of each: [(position, asked, got), ...]."""
    return format_tool.trace(
        "import sys\nimport pandas as pd\n"
        "for path in sys.argv[1:]:\n"
        "    pd.read_csv(path, compression=None)\n",
        paths, paths)


class CsvInterop(unittest.TestCase):

    def setUp(self):
        holder = tempfile.TemporaryDirectory()
        self.addCleanup(holder.cleanup)
        self.folder = os.path.realpath(holder.name)
        self.path = os.path.join(self.folder, "file.csv")

    def test_files_equal_pandas_byte_for_byte(self):
        for spec in SPECS:
            format_tool.run("encode", "csv", self.path, *spec)
            theirs = pd.DataFrame([values_of(spec)] * spec[3]).to_csv()
            with open(self.path, encoding="ascii", newline="") as ours:
                self.assertEqual(ours.read(), theirs, spec)

    def test_pandas_csv_and_numpy_parse_ours(self):
        spec = SPECS[2]
        format_tool.run("encode", "csv", self.path, *spec)
        frame = pd.read_csv(self.path)
        self.assertEqual(frame.shape, (2, 1201))
        np.testing.assert_array_equal(frame.iloc[1, 1:], values_of(spec))
        with open(self.path, encoding="ascii", newline="") as file:
            rows = list(csv.reader(file))
        self.assertEqual(rows[2][1:], [str(v) for v in values_of(spec)])
        table = np.loadtxt(self.path, delimiter=",", skiprows=1, dtype=int)
        np.testing.assert_array_equal(table[0, 1:], values_of(spec))

    def test_pandas_files_of_any_digits_are_read(self):
        spec = (9, 20, 30, 5, 24)
        noise = format_tool.pattern(1, 0, 600)
        pd.DataFrame([noise] * 5).to_csv(self.path)
        for style in ("reference", "large"):
            _, samples = format_tool.read("csv", self.path, spec, style,
                                          request=1000, sample=4, expect=False)
            self.assertEqual(samples, [600])

    def test_reads_are_pandas_read_for_read(self):
        paths, specs = [], []
        for size in (10, 8192, 262143, 262144, 262145, 260000, 524288, 600000,
                     524288 - 5000):
            path = os.path.join(self.folder, f"{size}.csv")
            with open(path, "w", encoding="ascii") as file:
                file.write(",0\n0," + "1" * 3 + "," * 0 + "\n")
                missing = size - file.tell()
                line = "1,234567\n"
                file.write(line * (missing // len(line)))
                rest = missing % len(line)
                if rest >= 4:
                    file.write("1," + "2" * (rest - 3) + "\n")
            paths.append(path)
            with open(path, encoding="ascii") as file:
                specs.append((1, 1, 1, sum(1 for _ in file) - 1, 1))
        for path, spec, trace in zip(paths, specs,
                                     trace_pandas(paths)):
            ours, _ = format_tool.read("csv", path, spec, expect=False)
            self.assertEqual(ours, trace, path)


if __name__ == "__main__":
    format_tool.TOOL = sys.argv.pop(1)
    unittest.main(verbosity=2)
