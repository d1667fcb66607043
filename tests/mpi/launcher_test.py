"""The program as a launcher: what reaches mpirun, how it ends, several runs in
a row, the history, and starts by others than mpirun.

usage: launcher_test.py STOKER [unittest arguments]
"""

import json
import os
import pathlib
import re
import statistics
import shutil
import subprocess
import sys
import time

import harness
from harness import (ENVIRONMENT, LIMIT_SECONDS, TRAIN, UNET3D, LongRunCase,
                     load_json, processes, stoker)


class LauncherTest(LongRunCase):
    def script(self, name, text):
        path = self.folder / name
        path.write_text("#!/bin/bash\n" + text)
        path.chmod(0o755)
        return str(path)

    def run_words(self, *more, ranks=2, params=()):
        return self.words("run", "-m", "unet3d", "-g", "h100", *more,
                          ranks=ranks, params=[*UNET3D, *TRAIN, *params])

    # --- What reaches mpirun ------------------------------------------------

    def told(self, *words, variable="MPI_RUN_BIN", **more):
        """Words and environment that a launcher was started with."""
        fake = self.script("fake_mpirun",
                           f'printf "%s\\0" "$@" > "{self.folder}/words"\n'
                           f'env -0 > "{self.folder}/environment"\n')
        self.finish(self.run_words(*words), environment=dict(
            ENVIRONMENT, **{variable: fake}, **more))
        environment = dict(
            entry.split("=", 1) for entry in
            (self.folder / "environment").read_text().split("\0")[:-1])
        return (self.folder / "words").read_text().split("\0")[:-1], environment

    def test_each_option_reaches_mpirun(self):
        words, environment = self.told(
            "--hosts", "a:1,b:1", "--oversubscribe", "--allow-run-as-root",
            "--mpi-params", "--map-by node --mca btl self,tcp",
            "--mpi-params=-q", "--dlio-bin-path", "/opt/x", STOKER_MINE="1")
        self.assertEqual(
            words[:12],
            ["-n", "2", "-host", "a:1,b:1", "--oversubscribe",
             "--allow-run-as-root", "--map-by", "node", "--mca", "btl",
             "self,tcp", "-q"])
        exported = [words[i + 1] for i, word in enumerate(words)
                    if word == "-x"]
        self.assertEqual(exported, sorted(exported))
        self.assertLessEqual(
            {"STOKER_MINE", "STOKER_WORKLOADS", "STOKER_RESULT_FOLDER",
             "STOKER_WARM_UP", "STOKER_PROGRESS_COLUMNS", "STOKER_HISTORY"},
            set(exported))
        program = words.index("/opt/x/stoker")
        self.assertEqual(words[program + 1:program + 3], ["training", "run"])
        self.assertEqual(environment["STOKER_RESULT_FOLDER"],
                         str(self.run_folder()))

    def test_mpiexec_is_another_program_with_another_variable(self):
        words, _ = self.told("--mpi-bin", "mpiexec", "--hosts", "a,b",
                             variable="MPI_EXEC_BIN")
        self.assertEqual(words[:4], ["-n", "2", "-host", "a:1,b:1"])

    def test_mpiexec_runs_the_ranks(self):
        self.finish(self.words("datagen", "-m", "unet3d", "--mpi-bin",
                               "mpiexec", ranks=2, params=UNET3D))

    def test_mpi_params_are_obeyed(self):
        done = self.finish(self.words(
            "datagen", "-m", "unet3d", "--mpi-params",
            "--tag-output --bind-to none", ranks=2, params=UNET3D))
        self.assertRegex(done.stdout, r"\[1,0\]<stdout>:.*datagen: 28 files")

    def test_more_ranks_than_slots_need_oversubscribe(self):
        words = self.words("datagen", "-m", "unet3d", "--hosts",
                           "127.0.0.1:1", ranks=3, params=UNET3D)
        done = self.finish(words, expect=2)
        self.assertIn("1 slots for 3 ranks", done.stderr)
        self.assertIn("--oversubscribe", done.stderr)
        self.assertFalse(self.results.exists())

        environment = {key: value for key, value in ENVIRONMENT.items()
                       if key != "OMPI_MCA_rmaps_base_oversubscribe"}
        self.finish(words + ["--oversubscribe"], environment=environment)

    def test_root_is_allowed_by_the_option(self):
        environment = {key: value for key, value in ENVIRONMENT.items()
                       if not key.startswith("OMPI_ALLOW")}
        words = self.words("datagen", "-m", "unet3d", ranks=2, params=UNET3D)
        if os.geteuid() == 0:
            done = self.finish(words, expect=6, environment=environment)
            self.assertIn("--allow-run-as-root", done.stderr.splitlines()[-1])
        self.finish(words + ["--allow-run-as-root"], environment=environment)

    def test_hosts_that_cannot_be_are_refused_at_once(self):
        for hosts, part in (["a,b,a"], "'a' stands there twice"), \
                (["a:2", "a:3"], "'a' stands there twice"), \
                (["a,,b"], "'' is no host name"), \
                (["a:1", "b:x"], "'b:x' is not HOST:SLOTS"):
            for verb in "run", "datagen", "datasize":
                more = ["-g", "h100"] if verb != "datagen" else []
                words = [stoker(), "training", verb, "-m", "unet3d", *more,
                         {"run": "-na", "datagen": "-np",
                          "datasize": "-ma"}[verb], "4", "-cm", "1",
                         "--hosts", *hosts]
                if verb == "datagen":
                    words.remove("-cm")
                    words.remove("1")
                done = self.finish(words, expect=2)
                self.assertIn(part, done.stderr)

    def test_unknown_model_is_a_bad_argument(self):
        done = self.finish(self.words("run", "-m", "unet4d", "-g", "h100",
                                      ranks=1), expect=2)
        self.assertIn("unet3d_h100", done.stderr)
        self.finish(self.words("run", "--workload", "nowhere.yaml", ranks=1),
                    expect=3)

    # --- How it ends --------------------------------------------------------

    def test_killed_launcher_takes_its_ranks_along(self):
        job = self.start_long_run()
        self.assertGreater(len(processes(str(self.results))), 3)
        start = time.monotonic()
        job.kill()
        job.wait()
        harness.wait_for("the end of mpirun and its ranks",
                         lambda: not processes(str(self.results)))
        self.assertLess(time.monotonic() - start, LIMIT_SECONDS)
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["state"], "aborted")
        self.assertTrue(record["cause"])

    # --- Several runs -------------------------------------------------------

    def test_warm_up_is_marked_and_left_out_of_the_table(self):
        self.datagen("unet3d", UNET3D)
        done = self.finish(self.run_words("--loops", "3", "--warm-up"))

        folders = self.run_folders()
        self.assertEqual(len(folders), 4)
        for i, folder in enumerate(folders):
            warm_up = i == 0
            record = load_json(folder / "record.json")
            self.assertEqual(record["run"]["warm_up"], warm_up)
            metadata = load_json(
                folder / f"training_{folder.name}_metadata.json")
            self.assertEqual(metadata["warm_up"], warm_up)
            said = (folder / "training_run.stdout.log").read_text()
            self.assertEqual("warm-up run" in said, warm_up)
        self.check_table(done.stdout, folders)

    def check_table(self, said, folders):
        metrics = [load_json(folder / "summary.json")["metric"]
                   for folder in folders[1:]]
        rows = {}
        for line in said.splitlines():
            row = re.fullmatch(
                r"  (warm-up|\d+|mean|min|max|CV %) +([\d.]+) +([\d.]+).*",
                line)
            if row:
                rows[row[1]] = [float(row[2]), float(row[3])]
        self.assertEqual(list(rows), ["warm-up", "1", "2", "3", "mean", "min",
                                      "max", "CV %"])
        for column, key, digits in (
                (0, "train_au_mean_percentage", 2),
                (1, "train_io_exact_mean_GiB_per_second", 3)):
            values = [metric[key] for metric in metrics]
            mean = statistics.mean(values)
            for name, value in ("mean", mean), ("min", min(values)), \
                    ("max", max(values)), ("2", values[1]):
                self.assertAlmostEqual(rows[name][column], value, delta=0.51 *
                                       10 ** -digits)
            self.assertAlmostEqual(
                rows["CV %"][column],
                100 * statistics.stdev(values) / mean, delta=0.0051)

    def test_one_process_warms_up_too(self):
        self.datagen("unet3d", UNET3D)
        done = self.finish(self.run_words("--loops", "2", "--warm-up",
                                          ranks=1))
        marks = [load_json(folder / "record.json")["run"]["warm_up"]
                 for folder in self.run_folders()]
        self.assertEqual(marks, [True, False, False])
        self.assertIn("CV %", done.stdout)

    def test_exit_status_is_that_of_the_worst_run(self):
        for statuses, expected in ("0 6 0", 6), ("7 6 0", 7), ("6 3 7", 6):
            calls = self.folder / "calls"
            calls.write_text(statuses)
            fake = self.script("failing_mpirun",
                               f'read -r now later < "{calls}"\n'
                               f'echo "$later" > "{calls}"\nexit "$now"\n')
            done = self.finish(self.run_words("--loops", "3"), expect=expected,
                               environment=dict(ENVIRONMENT, MPI_RUN_BIN=fake))
            # A missing file (3) would be missing again: no third run.
            left = calls.read_text().strip()
            self.assertEqual(left, "7" if statuses == "6 3 7" else "")
            self.assertIn("exit status 6", done.stdout)

    # --- History ------------------------------------------------------------

    def test_history_shows_and_runs_again(self):
        environment = dict(ENVIRONMENT,
                           STOKER_HISTORY=str(self.folder / "h" / "history"))
        words = [stoker(), "training", "datagen", "-m", "unet3d", "-np", "2",
                 "-dd", "my data", "-rd", "out", "-p", *UNET3D]
        self.finish(words, environment=environment)
        # One process: it is the rank as well, and ends itself.
        one = [word if word != "2" else "1" for word in words]
        self.finish([*one, "dataset.num_files_train=27"], expect=5,
                    environment=environment)
        shown = self.finish([stoker(), "history"], environment=environment)
        first, second = shown.stdout.splitlines()
        self.assertRegex(first, r"^ +1 .* +0  stoker training datagen .*"
                                r"'my data'")
        self.assertRegex(second, r"^ +2 .* +5  stoker training datagen")
        last = self.finish([stoker(), "history", "show", "-n", "1"],
                           environment=environment)
        self.assertEqual(last.stdout.splitlines(), [second])
        one = self.finish([stoker(), "history", "show", "--id", "1"],
                          environment=environment)
        self.assertIn(f"folder: {self.folder}\n", one.stdout)

        made = self.folder / "my data" / "unet3d" / "stoker_dataset.json"
        shutil.rmtree(made.parent)
        self.finish([stoker(), "history", "rerun", "1"],
                    environment=environment, cwd="/")
        self.assertTrue(made.exists())
        # A rerun is not noted.
        again = self.finish([stoker(), "history"], environment=environment)
        self.assertEqual(again.stdout, shown.stdout)

    def test_history_of_many_at_once_has_whole_lines(self):
        history = self.folder / "history"
        environment = dict(ENVIRONMENT, STOKER_HISTORY=str(history))
        words = [stoker(), "training", "configview", "-m", "unet3d", "-g",
                 "h100", "-p", "dataset.data_folder=" + "x" * 20000]
        jobs = [subprocess.Popen(words, env=environment,
                                 stdout=subprocess.DEVNULL)
                for _ in range(16)]
        for job in jobs:
            self.assertEqual(job.wait(), 0)
        lines = [json.loads(line) for line in history.read_text().splitlines()]
        begun = [line["id"] for line in lines if "words" in line]
        ended = [line["id"] for line in lines if "exit_status" in line]
        self.assertEqual(begun, list(range(1, 17)))
        self.assertEqual(sorted(ended), begun)

    def test_history_that_cannot_be_written_is_a_warning(self):
        done = self.finish(
            [stoker(), "training", "configview", "-m", "unet3d", "-g", "h100"],
            environment=dict(ENVIRONMENT, STOKER_HISTORY="/proc/no/history"))
        self.assertIn("warning: this command is not in the history",
                      done.stderr)

    # --- Starts by Slurm ----------------------------------------------------

    def under_srun(self, tasks):
        """Words in front of a command that give its processes the
        environment of `srun --mpi=pmix`: PMIx and Slurm's own variables, none
        of mpirun's."""
        return ["mpirun", "-n", str(tasks), self.script("as_srun", """
rank=$OMPI_COMM_WORLD_RANK local=$OMPI_COMM_WORLD_LOCAL_RANK
size=$OMPI_COMM_WORLD_SIZE
for name in $(compgen -e | grep -E '^(OMPI|PMI_|ORTE|PRTE|MPIEXEC)'); do
  unset "$name"
done
export SLURM_JOB_ID=7 SLURM_JOBID=7 SLURM_STEP_ID=0 SLURM_STEPID=0
export SLURM_PROCID=$rank
export SLURM_LOCALID=$local SLURM_NTASKS=$size SLURM_STEP_NUM_TASKS=$size
export SLURM_JOB_NODELIST=localhost SLURM_NODELIST=localhost SLURM_NODEID=0
export SLURM_MPI_TYPE=pmix
exec "$@"
""")]

    def test_tasks_of_srun_with_pmix_are_ranks(self):
        self.finish(self.under_srun(3) + self.words(
            "datagen", "-m", "unet3d", ranks=3, params=UNET3D))
        self.finish(self.under_srun(3) + self.run_words(
            ranks=3, params=["reader.batch_size=2"]))
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["state"], "complete")
        self.assertEqual([rank["rank"] for rank in record["ranks"]], [0, 1, 2])
        self.assertEqual([host["ranks"] for host in record["hosts"]], [3])

    def test_tasks_of_srun_without_pmix_name_the_remedy(self):
        slurm = dict(ENVIRONMENT, SLURM_JOB_ID="7", SLURM_STEP_ID="0",
                     SLURM_STEP_NUM_TASKS="2", SLURM_PROCID="0")
        done = self.finish(self.run_words(), expect=2, environment=slurm)
        self.assertIn("srun --mpi=pmix", done.stderr)
        # PMI-2, which Open MPI here does not speak: each task is alone.
        done = self.finish(self.run_words(), expect=5, environment=dict(
            slurm, PMI_RANK="0", PMI_SIZE="2"))
        self.assertIn("1 rank(s) were started", done.stderr)
        self.assertIn("srun --mpi=pmix", done.stderr)

    def test_a_batch_script_is_a_launcher(self):
        # sbatch sets SLURM_PROCID and one task; mpirun starts the ranks.
        batch = dict(ENVIRONMENT, SLURM_JOB_ID="7", SLURM_PROCID="0",
                     SLURM_NTASKS="2")
        done = self.finish(self.run_words("--what-if"), environment=batch)
        self.assertIn("command: mpirun -n 2", done.stdout)

    # --- Room ---------------------------------------------------------------

    def mount(self, path, options):
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs",
                        str(path)], check=True)
        self.addCleanup(subprocess.run, ["umount", "-l", str(path)],
                        check=path.is_relative_to(self.folder),
                        stderr=subprocess.DEVNULL)

    def test_too_few_inodes_for_the_dataset(self):
        self.mount(self.data, "size=64m,nr_inodes=20")
        done = self.finish(self.words("datagen", "-m", "unet3d", ranks=2,
                                      params=UNET3D), expect=6)
        self.assertRegex(done.stderr, r"28 files are to be made, \d+ free "
                                      r"inodes are left; remedy: ")
        self.assertEqual(list(self.data.rglob("*.npz")), [])

    def test_too_little_room_for_the_results(self):
        self.datagen("unet3d", UNET3D)
        pathlib.Path(self.results).rename(self.folder / "old")
        self.mount(self.results, "size=512k")
        done = self.finish(self.run_words(), expect=6)
        self.assertRegex(done.stderr, r"the results will take about [\d.]+ "
                                      r"MiB, .* are free in .*--results-dir")

    # --- The harness itself -------------------------------------------------

    def test_nothing_is_left_of_a_killed_test(self):
        maker = subprocess.Popen(
            [sys.executable, "-c",
             "import subprocess, sys, time\n"
             "sys.path.insert(0, sys.argv[1])\n"
             "import harness\n"
             "folder = harness.own_folder()\n"
             "child = subprocess.Popen(['sleep', '600'],\n"
             "                         env={'TMPDIR': folder},\n"
             "                         start_new_session=True)\n"
             "print(folder, child.pid, flush=True)\n"
             "time.sleep(600)\n", str(pathlib.Path(__file__).parent)],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(maker.stdout.close)
        self.addCleanup(maker.wait)
        self.addCleanup(maker.kill)
        folder, pid = maker.stdout.readline().split()
        self.assertTrue(pathlib.Path(folder).is_dir())
        self.mount(pathlib.Path(folder) / "mounted", "size=64k")
        maker.kill()

        def gone():
            stat = pathlib.Path(f"/proc/{pid}/stat")
            try:
                dead = ") Z" in stat.read_text()
            except OSError:
                dead = True
            return dead and not pathlib.Path(folder).exists()
        harness.wait_for("the end of all that the test made", gone)


if __name__ == "__main__":
    harness.main()
