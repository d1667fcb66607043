"""Training runs that save checkpoints on the way.

usage: training_checkpoints_test.py STOKER [unittest arguments]
"""

import datetime
import json

import harness
from harness import TRAIN, UNET3D, load_json, stoker

MODEL_BYTES = 10240
# One int8 tensor of as many bytes, as torch.save writes it.
FILE_BYTES = MODEL_BYTES + 1577  # the newest layout
FILE_BYTES_1_13 = MODEL_BYTES + 747
MANIFEST = "stoker_checkpoint.json"

# 28 files / batches of 2 / 2 ranks
SEVEN_STEPS = ["reader.batch_size=2"]


def moment(text):
    return datetime.datetime.fromisoformat(text)


class TrainingCheckpointsTest(harness.StokerCase):
    def setUp(self):
        super().setUp()
        self.checkpoints = self.folder / "checkpoints"
        self.datagen("unet3d", UNET3D)

    def train(self, params, *words, expect=0):
        params = UNET3D + TRAIN + [
            f"checkpoint.checkpoint_folder={self.checkpoints}",
            f"model.model_size_bytes={MODEL_BYTES}", *params]
        return self.finish(
            self.words("run", "-m", "unet3d", "-g", "h100", *words, ranks=2,
                       params=params), expect=expect)

    def files(self):
        """name -> size of all that was saved, but for manifests."""
        return {str(path.relative_to(self.checkpoints)): path.stat().st_size
                for path in self.checkpoints.rglob("*")
                if path.is_file() and path.name != MANIFEST}

    def manifests(self):
        return sorted(path.parent.name
                      for path in self.checkpoints.rglob(MANIFEST))

    def check_order(self, epoch, blocks, saves):
        """Blocks and checkpoints of an epoch follow each other."""
        keys = [key for key in epoch if key.startswith(("block", "save_"))]
        expected = []
        for number in range(1, blocks + 1):
            expected.append(f"block{number}")
            if number <= saves:
                expected.append(f"save_ckpt{number}")
        self.assertEqual(keys, expected)
        for before, after in zip(keys, keys[1:]):
            self.assertLessEqual(moment(epoch[before]["end"]),
                                 moment(epoch[after]["start"]))
        for key in keys:
            if key.startswith("save_"):
                save = epoch[key]
                self.assertEqual(set(save), {"start", "end", "duration",
                                             "throughput"})
                self.assertIsInstance(save["duration"], float)
                self.assertAlmostEqual(
                    save["throughput"] * save["duration"],
                    MODEL_BYTES / 2**30)

    def au_of(self, record, epoch):
        """The utilisation of an epoch, from the raw sums of its blocks."""
        values = []
        for rank in record["ranks"]:
            blocks = rank["epochs"][epoch]["blocks"]
            au = sum(100 * block["counted_compute_ns"] * block["steps"] /
                     (block["wall_ns"] - block["excluded_proc_ns"])
                     for block in blocks if block["counted_compute_ns"])
            values.append(au / sum(block["steps"] for block in blocks))
        return sum(values) / len(values)

    def check_figures(self, saves):
        folder = self.run_folder()
        metric = load_json(folder / "summary.json")["metric"]
        record = load_json(folder / "record.json")
        self.assertEqual(list(metric)[:5],
                         ["save_checkpoint_io_mean_GB_per_second",
                          "save_checkpoint_io_stdev_GB_per_second",
                          "save_checkpoint_duration_mean_seconds",
                          "save_checkpoint_duration_stdev_seconds",
                          "checkpoint_size_GB"])
        self.assertAlmostEqual(metric["checkpoint_size_GB"],
                               MODEL_BYTES / 2**30)
        self.assertEqual(metric["num_save_ops"], saves)
        for epoch, au in enumerate(metric["train_au_percentage"]):
            self.assertAlmostEqual(au, self.au_of(record, epoch), places=6)
        # Rank 0's, as in its own file.
        stats = load_json(folder / "0_per_epoch_stats.json")
        seconds = [save["duration"] for epoch in stats.values()
                   for key, save in epoch.items()
                   if key.startswith("save_ckpt")]
        self.assertEqual(len(seconds), saves)
        self.assertAlmostEqual(metric["save_checkpoint_duration_mean_seconds"],
                               sum(seconds) / saves)
        log = (folder / "dlio.log").read_text()
        self.assertIn("[METRIC] Checkpoint save duration (seconds): ", log)
        self.assertIn("Checkpoint save 1 begins", log)
        return record

    def test_after_steps(self):
        self.train(SEVEN_STEPS + ["workflow.checkpoint=True",
                                  "checkpoint.steps_between_checkpoints=3"])

        folders = [f"global_epoch{epoch}_step{step}"
                   for epoch in (1, 2) for step in (3, 6)]
        self.assertEqual(self.files(),
                         {f"{folder}/model_states-0.pt": FILE_BYTES
                          for folder in folders})
        self.assertEqual(self.manifests(), folders)
        record = self.check_figures(saves=4)
        for rank in range(2):
            stats = load_json(self.run_folder() /
                              f"{rank}_per_epoch_stats.json")
            for epoch in ("1", "2"):
                self.check_order(stats[epoch], blocks=3, saves=2)
            # Blocks of 3, 3 and 1 steps.
            for epoch in record["ranks"][rank]["epochs"]:
                self.assertEqual([block["steps"] for block in epoch["blocks"]],
                                 [3, 3, 1])
                self.assertEqual([save["files"] for save in epoch["saves"]],
                                 [1 - rank] * 2)
        self.finish([stoker(), "checkpointing", "verify",
                     str(self.checkpoints)])

    def test_after_the_last_step_there_is_no_other_block(self):
        # 2 steps an epoch.
        self.train(["workflow.checkpoint=True",
                    "checkpoint.steps_between_checkpoints=2"])

        self.assertEqual(self.manifests(),
                         ["global_epoch1_step2", "global_epoch2_step2"])
        record = self.check_figures(saves=2)
        for rank in record["ranks"]:
            for epoch in rank["epochs"]:
                self.assertEqual([block["steps"] for block in epoch["blocks"]],
                                 [2])

    def test_at_the_end_of_epochs(self):
        # 2 steps an epoch; unet3d's own keys: after epoch 5, then every 2.
        self.train(["workflow.checkpoint=True", "train.epochs=8",
                    "checkpoint.format=torchzip-1.13"])

        self.assertEqual(self.files(),
                         {"global_epoch5_step3/model_states-0.pt":
                          FILE_BYTES_1_13,
                          "global_epoch7_step3/model_states-0.pt":
                          FILE_BYTES_1_13})
        self.check_figures(saves=2)
        stats = load_json(self.run_folder() / "1_per_epoch_stats.json")
        for number, epoch in stats.items():
            self.check_order(epoch, blocks=1,
                             saves=1 if number in ("5", "7") else 0)
            for key in ("start", "end"):
                self.assertTrue(moment(epoch[key]))

    def test_all_ranks_save_files_of_their_own(self):
        self.train(["workflow.checkpoint=True",
                    "checkpoint.type=all_ranks", "checkpoint.fsync=True",
                    "checkpoint.checkpoint_after_epoch=1"])

        # Epoch 1 and, as unet3d's are two apart, not epoch 2.
        self.assertEqual(self.files(),
                         {f"global_epoch1_step3/model_states-{rank}.pt":
                          FILE_BYTES for rank in range(2)})
        record = load_json(self.run_folder() / "record.json")
        plan = record["run"]["checkpoints"]
        self.assertEqual((plan["count"], plan["files"], plan["bytes"]),
                         (1, 2, 2 * MODEL_BYTES))
        self.assertTrue(plan["all_ranks"])
        self.assertTrue(plan["fsync"])

    def test_compat_saves_as_the_reference(self):
        # Unasked, at the end of epoch 5, by rank 0 alone.
        self.train(["train.epochs=5", "checkpoint.type=all_ranks",
                    "checkpoint.fsync=True"], "--compat", "v2.0")

        self.assertEqual(self.files(),
                         {"global_epoch5_step3/model_states-0.pt": FILE_BYTES})
        record = load_json(self.run_folder() / "record.json")
        self.assertFalse(record["run"]["checkpoints"]["fsync"])

    def test_the_same_samples_are_read_with_and_without(self):
        self.train(SEVEN_STEPS)
        self.assertFalse(self.checkpoints.exists())
        self.train(SEVEN_STEPS + ["workflow.checkpoint=True",
                                  "checkpoint.steps_between_checkpoints=2"])

        without, with_them = [load_json(folder / "record.json")
                              for folder in self.run_folders()]
        self.assertEqual(without["op_stream_hash"],
                         with_them["op_stream_hash"])
        self.assertIsNone(without["run"]["checkpoints"])
        self.assertEqual(with_them["run"]["checkpoints"]["count"], 6)

    def test_each_checkpoint_is_told_as_an_event(self):
        done = self.train(["workflow.checkpoint=True",
                           "checkpoint.checkpoint_after_epoch=2"],
                          "--log-format", "json")

        events = [json.loads(line) for line in done.stdout.splitlines()]
        start, = [event for event in events if event["event"] == "run_start"]
        self.assertEqual(start["checkpoints"], 1)
        self.assertEqual(start["checkpoint_stored_bytes"], FILE_BYTES)
        save, = [event for event in events
                 if event["event"] == "checkpoint_end"]
        self.assertEqual((save["epoch"], save["step"]), (2, 3))
        self.assertGreater(save["seconds"], 0)

    def test_no_room_is_seen_before_training(self):
        done = self.train(["workflow.checkpoint=True",
                           "checkpoint.checkpoint_after_epoch=1",
                           f"model.model_size_bytes={2**55}"], expect=6)

        self.assertIn("32.00 PiB each", done.stderr)
        self.assertIn("checkpoint.checkpoint_folder", done.stderr)
        self.assertEqual(self.files(), {})

    def test_a_folder_that_cannot_be_made_is_seen_before_training(self):
        self.checkpoints.write_text("a file, not a folder")
        done = self.train(["workflow.checkpoint=True",
                           "checkpoint.checkpoint_after_epoch=1"], expect=None)

        self.assertNotEqual(done.returncode, 0)
        self.assertIn(str(self.checkpoints), done.stderr)
        self.assertNotIn("epoch 1/2", done.stdout)


if __name__ == "__main__":
    harness.main()
