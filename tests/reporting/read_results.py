#!/usr/bin/python3
"""Reads a result folder as the reference's report tool does.

Usage: read_results.py RESULT_WRITER

Runs RESULT_WRITER, which prints the folder of a made-up run, and checks that
every file in it is found, parses strictly and says what the run was.
"""

import csv
import datetime
import glob
import json
import math
import os
import subprocess
import sys
import tempfile

import yaml


def refuse(constant):
    raise ValueError(f"{constant} is not JSON")


def load_json(path):
    with open(path, encoding="utf-8") as file:
        return json.load(file, parse_constant=refuse)


def load_yaml(path):
    with open(path, encoding="utf-8") as file:
        return yaml.safe_load(file)


def find_runs(results):
    """Folders with a summary and exactly one metadata file."""
    runs = []
    for folder, _, files in os.walk(results):
        metadata = [f for f in files if f.endswith("_metadata.json")]
        if len(metadata) == 1 and "summary.json" in files:
            runs.append((folder, metadata[0]))
    return runs


def check_configuration(folder, summary):
    config = load_yaml(f"{folder}/dlio_config/config.yaml")["workload"]
    overrides = load_yaml(f"{folder}/dlio_config/overrides.yaml")
    hydra = load_yaml(f"{folder}/dlio_config/hydra.yaml")["hydra"]
    assert config["workflow"]["train"] is True
    assert config["workflow"]["generate_data"] is False
    assert config["model"]["name"].replace("_", "-") == "unet3d"
    assert config["dataset"]["num_files_train"] == summary["num_files_train"]
    parameters = {}
    workload = None
    for override in overrides:
        key, value = override.split("=")
        if key == "workload":
            workload = value
        if key.startswith("++workload."):
            parameters[key[len("++workload."):]] = value
    assert workload.split("_")[1] == "h100", workload
    assert parameters == {
        "dataset.num_files_train": "56",
        "dataset.data_folder": "/my data: #1/unet3d",
    }, parameters
    assert hydra["overrides"]["task"] == overrides
    assert hydra["runtime"]["output_dir"] == folder
    assert hydra["runtime"]["version"] == "0.1.0"
    assert any(source["provider"] == "main"
               for source in hydra["runtime"]["config_sources"])


def check_metrics(summary):
    """Formats every metric as the report does."""
    for name, value in summary["metric"].items():
        values = value if isinstance(value, list) else [value]
        for item in values:
            assert isinstance(item, (int, float, str)), (name, item)
            if not isinstance(item, str):
                assert math.isfinite(item), name
                assert f"{item:,.1f}"
    assert summary["metric"]["train_au_mean_percentage"] == 78.75
    assert summary["metric"]["train_au_meet_expectation"] == "success"
    datetime.datetime.strptime(summary["start"], "%Y-%m-%dT%H:%M:%S.%f")
    assert datetime.datetime.fromisoformat(summary["end_zoned"]).tzinfo
    assert summary["num_accelerators"] == 2
    assert sum(summary["host_memory_GB"]) == 1.0
    assert sum(summary["host_cpu_count"]) == 4


def recompute(block, output, rank, epoch):
    """Utilisation from the lists of <r>_output.json, by the formula."""
    compute = output[epoch]["compute"]["block1"]
    proc = output[epoch]["proc"]["block1"]
    wall = float(block["duration"])
    low, high = 1, len(compute) - 1
    busy = sum(compute[low:high + 1])
    total = wall - sum(proc[:low]) - sum(proc[high + 1:])
    stored = output[epoch]["au"]["block1"]
    assert abs(100 * busy / total - stored) < 1e-6, (rank, epoch)
    return stored


def check_ranks(folder, summary):
    utilisation = {"1": [], "2": []}
    for rank in range(summary["num_accelerators"]):
        output = load_json(f"{folder}/{rank}_output.json")
        stats = load_json(f"{folder}/{rank}_per_epoch_stats.json")
        assert list(output)[:6] == [
            "host_memory_GB", "host_cpu_count", "host_processor_name",
            "potential_caching", "host_cpuinfo", "host_meminfo"]
        assert list(output)[6:] == ["1", "2", "hostname"]
        for epoch, values in utilisation.items():
            values.append(
                recompute(stats[epoch]["block1"], output, rank, epoch))
    means = [sum(v) / len(v) for v in utilisation.values()]
    for mean, stored in zip(means, summary["metric"]["train_au_percentage"]):
        assert abs(mean - stored) < 1e-6


def check_own_files(folder, summary):
    record = load_json(f"{folder}/record.json")
    assert record["state"] == "complete"
    assert record["op_stream_hash"] == summary["op_stream_hash"]
    for name in record["files"]["rank_outputs"] + [record["files"]["steps"]]:
        assert os.path.exists(f"{folder}/{name}"), name
    with open(f"{folder}/steps.csv", encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 2 * 2 * (4 + 2)  # epochs, ranks, steps
    train = [row for row in rows if row["block"] != "eval"]
    total = sum(int(row["bytes"]) for row in train)
    assert total == summary["metric"]["train_payload_bytes"]
    with open(f"{folder}/dlio.log", encoding="utf-8") as file:
        assert all(line.startswith("[") for line in file)


def main():
    with tempfile.TemporaryDirectory() as results:
        done = subprocess.run([sys.argv[1], results], check=True,
                              stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                              text=True)
        runs = find_runs(results)
        assert len(runs) == 1, runs
        folder, metadata_name = runs[0]
        assert folder == done.stdout.strip()
        metadata = load_json(f"{folder}/{metadata_name}")
        assert metadata["benchmark_type"] == "training"
        assert metadata["cluster_information"]["total_cores"] == 4
        summary = load_json(f"{folder}/summary.json")
        check_configuration(folder, summary)
        check_metrics(summary)
        check_ranks(folder, summary)
        check_own_files(folder, summary)
        assert not glob.glob(f"{folder}/**/*.tmp-*", recursive=True)


if __name__ == "__main__":
    main()
