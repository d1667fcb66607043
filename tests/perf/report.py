#!/usr/bin/python3
"""Measures the rows of rows.py and writes report.md and report.json.

tests/perf/run.sh builds the program and calls this; its --help has the options.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import cache_rows
import checkpoint_rows
import s3_rows
import rows
import stoker


ROWS = rows.ROWS + checkpoint_rows.ROWS + s3_rows.ROWS + \
    cache_rows.ROWS


def machine():
    """What the figures belong to, as (name, value) pairs."""
    cpu = memory = ""
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            cpu = line.partition(":")[2].strip()
            break
    for line in pathlib.Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemTotal:"):
            memory = f"{int(line.split()[1]) / 2**20:.1f} GiB"
    revision = subprocess.run(
        ["git", "describe", "--always", "--dirty"], text=True, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout.strip()
    return [("CPU", f"{cpu}, {os.cpu_count()} logical"), ("memory", memory),
            ("kernel", platform.release()), ("revision", revision or "?"),
            ("date", time.strftime("%Y-%m-%d %H:%M %Z"))]


def cell(values, digits, unit):
    middle = statistics.median(values)
    text = f"{middle:.{digits}f}{unit}"
    if len(values) > 1:
        text += f" ({min(values):.{digits}f} – {max(values):.{digits}f})"
    return text


def verdict(row, figure):
    def reached(bound):
        return figure >= bound if row.higher_is_better else figure <= bound
    if reached(row.aim):
        return "aim"
    return "must" if reached(row.must) else "short"


def markdown(facts, results, runs):
    lines = [
        "# What the client costs", "",
        f"Medians of {runs} run(s), lowest and highest in brackets.", "",
        *[f"- {name}: {value}" for name, value in facts], "",
        "| figure | must | aim | measured | reached |", "|---|---|---|---|---|"]
    for row, result in results:
        sign = "≥" if row.higher_is_better else "≤"
        if result.error:
            lines.append(f"| {row.title} | {sign} {row.must} | {row.aim} | "
                         f"failed: see log | – |")
            continue
        figure = statistics.median(result.values)
        lines.append(
            f"| {row.title} | {sign} {row.must}{row.unit} | {row.aim}{row.unit}"
            f" | {cell(result.values, row.digits, row.unit)} | "
            f"{verdict(row, figure)} |")
    lines.append("")
    for row, result in results:
        for note in result.notes + ([result.error] if result.error else []):
            lines.append(f"- {row.name}: {note}")
    return "\n".join(lines) + "\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--stoker", default="build/release/stoker")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--rows", default="")
    parser.add_argument("--folder", default="build/perf")
    parser.add_argument("--memory", default="/dev/shm")
    parser.add_argument("--list", action="store_true")
    options = parser.parse_args()
    if options.list:
        for row in ROWS:
            print(f"{row.name:<22} {row.title}")
        return 0
    known = {row.name: row for row in ROWS}
    wanted = options.rows.split(",") if options.rows else list(known)
    for name in wanted:
        if name not in known:
            sys.exit(f"run.sh: no row is called '{name}'; --list names them")
    folder = pathlib.Path(options.folder).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    facts = machine()
    results = []
    with open(folder / "log.txt", "w", encoding="utf-8") as log:
        bench = rows.Bench(
            stoker.Stoker(options.stoker, folder, log), folder,
            pathlib.Path(options.memory), options.runs, log)
        for name in wanted:
            row = known[name]
            started = time.monotonic()
            print(f"{row.title} ...", flush=True)
            result = rows.Result()
            try:
                row.measure(bench, result)
            except (stoker.Failed, subprocess.CalledProcessError) as error:
                result.error = str(error).splitlines()[-1]
                log.write(f"{error}\n")
            results.append((row, result))
            print(f"  {result.values or result.error}  "
                  f"[{time.monotonic() - started:.0f} s]", flush=True)
    text = markdown(facts, results, options.runs)
    (folder / "report.md").write_text(text, encoding="utf-8")
    (folder / "report.json").write_text(json.dumps(
        {"machine": dict(facts), "runs": options.runs, "rows": [
            {"name": row.name, "title": row.title, "must": row.must,
             "aim": row.aim, "unit": row.unit, "values": result.values,
             "notes": result.notes, "error": result.error}
            for row, result in results]}, indent=2) + "\n", encoding="utf-8")
    print(f"\n{text}\nreport: {folder / 'report.md'}")
    return 1 if any(result.error for _, result in results) else 0


if __name__ == "__main__":
    sys.exit(main())
