#!/usr/bin/python3
"""Prints one table over the results of several runs.

Usage: run_table.py NAME=SCALE=FOLDER...

NAME is what the row is called, SCALE the factor the workload's record size and
compute time were multiplied by (1 is the workload as published), FOLDER the
result folder of the run. Rates count payload bytes and counted steps only; a
figure the run could not give is "-".
"""

import json
import os
import sys

COLUMNS = ("workload", "AU %", "verdict", "GiB/s", "samples/s", "client CPU %",
           "bound by", "scale")


def read_json(folder, name):
    with open(os.path.join(folder, name), encoding="utf-8") as file:
        return json.load(file)


def number(value, digits):
    return "-" if value is None else f"{value:,.{digits}f}"


def row_of(name, scale, folder):
    summary = read_json(folder, "summary.json")
    metric = summary["metric"]
    return (name,
            number(metric["train_au_mean_percentage"], 2),
            metric["train_au_meet_expectation"],
            number(metric["train_io_exact_mean_GiB_per_second"], 2),
            number(metric["train_throughput_unbiased_mean_samples_per_second"],
                   1),
            number(metric["client_cpu_percentage"], 1),
            metric["bound"],
            scale)


def render(rows):
    """Columns as wide as their longest cell; the first one left-aligned."""
    table = [COLUMNS, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(COLUMNS))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


def main(arguments):
    rows = []
    folders = []
    for argument in arguments:
        parts = argument.split("=", 2)
        if len(parts) != 3:
            print(f"run_table.py: '{argument}' is not NAME=SCALE=FOLDER",
                  file=sys.stderr)
            return 2
        try:
            rows.append(row_of(*parts))
        except (OSError, ValueError, KeyError) as error:
            print(f"run_table.py: cannot read the result in {parts[2]}: "
                  f"{error!r}", file=sys.stderr)
            return 1
        folders.append(parts[2])
    if not rows:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    print(render(rows))
    print()
    print("Results:")
    for folder in folders:
        print(f"  {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
