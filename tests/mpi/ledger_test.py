"""Runs the program on files that are, and are not, in the page cache, and looks
at what it says of where their bytes came from.

usage: ledger_test.py STOKER [unittest arguments]
"""

import os
import subprocess

import harness
from harness import TRAIN, UNET3D, StokerCase, load_json


class LedgerTest(StokerCase):
    def ledger(self):
        folder = self.run_folders()[-1]
        ledger = load_json(folder / "ledger.json")
        digest = load_json(folder / "record.json")["ledger"]
        self.assertEqual([epoch["cache_state"] for epoch in digest["epochs"]],
                         [epoch["cache_state"] for epoch in ledger["epochs"]])
        for epoch in ledger["epochs"]:
            for host in epoch["hosts"]:
                self.assertEqual(sum(host["served_by"].values()),
                                 host["delivered_bytes"])
                self.assertGreaterEqual(
                    host["delivered_bytes"],
                    host["asked_bytes"] + host["discarded_bytes"])
        reads = sum(rank_epoch["train_loader"]["reads"]
                    for rank in load_json(folder / "record.json")["ranks"]
                    for rank_epoch in rank["epochs"])
        self.assertEqual(sum(row["count"] for row in ledger["run"]["latencies"]
                             if row["kind"] == "read"), reads)
        return ledger

    def states(self, ledger):
        return [epoch["cache_state"] for epoch in ledger["epochs"]]

    def on_a_device(self):
        """Whether the datasets lie where reading can miss the page cache."""
        found = subprocess.run(["stat", "-f", "-c", "%T", self.folder],
                               capture_output=True, text=True, check=True)
        return found.stdout.strip() != "tmpfs"

    def test_the_ledger_tells_a_cold_epoch_from_a_warm_one(self):
        self.datagen("unet3d", UNET3D)
        command = self.words("run", "-m", "unet3d", "-g", "h100", ranks=2,
                             params=UNET3D + TRAIN)
        for path in (self.data / "unet3d/train").iterdir():
            with path.open("rb") as file:
                os.fsync(file.fileno())
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

        done = self.finish(command)

        ledger = self.ledger()
        first, second = ledger["epochs"]
        self.assertIn("bytes came from ", done.stdout)
        if self.on_a_device():
            # What others had of the pages aside, all of it came from the disk.
            self.assertEqual(self.states(ledger), ["cold", "warm"], done.stdout)
            self.assertGreater(first["served_by"]["device_bytes"], 0)
            self.assertIn("mixed (epoch 1 cold, 2 warm)", done.stdout)
        else:
            self.assertEqual(self.states(ledger), ["memory", "memory"])
        self.assertEqual(first["asked_bytes"], second["asked_bytes"])

    def test_dropped_caches_make_every_epoch_cold(self):
        self.datagen("unet3d", UNET3D)

        done = self.finish(self.words("run", "-m", "unet3d", "-g", "h100",
                                      "--drop-caches", ranks=2,
                                      params=UNET3D + TRAIN))

        ledger = self.ledger()
        for epoch in ledger["epochs"]:
            self.assertGreater(epoch["drop_caches_ns"], 0)
        self.assertIn("caches dropped ", done.stdout)
        if self.on_a_device():
            self.assertEqual(self.states(ledger), ["cold", "cold"], done.stdout)

    def test_bytes_of_null_came_from_nowhere(self):
        done = self.finish(self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=2, data="null:",
            params=UNET3D + TRAIN))
        folder = self.run_folder()
        ledger = load_json(folder / "ledger.json")
        self.assertEqual(self.states(ledger), ["none", "none"])
        self.assertEqual(ledger["run"]["latencies"], [])
        self.assertNotIn("no witness", done.stdout)


if __name__ == "__main__":
    harness.main()
