#!/usr/bin/python3
"""Prints one table over the results of several runs.

Usage: run_table.py NAME=SCALE=FOLDER...
       run_table.py --checkpoints NAME=FOLDER...
       run_table.py --cache NAME=SCALE=FOLDER...

NAME is what the row is called, SCALE the factor the workload's record size and
compute time were multiplied by (1 is the workload as published), FOLDER the
result folder of the run. Rates of training count payload bytes and counted
steps only, those of checkpoints are the strict ones (size over latest end minus
earliest start); a figure the run could not give is "-". With --cache SCALE is
the factor of the compute time alone, and the figures are those of epochs 1 and
2: AU, what was predicted of it before the run, and hits.
"""

import json
import os
import sys

COLUMNS = ("workload", "AU %", "verdict", "GiB/s", "samples/s", "client CPU %",
           "bound by", "scale")
CACHE_COLUMNS = ("storage", "AU % cold", "AU % warm", "predicted", "hits %",
                 "as predicted", "cache in", "scale")
CHECKPOINT_COLUMNS = ("model", "GiB", "save s", "save GiB/s", "restore s",
                      "restore GiB/s", "from page cache")


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


def percent(share, digits=1):
    return "-" if share is None else f"{100 * share:.{digits}f}"


def cache_row_of(name, scale, folder):
    metric = read_json(folder, "summary.json")["metric"]
    reached = metric["train_au_percentage"]
    cold, warm = (number(value, 1) for value in reached[:2])
    outlook = read_json(folder, "record.json")["cache"]
    if outlook is None:
        return (name, cold, warm, "-", "-", "-", "-", scale)
    later = "last_au" if outlook["last_differs"] else "later_au"
    return (name, cold, warm,
            f"{percent(outlook['first_au'])}, {percent(outlook[later])}",
            ", ".join(percent(share) for share in outlook["reached_hits"][:2]),
            "no" if outlook["off_epochs"] else "yes",
            "memory" if outlook["in_memory"] else "device", scale)


def checkpoint_row_of(name, folder):
    summary = read_json(folder, "summary.json")
    ours = summary["stoker"]

    def figures(kind):
        rate = f"calculated_mean_{kind}_throughput_from_strict_times"
        return (number(ours.get(f"mean_of_max_{kind}_duration"), 2),
                number(ours.get(rate), 2))
    return (name, number(summary["metric"]["checkpoint_size_GB"], 2),
            *figures("save"), *figures("load"),
            "yes" if ours.get("restored_from_cache") else "no")


def render(columns, rows):
    """Columns as wide as their longest cell; the first one left-aligned."""
    table = [columns, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(columns))]
    lines = []
    for row in table:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:])]
        lines.append("  ".join(cells).rstrip())
    lines.insert(1, "  ".join("-" * width for width in widths))
    return "\n".join(lines)


KINDS = {"": ("NAME=SCALE=FOLDER", COLUMNS, row_of),
         "--checkpoints": ("NAME=FOLDER", CHECKPOINT_COLUMNS,
                           checkpoint_row_of),
         "--cache": ("NAME=SCALE=FOLDER", CACHE_COLUMNS, cache_row_of)}


def main(arguments):
    kind = arguments[0] if arguments and arguments[0] in KINDS else ""
    form, columns, make_row = KINDS[kind]
    rows = []
    folders = []
    for argument in arguments[1 if kind else 0:]:
        parts = argument.split("=", form.count("="))
        if len(parts) != form.count("=") + 1:
            print(f"run_table.py: '{argument}' is not {form}", file=sys.stderr)
            return 2
        try:
            rows.append(make_row(*parts))
        except (OSError, ValueError, KeyError) as error:
            print(f"run_table.py: cannot read the result in {parts[-1]}: "
                  f"{error!r}", file=sys.stderr)
            return 1
        folders.append(parts[-1])
    if not rows:
        print(__doc__.strip(), file=sys.stderr)
        return 2
    print(render(columns, rows))
    print()
    print("Results:")
    for folder in folders:
        print(f"  {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
