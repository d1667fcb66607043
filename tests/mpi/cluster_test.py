"""Runs over several hosts: network namespaces of this machine, each with its
own name and address (netns_hosts.py), joined by the program's own launcher.

usage: cluster_test.py STOKER [unittest arguments]
"""

import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

import harness
import netns_hosts
from harness import (ENVIRONMENT, LIMIT_SECONDS, TRAIN, UNET3D, StokerCase,
                     load_json, stoker, wait_for)


def rank_of(pid):
    """The rank that a process is, None if it is none."""
    try:
        environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return None
    found = [entry for entry in environment.split(b"\0")
             if entry.startswith(b"OMPI_COMM_WORLD_RANK=")]
    return int(found[0].split(b"=")[1]) if found else None


class ClusterTest(StokerCase):
    def setUp(self):
        super().setUp()
        self.hosts = netns_hosts.Hosts(3, self.folder)
        self.hosts.__enter__()
        self.addCleanup(self.hosts.close)

    def cluster_words(self, verb, hosts, ranks, *more, params=()):
        if verb == "run":
            more = ("-g", "h100", *more)
        return self.hosts.on(0, self.words(
            verb, "-m", "unet3d", *more, "--hosts", *hosts, "--mpi-params",
            " ".join(self.hosts.mpi_words()), ranks=ranks,
            params=[*UNET3D, *(TRAIN if verb == "run" else ()), *params]))

    def generate(self):
        self.finish(self.cluster_words("datagen", self.hosts.names, 3))

    def train(self, hosts, ranks, *more, expect=0, params=(), **options):
        return self.finish(self.cluster_words(
            "run", hosts, ranks, *more, params=["reader.batch_size=1",
                                                *params]),
            expect=expect, **options)

    def check_placement(self, expected):
        """`expected`: ranks of each host, in order."""
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["state"], "complete")
        self.assertEqual(record["run"]["num_hosts"], len(expected))
        self.assertEqual(
            {host["hostname"]: host["ranks"] for host in record["hosts"]},
            dict(zip(self.hosts.names, expected)))
        nodes = [rank["node"] for rank in record["ranks"]]
        self.assertEqual(nodes, [node for node, count in enumerate(expected)
                                 for _ in range(count)])
        summary = load_json(self.run_folder() / "summary.json")
        self.assertEqual(summary["num_hosts"], len(expected))
        self.assertEqual(summary["num_accelerators"], sum(expected))

    # --- Placement ----------------------------------------------------------

    def test_ranks_are_divided_over_the_hosts(self):
        self.generate()
        manifest = load_json(self.data / "unet3d" / "stoker_dataset.json")
        self.assertEqual(manifest["format"], "npz")
        self.train(self.hosts.names, 6)
        self.check_placement([2, 2, 2])

    def test_slots_may_be_uneven(self):
        self.generate()
        a, b, _ = self.hosts.names
        self.train([f"{a}:3,{b}:1"], 4)
        self.check_placement([3, 1])

    def test_five_and_four(self):
        self.generate()
        a, b, _ = self.hosts.names
        self.train([f"{a}:5", f"{b}:4"], 9)
        self.check_placement([5, 4])

    def test_a_division_with_a_rest_gives_the_first_hosts_more(self):
        self.generate()
        self.train(self.hosts.names, 5)
        self.check_placement([2, 2, 1])

    def test_environment_reaches_ranks_on_other_hosts(self):
        self.generate()
        workloads = self.folder / "workloads"
        workloads.mkdir()
        for source in pathlib.Path(ENVIRONMENT["STOKER_WORKLOADS"]).glob(
                "unet3d_*.yaml"):
            shutil.copy(source, workloads / source.name.replace("unet3d",
                                                                "mine"))
        words = self.cluster_words("run", self.hosts.names, 3, "--loops", "1",
                                   "--warm-up", params=["reader.batch_size=1"])
        words[-1] = words[-1].replace("-m unet3d", "-m mine").replace(
            str(self.data), str(self.data / "unet3d"))
        self.finish(words, environment=dict(
            ENVIRONMENT, STOKER_WORKLOADS=str(workloads)))
        folders = self.run_folders()
        self.assertEqual([load_json(folder / "record.json")["run"]["warm_up"]
                          for folder in folders], [True, False])
        # Every rank wrote into the folder that the launcher made.
        for folder in folders:
            self.assertEqual(len(list(folder.glob("*_output.json"))), 3)

    # --- Hosts that differ --------------------------------------------------

    def refused(self, words, *parts):
        done = self.finish(words, expect=5)
        last = [line for line in done.stderr.splitlines()
                if "stoker: error: " in line][-1]
        for part in parts:
            self.assertIn(part, last)
        return last

    def test_another_program_on_one_host(self):
        self.generate()
        other = self.folder / "other_stoker"
        shutil.copy(stoker(), other)
        size = other.stat().st_size
        with other.open("ab") as file:
            file.write(b"\0")
        self.hosts.prologue(2, f"mount --bind {other} {stoker()}\n")
        a, b, c = self.hosts.names
        for verb, ranks in ("run", 3), ("datagen", 3):
            self.refused(
                self.cluster_words(verb, self.hosts.names, ranks,
                                   params=["reader.batch_size=1"]),
                "the hosts do not run the same program", f"{a}, {b}: stoker ",
                f"{size} bytes", f"{c}: stoker ", f"{size + 1} bytes",
                "--dlio-bin-path")

    def test_the_folder_of_the_program_can_be_named(self):
        self.generate()
        folder = self.folder / "elsewhere"
        folder.mkdir()
        shutil.copy(stoker(), folder / "stoker")
        self.train(self.hosts.names, 3, "-dp", str(folder))
        self.check_placement([1, 1, 1])

    def test_another_workload_file_on_one_host(self):
        self.generate()
        source = pathlib.Path(
            ENVIRONMENT["STOKER_WORKLOADS"]) / "unet3d_h100.yaml"
        other = self.folder / "other.yaml"
        text = source.read_text()
        self.assertIn("read_threads: 4", text)
        other.write_text(text.replace("read_threads: 4", "read_threads: 3"))
        self.hosts.prologue(1, f"mount --bind {other} {source}\n")
        a, b, _ = self.hosts.names
        self.refused(
            self.cluster_words("run", self.hosts.names, 3,
                               params=["reader.batch_size=1"]),
            f"reader.read_threads is 3 on {b}, 4 on {a}", "remedy")

    def test_another_dataset_on_one_host(self):
        self.generate()
        copy = self.folder / "copy"
        shutil.copytree(self.data, copy)
        middle = copy / "unet3d" / "train" / "img_13_of_28.npz"
        size = middle.stat().st_size
        with middle.open("ab") as file:
            file.write(b"\0")
        self.hosts.prologue(1, f"mount --bind {copy} {self.data}\n")
        words = self.cluster_words("run", self.hosts.names, 3,
                                   params=["reader.batch_size=1"])
        a, b, c = self.hosts.names
        self.refused(
            words, "the hosts do not see the same dataset", f"{a}, {c}: ",
            f"train/img_13_of_28.npz of {size} bytes", f"{b}: ",
            f"train/img_13_of_28.npz of {size + 1} bytes", "mount")
        # A whole copy is as good as the same mount.
        os.truncate(middle, size)
        self.finish(words)

        (copy / "unet3d" / "stoker_dataset.json").unlink()
        self.refused(words, f"{b}: no manifest")

    def test_a_host_without_the_dataset(self):
        self.generate()
        self.hosts.prologue(
            2, f"mount -t tmpfs tmpfs {self.data}\n")
        self.refused(
            self.cluster_words("run", self.hosts.names, 3,
                               params=["reader.batch_size=1"]),
            f"{self.hosts.names[2]}: no manifest, no train/img_00_of_28.npz")

    def test_a_dataset_is_not_written_to_folders_of_each_host(self):
        self.data.mkdir()
        self.hosts.prologue(1, f"mount -t tmpfs tmpfs {self.data}\n")
        self.refused(
            self.cluster_words("datagen", self.hosts.names, 3),
            "the hosts do not share",
            f"{self.hosts.names[1]}: does not see what rank 0 wrote")
        self.assertEqual([path for path in self.data.rglob("*")
                          if path.is_file()], [])

    def test_a_dataset_of_one_host_is_not_deleted_by_all(self):
        self.generate()
        before = sorted(self.data.rglob("*"))
        self.hosts.prologue(1, f"mount -t tmpfs tmpfs {self.data}\n")
        for action in ("--delete", "--verify"):
            self.refused(
                self.cluster_words("datagen", self.hosts.names, 3, action),
                "the hosts do not share",
                f"{self.hosts.names[1]}: does not see what rank 0 wrote")
            self.assertEqual(sorted(self.data.rglob("*")), before)

    # --- Hosts that are lost ------------------------------------------------

    def start_long_run(self):
        self.generate()
        job = subprocess.Popen(
            self.cluster_words("run", self.hosts.names, 6, params=[
                "reader.batch_size=1", "train.epochs=1000",
                "train.computation_time=0.02"]),
            env=ENVIRONMENT, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.addCleanup(job.stderr.close)
        self.addCleanup(job.wait)
        self.addCleanup(job.kill)

        def running():
            self.assertIsNone(job.poll(), "ended early")
            files = list(self.results.glob("training/*/run/*/steps.csv"))
            return files and files[0].read_text().count("\n") > 6
        wait_for("the first epoch", running)
        return job

    def left(self):
        return [pid for i in range(3) for pid in self.hosts.pids(i)]

    def check_end(self, job, start, *causes):
        _, said = job.communicate(timeout=60)
        wait_for("the end of all processes", lambda: not self.left())
        self.assertLess(time.monotonic() - start, 2 * LIMIT_SECONDS, said)
        self.assertEqual(job.returncode, 6, said)
        errors = [line for line in said.splitlines()
                  if line.startswith("stoker: error: ")]
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["state"], "aborted")
        for cause in causes:
            self.assertIn(cause, errors[-1])
            self.assertIn(cause, record["cause"])

    def test_a_killed_rank_ends_the_others_on_all_hosts(self):
        job = self.start_long_run()
        victim = [pid for pid in self.hosts.pids(2) if rank_of(pid) == 5]
        self.assertEqual(len(victim), 1)
        start = time.monotonic()
        os.kill(victim[0], signal.SIGKILL)
        self.check_end(job, start, "rank 5")

    def test_a_lost_host_ends_the_others(self):
        job = self.start_long_run()
        start = time.monotonic()
        for pid in self.hosts.pids(1):
            os.kill(pid, signal.SIGKILL)
        self.check_end(job, start, self.hosts.names[1])

    def test_a_killed_launcher_ends_the_ranks_of_all_hosts(self):
        job = self.start_long_run()
        launchers = [pid for pid in self.hosts.pids(0)
                     if os.readlink(f"/proc/{pid}/exe") == stoker() and
                     rank_of(pid) is None]
        self.assertEqual(len(launchers), 1)
        start = time.monotonic()
        os.kill(launchers[0], signal.SIGKILL)
        job.wait()
        wait_for("the end of all processes", lambda: not self.left())
        self.assertLess(time.monotonic() - start, 2 * LIMIT_SECONDS)

    # --- The hosts themselves -----------------------------------------------

    def test_hosts_go_with_the_test_that_made_them(self):
        script = ("import sys, time; sys.path.insert(0, sys.argv[1])\n"
                  "import netns_hosts\n"
                  "hosts = netns_hosts.Hosts(2, sys.argv[2]).__enter__()\n"
                  "print(hosts.prefix, flush=True)\n"
                  "time.sleep(600)\n")
        maker = subprocess.Popen(
            [sys.executable, "-c", script,
             str(pathlib.Path(__file__).parent), str(self.folder)],
            stdout=subprocess.PIPE, text=True)
        self.addCleanup(maker.stdout.close)
        prefix = maker.stdout.readline().strip()
        self.assertEqual(len(netns_hosts.namespaces(prefix)), 2)
        sleeper = subprocess.Popen(["ip", "netns", "exec", f"{prefix}1",
                                    "sleep", "600"])
        maker.kill()
        maker.wait()
        wait_for("the removal of the hosts",
                 lambda: not netns_hosts.namespaces(prefix) and
                 not list(pathlib.Path("/etc/netns").glob(f"{prefix}*")))
        self.assertEqual(sleeper.wait(), -signal.SIGKILL)


if __name__ == "__main__":
    harness.main()
