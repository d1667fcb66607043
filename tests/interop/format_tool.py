"""Calls the C++ helper of this folder; knows its payload's formula."""

import subprocess

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
