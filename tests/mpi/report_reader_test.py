"""Reads result folders the way the reference's report tool does and checks that
it finds what it looks for: which folders are runs, what kind of run each was,
whether it may be submitted, and the entry of results.json.

usage: report_reader_test.py STOKER
"""

import datetime
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

import yaml

import harness
from harness import ENVIRONMENT

GIB = 2 ** 30
CLOSED = {"dataset.num_files_train", "dataset.num_subfolders_train",
          "dataset.data_folder", "reader.read_threads",
          "reader.computation_threads", "reader.transfer_size",
          "reader.odirect", "reader.prefetch_size",
          "checkpoint.checkpoint_folder", "storage.storage_type",
          "storage.storage_root"}
OPEN = {"framework", "dataset.format", "dataset.num_samples_per_file",
        "reader.data_loader"}


# --- A reader like the reference's ------------------------------------------

def find_runs(results):
    """Folders with exactly one metadata file, and a summary."""
    for folder, _, names in sorted(os.walk(results)):
        metadata = [name for name in names if name.endswith("_metadata.json")]
        if len(metadata) == 1 and "summary.json" in names:
            yield pathlib.Path(folder), metadata[0]


def read_run(folder, metadata_name):
    summary = json.loads((folder / "summary.json").read_text())
    metadata = json.loads((folder / metadata_name).read_text())
    hydra = folder / "dlio_config"
    config = yaml.safe_load((hydra / "config.yaml").read_text())["workload"]
    typed = yaml.safe_load((hydra / "overrides.yaml").read_text())
    # The tool reads the overrides of hydra.yaml as well.
    assert yaml.safe_load((hydra / "hydra.yaml").read_text())["hydra"]
    parameters = {}
    workload = ""
    for text in typed:
        key, _, value = text.partition("=")
        if key == "workload":
            workload = value
        elif key.startswith("++workload."):
            parameters[key[len("++workload."):]] = value
    workflow = config["workflow"]
    generates = bool(workflow.get("generate_data"))
    return {
        "run_id": str(folder),
        "benchmark_type": "training"
                          if generates or workflow.get("train") else None,
        "model": config["model"]["name"].replace("_", "-"),
        "accelerator": workload.split("_", 1)[1],
        "command": "datagen" if generates else "run_benchmark",
        "num_processes": summary["num_accelerators"],
        "run_datetime": summary["start"],
        "parameters": config,
        "overrides": parameters,
        "metrics": summary["metric"],
        "system_info": {
            "total_memory_bytes": sum(gib * GIB for gib in
                                      summary["host_memory_GB"]),
            "total_cores": sum(summary["host_cpu_count"])},
        "metadata": metadata}


def required_files(run):
    data = run["parameters"]["dataset"]
    batch = run["parameters"]["reader"]["batch_size"]
    samples = data["num_samples_per_file"]
    by_memory = (5 * run["system_info"]["total_memory_bytes"] //
                 (samples * data["record_length_bytes"]))
    by_steps = 500 * run["num_processes"] * batch // samples
    return max(by_memory, by_steps)


def verdict(run):
    """"closed", "open" or "invalid"."""
    if run["parameters"]["dataset"]["num_files_train"] < required_files(run):
        return "invalid"
    worst = "closed"
    for key in run["overrides"]:
        if key in CLOSED or key.startswith("workflow"):
            continue
        if key not in OPEN:
            return "invalid"
        worst = "open"
    return worst


def print_metrics(metrics):
    """As the report prints them; every value must be one it can print."""
    lines = []
    for name, value in metrics.items():
        unit = "%" if "percentage" in name.lower() else ""
        values = value if isinstance(value, list) else [value]
        shown = [f"{v:,.1f}{unit}" if isinstance(v, (int, float)) else v
                 for v in values]
        lines.append(f"{name}: {', '.join(shown)}")
    return lines


# --- Tests --------------------------------------------------------------------

