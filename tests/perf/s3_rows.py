"""The rows of the report that are about S3, and about the queue itself.

The server is Ceph's gateway on this machine, so that throughput says nothing of
either: what counts is the CPU time of the client for the same bytes.
"""

import json
import os
import pathlib
import resource
import subprocess
import sys

from rows import Row, scratch
from stoker import GIB

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] /
                       "support"))
from s3_server import ACCESS_KEY, BUCKET, SECRET_KEY, S3Server  # noqa: E402

SIZE = 256 << 20
EMPTY_SHA256 = ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
                "7852b855")


def read_bench(bench, uri, size, block, depth, count, environment=None):
    words = [bench.program.helper("stoker_read_bench"), uri, "object", size,
             block, depth, count]
    done = subprocess.run([str(word) for word in words], check=True, text=True,
                          env=dict(os.environ, **(environment or {})),
                          stdout=subprocess.PIPE)
    bench.log.write(f"{words}: {done.stdout}")
    return json.loads(done.stdout)


def curl(bench, server, block, depth, count):
    """CPU seconds of curl for the same ranges, `depth` at once."""
    lines = []
    for i in range(count):
        first = i % (SIZE // block) * block
        lines.append(
            f'url = "{server.endpoint}/{BUCKET}/bench/object"\n'
            f'output = "/dev/null"\nrange = "{first}-{first + block - 1}"\n'
            f'aws-sigv4 = "aws:amz:us-east-1:s3"\n'
            f'user = "{ACCESS_KEY}:{SECRET_KEY}"\n'
            f'header = "x-amz-content-sha256: {EMPTY_SHA256}"\n')
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        ["curl", "--silent", "--show-error", "--fail", "--parallel",
         "--parallel-immediate", "--parallel-max", str(depth), "--config",
         "-"], input="next\n".join(lines), text=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (after.ru_utime + after.ru_stime -
            before.ru_utime - before.ru_stime)


def large_ranges(bench, result):
    block, depth, count = 8 << 20, 8, 256
    with scratch(bench.folder) as folder, S3Server(folder / "s3") as server:
        uri = f"s3://{BUCKET}/bench"
        read_bench(bench, uri, SIZE, block, depth, 1, server.environment())
        for _ in range(bench.runs):
            ours = read_bench(bench, uri, SIZE, block, depth, count,
                              server.environment())
            theirs = curl(bench, server, block, depth, count)
            result.values.append(theirs / ours["cpu_s"])
            gib = ours["bytes"] / GIB
            result.notes.append(
                f"ours {gib / ours['cpu_s']:.2f} GiB per CPU second at "
                f"{gib / ours['wall_s']:.2f} GiB/s, curl "
                f"{gib / theirs:.2f} GiB per CPU second")


def small_gets(bench, result):
    block, depth, count = 64 << 10, 16, 8192
    with scratch(bench.folder) as folder, S3Server(folder / "s3") as server:
        uri = f"s3://{BUCKET}/bench"
        for _ in range(bench.runs):
            ours = read_bench(bench, uri, SIZE, block, depth, count,
                              server.environment())
            result.values.append(ours["cpu_s"] / ours["reads"] * 1e6)
            result.notes.append(
                f"{ours['reads'] / ours['wall_s']:.0f} requests/s")


def seam(bench, result):
    for _ in range(bench.runs):
        ours = read_bench(bench, "null:", 1 << 30, 4096, 32, 20_000_000)
        result.values.append(ours["cpu_s"] / ours["reads"] * 1e9)


ROWS = [
    Row("s3-large", "`s3` GET of 8 MiB ranges, GiB per client CPU second, over "
        "`curl` fetching the same in parallel", 0.9, 1.2, "", 2, large_ranges),
    Row("s3-small", "client CPU per 64 KiB S3 GET", 120, 60, " us", 1,
        small_gets, higher_is_better=False),
    Row("seam", "seam overhead (`null:`), per op", 300, 100, " ns", 1, seam,
        higher_is_better=False),
]
