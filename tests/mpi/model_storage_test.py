"""Training on a simulated store that four ranks share.

usage: model_storage_test.py STOKER [unittest arguments]
"""

import os
import pathlib
import signal
import subprocess

import harness
from harness import ENVIRONMENT, UNET3D, load_json, processes, wait_for

RANKS = 4
BANDWIDTH = 3_000_000  # bytes/s
SHARED_MEMORY = pathlib.Path("/dev/shm")


def segments():
    return set(SHARED_MEMORY.glob("stoker-model-*"))


class ModelStorageTest(harness.StokerCase):
    def train(self, data, *words, params=(), expect=0):
        return self.finish(
            self.words("run", "-m", "unet3d", "-g", "h100", *words,
                       ranks=RANKS, data=data,
                       params=UNET3D + ["train.epochs=1",
                                        "train.computation_time=0.001",
                                        "reader.batch_size=1", *params]),
            expect=expect)

    def check_rate(self, data):
        """Faster than the store can no four ranks be together. How much slower
        they are is a matter of the machine."""
        self.train(data)
        record = load_json(self.run_folder() / "record.json")
        epochs = [rank["epochs"][0] for rank in record["ranks"]]
        self.assertEqual(len(epochs), RANKS)
        read = sum(epoch["train_loader"]["read_bytes"] for epoch in epochs)
        # 28 files of 300 kB: 8.4 MB, 2.8 s.
        self.assertGreater(read, 2 * BANDWIDTH)
        # Clocks of processes on one host agree.
        seconds = (max(epoch["end_ns"] for epoch in epochs) -
                   min(epoch["start_ns"] for epoch in epochs)) / 1e9
        self.assertLessEqual(read / seconds, 1.02 * BANDWIDTH)
        return record

    def test_bandwidth_holds_for_all_ranks_together(self):
        record = self.check_rate(f"model:?latency=1ms&bandwidth={BANDWIDTH},"
                                 "null:")
        self.assertEqual(record["run"]["storage_notes"], "simulated store")
        summary = load_json(self.run_folder() / "summary.json")
        self.assertEqual(summary["storage_notes"], "simulated store")

    def test_bandwidth_holds_over_a_folder(self):
        self.datagen("unet3d", UNET3D)
        self.check_rate("model:?latency_p50=1ms&latency_p99=5ms&bandwidth="
                        f"{BANDWIDTH}&concurrency=8,file://{self.data}")

    def test_throttled_requests_come_again(self):
        self.train("model:?throttle_rate=0.05&seed=3&retries=20,null:")

    def test_a_request_that_fails_ends_the_run(self):
        done = self.train("model:?error_rate=1,null:", expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("simulated by error_rate", done.stderr)

    def test_faults_are_named_in_the_result(self):
        done = self.train("fault:?latency=1ms,null:")
        self.assertIn("faults put in", done.stdout)
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["run"]["storage_notes"], "faults put in")

    def test_closed_refuses_a_simulated_store(self):
        done = self.train("model:?latency=1ms,null:", "--closed", expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("storage: memory or a simulation", done.stderr)

    def test_what_a_killed_run_left_is_swept(self):
        before = segments()
        job = subprocess.Popen(
            self.words("run", "-m", "unet3d", "-g", "h100", ranks=RANKS,
                       data="model:?latency=1ms,null:",
                       params=UNET3D + ["train.epochs=1000",
                                        "train.computation_time=0.1"]),
            env=ENVIRONMENT, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(job.wait)
        ours = wait_for("the shared limits", lambda: segments() - before)
        job.kill()
        while processes(str(self.results)):
            for pid in processes(str(self.results)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

        self.train("model:?latency=1ms,null:")

        self.assertEqual(ours & segments(), set())


if __name__ == "__main__":
    harness.main()
