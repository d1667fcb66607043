"""`datagen --content dlio`: files equal to what numpy writes by the recipe of
the reference, whole.

usage: dlio_content_interop.py STOKER [unittest arguments]
"""

import io
import math
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import h5py
import numpy as np

from tfrecord_interop import example, frame

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "mpi"))
from harness import ENVIRONMENT  # pylint: disable=wrong-import-position

STOKER = ""

TRAIN, VALID = 5, 2


def npz(arrays):
    out = io.BytesIO()
    np.savez(out, x=arrays, y=[0] * arrays.shape[2])
    return out.getvalue()


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def file_bytes(fmt, random, dims, samples, edge):
    """One file, its content drawn from `random`; for hdf5 its array."""
    rows, columns = dims
    if fmt == "tfrecord":
        return b"".join(
            frame(example(random.randint(255, size=(rows, columns),
                                         dtype=np.uint8).tobytes(), edge))
            for _ in range(samples))
    array = random.randint(255, size=(rows, columns, samples), dtype=np.uint8)
    if fmt == "npy":
        return npy(array)
    if fmt == "hdf5":
        return array.reshape(samples, rows, columns).tobytes()
    return npz(array) if fmt == "npz" else array.tobytes()


def content(fmt, path):
    if fmt == "hdf5":
        with h5py.File(path, "r") as file:
            return file["records"][()].tobytes()
    return path.read_bytes()


def reference_files(fmt, length, stdev, samples, processes):
    """generation index -> bytes, as `processes` processes would write them."""
    edge = int(math.sqrt(length))
    files = {}
    for rank in range(processes):
        random = np.random.RandomState(10)
        dims = [edge] * (2 * (TRAIN + VALID))
        if stdev > 0:
            dims = [max(int(value), 1) for value in random.normal(
                edge, stdev / 2 / math.sqrt(length), 2 * (TRAIN + VALID))]
        for index in range(rank, TRAIN + VALID, processes):
            files[index] = file_bytes(
                fmt, random, dims[2 * index:2 * index + 2], samples, edge)
    return files


class DlioContent(unittest.TestCase):
    def check(self, fmt, processes, stdev, params=()):
        model = "resnet50" if fmt == "tfrecord" else "unet3d"
        # Odd sizes, so that draws do not end with a random word.
        length, samples = 5000.07, 3
        expected = reference_files(fmt, length, stdev, samples, processes)
        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder) / model
            subprocess.run(
                [STOKER, "training", "datagen", "-m", model, "-np",
                 str(processes), "-dd", folder, "-rd", folder + "/results",
                 "--content", "dlio", "--params",
                 f"dataset.num_files_train={TRAIN}",
                 f"dataset.num_files_eval={VALID}",
                 f"dataset.num_samples_per_file={samples}",
                 f"dataset.record_length_bytes={length}",
                 f"dataset.record_length_bytes_stdev={stdev}",
                 f"dataset.format={fmt}", *params],
                env=ENVIRONMENT, cwd=folder, check=True, capture_output=True)
            names = [data / "train" / f"img_{i}_of_{TRAIN}.{fmt}"
                     for i in range(TRAIN)]
            names += [data / "valid" / f"img_{i}_of_{VALID}.{fmt}"
                      for i in range(VALID)]
            for index, name in enumerate(names):
                self.assertEqual(content(fmt, name), expected[index], name)

    def test_hdf5_in_chunks(self):
        self.check("hdf5", 2, 1500, ["dataset.enable_chunking=true",
                                     "dataset.chunk_size=700"])


def add_case(fmt, processes, stdev):
    def test(self):
        self.check(fmt, processes, stdev)
    setattr(DlioContent, f"test_{fmt}_{processes}_processes_stdev_{stdev}",
            test)


for each_format in ("npz", "tfrecord", "npy", "hdf5", "indexed_binary",
                    "mmap_indexed_binary"):
    for each_processes in (1, 2):
        for each_stdev in (0, 1500):
            add_case(each_format, each_processes, each_stdev)


if __name__ == "__main__":
    STOKER = os.path.abspath(sys.argv.pop(1))
    unittest.main()
