"""Checkpoints through the program and mpirun: saved, restored, killed, damaged,
kept, verified, deleted; read by torch, and written by it.

usage: checkpoint_test.py STOKER [unittest arguments]
"""

import csv
import json
import os
import pathlib
import random
import re
import shutil
import signal
import subprocess
import time
import zipfile

import harness
from harness import (ENVIRONMENT, LIMIT_SECONDS, StokerCase, load_json,
                     processes, stoker, wait_for)

MANIFEST = "stoker_checkpoint.json"
PARTIAL = "stoker_checkpoint.partial.json"
TORCH = "/usr/bin/python3"
QUICK = ["checkpoint.time_between_checkpoints=0"]


class CheckpointCase(StokerCase):
    def setUp(self):
        super().setUp()
        self.place = self.folder / "ck"

    def command(self, *words, model="llama3-mini", ranks=4, saves=2,
                restores=2, params=(), place=None):
        return [stoker(), "checkpointing", "run", "-m", model, "-np",
                str(ranks), "-ncw", str(saves), "-ncr", str(restores), "-cf",
                str(place or self.place), "-rd", str(self.results),
                "-cm", "16", *words, "--params", *QUICK, *params]

    def checkpoint(self, *words, expect=0, **options):
        done = self.finish(self.command(*words, **options), expect)
        return done.stdout + done.stderr

    def care(self, verb, *words, place=None, expect=0):
        done = self.finish(
            [stoker(), "checkpointing", verb,
             str(place or self.place / "llama3-mini"), *words], expect)
        return done.stdout + done.stderr

    def step(self, number, model="llama3-mini"):
        return self.place / model / f"global_epoch1_step{number}"

    def files(self, number, model="llama3-mini"):
        return sorted(self.step(number, model).glob("*.pt"))

    def result(self):
        return sorted(self.results.glob("checkpointing/*/*"))[-1]

    def flip(self, path, offset):
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))


