"""A dataset's life through the program and mpirun: interrupted, completed,
verified, damaged, used in part, deleted.

usage: datagen_test.py STOKER [unittest arguments]
"""

import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

STOKER = ""
PATIENCE_SECONDS = 60.0
DATA_LIMIT = 64 << 20

ENVIRONMENT = dict(
    os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
    OMPI_MCA_rmaps_base_oversubscribe="1",
    OMPI_MCA_hwloc_base_binding_policy="none",
    STOKER_WORKLOADS=str(
        pathlib.Path(__file__).resolve().parents[2] / "workloads"))

MARKER = "stoker_dataset.partial.json"
MANIFEST = "stoker_dataset.json"
# Large enough that there is time to kill the writers in the middle.
UNET3D = ["dataset.num_files_train=64", "dataset.record_length_bytes=4000000",
          "dataset.record_length_bytes_stdev=800000",
          "dataset.num_subfolders_train=4"]


class DatagenTest(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="stoker-datagen-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.data = self.folder / "data/unet3d"

    def words(self, *words, ranks=2, params=UNET3D):
        return [STOKER, "training", "datagen", "-m", "unet3d", "-np",
                str(ranks), "-dd", str(self.folder / "data"), "-rd",
                str(self.folder / "results"), *words, "--params", *params]

    def run_to_end(self, command, expect=0, data_limit=False):
        def limit():  # heap and other memory of its own
            resource.setrlimit(resource.RLIMIT_DATA, (DATA_LIMIT, DATA_LIMIT))
        done = subprocess.run(command, env=ENVIRONMENT, cwd=self.folder,
                              text=True, stdin=subprocess.DEVNULL,
                              capture_output=True, timeout=120,
                              preexec_fn=limit if data_limit else None)
        said = f"{command}\n{done.stdout}\n{done.stderr}"
        self.assertEqual(done.returncode, expect, said)
        return done.stdout + done.stderr

    def datagen(self, *words, expect=0, **options):
        return self.run_to_end(self.words(*words, **options), expect)

    def train(self, params, ranks=2):
        return self.run_to_end(
            [STOKER, "training", "run", "-m", "unet3d", "-g", "h100", "-na",
             str(ranks), "-dd", str(self.folder / "data"), "-rd",
             str(self.folder / "results"), "--params",
             "dataset.record_length_bytes=4000000",
             "dataset.record_length_bytes_stdev=800000",
             "dataset.record_length_bytes_resize=2048",
             "train.computation_time=0.001", "train.epochs=1", *params])

    def files(self):
        return {str(path.relative_to(self.data)): path
                for path in self.data.rglob("*.npz")}

    def flip(self, path, offset):
        with path.open("r+b") as file:
            file.seek(offset)
            byte = file.read(1)
            file.seek(offset)
            file.write(bytes([byte[0] ^ 1]))

    def interrupt(self, how):
        job = subprocess.Popen(self.words(), env=ENVIRONMENT, cwd=self.folder,
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL,
                               start_new_session=True)
        end = time.monotonic() + PATIENCE_SECONDS
        while len(self.files()) < 5:
            self.assertLess(time.monotonic(), end)
            time.sleep(0.001)
        how(job)
        job.wait(timeout=PATIENCE_SECONDS)

    def check_resumed(self):
        before = {name: path.stat() for name, path in self.files().items()}
        if (self.data / MANIFEST).exists():
            return  # it was quicker
        self.assertTrue((self.data / MARKER).exists())
        said = self.datagen(ranks=3)
        self.assertIn(f"{len(before)} of 64 files were whole already", said)
        after = self.files()
        self.assertEqual(len(after), 64)
        for name, stat in before.items():
            self.assertEqual(after[name].stat().st_mtime_ns, stat.st_mtime_ns)
            self.assertEqual(after[name].stat().st_ino, stat.st_ino)
        self.assertFalse((self.data / MARKER).exists())
        self.assertEqual(list(self.data.rglob(".*.stoker-*")), [])
        self.assertIn("every byte as generated", self.datagen("--verify"))

    def test_killed_generation_goes_on_with_other_ranks(self):
        def kill(job):
            os.killpg(job.pid, signal.SIGKILL)
        self.interrupt(kill)
        # mpirun may outlive its launcher for a moment.
        end = time.monotonic() + PATIENCE_SECONDS
        while self.alive():
            self.assertLess(time.monotonic(), end)
            time.sleep(0.02)
        self.check_resumed()

    def alive(self):
        for folder in pathlib.Path("/proc").iterdir():
            if folder.name.isdigit() and int(folder.name) != os.getpid():
                try:
                    words = (folder / "cmdline").read_bytes()
                    state = (folder / "stat").read_text().rsplit(")")[-1]
                except OSError:
                    continue
                if str(self.folder).encode() in words and " Z" not in state:
                    return True
        return False

    def test_interrupted_generation_goes_on(self):
        self.interrupt(lambda job: job.send_signal(signal.SIGINT))
        self.check_resumed()

    def test_verify_finds_each_damage_on_any_number_of_ranks(self):
        self.datagen("--content", "dlio")
        manifest = json.loads((self.data / MANIFEST).read_text())
        self.assertEqual(manifest["content"]["ranks"], 2)
        for ranks in (1, 3):
            self.assertIn("64 files: read",
                          self.datagen("--verify", ranks=ranks))
        files = self.files()
        self.flip(files["train/3/img_07_of_64.npz"], 100000)
        os.truncate(files["train/0/img_12_of_64.npz"], 5)
        files["train/1/img_33_of_64.npz"].unlink()
        (self.data / "train/2/note").write_text("x")
        for ranks in (1, 3):
            said = self.datagen("--verify", ranks=ranks, expect=6)
            for line in ("train/3/img_07_of_64.npz: byte 100000 is",
                         "train/0/img_12_of_64.npz: it has 5 bytes",
                         "train/1/img_33_of_64.npz: it is missing",
                         "train/2/note: it does not belong",
                         "3 object(s) are missing or not as generated"):
                self.assertIn(line, said)
        # What is missing is written again, byte for byte.
        (self.data / "train/2/note").unlink()
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
        self.assertFalse((self.data / "train").exists())

    def test_a_dataset_of_somebody_else_is_not_replaced_unasked(self):
        self.datagen("--distinct", "5")
        (self.data / MANIFEST).unlink()
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
        record = json.loads(next((self.folder / "results").rglob(
            "run/*/record.json")).read_text())
        text = json.dumps(record)
        self.assertIn('"num_files_train": 28', text)
        self.assertIn('"dataset_files_train": 64', text)
        self.assertIn('"distinct_contents": 5', text)

    def test_delete_removes_the_dataset_alone(self):
        self.datagen()
        (self.data / "train/1/mine.txt").write_text("x")
        (self.data / "mine.txt").write_text("x")
        said = self.datagen("--delete", ranks=3)
        self.assertIn("64 of its 64 files", said)
        self.assertIn("1 files in its folders did not belong", said)
        left = sorted(str(path.relative_to(self.data))
                      for path in self.data.rglob("*"))
        self.assertEqual(left, ["mine.txt", "train", "train/1",
                                "train/1/mine.txt"])
        self.assertIn("nothing was deleted",
                      self.datagen("--delete", expect=3))
        self.datagen("--delete", "--verify", expect=2)
        self.assertIn("leave --distinct out",
                      self.datagen("--verify", "--distinct", "3", expect=2))

    def test_another_plan_in_a_place_that_is_not_finished(self):
        self.interrupt(lambda job: job.send_signal(signal.SIGINT))
        if (self.data / MANIFEST).exists():
            (self.data / MANIFEST).rename(self.data / MARKER)
        other = [*UNET3D[:1], "dataset.record_length_bytes=2000000",
                 *UNET3D[2:]]
        said = self.datagen(params=other, expect=5)
        self.assertIn(MARKER, said)
        self.assertIn("--delete", said)
        self.datagen("--delete")
        self.datagen(params=other)

    def test_plan_of_fifty_million_files_takes_little(self):
        many = "dataset.num_files_train=50000000"
        alike = self.run_to_end(
            self.words("--what-if", params=[
                many, "dataset.record_length_bytes_stdev=0"]), data_limit=True)
        self.assertIn("50000000 train", alike)
        # 12107 * 12107 bytes each.
        self.assertIn(str(50_000_000 * 12107 ** 2), alike)
        said = self.run_to_end(self.words("--what-if", params=[many]),
                               data_limit=True)
        self.assertIn("(stdev 68341808)", said)
        said = self.run_to_end(
            [STOKER, "training", "run", "--what-if", "-m", "cosmoflow", "-g",
             "h100", "-na", "8", "--params", many], data_limit=True)
        self.assertIn("6250000 steps", said)


if __name__ == "__main__":
    STOKER = str(pathlib.Path(sys.argv.pop(1)).resolve())
    unittest.main(verbosity=2)
