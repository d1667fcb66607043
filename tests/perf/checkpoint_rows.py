"""The rows of the report that are about checkpoints.

Ours and fio write and read the same bytes in the same folder in the same run.
"""

import pathlib

import fio
from rows import Row, scratch
from stoker import GIB, Failed

MODEL = "llama3-mini"
# About 2.4 GiB on one rank, 0.6 GiB on each of four.
LARGE = ["model.num_layers=8", "model.transformer.hidden_size=1024",
         "model.transformer.ffn_hidden_size=4096",
         "model.transformer.num_attention_heads=16",
         "model.transformer.num_kv_heads=4"]
# Of these a run restores so many; the first is not counted.
CHECKPOINTS = 3
# And saves so many. A new one is written while the last one is there, so that
# two sets of memory or blocks are used in turn; the first of each, which a
# virtual machine may have to ask its host for, is not counted.
SAVES = 5


def spans(record, kind, uncounted=1):
    """Seconds of each checkpoint but the `uncounted` first: the longest of all
    ranks."""
    steps = {}
    for rank in record["ranks"]:
        for op in rank["checkpoints"]:
            if op["kind"] == kind:
                span = (op["end_ns"] - op["start_ns"]) / 1e9
                steps[op["step"]] = max(steps.get(op["step"], 0), span)
    if not steps:
        raise Failed(f"the record has no {kind}")
    return ([steps[step] for step in sorted(steps)][uncounted:]
            or list(steps.values()))


def file_bytes(record, kind="save"):
    """Of one checkpoint, all ranks."""
    return sum(op["file_bytes"] for rank in record["ranks"]
               for op in rank["checkpoints"] if op["kind"] == kind and op["step"] == 1)


def mean(values):
    return sum(values) / len(values)


# More than two savings of one rank, the most there are at once.
SAVE_MEMORY = 6 << 30


def save(place, ranks, fsync):
    """`place`: the folder of a bench. Each value: our rate over fio's."""
    def measure(bench, result):
        in_memory = place(bench) == bench.memory
        for _ in range(bench.runs):
            if in_memory:
                fio.use_memory(bench.memory, SAVE_MEMORY)
            with scratch(place(bench)) as folder:
                run = bench.program.checkpoint(
                    MODEL, ranks, folder, SAVES, 0,
                    LARGE + [f"checkpoint.fsync={fsync}"], ["--keep", "1"])
            total = file_bytes(run.record)
            ours = total / mean(spans(run.record, "save", 2))
            if in_memory:
                fio.use_memory(bench.memory, SAVE_MEMORY)
            with scratch(place(bench)) as folder:
                ceiling = fio.write_streams(bench.log, folder, ranks,
                                            total // ranks, fsync, SAVES)
            # As above: all bytes over all time.
            ceiling = 1 / mean([1 / rate for rate in ceiling[2:]])
            result.values.append(ours / ceiling)
            stalled = max(op["stalled_ns"] for rank in run.record["ranks"]
                          for op in rank["checkpoints"]) / 1e9
            result.notes.append(
                f"{total / GIB:.2f} GiB; fio {ceiling / GIB:.2f} GiB/s, ours "
                f"{ours / GIB:.2f} GiB/s; nothing was under way for at most "
                f"{stalled:.3f} s")
    return measure


def restore(verify):
    def measure(bench, result):
        with scratch(bench.folder) as folder:
            bench.program.checkpoint(MODEL, 1, folder, 1, 0,
                                     LARGE + ["checkpoint.fsync=True"])
            files = sorted(pathlib.Path(folder).rglob("*.pt"))
            for file in files:
                with open(file, "rb") as stream:
                    while stream.read(1 << 20):
                        pass
            for _ in range(bench.runs):
                rate, _ = fio.read_cached(bench.log, files, 1, seconds=5)
                values = []
                for _ in range(CHECKPOINTS):
                    run = bench.program.checkpoint(
                        MODEL, 1, folder, 0, 1,
                        LARGE + [f"checkpoint.verify={verify}"])
                    values.append(file_bytes(run.record, "restore") /
                                  mean(spans(run.record, "restore")))
                ours = sorted(values)[len(values) // 2]
                result.values.append(ours / rate)
                result.notes.append(f"fio {rate / GIB:.2f} GiB/s, ours "
                                    f"{ours / GIB:.2f} GiB/s")
    return measure


def memory(bench, result):
    for _ in range(bench.runs):
        with scratch(bench.folder) as folder:
            run = bench.program.checkpoint(
                MODEL, 4, folder, CHECKPOINTS, CHECKPOINTS,
                LARGE + ["checkpoint.fsync=True", "checkpoint.verify=full"],
                watch_memory=True)
        if not run.memory:
            raise Failed("no rank was seen while the run lasted")
        held, pool = max(run.memory, key=lambda pair: pair[0] - pair[1])
        result.values.append(max(held - pool, 0) / 2**20)
        result.notes.append(
            f"rank with most: {held / 2**20:.1f} MiB anonymous and shared, "
            f"pool {pool / 2**20:.1f} MiB")


ROWS = [
    Row("save-disk", "save, 4 ranks, to disk with fsync, torchzip, over fio "
        "sequential write 1 MiB end_fsync", 0.90, 0.98, "", 2,
        save(lambda bench: bench.folder, 4, True)),
    Row("save-tmpfs", "save to tmpfs, torchzip, one rank, over fio's fresh "
        "write", 0.7, 0.95, "", 2, save(lambda bench: bench.memory, 1, False)),
    Row("restore-none", "restore from page cache, verify none, one rank, over "
        "fio's read", 0.8, 0.95, "", 2, restore("none")),
    Row("restore-full", "restore from page cache, verify full, one rank, over "
        "fio's read", 0.5, 0.7, "", 2, restore("full")),
    Row("checkpoint-memory", "anonymous and shared memory per rank beyond its "
        "pool, save and restore, 4 ranks", 32, 16, " MiB", 1, memory,
        higher_is_better=False),
]