class RunTest(CheckpointCase):
    def test_saves_and_restores_and_reports(self):
        said = self.checkpoint(params=["checkpoint.verify=full"])
        for step in (1, 2):
            self.assertTrue((self.step(step) / MANIFEST).exists())
            self.assertFalse((self.step(step) / PARTIAL).exists())
            self.assertEqual(len(self.files(step)), 8)
        folder = self.result()
        record = load_json(folder / "record.json")
        self.assertEqual(record["state"], "complete")
        self.assertEqual(len(record["ranks"]), 4)
        summary = load_json(folder / "summary.json")
        metric = summary["metric"]
        size = metric["checkpoint_size_GB"]
        manifest = load_json(self.step(1) / MANIFEST)
        payload = sum(file["payload_bytes"] for file in manifest["files"])
        self.assertAlmostEqual(size, payload / 2**30)
        for kind in ("save", "load"):
            stats = [load_json(folder / f"{rank}_per_epoch_stats.json")["1"]
                     for rank in range(4)]
            rank0 = [stats[0][f"{kind}_ckpt{i}"]["duration"] for i in (1, 2)]
            self.assertAlmostEqual(
                metric[f"{kind}_checkpoint_duration_mean_seconds"],
                sum(rank0) / 2, places=5)
        with (folder / "checkpoints.csv").open() as file:
            rows = list(csv.DictReader(file))
        self.assertEqual(len(rows), 4 * 4)
        self.assertIn("[METRIC]", said)
        self.assertTrue((folder / "dlio.log").exists())
        self.assertTrue(list(folder.glob("checkpointing_*_metadata.json")))
        self.assertTrue((folder / "dlio_config/config.yaml").exists())

    def test_under_mpirun_and_by_itself_the_same_files_appear(self):
        self.checkpoint(saves=1, restores=0)
        own = {path.name: path.stat().st_size for path in self.files(1)}
        shutil.rmtree(self.place)
        done = self.finish(["mpirun", "-n", "4",
                            *self.command(saves=1, restores=0)])
        self.assertIn("save 1/1", done.stdout)
        self.assertEqual(own, {path.name: path.stat().st_size
                               for path in self.files(1)})

    def test_split_runs_restore_what_others_saved(self):
        self.checkpoint(saves=2, restores=0)
        said = self.checkpoint(saves=0, restores=2,
                               params=["checkpoint.verify=full"])
        summary = load_json(self.result() / "summary.json")["metric"]
        self.assertIsNone(
            summary["save_checkpoint_duration_mean_seconds"])
        self.assertGreater(
            summary["load_checkpoint_duration_mean_seconds"], 0)
        self.assertNotIn("NaN", (self.result() / "summary.json").read_text())
        # What this machine wrote a moment ago lies in its memory.
        self.assertIn("page cache", said)

    def test_restoring_what_is_not_there_fails_before_anything_is_timed(self):
        self.checkpoint(saves=1, restores=0)
        said = self.checkpoint(saves=0, restores=2, expect=3)
        self.assertIn("global_epoch1_step2", said)
        self.assertNotIn("restore 1/2", said)

    def test_both_formats_and_styles_restore_each_other(self):
        for form in ("torchzip", "torchzip-2.1", "raw"):
            for save, restore in (("lean", "reference"),
                                  ("reference", "lean")):
                params = [f"checkpoint.format={form}",
                          "checkpoint.verify=full"]
                self.checkpoint("--io", save, saves=1, restores=0,
                                params=params)
                self.checkpoint("--io", restore, saves=0, restores=1,
                                params=params)

    def test_keep_leaves_the_last_ones(self):
        self.checkpoint("--keep", "2", saves=5, restores=0)
        left = sorted(path.name for path in
                      (self.place / "llama3-mini").iterdir())
        self.assertEqual(left, ["global_epoch1_step4", "global_epoch1_step5"])

    def test_of_those_that_keep_leaves_the_first_are_restored(self):
        for restores in (1, 2):
            self.checkpoint("--keep", "2", saves=3, restores=restores,
                            params=["checkpoint.verify=full"])

    def test_zero_one_model_on_eight_ranks_as_on_four(self):
        for ranks in (4, 8):
            self.checkpoint(model="llama3-tiny", ranks=ranks, saves=1,
                            restores=1, params=["checkpoint.verify=sample"])
            names = [path.name for path in self.files(1, "llama3-tiny")]
            self.assertEqual(
                sum("optim_states" in name for name in names), ranks)
            shutil.rmtree(self.place)

    def test_null_storage_takes_everything(self):
        said = self.checkpoint(place="null:", params=["checkpoint.verify=full"])
        self.assertIn("restore 2/2", said)

    def test_reference_requests_are_those_of_a_buffered_file(self):
        trace = self.folder / "trace"
        self.finish(["strace", "-f", "-y", "-e", "trace=pwrite64,write",
                     "-o", str(trace),
                     *self.command("--io", "reference", ranks=1, saves=1,
                                   restores=0, params=[
                                       "checkpoint.format=torchzip-1.13"])],
                    expect=None)
        sizes = [int(size) for size in re.findall(
            r"optim_states[^>]*>.* = (\d+)$", trace.read_text(), re.M)]
        # n, 5 H, n, 5 H, n, 5 H elements of four bytes; each larger than the
        # 4 KiB of the buffer, so each goes out by itself.
        manifest = load_json(self.step(1) / MANIFEST)
        spec = manifest["spec"]
        small = 5 * spec["hidden_size"] * 4
        large = [size for size in sizes if size > 4096]
        optimizer = [file for file in manifest["files"]
                     if "optim" in file["name"]][0]
        n = (optimizer["payload_bytes"] - 3 * small) // 3
        self.assertEqual(large, [n, small, n, small, n, small])
        self.assertEqual(sum(sizes), optimizer["bytes"])


class BetweenTest(CheckpointCase):
    def test_dropped_caches_leave_nothing_in_memory(self):
        for between in ("drop-caches", "flush"):
            said = self.checkpoint("--between", between, saves=1, restores=1)
            record = load_json(self.result() / "record.json")
            self.assertEqual(record["run"]["between"], between)
            restores = [op for rank in record["ranks"] for op in rank["checkpoints"]
                        if op["kind"] == "restore"]
            self.assertEqual(len(restores), 4)
            size = sum(op["file_bytes"] for op in restores)
            cached = sum(op["cached_bytes"] for op in restores)
            self.assertLess(cached, size / 10, said)

    def test_without_it_page_cache_is_told(self):
        said = self.checkpoint(saves=1, restores=1)
        summary = load_json(self.result() / "summary.json")
        self.assertIn("page cache", said)
        self.assertTrue(summary["stoker"]["restored_from_cache"])

    def test_a_command_runs_once_and_its_failure_ends_the_run(self):
        mark = self.folder / "mark"
        self.checkpoint("--between", f"command:echo x >> {mark}", saves=1,
                        restores=1)
        self.assertEqual(mark.read_text(), "x\n")
        said = self.checkpoint("--between", "command:exit 3", saves=1,
                               restores=1, expect=6)
        self.assertIn("ended with status 3", said)


