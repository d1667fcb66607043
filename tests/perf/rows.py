"""The rows of the report: what is run, and which figure it gives.

Data are hard links on few inodes, so that they fit into the page cache, and
every epoch has 100 counted steps or more. The row past the page cache has
neither: it is about bytes a second, and its files are on the disk below the
folder.
"""

import contextlib
import dataclasses
import os
import pathlib
import shutil
import statistics
from typing import Callable

import fio
import stoker
from stoker import GIB, Failed

# Counted steps of an epoch, and the one that is not counted.
STEPS = 101
COSMOFLOW_STEPS = 1001
# The resnet50 rows keep the pool of 64 ranks within a small machine.
RESNET50_SMALL = ["reader.computation_threads=1", "reader.prefetch_size=1"]


@dataclasses.dataclass
class Result:
    values: list = dataclasses.field(default_factory=list)
    notes: list = dataclasses.field(default_factory=list)
    error: str = ""


@dataclasses.dataclass
class Row:
    name: str
    title: str
    must: float
    aim: float
    unit: str
    digits: int
    measure: Callable
    higher_is_better: bool = True


@dataclasses.dataclass
class Workload:
    model: str
    batch: int
    samples_per_file: int
    steps: int
    distinct: int  # contents on storage

    def files(self, ranks):
        samples = self.steps * self.batch * ranks
        return -(-samples // self.samples_per_file)

    def params(self, ranks):
        return [f"dataset.num_files_train={self.files(ranks)}",
                f"train.steps_per_epoch_limit={self.steps}", "train.epochs=1"]


UNET3D = Workload("unet3d", 7, 1, STEPS, 12)
RESNET50 = Workload("resnet50", 400, 1251, STEPS, 8)
# 27 GiB a run: the first reads, when nothing is under way yet, count little.
DIRECT = Workload("unet3d", 7, 1, 28, 12)
COSMOFLOW = Workload("cosmoflow", 1, 1, COSMOFLOW_STEPS, 64)


class Bench:
    def __init__(self, program, folder, memory, runs, log):
        self.program = program
        self.folder = folder
        self.memory = memory
        self.runs = runs
        self.log = log

    def dataset(self, workload, ranks):
        """Names for `ranks`, all contents in the page cache."""
        return self._dataset(workload.model, workload.files(ranks),
                             workload.distinct, f"{workload.model}-{ranks}")

    def stored_dataset(self, workload, ranks):
        """The same, on the disk and not in the page cache."""
        data = self._generated(workload.model, workload.files(ranks),
                               workload.distinct,
                               f"{workload.model}-stored-{ranks}")
        for file in contents(data):
            forget(file)
        return data

    def _generated(self, model, files, distinct, name):
        data = self.folder / "data" / name / model
        self.program.generate(
            model, 2, data, [f"dataset.num_files_train={files}"],
            ["--distinct", str(distinct)])
        return data

    def _dataset(self, model, files, distinct, name):
        data = self._generated(model, files, distinct, name)
        for file in contents(data):
            with open(file, "rb") as stream:
                while stream.read(1 << 20):
                    pass
        return data

    def au(self, workload, ranks, data, params, runs):
        return [self.program.train(workload.model, ranks, data,
                                   workload.params(ranks) + params).au_percent
                for _ in range(runs)]

    def largest(self, workload, counts, data, params, floor, result):
        """The largest of `counts` whose median AU reaches the floor.

        Walks up with single runs where they suffice; the count found and the
        one after it are decided by the median of all runs.
        """
        medians = {}

        def median(count, runs):
            if (count, runs) not in medians:
                values = self.au(workload, count, data, params, runs)
                medians[count, runs] = statistics.median(values)
                result.notes.append(
                    f"{count} accelerators: AU "
                    + ", ".join(f"{value:.2f}" for value in values) + " %")
            return medians[count, runs]

        def reaches(count):
            return (median(count, 1) >= floor
                    or median(count, self.runs) >= floor)

        at = 0
        while at + 1 < len(counts) and reaches(counts[at + 1]):
            at += 1
        while at >= 0 and median(counts[at], self.runs) < floor:
            at -= 1
        return counts[at] if at >= 0 else 0


def contents(place):
    """One name for each content, in the order of their names."""
    seen = {}
    for file in sorted((place / "train").iterdir()):
        seen.setdefault(file.stat().st_ino, file)
    return list(seen.values())


def forget(file):
    descriptor = os.open(file, os.O_RDONLY)
    try:
        os.fsync(descriptor)
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
    finally:
        os.close(descriptor)


BARE = 10  # seconds


def null_au(workload, ranks, params=()):
    """Beside each run, ranks that only sleep and meet: what those lose is the
    machine's."""
    def measure(bench, result):
        bare = []
        for _ in range(bench.runs):
            run = bench.program.train(workload.model, ranks, "null:",
                                      workload.params(ranks) + list(params))
            result.values.append(run.au_percent)
            compute = float(run.record["run"]["computation_time"])
            bare.append(bench.program.bare_au_percent(
                ranks, compute, min(workload.steps, round(BARE / compute))))
        result.notes.append("only sleeping and meeting: "
                            + ", ".join(f"{au:.3f}" for au in bare) + " %")
    return measure


def accelerators(workload, counts, floor, params=()):
    def measure(bench, result):
        data = bench.dataset(workload, counts[-1])
        result.values = [bench.largest(workload, counts, data, list(params),
                                       floor, result)]
    return measure


V3 = ["reader.loader_model=dlio-v3"]


def cpu_per_gib(bench, result):
    ranks = 2
    data = bench.dataset(UNET3D, ranks)
    files = contents(data)
    for _ in range(bench.runs):
        rate, before = fio.read_cached(bench.log, files, ranks, seconds=8)
        run = bench.program.train("unet3d", ranks, data,
                                  UNET3D.params(ranks) + V3)
        ours = run.cpu_seconds / run.read_bytes
        _, after = fio.read_cached(bench.log, files, ranks, seconds=8)
        fio_cpu = (before + after) / 2
        result.values.append(ours / fio_cpu)
        result.notes.append(
            f"fio {rate / GIB:.2f} GiB/s with {ranks} jobs, "
            f"{fio_cpu * GIB:.4f} CPU s/GiB; ours {ours * GIB:.4f} at AU "
            f"{run.au_percent:.1f} %, checks "
            f"{'on' if run.record['run']['content_checks'] else 'off'}")


DIRECT_BLOCK = 1 << 20
DIRECT_DEPTH = 32


def direct_reads(bench, result):
    """Whole files, as reader.odirect asks for them, and no computation: the
    run waits for nothing but bytes. Both sides have as many requests of one
    size in the kernel; the kernel keeps nothing of what they read."""
    data = bench.stored_dataset(DIRECT, 1)
    files = contents(data)
    uri = f"direct://{data}?block={DIRECT_BLOCK}&depth={DIRECT_DEPTH}"
    for _ in range(bench.runs):
        ceiling, fio_cpu = fio.read_direct(bench.log, files, DIRECT_BLOCK,
                                           DIRECT_DEPTH, seconds=15)
        run = bench.program.train(
            DIRECT.model, 1, uri, DIRECT.params(1)
            + ["reader.odirect=True", "train.computation_time=0"])
        ours = run.read_bytes / run.read_seconds
        result.values.append(ours / ceiling)
        result.notes.append(
            f"fio {ceiling / GIB:.3f} GiB/s with {fio_cpu * GIB:.4f} CPU s/GiB,"
            f" ours {ours / GIB:.3f} GiB/s with "
            f"{run.cpu_seconds / run.read_bytes * GIB:.4f}; engine "
            f"{run.record['run']['engine']}")


def datagen(model, files, per_job):
    """`per_job`: files of each fio job and their size, the same in total."""
    def measure(bench, result):
        jobs = 2
        total = jobs * per_job[0] * per_job[1]
        for _ in range(bench.runs):
            fio.use_memory(bench.memory, total)
            with scratch(bench.memory) as folder:
                ceiling = fio.write_fresh(bench.log, folder, jobs, per_job)
            fio.use_memory(bench.memory, total)
            with scratch(bench.memory) as folder:
                ours = bench.program.generate(
                    model, jobs, folder / model,
                    [f"dataset.num_files_train={files}"])
            result.values.append(ours / ceiling)
            result.notes.append(f"fio {ceiling / GIB:.2f} GiB/s, ours "
                                f"{ours / GIB:.2f} GiB/s, {jobs} processes")
    return measure


UNET3D_DEMAND = 7 * 146600628 / 0.323  # bytes/s of an h100


def model_au(bench, result):
    ranks = 2
    bandwidth = round(ranks * UNET3D_DEMAND / 2)
    storage = f"model:?bandwidth={bandwidth},null:"
    params = UNET3D.params(ranks)
    predicted = bench.program.predict_au_percent("unet3d", ranks, storage,
                                                 params)
    for measured in bench.au(UNET3D, ranks, storage, [], bench.runs):
        result.values.append(abs(measured - predicted) / 100)
        result.notes.append(f"AU {measured:.2f} % measured, {predicted:.2f} % "
                            "in virtual time")


@contextlib.contextmanager
def scratch(parent):
    folder = pathlib.Path(parent) / "stoker-perf"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


MANY_FILES = 524288


def many_files(bench, params):
    # 65,000 names an inode is what ext4 allows.
    data = bench._dataset("cosmoflow", MANY_FILES, 16, "cosmoflow-many")
    return bench.program.train(
        "cosmoflow", 4, data,
        [f"dataset.num_files_train={MANY_FILES}", "train.epochs=1", *params],
        watch_memory=True)


def start(bench, result):
    for _ in range(bench.runs):
        run = many_files(bench, ["train.steps_per_epoch_limit=101"])
        result.values.append(run.seconds_to_first_step)


def memory(bench, result):
    for _ in range(bench.runs):
        run = many_files(bench, ["train.steps_per_epoch_limit=1001"])
        if not run.memory:
            raise Failed("no rank was seen while the run lasted")
        held = max(run.memory, key=lambda pair: pair[0] - pair[1])
        result.values.append((held[0] - held[1]) / 2**20)
        result.notes.append(
            f"rank with most: {held[0] / 2**20:.1f} MiB anonymous and shared, "
            f"of which pool {held[1] / 2**20:.1f} MiB")


ROWS = [
    Row("null-unet3d", "AU on `null:`, unet3d, 8 ranks", 99.9, 99.95, " %", 3,
        null_au(UNET3D, 8)),
    Row("null-resnet50", "AU on `null:`, resnet50, 8 ranks", 99.9, 99.95, " %",
        3, null_au(RESNET50, 8)),
    Row("null-cosmoflow", "AU on `null:`, cosmoflow, 4 ranks", 99, 99.5, " %",
        3, null_au(COSMOFLOW, 4)),
    Row("model-au", "AU on `model:` at half the demand of 2 unet3d_h100, "
        "difference to the same run in virtual time", 0.02, 0.01, "", 4,
        model_au, higher_is_better=False),
    Row("unet3d-v2", "unet3d_h100 accelerators at AU ≥ 90 %, page cache, "
        "`dlio-v2`, checks on", 3, 4, "", 0,
        accelerators(UNET3D, [1, 2, 3, 4, 5], 90)),
    Row("unet3d-v3", "the same, `dlio-v3`", 4, 5, "", 0,
        accelerators(UNET3D, [2, 3, 4, 5, 6], 90, V3)),
    Row("resnet50-v2", "resnet50_h100 accelerators at AU ≥ 90 %, page cache, "
        "`dlio-v2`", 32, 64, "", 0,
        accelerators(RESNET50, [8, 16, 24, 32, 40, 48, 56, 64], 90,
                     RESNET50_SMALL)),
    Row("cosmoflow-v2", "cosmoflow_h100 accelerators at AU ≥ 70 %, page cache, "
        "`dlio-v2`", 8, 16, "", 0,
        accelerators(COSMOFLOW, [2, 4, 6, 8, 10, 12, 14, 16, 18], 70)),
    Row("cpu-per-gib", "CPU seconds per GiB, `dlio-v3` unet3d, over fio's",
        1.3, 1.1, "", 2, cpu_per_gib, higher_is_better=False),
    Row("direct-unet3d", "`direct:`, unet3d files, GiB/s over fio's io_uring "
        "with O_DIRECT, 32 blocks of 1 MiB at once", 0.92, 0.98, "", 3,
        direct_reads),
    Row("datagen-npz", "datagen of npz to tmpfs, over fio's fresh write", 0.7,
        0.95, "", 2, datagen("unet3d", 28, (14, 146 << 20))),
    Row("datagen-tfrecord", "datagen of tfrecord to tmpfs (resnet50), over "
        "fio's fresh write", 0.7, 0.95, "", 2,
        datagen("resnet50", 28, (14, 143 * 10**6))),
    Row("datagen-small", "datagen of tfrecord to tmpfs (cosmoflow), over "
        "fio's fresh write", 0.7, 0.95, "", 2,
        datagen("cosmoflow", 1024, (512, 2824 * 10**3))),
    Row("start", "launch to first step, 524,288-file cosmoflow, 4 ranks", 5, 1,
        " s", 2, start, higher_is_better=False),
    Row("memory", "anonymous and shared memory per rank beyond its pool, "
        "524,288-file cosmoflow, 4 ranks", 32, 16, " MiB", 1, memory,
        higher_is_better=False),
]
