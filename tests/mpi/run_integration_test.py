"""Runs the program as its users do: datasets and runs through its own launcher
and under mpirun, and everything that may go wrong in between.

usage: run_integration_test.py STOKER [unittest arguments]
"""

import csv
import json
import os
import pathlib
import resource
import signal
import statistics
import subprocess

import yaml

import harness
from harness import (COSMOFLOW, ENVIRONMENT, RESNET50, TRAIN, UNET3D,
                     LongRunCase, load_json, no_constant, processes)


class RunTest(LongRunCase):
    # --- What a complete result is ------------------------------------------

    def check_result(self, folder, ranks, epochs, steps):
        names = {str(path.relative_to(folder))
                 for path in folder.rglob("*") if path.is_file()}
        expected = {f"training_{folder.name}_metadata.json",
                    "training_run.stdout.log", "training_run.stderr.log",
                    "dlio.log", "summary.json", "record.json", "steps.csv",
                    "ledger.json",
                    "dlio_config/config.yaml", "dlio_config/hydra.yaml",
                    "dlio_config/overrides.yaml"}
        for rank in range(ranks):
            expected |= {f"{rank}_output.json",
                         f"{rank}_per_epoch_stats.json"}
        self.assertEqual(names, expected)
        for name in names:
            path = folder / name
            if name.endswith(".json"):
                load_json(path)
            elif name.endswith(".yaml"):
                self.assertTrue(yaml.safe_load(path.read_text()), name)
        self.assertIn("[METRIC] Number of Simulated Accelerators: "
                      f"{ranks}", (folder / "dlio.log").read_text())
        self.assertIn("epoch 1/", (folder / "training_run.stdout.log")
                      .read_text())

        summary = load_json(folder / "summary.json")
        self.assertEqual(summary["num_accelerators"], ranks)
        self.assertEqual(summary["epochs"], epochs)
        metric = summary["metric"]
        self.assertEqual(len(metric["train_au_percentage"]), epochs)
        for value in metric["train_au_percentage"]:
            self.assertGreater(value, 0)
            self.assertLessEqual(value, 100.5)
        self.assertEqual(metric["train_steps"], ranks * epochs * steps)

        record = load_json(folder / "record.json")
        self.assertEqual(record["state"], "complete")
        self.assertEqual(len(record["ranks"]), ranks)

        with (folder / "steps.csv").open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), ranks * epochs * steps)
        self.assertEqual({row["rank"] for row in rows},
                         {str(rank) for rank in range(ranks)})

        # The reference's per-rank file holds the same steps.
        output = load_json(folder / f"{ranks - 1}_output.json")
        for epoch in range(1, epochs + 1):
            loads = output[str(epoch)]["load"]["block1"]
            mine = [float(row["load_s"]) for row in rows
                    if row["rank"] == str(ranks - 1) and
                    row["epoch"] == str(epoch)]
            self.assertEqual(len(loads), steps)
            for a, b in zip(loads, mine):
                self.assertAlmostEqual(a, b, places=8)
        return summary

    # --- Runs that go well --------------------------------------------------

    def test_unet3d_by_the_launcher(self):
        self.datagen("unet3d", UNET3D)
        files = sorted((self.data / "unet3d/train").iterdir())
        self.assertEqual(len(files), 28)
        self.assertEqual(files[0].name, "img_00_of_28.npz")

        done = self.finish(self.words("run", "-m", "unet3d", "-g", "h100",
                                      ranks=2, params=UNET3D + TRAIN))

        # 28 files / batches of 7 / 2 ranks
        self.check_result(self.run_folder(), ranks=2, epochs=2, steps=2)
        self.assertEqual(done.stdout.count("epoch 1/2"), 1)
        self.assertIn(f"results: {self.run_folder()}", done.stdout)
        self.assertNotIn("\r", done.stdout)  # no terminal, no progress

    def test_resnet50_by_the_launcher(self):
        self.datagen("resnet50", RESNET50)
        self.finish(self.words("run", "-m", "resnet50", "-g", "h100", ranks=3,
                               params=RESNET50 + TRAIN +
                               ["reader.batch_size=8"]))

        # 4 files of 32 records / batches of 8 / 3 ranks
        self.check_result(self.run_folder(), ranks=3, epochs=2, steps=5)

    def test_cosmoflow_by_the_launcher(self):
        self.datagen("cosmoflow", COSMOFLOW, ranks=4)
        self.finish(self.words("run", "-m", "cosmoflow", "-g", "a100", ranks=4,
                               params=COSMOFLOW + TRAIN))

        self.check_result(self.run_folder(), ranks=4, epochs=2, steps=16)

    def events(self, text):
        """Every line is a JSON object; those of each event."""
        events = {}
        for line in text.splitlines():
            event = json.loads(line, parse_constant=no_constant)
            self.assertIn("T", event["time"])
            self.assertIn(event["level"], ("ERROR", "WARNING", "INFO"))
            events.setdefault(event["event"], []).append(event)
        return events

    def test_json_lines_by_the_launcher(self):
        done = self.finish(
            self.words("datagen", "-m", "unet3d", "--log-format", "json",
                       ranks=2, params=UNET3D))
        self.assertIn("results", self.events(done.stdout))
        self.assertNotIn("error", self.events(done.stderr))

        done = self.finish(
            self.words("run", "-m", "unet3d", "-g", "h100", "--log-format",
                       "json", ranks=2, params=UNET3D + TRAIN))

        events = self.events(done.stdout)
        self.assertEqual(events["run_start"][0]["accelerators"], 2)
        progress = events["progress"][0]
        self.assertEqual((progress["epoch"], progress["epochs"]), (1, 2))
        self.assertEqual((progress["step"], progress["steps"]), (1, 2))
        self.assertIn(progress["slowest_rank"], (0, 1))
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(progress["slowest_host"],
                         record["hosts"][0]["hostname"])
        self.assertEqual([event["epoch"] for event in events["epoch_end"]],
                         [1, 2])
        # One counted step in each epoch.
        self.assertEqual(record["longest_load_ns"]["count"], 2)
        metric = load_json(self.run_folder() / "summary.json")["metric"]
        for key, value in metric.items():
            self.assertEqual(events["summary"][0][key], value, key)
        copy = (self.run_folder() / "training_run.stdout.log").read_text()
        self.assertEqual(self.events(copy).keys(),
                         events.keys() - {"results", "message"})

    def test_json_lines_of_several_runs(self):
        self.datagen("unet3d", UNET3D)
        for ranks in 1, 2:
            before = set(self.run_folders())
            done = self.finish(self.words(
                "run", "-m", "unet3d", "-g", "h100", "--log-format", "json",
                "--loops", "2", "--warm-up", ranks=ranks,
                params=UNET3D + TRAIN))

            events = self.events(done.stdout)
            self.assertEqual(
                [(event["run"], event["runs"], event["warm_up"])
                 for event in events["loop_start"]],
                [(1, 3, True), (2, 3, False), (3, 3, False)])
            loops, = events["loops"]
            folders = [folder for folder in self.run_folders()
                       if folder not in before]
            self.assertEqual(
                [(pathlib.Path(run["results"]).name, run["exit_status"],
                  run["warm_up"]) for run in loops["runs"]],
                [(folder.name, 0, folder == folders[0])
                 for folder in folders])
            for column, key in (
                    ("au_percent", "train_au_mean_percentage"),
                    ("gib_per_s", "train_io_exact_mean_GiB_per_second")):
                values = [load_json(folder / "summary.json")["metric"][key]
                          for folder in folders]
                self.assertEqual([run[column] for run in loops["runs"]],
                                 values)
                spread = loops[column]
                mean = statistics.mean(values[1:])
                self.assertAlmostEqual(spread["mean"], mean)
                self.assertEqual(spread["min"], min(values[1:]))
                self.assertEqual(spread["max"], max(values[1:]))
                self.assertAlmostEqual(
                    spread["cv_percent"],
                    100 * statistics.stdev(values[1:]) / mean)

    def test_json_lines_of_plans(self):
        done = self.finish(self.words(
            "run", "-m", "unet3d", "-g", "h100", "--what-if", "--log-format",
            "json", ranks=2, params=UNET3D))
        plan, = self.events(done.stdout)["plan"]
        # 28 files / batches of 7 / 2 ranks
        for key, value in (("ranks", 2), ("hosts", 1), ("epochs", 5),
                           ("steps", 2), ("files", 28),
                           ("bytes", 28 * 300000)):
            self.assertEqual(plan[key], value, key)
        self.assertIn(" -n 2 ", plan["command"])
        self.assertIn("training run", plan["command"])
        self.assertNotIn("--what-if", plan["command"])

        done = self.finish(self.words(
            "datagen", "-m", "unet3d", "--what-if", "--log-format", "json",
            ranks=1, params=["dataset.num_files_train=28",
                             "dataset.record_length_bytes=10000",
                             "dataset.record_length_bytes_stdev=0"]))
        plan, = self.events(done.stdout)["plan"]
        self.assertEqual((plan["ranks"], plan["files"], plan["bytes"]),
                         (1, 28, 28 * 10000))  # 100 * 100 each
        self.assertGreater(plan["stored_bytes"], plan["bytes"])
        self.assertIn("training datagen", plan["command"])

    def test_json_lines_of_a_failure(self):
        done = self.finish(
            self.words("run", "-m", "unet3d", "-g", "h100", "--log-format",
                       "json", ranks=2, params=UNET3D + TRAIN), expect=3)
        self.events(done.stdout)
        errors = self.events(done.stderr)["error"]
        for error in errors:
            self.assertIn("the folder does not exist", error["message"])
        # It failed before there was a record.
        self.assertFalse((self.run_folder() / "record.json").exists())

    def test_cpu_time_of_steps_is_that_of_their_epoch(self):
        self.datagen("unet3d", UNET3D)
        self.finish(self.words("run", "-m", "unet3d", "-g", "h100", ranks=2,
                               params=UNET3D + TRAIN))

        folder = self.run_folder()
        with (folder / "steps.csv").open() as file:
            rows = list(csv.DictReader(file))
        record = load_json(folder / "record.json")
        for rank in record["ranks"]:
            for epoch in rank["epochs"]:
                mine = [row for row in rows
                        if row["rank"] == str(rank["rank"]) and
                        row["epoch"] == str(epoch["epoch"])]
                whole = epoch["cpu_user_ns"] + epoch["cpu_system_ns"]
                self.assertGreaterEqual(epoch["cpu_reading_ns"], 0)
                for part in ("checking", "rest"):
                    of_steps = sum(float(row[f"cpu_{part}_s"])
                                   for row in mine)
                    self.assertLessEqual(of_steps,
                                         epoch[f"cpu_{part}_ns"] / 1e9 + 1e-9)
                    self.assertLessEqual(epoch[f"cpu_{part}_ns"], whole + 1e5)
                self.assertGreater(epoch["cpu_rest_ns"], 0)

    def test_one_rank_needs_no_launcher(self):
        environment = dict(ENVIRONMENT, PATH="/nowhere")
        for verb, more, params in (
                ("datagen", [], UNET3D),
                ("run", ["-g", "h100"], UNET3D + TRAIN)):
            done = subprocess.run(
                self.words(verb, "-m", "unet3d", *more, ranks=1,
                           params=params),
                env=environment, text=True, capture_output=True, timeout=60)
            self.assertEqual(done.returncode, 0, done.stderr)

        self.check_result(self.run_folder(), ranks=1, epochs=2, steps=4)

    def test_under_mpirun_each_process_is_a_rank(self):
        mpirun = ["mpirun", "-n", "2"]
        self.finish(mpirun + self.words("datagen", "-m", "unet3d", ranks=2,
                                        params=UNET3D))
        done = self.finish(mpirun + self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=2,
            params=UNET3D + TRAIN))

        self.check_result(self.run_folder(), ranks=2, epochs=2, steps=2)
        self.assertEqual(done.stdout.count("rules: "), 1, done.stdout)
        self.assertEqual(done.stdout.count("results: "), 1, done.stdout)

    def test_second_datagen_reuses_the_first(self):
        self.datagen("unet3d", UNET3D)
        before = {path: path.stat().st_mtime_ns
                  for path in self.data.rglob("*.npz")}
        done = self.datagen("unet3d", UNET3D, ranks=3)

        self.assertIn("already there", done.stdout)
        self.assertEqual({path: path.stat().st_mtime_ns
                          for path in self.data.rglob("*.npz")}, before)

    def test_loops_have_folders_of_their_own(self):
        self.datagen("unet3d", UNET3D)
        self.finish(self.words("run", "-m", "unet3d", "-g", "h100", "--loops",
                               "2", ranks=2, params=UNET3D + TRAIN))

        self.assertEqual(len(self.run_folders()), 2)
        for folder in self.run_folders():
            self.check_result(folder, ranks=2, epochs=2, steps=2)

    def test_storage_without_data_keeps_accelerators_busy(self):
        self.finish(self.words("run", "-m", "unet3d", "-g", "h100", ranks=2,
                               data="null:",
                               params=["dataset.num_files_train=280",
                                       "train.epochs=2",
                                       "train.computation_time=0.05"]))

        summary = self.check_result(self.run_folder(), ranks=2, epochs=2,
                                    steps=20)
        self.assertGreater(summary["metric"]["train_au_mean_percentage"], 90)

    def test_same_samples_in_the_same_order_each_time(self):
        self.datagen("unet3d", UNET3D)
        for _ in range(2):
            self.finish(self.words("run", "-m", "unet3d", "-g", "h100",
                                   ranks=2, params=UNET3D + TRAIN))

        hashes = [load_json(folder / "record.json")["op_stream_hash"]
                  for folder in self.run_folders()]
        self.assertEqual(len(hashes), 2)
        self.assertEqual(hashes[0], hashes[1])

    # --- Commands that cannot work ------------------------------------------

    def fails(self, command, code, *parts):
        done = self.finish(command, expect=code)
        for part in parts:
            self.assertIn(part, done.stderr)
        # Whatever else is said, the cause comes last.
        errors = [line for line in done.stderr.splitlines()
                  if "stoker: error: " in line]
        self.assertTrue(errors, done.stderr)
        return done

    def test_another_number_of_ranks_than_asked_for(self):
        self.fails(["mpirun", "-n", "3"] + self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=2), 5,
            "3 rank(s) were started, the command asks for 2", "mpirun -n 2")

    def test_missing_dataset(self):
        self.fails(self.words("run", "-m", "unet3d", "-g", "h100", ranks=2,
                              params=UNET3D), 3,
                   str(self.data / "unet3d"), "stoker training datagen")

    def test_dataset_with_too_few_files(self):
        self.datagen("unet3d", UNET3D)
        self.fails(self.words("run", "-m", "unet3d", "-g", "h100", ranks=2,
                              params=UNET3D +
                              ["dataset.num_files_train=56"]), 5,
                   "28 of the 56 files", "dataset.num_files_train=56")

    def test_dataset_of_another_size(self):
        self.datagen("unet3d", UNET3D)
        self.fails(self.words("run", "-m", "unet3d", "-g", "h100", ranks=2,
                              params=UNET3D +
                              ["dataset.record_length_bytes=1000"]), 5,
                   "record_length_bytes=300000", "1000")

    def test_unknown_option(self):
        self.fails(self.words("run", "-m", "unet3d", "-g", "h100",
                              "--num-acelerators", "2"), 2,
                   "did you mean --num-accelerators?")

    def test_unknown_key_names_file_line_and_nearest(self):
        workload = self.folder / "mine.yaml"
        workload.write_text("model:\n  name: mine\nframework: pytorch\n"
                            "reader:\n  batch_siz: 3\n")
        self.fails(self.words("run", "--workload", str(workload), ranks=2), 5,
                   f"{workload}:5", "batch_siz", "reader.batch_size")

    def test_closed_refuses_what_breaks_the_rules(self):
        self.fails(self.words("run", "-m", "unet3d", "-g", "h100", "--closed",
                              ranks=2, params=["train.epochs=1"]), 1,
                   "train.epochs")
        self.assertFalse(self.results.exists())

    def test_what_if_prints_the_command_only(self):
        done = self.finish(self.words("run", "-m", "unet3d", "-g", "h100",
                                      "-s", "a,b", "--what-if", ranks=5))

        self.assertIn("mpirun -n 5 -host a:3,b:2 ", done.stdout)
        self.assertFalse(self.results.exists())

    def test_missing_launcher_names_the_remedy(self):
        environment = dict(ENVIRONMENT, MPI_RUN_BIN="/nowhere/mpirun")
        done = subprocess.run(
            self.words("run", "-m", "unet3d", "-g", "h100", ranks=2),
            env=environment, text=True, capture_output=True, timeout=60)
        self.assertEqual(done.returncode, 3, done.stderr)
        self.assertIn("/nowhere/mpirun", done.stderr)
        self.assertIn("--mpi-bin", done.stderr)

    # --- Disks that are full ------------------------------------------------

    def check_nothing_half_written(self, size_of_whole):
        """Every file under a final name is whole, and what lies beside them
        says that the dataset is not."""
        for path in self.data.rglob("*.npz"):
            self.assertEqual(path.stat().st_size, size_of_whole, path)
        self.assertEqual(list(self.data.rglob("stoker_dataset.json")), [])
        others = [path for path in self.data.rglob("*") if path.is_file() and
                  path.suffix != ".npz"]
        self.assertEqual([path.name for path in others],
                         ["stoker_dataset.partial.json"])

    def test_disk_full_while_writing(self):
        params = ["dataset.num_files_train=8",
                  "dataset.record_length_bytes=65536",
                  "dataset.record_length_bytes_stdev=0",
                  "dataset.record_length_bytes_resize=0"]
        self.fails(self.words(
            "datagen", "-m", "unet3d", ranks=2, params=params,
            data=f"fault:?op=write&nth=2&error=ENOSPC,{self.data}"), 6,
            "No space left on device")
        self.check_nothing_half_written(65536 + 498)

        # What is there does not hinder the next attempt.
        self.datagen("unet3d", params)
        self.assertEqual(len(list(self.data.rglob("*.npz"))), 8)

    def test_file_size_limit(self):
        def limit():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (100000, 100000))

        done = self.finish(self.words("datagen", "-m", "unet3d", ranks=1,
                                      params=UNET3D), expect=None,
                           preexec_fn=limit)
        self.assertEqual(done.returncode, 6, done.stderr)
        self.assertIn("File too large", done.stderr)
        self.assertIn("img_", done.stderr)
        self.check_nothing_half_written(None)

    def test_no_space_is_seen_before_writing(self):
        self.data.mkdir()
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs",
             str(self.data)], capture_output=True).returncode == 0
        if mounted:
            self.addCleanup(subprocess.run, ["umount", str(self.data)],
                            check=True)
            params = UNET3D  # 8 MB
        else:  # not root: more than any disk holds
            params = UNET3D + ["dataset.num_files_train=1000000000",
                               "dataset.record_length_bytes_stdev=0",
                               "dataset.record_length_bytes=146600628"]
        self.fails(self.words("datagen", "-m", "unet3d", ranks=2,
                              params=params), 6, "are free")
        self.assertEqual([path for path in self.data.rglob("*")
                          if path.is_file()], [])

    # --- Runs that go wrong on the way --------------------------------------

    def test_killed_rank_ends_a_launched_run(self):
        job = self.start_long_run()
        os.kill(self.pid_of_rank(1), signal.SIGKILL)
        said, code = self.check_end(job)
        self.assertEqual(code, 6)
        self.last_cause(said)

    def test_killed_first_rank_ends_a_launched_run(self):
        job = self.start_long_run()
        os.kill(self.pid_of_rank(0), signal.SIGKILL)
        said, code = self.check_end(job)
        self.assertEqual(code, 6)
        self.last_cause(said)

    def test_killed_rank_ends_a_run_under_mpirun(self):
        job = self.start_long_run(mpirun=True)
        os.kill(self.pid_of_rank(1), signal.SIGKILL)
        self.check_end(job)

    def test_interrupted_launcher(self):
        job = self.start_long_run()
        job.send_signal(signal.SIGINT)
        said, code = self.check_end(job)
        self.assertEqual(code, 130)
        self.assertIn("stop", self.last_cause(said))

    def test_terminated_launcher(self):
        job = self.start_long_run()
        job.send_signal(signal.SIGTERM)
        _, code = self.check_end(job)
        self.assertEqual(code, 130)

    def test_interrupted_single_rank(self):
        job = self.start_long_run(ranks=1)
        job.send_signal(signal.SIGINT)
        _, code = self.check_end(job)
        self.assertEqual(code, 130)

    def test_terminated_mpirun(self):
        job = self.start_long_run(mpirun=True)
        job.send_signal(signal.SIGTERM)
        self.check_end(job)

    def test_killed_mpirun_of_a_launched_run(self):
        job = self.start_long_run()
        mpirun = [pid for pid, rank in processes(str(self.results)).items()
                  if rank is None and pid != job.pid]
        self.assertEqual(len(mpirun), 1)
        os.kill(mpirun[0], signal.SIGKILL)
        _, code = self.check_end(job)
        self.assertEqual(code, 6)

    def test_vanished_dataset(self):
        job = self.start_long_run()
        self.data.rename(self.folder / "elsewhere")
        said, code = self.check_end(job, "train/img_", "No such file")
        self.assertEqual(code, 3)
        self.assertIn("No such file", self.last_cause(said))

    def test_truncated_file(self):
        job = self.start_long_run()
        victim = self.data / "unet3d/train/img_05_of_28.npz"
        os.truncate(victim, 1000)
        said, code = self.check_end(job, "img_05_of_28.npz")
        self.assertEqual(code, 6)
        self.last_cause(said)

    def test_corrupt_file_under_mpirun(self):
        job = self.start_long_run(mpirun=True)
        victim = self.data / "unet3d/train/img_05_of_28.npz"
        with victim.open("r+b") as file:
            file.seek(5000)
            byte = file.read(1)
            file.seek(5000)
            file.write(bytes([byte[0] ^ 1]))
        _, code = self.check_end(job, "img_05_of_28.npz", "CRC-32")
        self.assertEqual(code, 6)

    def test_unreadable_file(self):
        job = self.start_long_run()
        victim = self.data / "unet3d/train/img_05_of_28.npz"
        victim.rename(self.folder / "moved")
        victim.mkdir()  # unreadable for root as well
        self.check_end(job, "img_05_of_28.npz")


if __name__ == "__main__":
    harness.main()