class CareTest(CheckpointCase):
    def test_verify_names_each_damage_and_delete_removes_it(self):
        self.checkpoint(saves=3, restores=0)
        self.assertIn("whole", self.care("verify"))
        victim = self.files(2)[3]
        self.flip(victim, victim.stat().st_size // 2)
        os.truncate(self.files(3)[0], 100)
        said = self.care("verify", expect=6)
        self.assertIn(victim.name, said)
        self.assertIn("it has 100 bytes", said)
        self.assertIn("2 of 3 checkpoint(s) are not whole", said)
        self.assertIn("whole", self.care("verify", place=self.step(1)))
        self.care("verify", place=self.step(2), expect=6)

        (self.step(3) / "note").write_text("x")
        self.care("delete", place=self.step(2))
        self.assertFalse(self.step(2).exists())
        said = self.care("delete")
        self.assertIn("did not belong", said)
        self.assertEqual([path.name for path in self.step(3).iterdir()],
                         ["note"])
        self.assertFalse(self.step(1).exists())
        self.care("delete", expect=3)

    def test_restore_refuses_damage_of_every_kind(self):
        self.checkpoint(saves=1, restores=0)
        self.flip(self.files(1)[5], 100000)
        said = self.checkpoint(saves=0, restores=1, expect=6,
                               params=["checkpoint.verify=full"])
        self.assertIn("byte 100000", said)
        self.assertIn(self.files(1)[5].name, said)
        os.truncate(self.files(1)[5], 1000)
        said = self.checkpoint(saves=0, restores=1, expect=6)
        self.assertIn("it has 1000 bytes", said)


class TorchTest(CheckpointCase):
    def torch(self, script, *words):
        done = self.finish([TORCH, "-c", script, *map(str, words)])
        return done.stdout

    def test_torch_loads_what_is_saved(self):
        self.checkpoint(saves=1, restores=0)
        for path in self.files(1):
            with zipfile.ZipFile(path) as archive:
                self.assertIsNone(archive.testzip())
        said = self.torch("""
import sys, torch
for path in sys.argv[1:]:
    state = torch.load(path)
    flat = state
    if all(isinstance(value, dict) for value in state.values()):
        flat = {(a, b): t for a, d in state.items() for b, t in d.items()}
    kinds = {str(t.dtype) for t in flat.values()}
    print(len(flat), *sorted(kinds),
          sum(t.numel() * t.element_size() for t in flat.values()))
""", *self.files(1))
        manifest = load_json(self.step(1) / MANIFEST)
        payload = {file["name"]: file["payload_bytes"]
                   for file in manifest["files"]}
        lines = said.splitlines()
        self.assertEqual(len(lines), 8)
        for path, line in zip(self.files(1), lines):
            words = line.split()
            self.assertEqual(int(words[2]), payload[path.name])
            self.assertEqual(words[1], "torch.float32" if "optim" in path.name
                             else "torch.float16")

    def test_what_torch_saves_is_restored_when_asked_for(self):
        self.checkpoint(saves=1, restores=0)
        manifest = self.step(1) / MANIFEST
        manifest.unlink()
        self.torch("""
import sys, torch
for path in sys.argv[1:]:
    state = torch.load(path)
    with open(path, 'wb') as file:
        torch.save(state, file)
""", *self.files(1))
        self.checkpoint(saves=0, restores=1, expect=3)
        for style in ("lean", "reference"):
            self.checkpoint("--foreign", "--io", style, saves=0, restores=1,
                            params=["checkpoint.verify=full"])
        with zipfile.ZipFile(self.files(1)[0]) as archive:
            info = archive.getinfo("archive/data/0")
        self.flip(self.files(1)[0], info.header_offset + 4096)
        said = self.checkpoint("--foreign", saves=0, restores=1, expect=6,
                               params=["checkpoint.verify=full"])
        self.assertIn("CRC-32", said)


class FaultTest(CheckpointCase):
    MODEL = "llama3-tiny"

    def start(self, **options):
        job = subprocess.Popen(
            self.command(model=self.MODEL, saves=50, restores=0, **options),
            env=ENVIRONMENT, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, start_new_session=True)
        self.addCleanup(self.end, job)
        return job

    def end(self, job):
        for pid in processes(str(self.results)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        job.wait()
        job.stderr.close()

    def test_no_kill_at_any_moment_leaves_what_restores_wrongly(self):
        """Twenty kills of all processes; what then has a manifest restores with
        every byte compared, the rest is refused."""
        draw = random.Random(20261128)
        refused = whole = 0
        for attempt in range(20):
            # Over what the attempts before left, but for each fifth.
            if attempt % 5 == 0:
                shutil.rmtree(self.place, ignore_errors=True)
            job = self.start(params=["checkpoint.fsync=False",
                                     "model.num_layers=2"])
            folder = self.place / self.MODEL
            wait_for("the first file", lambda: list(folder.rglob("*.pt")) or
                     list(folder.rglob(".*.stoker-*")), pause=0.002)
            time.sleep(draw.uniform(0, 0.6))
            self.end(job)
            wait_for("the end of the writers",
                     lambda: not processes(str(self.results)))
            steps = [path.parent for path in folder.rglob(MANIFEST)]
            last = max((int(path.name.rpartition("step")[2])
                        for path in folder.glob("global_*")), default=0)
            for path in steps:
                done = self.finish([stoker(), "checkpointing", "verify",
                                    str(path)])
                self.assertIn("whole", done.stdout)
            whole += len(steps)
            torn = [path for path in folder.glob("global_*")
                    if not (path / MANIFEST).exists()]
            refused += len(torn)
            if torn:
                said = self.checkpoint(
                    model=self.MODEL, saves=0, restores=last, expect=3,
                    params=["checkpoint.verify=full", "model.num_layers=2"])
                self.assertIn("not whole", said)
            elif last:
                self.checkpoint(
                    model=self.MODEL, saves=0, restores=min(last, 2),
                    params=["checkpoint.verify=full", "model.num_layers=2"])
        self.assertGreater(refused, 0)
        self.assertGreater(whole, 0)

    def test_a_killed_rank_ends_all_with_the_cause(self):
        job = self.start()
        folder = self.place / self.MODEL
        wait_for("the first checkpoint", lambda: list(folder.rglob(MANIFEST)))
        pids = [pid for pid, rank in processes(str(self.results)).items()
                if rank == 2]
        os.kill(pids[0], signal.SIGKILL)
        start = time.monotonic()
        _, said = job.communicate(timeout=harness.PATIENCE_SECONDS)
        self.assertLess(time.monotonic() - start, LIMIT_SECONDS)
        self.assertEqual(job.returncode, 6, said)
        record = load_json(self.result() / "record.json")
        self.assertEqual(record["state"], "aborted")

    def test_a_full_disk_is_told_and_nothing_looks_whole(self):
        disk = self.folder / "disk"
        disk.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs",
                        str(disk)], check=True)
        said = self.checkpoint(saves=1, restores=0, place=disk, expect=6)
        self.assertIn("free", said)
        self.assertEqual(list(disk.rglob(MANIFEST)), [])
        # Found out in the middle: somebody else's file takes the room.
        subprocess.run(["mount", "-o", "remount,size=220m", str(disk)],
                       check=True)
        job = subprocess.Popen(
            self.command("--keep", "1", saves=40, restores=0, place=disk),
            env=ENVIRONMENT, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.addCleanup(self.end, job)
        wait_for("a checkpoint", lambda: list(disk.rglob(MANIFEST)),
                 pause=0.005)
        try:
            with (disk / "other").open("wb") as file:
                while True:
                    file.write(bytes(1 << 20))
        except OSError:
            pass
        _, said = job.communicate(timeout=harness.PATIENCE_SECONDS)
        self.assertEqual(job.returncode, 6, said)
        self.assertIn("No space left", said)
        (disk / "other").unlink(missing_ok=True)
        for path in disk.rglob(MANIFEST):
            done = self.finish([stoker(), "checkpointing", "verify",
                                str(path.parent)])
            self.assertIn("whole", done.stdout)

    def test_an_error_of_one_rank_names_it(self):
        said = self.checkpoint(
            saves=1, restores=0, expect=6,
            place="fault:?op=write&object=rank_2&error=EIO,file://" +
            str(self.place))
        self.assertIn("rank 2", said)
        self.assertIn("Input/output error", said)
        self.assertEqual(list(self.place.rglob(MANIFEST)), [])

    def test_ctrl_c_ends_it_and_leaves_no_half_files(self):
        job = self.start()
        folder = self.place / self.MODEL
        wait_for("the first checkpoint", lambda: list(folder.rglob(MANIFEST)))
        job.send_signal(signal.SIGINT)
        start = time.monotonic()
        job.communicate(timeout=harness.PATIENCE_SECONDS)
        self.assertLess(time.monotonic() - start, LIMIT_SECONDS)
        self.assertEqual(job.returncode, 130)
        self.assertEqual(list(folder.rglob(".*.stoker-*")), [])


class DatasizeTest(CheckpointCase):
    def test_what_if_plans_the_real_models_at_their_rank_counts(self):
        totals = {"llama3-8b": (8, 112425623552),
                  "llama3-70b": (64, 978406572032),
                  "llama3-405b": (512, 5682508791808),
                  "llama3-1t": (1024, 16564174094592)}
        for model, (ranks, total) in totals.items():
            done = self.finish(
                [stoker(), "checkpointing", "run", "-m", model, "-np",
                 str(ranks), "-cf", "null:", "-cm", "1024", "-rd",
                 str(self.results), "--what-if", "--log-format", "json"])
            plan = [event for event in map(json.loads,
                                           done.stdout.splitlines())
                    if event["event"] == "plan"][0]
            self.assertIn(total, plan.values(), plan)


if __name__ == "__main__":
    harness.main()
