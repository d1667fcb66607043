"""Tests of tools/tidy_changed.py."""

import json
import os
import subprocess
import unittest

import support

tidy_changed = support.load_tool("tidy_changed")


class SourcesOfTest(unittest.TestCase):

    def test_headers_bring_their_source_and_tests_come_last(self):
        known = {"src/a/x.cc", "src/b/y.cc", "tests/a/x_test.cc"}

        names = tidy_changed.sources_of(
            ["tests/a/x_test.cc", "src/b/y.h", "src/a/x.cc", "src/a/x.h",
             "src/b/only.h", "src/b/unbuilt.cc", "README.md"], known)

        self.assertEqual(["src/a/x.cc", "src/b/y.cc", "tests/a/x_test.cc"],
                         names)


class BaseCommitTest(support.TreeTest):

    def setUp(self):
        super().setUp()
        self.git("init", "-q", "-b", "main")
        previous, tidy_changed.ROOT = tidy_changed.ROOT, self.root
        self.addCleanup(setattr, tidy_changed, "ROOT", previous)

    def git(self, *arguments):
        done = subprocess.run(
            ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C",
             self.root, *arguments], check=True, stdout=subprocess.PIPE,
            text=True)
        return done.stdout.strip()

    def commit(self, name):
        self.write(name, name)
        self.git("add", name)
        self.git("commit", "-q", "-m", name)
        return self.git("rev-parse", "HEAD")

    def test_first_commit_is_compared_with_nothing(self):
        self.commit("src/a.cc")

        self.assertEqual(["src/a.cc"],
                         tidy_changed.changed_files(tidy_changed.base_commit()))

    def test_without_origin_the_last_commit_counts(self):
        first = self.commit("src/a.cc")
        self.commit("src/b.cc")

        self.assertEqual(first, tidy_changed.base_commit())

    def test_branch_is_compared_with_its_fork(self):
        fork = self.commit("src/a.cc")
        self.git("update-ref", "refs/remotes/origin/main", fork)
        self.commit("src/b.cc")
        self.commit("src/c.cc")
        self.write("src/new.cc", "")

        base = tidy_changed.base_commit()

        self.assertEqual(fork, base)
        self.assertEqual(["src/b.cc", "src/c.cc", "src/new.cc"],
                         tidy_changed.changed_files(base))


class CheckerTest(support.TreeTest):

    def setUp(self):
        super().setUp()
        previous, tidy_changed.ROOT = tidy_changed.ROOT, self.root
        self.addCleanup(setattr, tidy_changed, "ROOT", previous)
        self.write(".clang-tidy", "Checks: '-*,modernize-use-nullptr'\n"
                   "WarningsAsErrors: '*'\n")
        self.write("src/a.cc", "int* a = 0;\n")
        self.write("src/b.cc", "int* b = nullptr;\n")
        entries = [{"directory": self.root, "file": f"src/{n}.cc",
                    "command": f"c++ -c src/{n}.cc"} for n in "ab"]
        self.build = os.path.dirname(
            self.write("build/compile_commands.json", json.dumps(entries)))

    def test_findings_are_returned(self):
        checker = tidy_changed.Checker(
            self.build, tidy_changed.time.monotonic() + 50)

        self.assertIn("modernize-use-nullptr", checker.check("src/a.cc"))

    def test_clean_file_is_remembered_until_it_changes(self):
        deadline = tidy_changed.time.monotonic() + 50
        self.assertEqual(
            "clean",
            tidy_changed.Checker(self.build, deadline).check("src/b.cc"))

        # No time is left now: only memory can answer.
        self.assertEqual(
            "clean", tidy_changed.Checker(self.build, 0).check("src/b.cc"))
        self.write("src/b.cc", "int* b = nullptr;\n\n")
        self.assertEqual(
            "late", tidy_changed.Checker(self.build, 0).check("src/b.cc"))

    def test_known_sources_are_relative_to_the_root(self):
        self.assertEqual({"src/a.cc", "src/b.cc"},
                         tidy_changed.known_sources(self.build))


if __name__ == "__main__":
    unittest.main()
