"""Tests of the parts of the performance report that decide something."""

import os
import tempfile
import types
import pathlib
import unittest

import report
import rows

ROW = rows.Row("speed", "speed of it", 4, 5, " x", 1, None)
COST = rows.Row("cost", "cost of it", 1.3, 1.1, "", 2, None,
                higher_is_better=False)


class FakeBench(rows.Bench):
    """AU falls by 5 % an accelerator; `noise` is added to the first run."""

    def __init__(self, noise=0.0):
        super().__init__(None, None, None, 5, None)
        self.noise = noise
        self.asked = []

    def au(self, workload, ranks, data, params, runs):
        self.asked.append((ranks, runs))
        values = [100.0 - 5 * ranks] * runs
        values[0] += self.noise
        return values


class LargestTest(unittest.TestCase):

    def largest(self, bench, counts, floor):
        return bench.largest(None, counts, None, [], floor, rows.Result())

    def test_finds_the_last_count_that_reaches_the_floor(self):
        self.assertEqual(self.largest(FakeBench(), [1, 2, 3, 4, 5], 84.9), 3)

    def test_is_zero_where_not_even_the_first_count_reaches_it(self):
        self.assertEqual(self.largest(FakeBench(), [1, 2], 96), 0)

    def test_may_be_the_last_count(self):
        self.assertEqual(self.largest(FakeBench(), [1, 2], 50), 2)

    def test_median_of_all_runs_overrules_a_lucky_single_run(self):
        # Single runs at 4 show 80 + 6, the median 80.
        bench = FakeBench(noise=6)
        self.assertEqual(self.largest(bench, [1, 2, 3, 4, 5], 84.9), 3)
        self.assertIn((4, 5), bench.asked)

    def test_median_of_all_runs_overrules_an_unlucky_single_run(self):
        bench = FakeBench(noise=-6)
        self.assertEqual(self.largest(bench, [1, 2, 3, 4, 5], 84.9), 3)


class VerdictTest(unittest.TestCase):

    def test_higher_is_better_unless_the_row_says_otherwise(self):
        self.assertEqual(report.verdict(ROW, 5), "aim")
        self.assertEqual(report.verdict(ROW, 4), "must")
        self.assertEqual(report.verdict(ROW, 3.9), "short")
        self.assertEqual(report.verdict(COST, 1.1), "aim")
        self.assertEqual(report.verdict(COST, 1.2), "must")
        self.assertEqual(report.verdict(COST, 1.31), "short")

    def test_a_cell_shows_median_and_range(self):
        self.assertEqual(report.cell([3.0, 1.0, 2.5], 1, " s"),
                         "2.5 s (1.0 – 3.0)")

    def test_a_failed_row_is_told_and_not_hidden(self):
        result = rows.Result(error="mpirun ended")
        text = report.markdown([], [(ROW, result)], 5)
        self.assertIn("| speed of it | ≥ 4 | 5 | failed: see log | – |", text)
        self.assertIn("- speed: mpirun ended", text)


class ContentsTest(unittest.TestCase):

    def test_hard_links_of_one_file_count_once(self):
        with tempfile.TemporaryDirectory() as folder:
            train = pathlib.Path(folder) / "train"
            train.mkdir()
            for name in ("a", "b"):
                (train / name).write_text(name)
            os.link(train / "a", train / "c")
            self.assertEqual([file.name for file in
                              rows.contents(pathlib.Path(folder))],
                             ["a", "b"])


class StepsTest(unittest.TestCase):

    def test_every_epoch_has_a_hundred_counted_steps(self):
        for workload in (rows.UNET3D, rows.RESNET50, rows.COSMOFLOW):
            self.assertGreaterEqual(workload.steps, 101)
            for ranks in (1, 3, 64):
                files = workload.files(ranks)
                steps = (files * workload.samples_per_file // workload.batch
                         // ranks)
                self.assertGreaterEqual(steps, workload.steps)


class FirstStepTest(unittest.TestCase):

    def test_runs_from_the_launch_to_the_end_of_the_first_step(self):
        rank = {"clock": {"wall_unix_ns": 1_000_000_000_000, "run_ns": 500},
                "epochs": [{"blocks": [{"start_ns": 2_000_000_500,
                                        "excluded_proc_ns": 250_000_000}]}]}
        run = types.SimpleNamespace(record={"ranks": [rank]}, launched=999.5)
        self.assertAlmostEqual(
            rows.stoker.Run.seconds_to_first_step.fget(run), 2.75)


class DirectTest(unittest.TestCase):

    def test_reading_lasts_until_the_last_step_of_the_slowest_rank(self):
        ranks = [{"epochs": [{"start_ns": 500, "train_end_ns": end}]}
                 for end in (2_000_000_500, 3_500_000_500)]
        run = types.SimpleNamespace(record={"ranks": ranks})
        self.assertAlmostEqual(rows.stoker.Run.read_seconds.fget(run), 3.5)

    def test_row_is_ours_over_fios_with_the_same_requests(self):
        asked = {}

        def train(model, ranks, uri, params):
            asked["uri"], asked["params"] = uri, params
            return types.SimpleNamespace(
                read_bytes=3e9, read_seconds=2.0, cpu_seconds=1.0,
                record={"run": {"engine": "uring, registered buffers"}})

        def read_direct(log, files, block, depth, seconds):
            asked["fio"] = f"?block={block}&depth={depth}"
            return 2e9, 1e-9

        with tempfile.TemporaryDirectory() as folder:
            data = pathlib.Path(folder)
            (data / "train").mkdir()
            (data / "train" / "a").write_text("a")
            bench = types.SimpleNamespace(
                runs=1, log=None, stored_dataset=lambda *_: data,
                program=types.SimpleNamespace(train=train))
            result = rows.Result()
            before, rows.fio.read_direct = rows.fio.read_direct, read_direct
            try:
                rows.direct_reads(bench, result)
            finally:
                rows.fio.read_direct = before
            self.assertEqual(asked["uri"], f"direct://{data}{asked['fio']}")
        self.assertEqual(result.values, [0.75])
        self.assertIn("train.computation_time=0", asked["params"])

    def test_a_forgotten_file_is_still_whole(self):
        with tempfile.NamedTemporaryFile() as file:
            file.write(b"text")
            file.flush()
            rows.forget(file.name)
            self.assertEqual(pathlib.Path(file.name).read_bytes(), b"text")


class DatagenTest(unittest.TestCase):

    def test_rate_is_that_of_the_writing_phase(self):
        lines = ('{"event": "message", "text": "x"}\n'
                 '{"event": "datagen_done", "bytes": 3000, "seconds": 2.0}\n')
        self.assertEqual(rows.stoker.bytes_per_second(lines), 1500)

    def test_output_without_an_end_is_a_failure(self):
        with self.assertRaises(rows.stoker.Failed):
            rows.stoker.bytes_per_second('{"event": "message"}\n')

    def test_row_is_ours_over_the_ceiling(self):
        class Bench:
            runs, memory, log = 1, tempfile.gettempdir(), None
            program = types.SimpleNamespace(generate=lambda *_: 1.5e9)
        result = rows.Result()
        write_fresh, rows.fio.write_fresh = (rows.fio.write_fresh,
                                             lambda *_: 2e9)
        try:
            rows.datagen("unet3d", 2, (1, 1))(Bench, result)
        finally:
            rows.fio.write_fresh = write_fresh
        self.assertEqual(result.values, [0.75])


if __name__ == "__main__":
    unittest.main()
