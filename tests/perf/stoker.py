"""Runs the stoker program and takes figures from what it leaves behind."""

import contextlib
import dataclasses
import json
import os
import pathlib
import subprocess
import threading
import time

GIB = 2**30
ENVIRONMENT = dict(
    os.environ, OMPI_ALLOW_RUN_AS_ROOT="1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM="1")


class Failed(Exception):
    """A command that did not end well, with what it said."""


@dataclasses.dataclass
class Run:
    """One training run. Spans in seconds, sizes in bytes."""

    record: dict
    summary: dict
    launched: float  # wall clock, s since 1970: just before the command
    memory: list  # per rank: (anonymous + shared memory, pool)

    @property
    def au_percent(self):
        return self.summary["metric"]["train_au_mean_percentage"]

    @property
    def epochs(self):
        return [epoch for rank in self.record["ranks"]
                for epoch in rank["epochs"]]

    @property
    def cpu_seconds(self):
        return sum(epoch["cpu_user_ns"] + epoch["cpu_system_ns"]
                   for epoch in self.epochs) / 1e9

    @property
    def read_bytes(self):
        return sum(epoch["train_loader"]["read_bytes"]
                   for epoch in self.epochs)

    @property
    def read_seconds(self):
        """From the start of epoch 1 to the end of its last step, which waits
        for the last byte; the longest of all ranks."""
        return max(rank["epochs"][0]["train_end_ns"]
                   - rank["epochs"][0]["start_ns"]
                   for rank in self.record["ranks"]) / 1e9

    @property
    def seconds_to_first_step(self):
        """From the launch to the end of rank 0's first step."""
        rank = self.record["ranks"][0]
        clock = rank["clock"]
        block = rank["epochs"][0]["blocks"][0]
        wall_ns = (clock["wall_unix_ns"] + block["start_ns"] - clock["run_ns"]
                   + block["excluded_proc_ns"])
        return wall_ns / 1e9 - self.launched


class Stoker:
    def __init__(self, program, folder, log):
        self.program = str(pathlib.Path(program).resolve())
        self.folder = pathlib.Path(folder)
        self.log = log
        self.root = ["--allow-run-as-root"] if os.geteuid() == 0 else []

    def train(self, model, ranks, data_dir, params, watch_memory=False):
        """`data_dir` is a folder or URI; every rank may share its core."""
        words = [self.program, "training", "run", "--model", model,
                 "--accelerator-type", "h100", "--num-accelerators", str(ranks),
                 "--data-dir", str(data_dir), "--results-dir",
                 str(self.folder / "results"), "--oversubscribe", *self.root,
                 "--params", *params]
        return self._run(words, watch_memory)

    def helper(self, name):
        """A program of tests/perf/programs, built beside ours."""
        return str(pathlib.Path(self.program).parent / "tests" / "perf" /
                   "programs" / name)

    def bare_au_percent(self, ranks, compute_seconds, steps):
        """The AU of ranks that only sleep and meet."""
        words = [self.helper("stoker_bare_steps"), str(ranks),
                 str(compute_seconds), str(steps)]
        with self._started(words) as process:
            output = process.communicate()[0]
        self._check(words, process.returncode, output)
        return float(output)

    def predict_au_percent(self, model, ranks, storage, params):
        """The AU of the same run in virtual time, where only the simulated
        store and the accelerators take any."""
        folder = self.folder / "predicted"
        workload = (pathlib.Path(__file__).resolve().parents[2] / "workloads" /
                    f"{model}_h100.yaml")
        words = [self.helper("stoker_predict_au"), str(workload), str(ranks),
                 storage, str(folder), *params]
        with self._started(words) as process:
            output = process.communicate()[0]
        self._check(words, process.returncode, output)
        summary = json.loads((folder / "summary.json").read_text())
        return summary["metric"]["train_au_mean_percentage"]

    def _run(self, words, watch_memory):
        launched = time.time()
        with self._started(words) as process:
            watcher = MemoryWatcher(process.pid) if watch_memory else None
            output = process.communicate()[0]
            if watcher is not None:
                watcher.stop()
        self._check(words, process.returncode, output)
        folder = pathlib.Path(
            [line.removeprefix("results: ") for line in output.splitlines()
             if line.startswith("results: ")][-1])
        record = json.loads((folder / "record.json").read_text())
        memory = []
        if watcher is not None:
            pools = {rank["rank"]: rank["pool_bytes"]
                     for rank in record["ranks"]}
            memory = [(held, pools[rank])
                      for rank, held in sorted(watcher.peaks.items())]
        return Run(record, json.loads((folder / "summary.json").read_text()),
                   launched, memory)

    def checkpoint(self, model, ranks, folder, saves, restores, params,
                   options=(), watch_memory=False):
        """One checkpoint run; `folder` is where the checkpoints are."""
        words = [self.program, "checkpointing", "run", "--model", model,
                 "--num-processes", str(ranks), "--checkpoint-folder",
                 str(folder), "--num-checkpoints-write", str(saves),
                 "--num-checkpoints-read", str(restores),
                 "--client-host-memory-in-gb", "16", "--results-dir",
                 str(self.folder / "results"), "--oversubscribe", *self.root,
                 *options, "--params", "checkpoint.time_between_checkpoints=0", *params]
        return self._run(words, watch_memory)

    def generate(self, model, processes, data_dir, params, options=()):
        """Returns the bytes per second of the writing alone; 0 where the whole
        dataset was there."""
        words = [self.program, "training", "datagen", "--model", model,
                 "--num-processes", str(processes), "--data-dir",
                 str(data_dir), "--results-dir", str(self.folder / "results"),
                 "--oversubscribe", "--log-format", "json", *self.root,
                 *options, "--params", *params]
        with self._started(words) as process:
            output = process.communicate()[0]
        self._check(words, process.returncode, output)
        return bytes_per_second(output)

    @contextlib.contextmanager
    def _started(self, words):
        self.log.write(" ".join(words) + "\n")
        process = subprocess.Popen(words, stdout=subprocess.PIPE,
                                   stderr=subprocess.STDOUT, text=True,
                                   env=ENVIRONMENT)
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()

    def _check(self, words, status, output):
        self.log.write(output + "\n")
        self.log.flush()
        if status != 0:
            raise Failed(f"{' '.join(words)}\nended with {status}:\n"
                         f"{output[-2000:]}")


def bytes_per_second(json_lines):
    for line in json_lines.splitlines():
        event = json.loads(line)
        if event["event"] == "datagen_done":
            return event["bytes"] / event["seconds"] if event["bytes"] else 0
    raise Failed("datagen told no end:\n" + json_lines[-2000:])


class MemoryWatcher:
    """The largest anonymous plus shared memory of each rank below a process.

    Shared pages are divided by how many processes hold them (PSS), so that the
    sum over ranks is what the host has to give.
    """

    def __init__(self, launcher):
        self.peaks = {}
        self._launcher = launcher
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self):
        self._ended.set()
        self._thread.join()

    def _watch(self):
        while not self._ended.wait(0.5):
            for pid in descendants(self._launcher):
                with contextlib.suppress(OSError, KeyError, ValueError):
                    rank = rank_of(pid)
                    held = memory_of(pid)
                    self.peaks[rank] = max(self.peaks.get(rank, 0), held)


def descendants(pid):
    children = {}
    for stat in pathlib.Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(fields[1]), []).append(
                int(stat.parent.name))
    found = list(children.get(pid, []))
    for child in found:
        found += children.get(child, [])
    return found


def rank_of(pid):
    environment = pathlib.Path(f"/proc/{pid}/environ").read_bytes()
    for entry in environment.split(b"\0"):
        if entry.startswith(b"OMPI_COMM_WORLD_RANK="):
            return int(entry.partition(b"=")[2])
    raise KeyError("not a rank")


def memory_of(pid):
    kib = 0
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text() \
            .splitlines():
        name, _, value = line.partition(":")
        if name in ("Pss_Anon", "Pss_Shmem"):
            kib += int(value.split()[0])
    return kib * 1024
