"""The rows of the report that are about the NVMe cache.

fio reads the same slot file before and after, past the page cache, with as many
requests of the same size: the ceiling is the mean of the two.
"""

import json
import subprocess

import fio
from rows import Row, contents, scratch
from s3_rows import read_bench
from stoker import GIB, Failed

SIZE = 4 << 30
DEPTH = 32


def warm_reads(block):
    def measure(bench, result):
        with scratch(bench.folder) as folder:
            cache = folder / "cache"
            uri = (f"cache:{cache}?size={SIZE + SIZE // 4}&small_slot=0,"
                   f"file://{folder}/store")
            read_bench(bench, uri, SIZE, 1 << 20, 8, SIZE >> 20)
            for _ in range(bench.runs):
                before, _ = fio.read_direct(bench.log, [cache / "slots.0"],
                                            block, DEPTH, seconds=8)
                ours = read_bench(bench, uri, SIZE, block, DEPTH,
                                  2 * SIZE // block)
                after, _ = fio.read_direct(bench.log, [cache / "slots.0"],
                                           block, DEPTH, seconds=8)
                rate = ours["bytes"] / ours["wall_s"]
                result.values.append(2 * rate / (before + after))
                result.notes.append(
                    f"ours {rate / GIB:.2f} GiB/s with "
                    f"{ours['cpu_s'] / ours['bytes'] * GIB:.3f} CPU s/GiB, fio "
                    f"{before / GIB:.2f} and {after / GIB:.2f} GiB/s; "
                    f"{ours['engine']}")
    return measure


def index(figure, scale):
    def measure(bench, result):
        program = bench.program.helper("stoker_index_bench")
        with scratch(bench.folder) as folder:
            for _ in range(bench.runs):
                done = subprocess.run([program, str(folder / "cache")],
                                      check=True, text=True,
                                      stdout=subprocess.PIPE)
                bench.log.write(done.stdout)
                told = json.loads(done.stdout)
                result.values.append(told[figure] * scale)
        result.notes.append(f"{told['slots']} slots")
    return measure


COLD_SIZE = 1 << 30
COLD_STORE = 200 << 20  # bytes/s; a device writes more than twice of it


def cold_path(bench, result):
    """One pass over an object that is not there, every block of it kept,
    against the same requests to the store alone."""
    with scratch(bench.folder) as folder:
        store = f"model:?bandwidth={COLD_STORE},file://{folder}/store"
        uri = (f"cache:{folder}/cache?size={COLD_SIZE + COLD_SIZE // 4}"
               f"&small_slot=0&start=cold,{store}")
        block = 1 << 20

        def rate(place):
            ours = read_bench(bench, place, COLD_SIZE, block, 16,
                              COLD_SIZE // block)
            return ours["bytes"] / ours["wall_s"]
        rate(store)  # makes the object
        for _ in range(bench.runs):
            alone, through = rate(store), rate(uri)
            result.values.append(100 * (alone / through - 1))
            result.notes.append(f"store {alone / GIB:.3f} GiB/s, through the "
                                f"cold cache {through / GIB:.3f} GiB/s")


# resnet50 with steps of 40 samples instead of 400, and so long that 4
# accelerators ask for AU_DEMAND, or 0.4 of what the device reads if that is
# less.
AU_RANKS, AU_BATCH, AU_STEPS, AU_SAMPLE = 4, 40, 101, 114660
AU_DEMAND = 128e6  # bytes/s
AU_FILES = -(-AU_RANKS * AU_BATCH * AU_STEPS // 1251)
au_runs = []  # of one report: both rows are of the same runs
au_device = []  # bytes/s that fio reads, before the first of them


def au_run(bench, data, demand):
    step = AU_RANKS * AU_BATCH * AU_SAMPLE / demand
    with scratch(bench.folder) as folder:
        uri = (f"cache:{folder}/cache?size={AU_FILES * 160 << 20}&start=cold,"
               f"model:?bandwidth={round(demand / 2)},file://{data}")
        return bench.program.train(
            "resnet50", AU_RANKS, uri,
            [f"dataset.num_files_train={AU_FILES}", "train.epochs=2",
             f"train.steps_per_epoch_limit={AU_STEPS}",
             f"reader.batch_size={AU_BATCH}",
             f"train.computation_time={step:.6f}",
             "reader.computation_threads=1"])


def half_demand(value_of):
    def measure(bench, result):
        data = bench._generated("resnet50", AU_FILES, 4, "resnet50-cache")
        if not au_device:
            au_device.append(fio.read_direct(bench.log, contents(data), 1 << 20,
                                             DEPTH, seconds=8)[0])
        while len(au_runs) < bench.runs:
            au_runs.append(au_run(bench, data,
                                  min(AU_DEMAND, 0.4 * au_device[0])))
        result.notes.append(f"fio reads {au_device[0] / 1e6:.0f} MB/s here")
        for run in au_runs:
            cold, warm = run.summary["metric"]["train_au_percentage"][:2]
            told = run.record["cache"]
            if told["first_au"] is None:
                raise Failed(f"no prediction: {told['trouble']}")
            result.values.append(value_of(cold / 100, warm / 100, told))
            result.notes.append(
                f"AU {cold:.2f} % then {warm:.2f} %, expected "
                f"{100 * told['first_au']:.2f} % then "
                f"{100 * told['later_au']:.2f} %; store "
                f"{told['store_bytes_per_s'] / 1e6:.0f} MB/s, demand "
                f"{told['demand_bytes_per_s'] / 1e6:.0f} MB/s, device "
                f"{told['device_read_bytes_per_s'] / 1e6:.0f} MB/s")
    return measure


ROWS = [
    Row("cache-warm", "warm read of 1 MiB through the cache, checksums on, over "
        "fio with O_DIRECT", 0.92, 0.98, "", 2, warm_reads(1 << 20)),
    Row("cache-granule", "the same, 256 KiB", 0.85, 0.95, "", 2,
        warm_reads(256 << 10)),
    Row("cache-lookup", "lookup, pin and unpin in the cache's index, a core",
        3, 5, " M/s", 2, index("lookups_per_s", 1e-6)),
    Row("cache-attach", "attaching to the index of a cache whose four processes "
        "were killed at once", 100, 50, " ms", 1, index("attach_s", 1e3),
        higher_is_better=False),
    Row("cache-rebuild", "making a lost index from the records", 1, 2,
        " M slots/s", 2, index("rebuilt_slots_per_s", 1e-6)),
    Row("cache-cold", "first read through the cache, everything kept, slower "
        "than the store alone by", 5, 3, " %", 2, cold_path,
        higher_is_better=False),
    Row("cache-au-cold", "AU of a cold epoch, store at half the demand of 4 "
        "resnet50_h100, difference to what was expected", 0.02, 0.01, "", 4,
        half_demand(lambda cold, warm, told: abs(cold - told["first_au"])),
        higher_is_better=False),
    Row("cache-au-warm", "AU of the epoch after it, from the cache", 0.98,
        0.995, "", 4, half_demand(lambda cold, warm, told: warm)),
]
