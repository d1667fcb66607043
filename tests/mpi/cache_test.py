"""Training through the NVMe cache, which all ranks of a host share.

usage: cache_test.py STOKER [unittest arguments]
"""

import os
import pathlib
import re
import signal
import subprocess

import harness
from harness import (ENVIRONMENT, RESNET50, TRAIN, UNET3D, load_json,
                     processes, wait_for)

RANKS = 4
MIB = 1 << 20


def indexes():
    return set(pathlib.Path("/dev/shm").glob("stoker-cache-*"))


def counts(ledger):
    return ledger["cache"]


class CacheTest(harness.StokerCase):
    def setUp(self):
        super().setUp()
        self.cache = pathlib.Path(self.folder) / "cache"
        self.datagen("unet3d", UNET3D)

    def tearDown(self):
        # Gives the memory of the index back as well.
        self.stoker("cache", "clear", str(self.cache))
        super().tearDown()

    def stoker(self, *words):
        return subprocess.run([harness.stoker(), *words], env=ENVIRONMENT,
                              cwd=self.folder, text=True, timeout=120,
                              stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def uri(self, options="size=64MiB", store=None):
        return f"cache:{self.cache}?{options}," + (store or
                                                   f"file://{self.data}")

    def train(self, data, *words, params=(), expect=0, epochs=2):
        return self.finish(
            self.words("run", "-m", "unet3d", "-g", "h100", *words,
                       ranks=RANKS, data=data,
                       params=UNET3D + [f"train.epochs={epochs}",
                                        "train.computation_time=0.001",
                                        "reader.batch_size=1", *params]),
            expect=expect)

    # A run that goes on until it is ended.
    def start_endless(self):
        words = self.words("run", "-m", "unet3d", "-g", "h100", ranks=RANKS,
                           data=self.uri(),
                           params=UNET3D + ["train.epochs=1000",
                                            "train.computation_time=0.02",
                                            "reader.batch_size=1"])
        job = subprocess.Popen(words, env=ENVIRONMENT, cwd=self.folder,
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        self.addCleanup(job.wait)
        return job

    # The launcher, and every rank it has started.
    def kill_all(self, job):
        job.kill()
        while processes(str(self.results)):
            for pid in processes(str(self.results)):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass

    def ledger(self):
        return load_json(self.last_run() / "ledger.json")

    def last_run(self):
        return sorted((self.results / "training" / "unet3d" / "run")
                      .iterdir())[-1]

    def check_balance(self, ledger):
        for epoch in [ledger["run"], *ledger["epochs"]]:
            cache = counts(epoch)
            self.assertEqual(
                cache["hit_bytes"] + cache["memory_bytes"]
                + cache["store_bytes"], epoch["delivered_bytes"])

    def test_the_second_epoch_comes_from_the_cache(self):
        self.train(self.uri())
        ledger = self.ledger()
        self.check_balance(ledger)
        first, second = ledger["epochs"]
        self.assertGreater(counts(first)["store_bytes"], 0)
        self.assertEqual(counts(second)["store_bytes"], 0)
        # Each file was fetched once, whichever rank asked first.
        sizes = sum(f.stat().st_size
                    for f in pathlib.Path(self.data).rglob("*.npz")
                    if "train" in f.parts)
        self.assertEqual(counts(ledger["run"])["fetched_bytes"], sizes)
        self.assertEqual(counts(ledger["run"])["checksum_misses"], 0)

    def test_what_is_expected_of_the_cache_is_told_before_and_after(self):
        def outlook(done):
            self.assertIn("cache holds", done.stdout)
            self.assertIn("expected AU", done.stdout)
            return load_json(self.last_run() / "record.json")["cache"]
        slow = f"model:?bandwidth=20MB,file://{self.data}"
        params = ["train.computation_time=0.02"]
        cold = outlook(self.train(self.uri(store=slow), params=params))
        self.assertEqual(cold["found"], 0)
        self.assertEqual(cold["fits"], 1)
        self.assertEqual(cold["later_hits"], 1)
        self.assertTrue(cold["simulated"])
        # What four ranks got of 20 MB/s, whatever else the machine did.
        self.assertLess(abs(cold["store_bytes_per_s"] / 20e6 - 1), 0.2)
        self.assertLess(cold["first_au"], cold["later_au"])
        # Half of what two epochs read was read before; caches of this size and
        # of twice it would have had all of that, smaller ones what they hold.
        self.assertAlmostEqual(cold["read_again"], 0.5)
        sizes = cold["other_sizes"]
        self.assertEqual([size["times"] for size in sizes],
                         [0.125, 0.25, 0.5, 1, 2])
        never = [size["never_hits"] for size in sizes]
        self.assertEqual(never, sorted(never))
        self.assertLess(never[0], 0.5)
        self.assertEqual([never[3], sizes[3]["lru_hits"]], [1, 1])
        warm = outlook(self.train(self.uri(store=slow), params=params))
        self.assertEqual(warm["found"], 1)
        self.assertEqual(warm["first_hits"], 1)
        quiet = self.train(self.uri(store=slow), "--no-cache-prediction",
                           params=params)
        self.assertNotIn("expected AU", quiet.stdout)

    def test_a_warm_start_leaves_nothing_to_fetch(self):
        self.train(self.uri("size=64MiB&start=warm"))
        for epoch in self.ledger()["epochs"]:
            self.assertEqual(counts(epoch)["fetched_bytes"], 0)
        self.assertEqual(load_json(self.last_run() / "record.json")
                         ["cache"]["found"], 1)

    def test_the_same_is_asked_for_with_and_without(self):
        hashes = set()
        for data in (f"file://{self.data}", self.uri()):
            self.train(data)
            hashes.add(load_json(self.last_run() / "record.json")
                       ["op_stream_hash"])
        self.assertEqual(len(hashes), 1)

    def test_a_small_cache_hits_what_it_holds(self):
        # 28 files of 300 kB are 28 blocks of 1 MiB at most, and there are four
        # slots. What is in them may also lie in a buffer of the rank that read
        # it: then it comes from there.
        self.train(self.uri("size=5MiB&small_slot=0"), epochs=3)
        ledger = self.ledger()
        self.check_balance(ledger)
        first, second, third = map(counts, ledger["epochs"])
        self.assertGreater(second["hit_bytes"] + second["memory_bytes"], 0)
        self.assertLess(second["fetched_bytes"], first["fetched_bytes"])
        self.assertEqual(second["hit_bytes"] + second["memory_bytes"],
                         third["hit_bytes"] + third["memory_bytes"])
        self.assertEqual(counts(ledger["run"])["evictions"], 0)

    def test_what_killed_ranks_left_is_warm_and_right(self):
        job = self.start_endless()

        def full():
            told = self.stoker("cache", "status", str(self.cache)).stdout
            found = re.search(r"in (\d+) of", told)
            return found and int(found.group(1)) >= 20
        wait_for("blocks", full)
        self.kill_all(job)
        self.train(self.uri(), epochs=1)
        epoch = self.ledger()["epochs"][0]
        self.assertGreater(counts(epoch)["hit_bytes"], 0)
        verified = self.stoker("cache", "verify", str(self.cache))
        self.assertEqual(verified.returncode, 0, verified.stderr)

    def test_after_a_reboot_it_is_made_from_its_records(self):
        before = indexes()
        self.train(self.uri(), epochs=1)
        self.assertGreater(counts(self.ledger()["run"])["filled_bytes"], 0)
        ours = indexes() - before
        self.assertEqual(len(ours), 1)
        for segment in ours:
            segment.unlink()
        self.train(self.uri(), epochs=1)
        self.assertEqual(counts(self.ledger()["run"])["hit_bytes"]
                         + counts(self.ledger()["run"])["memory_bytes"],
                         self.ledger()["run"]["delivered_bytes"])

    def test_flipped_bits_cost_a_fetch_and_nothing_else(self):
        self.train(self.uri(), epochs=1)
        slots = self.cache / "slots.0"
        with open(slots, "r+b") as stream:
            for block in range(0, slots.stat().st_size, MIB):
                stream.seek(block + 4321)
                byte = stream.read(1)
                stream.seek(block + 4321)
                stream.write(bytes([byte[0] ^ 1]))
            stream.flush()
            os.fsync(stream.fileno())
        self.train(self.uri(), epochs=1)  # checks the content it reads
        cache = counts(self.ledger()["run"])
        self.assertGreater(cache["checksum_misses"], 0)
        self.check_balance(self.ledger())

    def test_two_runs_at_once_are_refused(self):
        job = self.start_endless()
        self.addCleanup(job.terminate)

        def in_use():
            told = self.stoker("cache", "status", str(self.cache)).stdout
            return re.search(rf"used by {RANKS} process", told)
        wait_for("the first run", in_use)
        done = self.train(self.uri(), expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("in use by process", done.stderr)
        cleared = self.stoker("cache", "clear", str(self.cache))
        self.assertNotEqual(cleared.returncode, 0)

    def checkpoints(self, options, *words, bandwidth="40MiB"):
        self.place = f"file://{self.folder}/checkpoints"
        place = (f"cache:{self.cache}?{options},"
                 f"model:?bandwidth={bandwidth},{self.place}")
        return [harness.stoker(), "checkpointing", "run", "--model",
                "llama3-mini", "--num-processes", str(RANKS),
                "--client-host-memory-in-gb", "24", "--checkpoint-folder",
                place, "--results-dir", str(self.results), "--oversubscribe",
                "--allow-run-as-root", "--params", "checkpoint.fsync=true",
                "checkpoint.verify=full", *words]

    def checkpoint_summary(self):
        return load_json(sorted((self.results / "checkpointing" /
                                 "llama3-mini").iterdir())[-1]
                         / "summary.json")["stoker"]

    def check_store(self, count):
        verified = self.stoker("checkpointing", "verify",
                               f"{self.place}/llama3-mini")
        self.assertEqual(verified.stdout.count(": whole"), count,
                         verified.stdout + verified.stderr)

    def test_checkpoints_written_back_are_drained_and_restored_from_it(self):
        self.finish(self.checkpoints("size=400MiB&write=back")
                    + ["--num-checkpoints-write", "2",
                       "--num-checkpoints-read", "2"])
        tier = self.checkpoint_summary()["cache_tier"]
        # All but the list of what is being written, which goes again.
        self.assertLess(tier["staged_bytes"] - tier["uploaded_bytes"],
                        MIB // 10)
        self.assertGreater(tier["staged_bytes"], 2 * 60 * MIB)
        self.assertGreater(tier["drain_ns"], 0)
        self.assertGreater(tier["restored_device_bytes"], 2 * 60 * MIB)
        self.assertEqual(tier["restored_store_bytes"], 0)
        self.check_store(2)

    def test_checkpoints_written_through_are_in_both(self):
        self.finish(self.checkpoints("size=400MiB&write=through")
                    + ["--num-checkpoints-write", "1",
                       "--num-checkpoints-read", "1"])
        tier = self.checkpoint_summary()["cache_tier"]
        self.assertEqual(tier["uploaded_bytes"], 0)
        self.assertEqual(tier["restored_store_bytes"], 0)
        self.check_store(1)

    def test_what_a_killed_run_left_is_drained_and_not_cleared_before(self):
        job = subprocess.Popen(
            self.checkpoints("size=400MiB&write=back", bandwidth="5MiB")
            + ["--num-checkpoints-write", "1", "--num-checkpoints-read", "0"],
            env=ENVIRONMENT, cwd=self.folder, stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

        def acknowledged():
            told = self.stoker("cache", "status", str(self.cache)).stdout
            # All blocks of 64 MiB and eight commits, and the manifest's.
            found = re.search(r"(\d+) not yet in the store", told)
            return found and int(found.group(1)) >= 40
        wait_for("a checkpoint in the cache", acknowledged)
        self.kill_all(job)
        job.wait()
        for words in (["clear", str(self.cache)],
                      ["format", str(self.cache), "--size", "32MiB",
                       "--force"]):
            refused = self.stoker("cache", *words)
            self.assertNotEqual(refused.returncode, 0, words)
            self.assertIn("cache drain", refused.stderr)
        drained = self.stoker("cache", "drain",
                              f"cache:{self.cache},{self.place}/llama3-mini")
        self.assertEqual(drained.returncode, 0, drained.stderr)
        self.assertIn("0 not yet in the store",
                      self.stoker("cache", "status", str(self.cache)).stdout)
    def test_a_cache_that_knows_the_order_is_what_if(self):
        self.datagen("resnet50", RESNET50)
        done = self.finish(self.words(
            "run", "-m", "resnet50", "-g", "h100", ranks=2,
            data=self.uri("size=5MiB&policy=belady&prefetch=2MiB"),
            params=RESNET50 + TRAIN + ["reader.batch_size=4"]))
        self.assertIn("what-if", done.stdout)
        self.assertIn("what-if and INVALID", done.stdout + done.stderr)
        folder = sorted((self.results / "training" / "resnet50" / "run")
                        .iterdir())[-1]
        record = load_json(folder / "record.json")
        self.assertIn("what-if", record["run"]["storage_notes"])
        self.assertIsNone(record["cache"]["later_hits"])
        self.assertIn("prefetch", record["cache"]["trouble"])
        ledger = load_json(folder / "ledger.json")
        self.check_balance(ledger)
        self.assertEqual(counts(ledger["run"])["checksum_misses"], 0)

    def test_belady_hits_no_less_than_never_evicting(self):
        hits = {}
        for policy in ("never", "belady"):
            self.train(self.uri(
                f"size=5MiB&small_slot=0&start=cold&policy={policy}"), epochs=3)
            self.check_balance(self.ledger())
            hits[policy] = sum(counts(epoch)["hit_bytes"]
                               + counts(epoch)["memory_bytes"]
                               for epoch in self.ledger()["epochs"][1:])
        # What lies in buffers differs by a few blocks.
        self.assertGreater(hits["belady"], 0.8 * hits["never"])

    def test_bytes_add_up_where_hits_are_balanced_and_guarded(self):
        self.train(self.uri("size=64MiB&balance=on&guard=1.1&start=cold"),
                   epochs=3, params=["train.computation_time=0"])
        ledger = self.ledger()
        self.check_balance(ledger)
        cache = counts(ledger["run"])
        self.assertGreater(cache["hit_bytes"], 0)
        self.assertLessEqual(cache["guarded"], cache["bypasses"])
        # What was moved to the store is the store's.
        self.assertLessEqual(cache["balanced"] > 0, cache["store_bytes"] > 0)
        self.assertEqual(cache["checksum_misses"], 0)

    def test_the_commands_look_after_a_directory(self):
        made = self.stoker("cache", "format", str(self.cache), "--size",
                           "32MiB")
        self.assertEqual(made.returncode, 0, made.stderr)
        again = self.stoker("cache", "format", str(self.cache), "--size",
                            "32MiB")
        self.assertNotEqual(again.returncode, 0)
        used = sum(f.stat().st_blocks * 512 for f in self.cache.iterdir())
        self.assertLessEqual(used, 32 * MIB)
        warmed = self.stoker("cache", "warm", self.uri(options="verify=full"))
        self.assertEqual(warmed.returncode, 0, warmed.stderr)
        self.train(self.uri(options="policy=never"), epochs=1)
        self.assertEqual(counts(self.ledger()["run"])["fetched_bytes"], 0)
        self.assertEqual(
            self.stoker("cache", "clear", str(self.cache)).returncode, 0)
        self.assertIn("in 0 of",
                      self.stoker("cache", "status", str(self.cache)).stdout)
        nothing = self.stoker("cache", "status", str(self.folder) + "/none")
        self.assertNotEqual(nothing.returncode, 0)
        self.assertIn("cache format", nothing.stderr)


if __name__ == "__main__":
    harness.main()
