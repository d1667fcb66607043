"""What the tests of the whole program share."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

_program = ""  # from the command line
_folder = ""  # of all cases of this process
# From an event to the end of the last process.
LIMIT_SECONDS = 10.0
# From the start of a command to what it is expected to do.
PATIENCE_SECONDS = 60.0

ENVIRONMENT = dict(
    os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1",
    OMPI_MCA_rmaps_base_oversubscribe="1",
    OMPI_MCA_hwloc_base_binding_policy="none",
    STOKER_HISTORY="",
    STOKER_WORKLOADS=str(
        pathlib.Path(__file__).resolve().parents[2] / "workloads"))

# The three workloads, so small that a run takes a second.
UNET3D = ["dataset.num_files_train=28", "dataset.record_length_bytes=300000",
          "dataset.record_length_bytes_stdev=60000",
          "dataset.record_length_bytes_resize=2048"]
RESNET50 = ["dataset.num_files_train=4", "dataset.num_samples_per_file=32",
            "dataset.record_length_bytes=11466.07",
            "dataset.record_length_bytes_resize=2048"]
COSMOFLOW = ["dataset.num_files_train=64",
             "dataset.record_length_bytes=28284",
             "dataset.record_length_bytes_stdev=713"]
TRAIN = ["train.computation_time=0.01", "train.epochs=2"]


def no_constant(text):
    raise ValueError(f"{text} is not JSON")


def load_json(path):
    return json.loads(path.read_text(), parse_constant=no_constant)


def wait_for(what, condition, pause=0.02):
    """The condition's first true value; `pause`: seconds between looks."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(pause)
    raise AssertionError(f"waited in vain: {what}")


def processes(marker):
    """pid -> rank (None for a process that is none) of the processes with
    `marker` in their command line."""
    found = {}
    for folder in pathlib.Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            words = (folder / "cmdline").read_bytes().split(b"\0")
            environment = (folder / "environ").read_bytes().split(b"\0")
        except OSError:
            continue
        if not any(marker.encode() in word for word in words):
            continue
        rank = [int(entry.split(b"=")[1]) for entry in environment
                if entry.startswith(b"OMPI_COMM_WORLD_RANK=")]
        found[int(folder.name)] = rank[0] if rank else None
    return found


def end_all_of(folder):
    """Ends the processes that have `folder` in their words or environment,
    unmounts what is below it, and removes it."""
    end = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < end:
        left = 0
        for place in pathlib.Path("/proc").iterdir():
            if not place.name.isdigit() or int(place.name) == os.getpid():
                continue
            try:
                told = ((place / "cmdline").read_bytes() +
                        (place / "environ").read_bytes())
                if folder.encode() in told:
                    os.kill(int(place.name), signal.SIGKILL)
                    left += 1
            except OSError:
                pass
        if left == 0:
            break
        time.sleep(0.02)
    mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
    for words in (line.split() for line in mounts):
        if words[1].startswith(folder + "/"):
            subprocess.run(["umount", "-l", words[1]], check=False)
    shutil.rmtree(folder, ignore_errors=True)


