"""Tests of tools/run_table.py."""

import contextlib
import io
import json
import unittest

import support

run_table = support.load_tool("run_table")

METRIC = {
    "train_au_mean_percentage": 91.237,
    "train_au_meet_expectation": "success",
    "train_io_exact_mean_GiB_per_second": 5.918,
    "train_throughput_unbiased_mean_samples_per_second": 3571.44,
    "client_cpu_percentage": 12.34,
    "bound": "compute",
}


class RunTableTest(support.TreeTest):

    def write_run(self, folder, **changes):
        self.write(f"{folder}/summary.json",
                   json.dumps({"metric": {**METRIC, **changes}}))
        return f"{self.root}/{folder}"

    def run_main(self, *arguments):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run_table.main(arguments)
        return status, out.getvalue(), err.getvalue()

    def test_rows_show_rounded_figures_of_each_run(self):
        first = self.write_run("a")
        second = self.write_run("b", train_au_mean_percentage=42.0,
                                train_au_meet_expectation="fail",
                                bound="storage wait")

        status, out, _ = self.run_main(f"unet3d=0.04={first}",
                                       f"resnet50=1={second}")

        self.assertEqual(0, status)
        lines = out.splitlines()
        self.assertEqual(
            ["unet3d", "91.24", "success", "5.92", "3,571.4", "12.3",
             "compute", "0.04"], lines[2].split())
        self.assertEqual(
            ["resnet50", "42.00", "fail", "5.92", "3,571.4", "12.3", "storage",
             "wait", "1"], lines[3].split())
        self.assertIn("  " + first, lines)

    def write_cached(self, folder, outlook):
        self.write(f"{folder}/summary.json", json.dumps(
            {"metric": {**METRIC, "train_au_percentage": [50.04, 99.96]}}))
        self.write(f"{folder}/record.json", json.dumps({"cache": outlook}))
        return f"{self.root}/{folder}"

    def test_rows_of_a_cache_show_what_was_predicted_beside_it(self):
        outlook = {"first_au": 0.512, "later_au": None, "off_epochs": [2],
                   "last_differs": False, "reached_hits": [0.0, 1.0],
                   "in_memory": False}
        without = self.write_cached("a", None)
        cached = self.write_cached("b", outlook)

        status, out, _ = self.run_main("--cache", f"store=2={without}",
                                       f"cache=2={cached}")

        self.assertEqual(0, status)
        lines = out.splitlines()
        self.assertEqual(["store", "50.0", "100.0", "-", "-", "-", "-", "2"],
                         lines[2].split())
        self.assertEqual(["cache", "50.0", "100.0", "51.2,", "-", "0.0,",
                          "100.0", "no", "device", "2"], lines[3].split())

    def test_columns_line_up(self):
        folder = self.write_run("a")

        _, out, _ = self.run_main(f"a_rather_long_name=1={folder}")

        header, rule, row = out.splitlines()[:3]
        self.assertEqual(len(header), len(rule))
        self.assertEqual(len(header), len(row))

    def test_missing_figure_is_a_dash(self):
        folder = self.write_run("a", train_au_mean_percentage=None)

        _, out, _ = self.run_main(f"x=1={folder}")

        self.assertEqual("-", out.splitlines()[2].split()[1])

    def test_folder_without_summary_is_an_error_that_names_it(self):
        status, _, err = self.run_main(f"x=1={self.root}/nowhere")

        self.assertEqual(1, status)
        self.assertIn("nowhere", err)

    def test_wrong_argument_is_refused(self):
        status, _, err = self.run_main("unet3d")

        self.assertEqual(2, status)
        self.assertIn("'unet3d' is not NAME=SCALE=FOLDER", err)

    def test_checkpoints_have_columns_of_their_own(self):
        self.write("c/summary.json", json.dumps({
            "metric": {"checkpoint_size_GB": 0.5966},
            "stoker": {
                "mean_of_max_save_duration": 1.234,
                "calculated_mean_save_throughput_from_strict_times": 0.4834,
                "mean_of_max_load_duration": 0.5,
                "restored_from_cache": True}}))

        status, out, _ = self.run_main("--checkpoints",
                                       f"tiny={self.root}/c")

        self.assertEqual(0, status)
        self.assertEqual(["tiny", "0.60", "1.23", "0.48", "0.50", "-", "yes"],
                         out.splitlines()[2].split())

    def test_without_arguments_usage_is_shown(self):
        status, _, err = self.run_main()

        self.assertEqual(2, status)
        self.assertIn("Usage:", err)


if __name__ == "__main__":
    unittest.main()
