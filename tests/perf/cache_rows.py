"""The rows of the report that are about the NVMe cache.

fio reads the same slot file before and after, past the page cache, with as many
requests of the same size: the ceiling is the mean of the two.
"""

import json
import pathlib
import subprocess

import fio
from rows import Row, scratch
from s3_rows import read_bench
from stoker import GIB

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
        program = (pathlib.Path(bench.program.program).parent / "tests" /
                   "perf" / "programs" / "stoker_index_bench")
        with scratch(bench.folder) as folder:
            for _ in range(bench.runs):
                done = subprocess.run([str(program), str(folder / "cache")],
                                      check=True, text=True,
                                      stdout=subprocess.PIPE)
                bench.log.write(done.stdout)
                told = json.loads(done.stdout)
                result.values.append(told[figure] * scale)
        result.notes.append(f"{told['slots']} slots")
    return measure


ROWS = [
    Row("cache-warm", "warm read of 1 MiB through the cache, checksums on, over "
        "fio with O_DIRECT", 0.92, 0.98, "", 2, warm_reads(1 << 20)),
    Row("cache-granule", "the same, 256 KiB", 0.85, 0.95, "", 2,
        warm_reads(256 << 10)),
    Row("cache-lookup", "lookup, pin and unpin in the cache's index, a core",
        3, 5, " M/s", 2, index("lookups_per_s", 1e-6)),
    Row("cache-attach", "attaching to the index of a cache that is there", 100,
        50, " ms", 1, index("attach_s", 1e3), higher_is_better=False),
    Row("cache-rebuild", "making a lost index from the records", 1, 2,
        " M slots/s", 2, index("rebuilt_slots_per_s", 1e-6)),
]
