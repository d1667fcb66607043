#!/usr/bin/python3
"""Reads result folders of checkpoint runs as the reference's checker does.

Usage: read_checkpoint_results.py RESULT_WRITER

Runs RESULT_WRITER, which prints the folders of made-up runs, and works out from
the files of the ranks, from record.json and from checkpoints.csv what
summary.json says, each on its own.
"""

import csv
import datetime
import glob
import math
import statistics
import subprocess
import sys
import tempfile

import numpy

from read_results import find_runs, load_json, load_yaml

GIB = 2 ** 30


def near(a, b, tolerance=1e-9):
    assert math.isclose(a, b, rel_tol=tolerance, abs_tol=tolerance), (a, b)


def stats_of_ranks(folder, ranks):
    return [load_json(f"{folder}/{rank}_per_epoch_stats.json")["1"]
            for rank in range(ranks)]


def time_of(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f")


def check_rules(kind, summary, stats):
    """What the rules define, from the ranks' files alone: [checkpoint][rank]."""
    own = summary["stoker"]
    names = [key for key in stats[0] if key.startswith(f"{kind}_ckpt")]
    assert names == [f"{kind}_ckpt{i + 1}" for i in range(len(names))]
    assert own[f"num_{kind}_ops"] == len(names)
    if not names:
        return
    duration = numpy.array([[rank[name]["duration"] for rank in stats]
                            for name in names])
    throughput = numpy.array([[rank[name]["throughput"] for rank in stats]
                              for name in names])
    size = summary["metric"]["checkpoint_size_GB"]
    strict = []
    for name in names:
        begin = min(time_of(rank[name]["start"]) for rank in stats)
        end = max(time_of(rank[name]["end"]) for rank in stats)
        strict.append(size / (end - begin).total_seconds())
    near(own[f"mean_of_max_{kind}_duration"], duration.max(axis=1).mean())
    near(own[f"mean_of_min_{kind}_throughput"], throughput.min(axis=1).mean())
    assert numpy.allclose(own[f"min_throughput_list_{kind}"],
                          throughput.min(axis=1))
    # Times of these files are in microseconds.
    near(own[f"calculated_mean_{kind}_throughput_from_strict_times"],
         statistics.fmean(strict), 1e-5)
    metric = summary["metric"]
    name = f"{kind}_checkpoint"
    near(metric[f"{name}_duration_mean_seconds"], duration[:, 0].mean())
    near(metric[f"{name}_duration_stdev_seconds"], duration[:, 0].std())
    near(metric[f"{name}_io_mean_GB_per_second"], throughput[:, 0].mean())
    near(metric[f"{name}_io_stdev_GB_per_second"], throughput[:, 0].std())


def check_metric(summary, saves, loads):
    metric = summary["metric"]
    for name, value in metric.items():
        if value is None:
            assert not saves and name.startswith("save_"), name
        else:
            assert math.isfinite(value) and f"{value:,.1f}", name
    assert len(metric) == (9 if loads else 5)
    assert metric["checkpoint_size_GB"] == 4.0
    time_of(summary["start"])
    assert datetime.datetime.fromisoformat(summary["stoker"]["end_zoned"]).tzinfo


def check_record(folder, summary):
    """The series again, from nanoseconds and the clocks' offsets."""
    record = load_json(f"{folder}/record.json")
    assert record["state"] == "complete"
    assert record["program"] == "checkpointing"
    for name in record["files"]["rank_outputs"] + record["files"]["rank_stats"]:
        assert load_json(f"{folder}/{name}"), name
    size = record["run"]["checkpoint_bytes"] / GIB
    for kind in ("save", "restore"):
        ops = [[op for op in rank["checkpoints"] if op["kind"] == kind]
               for rank in record["ranks"]]
        shift = [rank["clock"]["to_rank0_ns"] for rank in record["ranks"]]
        series = summary["stoker"][kind]
        if not ops[0]:
            assert series is None
            continue
        for i, said in enumerate(series["checkpoints"]):
            of_ranks = [rank[i] for rank in ops]
            spans = [(op["end_ns"] - op["start_ns"]) / 1e9 for op in of_ranks]
            strict = (max(op["end_ns"] + s for op, s in zip(of_ranks, shift)) -
                      min(op["start_ns"] + s
                          for op, s in zip(of_ranks, shift))) / 1e9
            assert said["step"] == of_ranks[0]["step"]
            near(said["duration_max_seconds"], max(spans))
            assert said["slowest_rank"] == spans.index(max(spans))
            near(said["throughput_min_GiB_per_second"], size / max(spans))
            near(said["strict_span_seconds"], strict)
            near(said["throughput_strict_GiB_per_second"], size / strict)
            near(said["client_cpu_seconds"],
                 sum(op["cpu_ns"] for op in of_ranks) / 1e9)
            if kind == "restore":
                near(said["cached_fraction"],
                     sum(op["cached_bytes"] for op in of_ranks) /
                     sum(op["file_bytes"] for op in of_ranks))


def check_csv(folder, summary):
    with open(f"{folder}/checkpoints.csv", encoding="utf-8",
              newline="") as file:
        rows = list(csv.DictReader(file))
    own = summary["stoker"]
    count = own["num_save_ops"] + own["num_load_ops"]
    assert len(rows) == count * summary["num_accelerators"]
    for kind, checker in (("save", "save"), ("restore", "load")):
        groups = {}
        for row in rows:
            if row["kind"] == kind:
                groups.setdefault(row["number"], []).append(row)
        if not groups:
            continue
        longest = [max(float(row["duration_s"]) for row in group)
                   for group in groups.values()]
        near(own[f"mean_of_max_{checker}_duration"], statistics.fmean(longest))
        # On one clock already.
        strict = [4 / (max(float(row["start_s"]) + float(row["duration_s"])
                           for row in group) -
                       min(float(row["start_s"]) for row in group))
                  for group in groups.values()]
        near(own[f"calculated_mean_{checker}_throughput_from_strict_times"],
             statistics.fmean(strict))


def check_economics(summary):
    """Daly's expected time, minimised by trying: his optimum is near it."""
    said = summary["stoker"]["economics"]
    save, restore, mtbf = (said[f"{name}_seconds"]
                           for name in ("save", "restore", "mtbf"))
    intervals = numpy.linspace(1, 4 * said["young_interval_seconds"], 100000)
    wall = (mtbf * math.exp(restore / mtbf) *
            numpy.expm1((intervals + save) / mtbf) / intervals)
    near(said["young_interval_seconds"], math.sqrt(2 * save * mtbf))
    near(said["daly_interval_seconds"], intervals[wall.argmin()], 1e-2)
    near(said["goodput"], 1 / wall.min(), 1e-6)
    near(said["goodput"] + said["lost_to_saving"] + said["lost_to_failures"], 1)
    near(said["lost_accelerator_hours_per_day"],
         24 * said["accelerators"] * (1 - said["goodput"]))


def check_run(folder, metadata_name, saves):
    metadata = load_json(f"{folder}/{metadata_name}")
    assert metadata["benchmark_type"] == "checkpointing"
    config = load_yaml(f"{folder}/dlio_config/config.yaml")["workload"]
    assert config["workflow"]["checkpoint"] is True
    assert config["workflow"]["train"] is False
    summary = load_json(f"{folder}/summary.json")
    stats = stats_of_ranks(folder, summary["num_accelerators"])
    check_metric(summary, saves, True)
    check_rules("save", summary, stats)
    check_rules("load", summary, stats)
    check_record(folder, summary)
    check_csv(folder, summary)
    check_economics(summary)
    assert summary["stoker"]["num_save_ops"] == (2 if saves else 0)
    with open(f"{folder}/dlio.log", encoding="utf-8") as file:
        assert all(line.startswith("[") for line in file)


def main():
    with tempfile.TemporaryDirectory() as results:
        done = subprocess.run([sys.argv[1], results], check=True,
                              stdout=subprocess.PIPE, text=True)
        both, restores = done.stdout.split()
        runs = dict(find_runs(results))
        assert set(runs) == {both, restores}, runs
        check_run(both, runs[both], True)
        check_run(restores, runs[restores], False)
        assert not glob.glob(f"{results}/**/*.tmp-*", recursive=True)


if __name__ == "__main__":
    main()