class ReportReaderTest(unittest.TestCase):
    PARAMS = ["dataset.num_files_train=28"]

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory(prefix="stoker-report-")
        cls.addClassCleanup(cls.folder.cleanup)
        cls.results = pathlib.Path(cls.folder.name) / "results"
        data = pathlib.Path(cls.folder.name) / "data"
        small = ["dataset.num_files_train=28",
                 "dataset.record_length_bytes=90000",
                 "dataset.record_length_bytes_stdev=9000",
                 "dataset.record_length_bytes_resize=2048"]

        def stoker(*words):
            done = subprocess.run(
                [harness.stoker(), "training", *words, "-m", "unet3d", "-dd", str(data),
                 "-rd", str(cls.results), "--params", *small], text=True,
                env=ENVIRONMENT, capture_output=True, timeout=120)
            assert done.returncode == 0, done.stdout + done.stderr

        stoker("datagen", "-np", "2")
        stoker("run", "-na", "2", "-g", "h100",
               "++workload.train.computation_time=0.01",
               "++workload.train.epochs=2")
        cls.runs = [read_run(*found) for found in find_runs(cls.results)]

    def test_only_the_run_counts(self):
        """Datasets leave no figures, so their folders are no runs."""
        self.assertEqual(len(self.runs), 1)
        self.assertIn("/training/unet3d/run/", self.runs[0]["run_id"])

    def test_run_is_reconstructed(self):
        run = self.runs[0]
        self.assertEqual(run["benchmark_type"], "training")
        self.assertEqual(run["command"], "run_benchmark")
        self.assertEqual(run["model"], "unet3d")
        self.assertEqual(run["accelerator"], "h100")
        self.assertEqual(run["num_processes"], 2)
        datetime.datetime.fromisoformat(run["run_datetime"])
        self.assertEqual(run["parameters"]["train"]["epochs"], 2)
        self.assertEqual(run["parameters"]["reader"]["batch_size"], 7)

    def test_overrides_are_the_typed_ones_with_the_data_folder(self):
        overrides = self.runs[0]["overrides"]
        self.assertEqual(overrides["dataset.num_files_train"], "28")
        self.assertEqual(overrides["train.epochs"], "2")
        self.assertTrue(overrides["dataset.data_folder"].endswith(
            "data/unet3d"))

    def test_system_is_this_machine(self):
        system = self.runs[0]["system_info"]
        self.assertEqual(system["total_cores"], os.cpu_count())
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        self.assertAlmostEqual(system["total_memory_bytes"] / pages, 1,
                               delta=0.01)

    def test_verdict_agrees_with_the_metadata(self):
        run = self.runs[0]
        # 28 files of 7000, and keys that nobody may change.
        self.assertGreaterEqual(required_files(run), 7000)
        self.assertEqual(verdict(run), "invalid")
        self.assertEqual(run["metadata"]["verification"], verdict(run))

    def test_all_metrics_can_be_printed(self):
        lines = print_metrics(self.runs[0]["metrics"])
        names = [line.split(":")[0] for line in lines]
        self.assertEqual(names[:9], [
            "train_au_percentage", "train_au_mean_percentage",
            "train_au_meet_expectation", "train_au_stdev_percentage",
            "train_throughput_samples_per_second",
            "train_throughput_mean_samples_per_second",
            "train_throughput_stdev_samples_per_second",
            "train_io_mean_MB_per_second", "train_io_stdev_MB_per_second"])

    def test_metadata_says_what_was_done(self):
        metadata = self.runs[0]["metadata"]
        args = metadata["args"]
        self.assertEqual(args["program"], "training")
        self.assertEqual(args["command"], "run")
        self.assertEqual(args["model"], "unet3d")
        self.assertEqual(args["num_accelerators"], 2)
        self.assertFalse(args["closed"])
        self.assertEqual(metadata["benchmark_type"], "training")
        self.assertEqual(metadata["args"]["num_processes"], 2)
        self.assertTrue(metadata["executed_command"].startswith("mpirun -n 2"))
        self.assertGreater(metadata["runtime"], 0)
        for outputs in metadata["command_output_files"]:
            self.assertTrue(pathlib.Path(outputs["stdout"]).is_file())
            self.assertTrue(pathlib.Path(outputs["stderr"]).is_file())
        parameters = metadata["combined_params"]
        self.assertEqual(int(parameters["dataset"]["num_files_train"]), 28)
        self.assertEqual(int(metadata["yaml_params"]["dataset"]
                             ["num_files_train"]), 168)
        self.assertEqual(int(metadata["params_dict"]
                             ["dataset.num_files_train"]), 28)

    def test_entry_of_the_report_is_json(self):
        run = self.runs[0]
        entry = {key: run[key] for key in (
            "run_id", "benchmark_type", "model", "command", "num_processes",
            "parameters", "system_info", "metrics", "accelerator")}
        self.assertTrue(json.dumps([entry], indent=2, allow_nan=False))


if __name__ == "__main__":
    harness.main()
