"""Calls the C++ helper of this folder; knows its payload's formula. Traces what
other readers ask of the system."""

import os
import re
import subprocess
import sys
import tempfile

import numpy as np

TOOL = None  # path of the helper, set by the scripts


def pattern(file, sample, count):
    """The helper's payload: bits 13 to 20 of a linear function."""
    offsets = np.arange(count, dtype=np.uint64)
    value = offsets * np.uint64(2654435761) + np.uint64(
        sample * 40503 + file * 97)
    return (value >> np.uint64(13)).astype(np.uint8)


def array_pattern(file, shape):
    """The payload of a file that keeps its samples in one array."""
    count = int(np.prod(shape))
    return pattern(file, 0, count).reshape(shape)


def run(*arguments):
    """The helper's output; an AssertionError with its message if it fails."""
    done = subprocess.run([TOOL, *map(str, arguments)], text=True,
                          capture_output=True, check=False)
    if done.returncode != 0:
        raise AssertionError(f"{arguments}: {done.stderr}")
    return done.stdout


def read(fmt, path, spec, style="reference", unit=4096, request=262144,
         sample=0, expect=True):
    """Reads a file: (list of (offset, asked, got), list of sample sizes)."""
    lines = run("read", fmt, path, *spec[:5], style, unit, request, sample,
                "expect" if expect else "trust", *spec[5:]).splitlines()
    reads = [tuple(map(int, line.split())) for line in lines
             if not line.startswith("sample")]
    samples = [int(line.split()[2]) for line in lines
               if line.startswith("sample")]
    return reads, samples


def trace(script, arguments, paths, mark=None):
    """What Python code reads of `paths` through the system, by strace: for each
    time that one of them is opened a list of (position, asked, got), in order.

    `mark` names a further call; where it is made stands None.
    """
    words = [str(word) for word in arguments]
    paths = {os.path.realpath(path) for path in paths}
    calls = ["openat", "read", "pread64", "lseek", *([mark] if mark else [])]
    with tempfile.TemporaryDirectory() as folder:
        code = os.path.join(folder, "traced.py")
        with open(code, "w", encoding="utf-8") as file:
            file.write(script)
        log = os.path.join(folder, "strace.log")
        subprocess.run(
            ["strace", "-y", "-o", log, "-s", "0", "-e",
             "trace=" + ",".join(calls), sys.executable, code, *words],
            check=True)
        with open(log, encoding="utf-8") as file:
            lines = file.readlines()
    traces, position = [], 0
    for line in lines:
        found = re.search(r"\d+<([^>]*)>", line)
        if not found or found.group(1) not in paths:
            continue
        call = line.split("(")[0]
        result = int(re.search(r"\) *= (\d+)", line).group(1))
        if call == "openat":
            position = 0
            traces.append([])
        elif call == "lseek":
            position = result
        elif call == "pread64":
            asked, offset = map(int, re.search(
                r", (\d+), (\d+)\) *=", line).groups())
            traces[-1].append((offset, asked, result))
        elif call == "read":
            asked = int(re.search(r", (\d+)\) *=", line).group(1))
            traces[-1].append((position, asked, result))
            position += result
        else:
            traces[-1].append(None)
    return traces


def flat(jobs):
    """The parts of all jobs in a row, as words of a command line."""
    return [part for job in jobs for part in job]
