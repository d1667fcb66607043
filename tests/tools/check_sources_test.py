"""Tests of tools/check_sources.py."""

import unittest

import support

check_sources = support.load_tool("check_sources")


class CheckSourcesTest(support.TreeTest):

    def offences_of(self, name, text):
        self.write(name, text)
        return check_sources.check_tree(self.root)

    def assert_one(self, offences, text):
        self.assertEqual(1, len(offences), offences)
        self.assertIn(text, offences[0])

    def test_clean_files_pass(self):
        self.write("src/core/x.h", "#pragma once\n\n// \u2308x\u2309\n")
        self.assertEqual([], self.offences_of(
            "src/core/x.cc",
            '#include "core/x.h"\n\nint x = 1\'000;  // \u2192 1000\n'))

    def test_using_namespace_fails(self):
        self.assert_one(
            self.offences_of("src/core/x.cc", "\nusing namespace std;\n"),
            "src/core/x.cc:2: `using namespace`")

    def test_using_namespace_in_a_comment_passes(self):
        self.assertEqual(
            [], self.offences_of("src/core/x.cc", "// using namespace x;\n"))

    def test_literals_pass(self):
        self.assertEqual([], self.offences_of(
            "src/core/x.cc", "using namespace std::chrono_literals;\n"))

    def test_non_ascii_in_a_string_fails_even_behind_slashes(self):
        self.assert_one(
            self.offences_of("src/core/x.cc", 'f("http://\u00b5s");\n'),
            "outside ASCII")

    def test_comment_signs_in_strings_start_no_comment(self):
        self.assert_one(
            self.offences_of("src/core/x.cc",
                             'f("/*");\nusing namespace a;\nf("*/");\n'),
            "src/core/x.cc:2")

    def test_header_must_start_with_pragma_once(self):
        self.assert_one(
            self.offences_of("src/core/x.h", "// x\n#pragma once\n"),
            "#pragma once")

    def test_own_header_must_come_first(self):
        self.write("src/core/x.h", "#pragma once\n")
        self.assert_one(
            self.offences_of("src/core/x.cc",
                             '#include <vector>\n#include "core/x.h"\n'),
            'its own "core/x.h"')

    def test_more_than_600_lines_fail(self):
        self.assertEqual([], self.offences_of("tests/a_test.cc", "\n" * 600))
        self.assert_one(self.offences_of("tests/a_test.cc", "\n" * 601),
                        "601 lines")

    def test_todo_needs_an_issue(self):
        self.assertEqual(
            [], self.offences_of("src/core/x.cc", "// TODO(#12): more\n"))
        self.assert_one(self.offences_of("src/core/x.cc", "// TODO: more\n"),
                        "without its issue")

    def test_nolint_needs_check_and_reason(self):
        self.assertEqual([], self.offences_of(
            "src/core/x.cc", "int a;  // NOLINT(google-runtime-int): ABI\n"
            "// NOLINTEND(google-runtime-int)\n"))
        self.assert_one(
            self.offences_of("src/core/x.cc", "int a;  // NOLINT\n"), "NOLINT")
        self.assert_one(
            self.offences_of("src/core/x.cc",
                             "int a;  // NOLINT(google-runtime-int)\n"),
            "NOLINT")

    def test_paths_of_one_machine_fail(self):
        self.assert_one(self.offences_of("run.sh", "cp /home/me/x .\n"),
                        "outside of this repository")

    def test_paths_below_other_folders_pass(self):
        for name in ("home", "root", "Users", "work"):
            with self.subTest(folder=name):
                self.assertEqual([], self.offences_of(
                    "docs/a.md",
                    f"/mnt/{name}/x build/{name}/y $HOME/{name}/z\n"))

    def test_section_signs_fail(self):
        self.assert_one(self.offences_of("src/core/x.cc", "// \u00a7 3\n"),
                        "outside of this repository")

    def test_named_document_must_exist(self):
        text = "// see docs/formats.md\n"
        self.assert_one(self.offences_of("src/core/x.cc", text),
                        "docs/formats.md does not exist")
        self.write("docs/formats.md", "# Formats\n")
        self.assertEqual([], self.offences_of("src/core/x.cc", text))

    def test_recorded_test_data_is_left_alone(self):
        self.assertEqual([], self.offences_of("tests/data/a.txt", "\u00a7\n"))


if __name__ == "__main__":
    unittest.main()