def own_folder():
    """A folder for all that this process makes. It goes, with the processes
    that know it, when this process is gone, however it ended."""
    folder = tempfile.mkdtemp(prefix="stoker-test-")
    read_end, _ = os.pipe()  # the write end closes with this process
    subprocess.Popen([sys.executable, __file__, "--watch", folder],
                     stdin=read_end, start_new_session=True,
                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    os.close(read_end)
    return folder


class StokerCase(unittest.TestCase):
    """A test with folders of its own, and the program's commands."""
    maxDiff = None

    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.results = self.folder / "results"
        self.data = self.folder / "data"

    # --- Commands -----------------------------------------------------------

    def words(self, verb, *words, ranks=None, params=(), data=None):
        command = [stoker(), "training", verb, *words, "-rd", str(self.results),
                   "-dd", str(data or self.data)]
        if ranks is not None:
            command += ["-np" if verb == "datagen" else "-na", str(ranks)]
        if params:
            command += ["--params", *params]
        return command

    def finish(self, command, expect=0, environment=None, **options):
        done = subprocess.run(
            command, env=environment or ENVIRONMENT,
            cwd=options.pop("cwd", self.folder), text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=120,
            **options)
        said = f"{command}\n{done.stdout}\n{done.stderr}"
        if expect is not None:
            self.assertEqual(done.returncode, expect, said)
        return done

    def datagen(self, model, params, ranks=2, **options):
        return self.finish(self.words("datagen", "-m", model, ranks=ranks,
                                      params=params, **options))

    def run_folders(self, verb="run"):
        return sorted(self.results.glob(f"training/*/{verb}/*"))

    def run_folder(self):
        folders = self.run_folders()
        self.assertEqual(len(folders), 1, folders)
        return folders[0]


class LongRunCase(StokerCase):
    """Runs that something happens to."""

    def start_long_run(self, mpirun=False, ranks=3):
        """A run of minutes, once its first epoch is over."""
        params = UNET3D + ["reader.batch_size=1", "train.epochs=1000",
                           "train.computation_time=0.02"]
        self.datagen("unet3d", UNET3D)
        command = self.words("run", "-m", "unet3d", "-g", "h100", ranks=ranks,
                             params=params)
        if mpirun:
            command = ["mpirun", "-n", str(ranks)] + command
        job = subprocess.Popen(
            command, env=ENVIRONMENT, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.addCleanup(self.end, job)

        def running():
            self.assertIsNone(job.poll(), "ended early")
            files = list(self.results.glob("training/*/run/*/steps.csv"))
            return files and files[0].read_text().count("\n") > ranks
        wait_for("the first epoch", running)
        return job

    def end(self, job):
        for pid in processes(str(self.results)):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        job.wait()
        job.stderr.close()

    def check_end(self, job, *parts):
        """All processes end in time, and the record says why. Returns what was
        said on stderr and the exit code."""
        start = time.monotonic()
        try:
            _, said = job.communicate(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.fail(f"still running: {processes(str(self.results))}")
        while processes(str(self.results)):
            self.assertLess(time.monotonic() - start, PATIENCE_SECONDS)
            time.sleep(0.02)
        self.assertLess(time.monotonic() - start, LIMIT_SECONDS, said)
        self.assertNotEqual(job.returncode, 0, said)
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["state"], "aborted", said)
        self.assertTrue(record["cause"], said)
        for part in parts:
            self.assertIn(part, said)
            self.assertIn(part, record["cause"])
        self.assertFalse((self.run_folder() / "summary.json").exists())
        return said, job.returncode

    def last_cause(self, said):
        lines = [line for line in said.splitlines()
                 if line.startswith("stoker: error: ")]
        self.assertTrue(lines, said)
        # Only where to find the results may follow.
        self.assertIn(lines[-1], said.splitlines()[-2:])
        return lines[-1]

    def pid_of_rank(self, rank):
        pids = [pid for pid, its in processes(str(self.results)).items()
                if its == rank]
        self.assertEqual(len(pids), 1)
        return pids[0]


def stoker():
    return _program


class TimedResult(unittest.TextTestResult):
    """Knows how long each case took."""
    seconds = {}

    def startTest(self, test):
        self.seconds[test.id()] = -time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        self.seconds[test.id()] += time.monotonic()
        super().stopTest(test)


def main():
    """usage: <test>.py STOKER [unittest arguments]"""
    global _program, _folder
    _program = str(pathlib.Path(sys.argv.pop(1)).resolve())
    _folder = own_folder()
    tempfile.tempdir = _folder
    # For mpirun's own files; tells our processes from those of others, too.
    ENVIRONMENT["TMPDIR"] = _folder
    outcome = unittest.main(
        exit=False, verbosity=2, testRunner=unittest.TextTestRunner(
            verbosity=2, resultclass=TimedResult)).result
    slowest = sorted(TimedResult.seconds.items(), key=lambda item: -item[1])
    print("\nslowest:", *(f"{seconds:7.1f} s  {name}"
                          for name, seconds in slowest[:5]), sep="\n")
    sys.exit(not outcome.wasSuccessful())


if __name__ == "__main__" and sys.argv[1] == "--watch":
    while os.read(0, 1):
        pass
    end_all_of(sys.argv[2])
