"""A dataset's life through the program and mpirun: interrupted, completed,
verified, damaged, used in part, deleted.

usage: datagen_test.py STOKER [unittest arguments]
"""

import json
import os
import resource
import signal
import subprocess

import harness
from harness import ENVIRONMENT, StokerCase, processes, stoker, wait_for

DATA_LIMIT = 64 << 20

MARKER = "stoker_dataset.partial.json"
MANIFEST = "stoker_dataset.json"
# Large enough that there is time to kill the writers in the middle.
LARGE = ["dataset.num_files_train=64", "dataset.record_length_bytes=4000000",
          "dataset.record_length_bytes_stdev=800000",
          "dataset.num_subfolders_train=4"]


def limit_memory():  # heap and other memory of its own
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_LIMIT, DATA_LIMIT))


class DatagenTest(StokerCase):
    def setUp(self):
        super().setUp()
        self.dataset = self.data / "unet3d"

    def datagen_words(self, *words, ranks=2, params=LARGE):
        return self.words("datagen", "-m", "unet3d", *words, ranks=ranks,
                          params=params)

    def said(self, command, expect=0, **options):
        done = self.finish(command, expect, **options)
        return done.stdout + done.stderr

    def datagen(self, *words, expect=0, **options):
        return self.said(self.datagen_words(*words, **options), expect)

    def train(self, params, ranks=2):
        return self.said(self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=ranks, params=[
                "dataset.record_length_bytes=4000000",
                "dataset.record_length_bytes_stdev=800000",
                "dataset.record_length_bytes_resize=2048",
                "train.computation_time=0.001", "train.epochs=1", *params]))

    def files(self):
        return {str(path.relative_to(self.dataset)): path
                for path in self.dataset.rglob("*.npz")}

    def flip(self, path, offset):
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))

    def interrupt(self, how):
        job = subprocess.Popen(
            self.datagen_words(), env=ENVIRONMENT, cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True)
        self.addCleanup(job.wait)
        self.addCleanup(self.kill, job)
        wait_for("the first files", lambda: len(self.files()) >= 5,
                 pause=0.001)
        how(job)
        job.wait(timeout=harness.PATIENCE_SECONDS)

    def kill(self, job):
        """The launcher and what it started, unless it has ended."""
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)

    def check_resumed(self):
        before = {name: path.stat() for name, path in self.files().items()}
        if (self.dataset / MANIFEST).exists():
            return  # it was quicker
        self.assertTrue((self.dataset / MARKER).exists())
        said = self.datagen(ranks=3)
        self.assertIn(f"{len(before)} of 64 files were whole already", said)
        after = self.files()
        self.assertEqual(len(after), 64)
        for name, stat in before.items():
            self.assertEqual(after[name].stat().st_mtime_ns, stat.st_mtime_ns)
            self.assertEqual(after[name].stat().st_ino, stat.st_ino)
        self.assertFalse((self.dataset / MARKER).exists())
        self.assertEqual(list(self.dataset.rglob(".*.stoker-*")), [])
        self.assertIn("every byte as generated", self.datagen("--verify"))

    def test_killed_generation_goes_on_with_other_ranks(self):
        self.interrupt(self.kill)
        # mpirun may outlive its launcher for a moment.
        wait_for("the end of the writers",
                 lambda: not processes(str(self.folder)))
        self.check_resumed()

    def test_interrupted_generation_goes_on(self):
        self.interrupt(lambda job: job.send_signal(signal.SIGINT))
        self.check_resumed()

    def test_verify_finds_each_damage_on_any_number_of_ranks(self):
        self.datagen("--content", "dlio")
        manifest = json.loads((self.dataset / MANIFEST).read_text())
        self.assertEqual(manifest["content"]["ranks"], 2)
        for ranks in (1, 3):
            self.assertIn("64 files: read",
                          self.datagen("--verify", ranks=ranks))
        files = self.files()
        self.flip(files["train/3/img_07_of_64.npz"], 100000)
        os.truncate(files["train/0/img_12_of_64.npz"], 5)
        files["train/1/img_33_of_64.npz"].unlink()
        (self.dataset / "train/2/note").write_text("x")
        for ranks in (1, 3):
            said = self.datagen("--verify", ranks=ranks, expect=6)
            for line in ("train/3/img_07_of_64.npz: byte 100000 is",
                         "train/0/img_12_of_64.npz: it has 5 bytes",
                         "train/1/img_33_of_64.npz: it is missing",
                         "train/2/note: it does not belong",
                         "3 object(s) are missing or not as generated"):
                self.assertIn(line, said)
        # What is missing is written again, byte for byte.
        (self.dataset / "train/2/note").unlink()
        files["train/3/img_07_of_64.npz"].unlink()
        self.assertIn("61 of 64 files",
                      self.datagen("--content", "dlio", ranks=3))
        self.assertIn("every byte", self.datagen("--verify", ranks=3))

    def events(self, *words, expect=0, **options):
        done = self.datagen("--log-format", "json", *words, expect=expect,
                            **options)
        return [json.loads(line) for line in done.splitlines()
                if line.startswith("{")]

    def one(self, name, events):
        found = [event for event in events if event["event"] == name]
        self.assertEqual(len(found), 1, events)
        return found[0]

    def test_programs_are_told_what_was_done(self):
        done = self.one("datagen_done", self.events("--distinct", "5"))
        self.assertEqual(done["files"], 64)
        distinct = {path.stat().st_ino: path.stat().st_size
                    for path in self.files().values()}
        self.assertEqual(len(distinct), 5)
        self.assertEqual(done["bytes"], sum(distinct.values()))
        self.assertAlmostEqual(
            done["gib_per_s"], done["bytes"] / done["seconds"] / 2**30)
        self.assertLess(done["seconds"], done["total_s"])
        self.assertEqual(
            self.one("datagen_done", self.events("--distinct", "5"))["files"],
            0)

        # A link that became a file of its own is read.
        path = self.files()["train/2/img_22_of_64.npz"]
        content = path.read_bytes()
        path.unlink()
        path.write_bytes(content)
        done = self.one("verify_done", self.events("--verify", ranks=3))
        self.assertEqual((done["files"], done["files_linked"]), (6, 58))
        self.assertTrue(done["whole"])
        self.flip(path, 1000)
        bad = self.one("bad_object", self.events("--verify", expect=6))
        self.assertEqual(bad["object"], "train/2/img_22_of_64.npz")
        self.assertEqual(bad["offset"], 1000)
        self.assertEqual(bad["level"], "WARNING")
        done = self.one("delete_done", self.events("--delete"))
        self.assertEqual((done["files"], done["foreign"]), (64, 0))
        self.assertFalse((self.dataset / "train").exists())

    def test_a_dataset_of_somebody_else_is_not_replaced_unasked(self):
        self.datagen("--distinct", "5")
        (self.dataset / MANIFEST).unlink()
        before = {name: path.stat().st_ino
                  for name, path in self.files().items()}
        said = self.datagen("--distinct", "5", expect=5)
        self.assertIn("64 files of this dataset's names", said)
        self.assertIn("--replace", said)
        self.assertEqual(before, {name: path.stat().st_ino for name, path
                                  in self.files().items()})
        said = self.datagen("--distinct", "5", "--replace")
        self.assertIn("they were replaced", said)
        self.assertIn("leave --replace out",
                      self.datagen("--verify", "--replace", expect=2))
        self.assertIn("give it with --verify",
                      self.datagen("--io-timeout", "5s", expect=2))
        self.datagen("--verify", "--io-timeout", "20s")

    def test_run_on_a_part_of_a_larger_dataset(self):
        self.datagen("--distinct", "5")
        said = self.train(["dataset.num_files_train=28",
                           "dataset.num_subfolders_train=4"])
        self.assertIn("only the first 28 are used", said)
        record = json.loads(next(self.results.rglob(
            "run/*/record.json")).read_text())
        text = json.dumps(record)
        self.assertIn('"num_files_train": 28', text)
        self.assertIn('"dataset_files_train": 64', text)
        self.assertIn('"distinct_contents": 5', text)

    def test_delete_removes_the_dataset_alone(self):
        self.datagen()
        (self.dataset / "train/1/mine.txt").write_text("x")
        (self.dataset / "mine.txt").write_text("x")
        said = self.datagen("--delete", ranks=3)
        self.assertIn("64 of its 64 files", said)
        self.assertIn("1 files in its folders did not belong", said)
        left = sorted(str(path.relative_to(self.dataset))
                      for path in self.dataset.rglob("*"))
        self.assertEqual(left, ["mine.txt", "train", "train/1",
                                "train/1/mine.txt"])
        self.assertIn("nothing was deleted",
                      self.datagen("--delete", expect=3))
        self.datagen("--delete", "--verify", expect=2)
        self.assertIn("leave --distinct out",
                      self.datagen("--verify", "--distinct", "3", expect=2))

    def test_another_plan_in_a_place_that_is_not_finished(self):
        self.interrupt(lambda job: job.send_signal(signal.SIGINT))
        if (self.dataset / MANIFEST).exists():
            (self.dataset / MANIFEST).rename(self.dataset / MARKER)
        other = [*LARGE[:1], "dataset.record_length_bytes=2000000",
                 *LARGE[2:]]
        said = self.datagen(params=other, expect=5)
        self.assertIn(MARKER, said)
        self.assertIn("--delete", said)
        self.datagen("--delete")
        self.datagen(params=other)

    def test_plan_of_fifty_million_files_takes_little(self):
        many = "dataset.num_files_train=50000000"
        alike = self.said(
            self.datagen_words("--what-if", params=[
                many, "dataset.record_length_bytes_stdev=0"]),
            preexec_fn=limit_memory)
        self.assertIn("50000000 train", alike)
        # 12107 * 12107 bytes each.
        self.assertIn(str(50_000_000 * 12107 ** 2), alike)
        said = self.said(self.datagen_words("--what-if", params=[many]),
                         preexec_fn=limit_memory)
        self.assertIn("(stdev 68341808)", said)
        said = self.said(
            [stoker(), "training", "run", "--what-if", "-m", "cosmoflow", "-g",
             "h100", "-na", "8", "--params", many], preexec_fn=limit_memory)
        self.assertIn("6250000 steps", said)


if __name__ == "__main__":
    harness.main()
