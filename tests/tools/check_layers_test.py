"""Tests of tools/check_layers.py."""

import unittest

import support

check_layers = support.load_tool("check_layers")


class CheckLayersTest(support.TreeTest):

    def setUp(self):
        super().setUp()
        self.write("src/core/status.h", "#pragma once\n#include <string>\n")

    def offences_of(self, name, *includes):
        self.write(name, "".join(f"#include {i}\n" for i in includes))
        return check_layers.check_tree(self.root)

    def test_allowed_includes_pass(self):
        self.assertEqual([], self.offences_of(
            "src/storage/file.cc", '"storage/file.h"', "<liburing.h>",
            "<sys/stat.h>", "<vector>", "<fmt/format.h>", '"core/status.h"',
            '"storage/internal/ring.h"'))

    def test_include_of_a_higher_module_fails(self):
        offences = self.offences_of("src/storage/file.cc", "<vector>",
                                    '"formats/format.h"')
        self.assertEqual(1, len(offences))
        self.assertIn("src/storage/file.cc:2: storage may not include formats",
                      offences[0])

    def test_include_of_a_neighbour_fails(self):
        offences = self.offences_of("src/rules/rules.cc", '"dataset/order.h"')
        self.assertIn("rules may not include dataset", offences[0])

    def test_private_header_of_another_module_fails(self):
        offences = self.offences_of("src/run/plan.cc",
                                    '"storage/internal/ring.h"')
        self.assertIn("private to storage", offences[0])

    def test_third_party_header_outside_its_home_fails(self):
        offences = self.offences_of("src/run/plan.cc", "<nlohmann/json.hpp>",
                                    "<yaml.h>")
        self.assertEqual(2, len(offences))
        self.assertIn("outside its home", offences[0])

    def test_home_may_be_a_single_file(self):
        self.assertEqual(
            [], self.offences_of("src/comm/mpi_communicator.cc", "<mpi.h>"))
        offences = self.offences_of("src/comm/other.cc", "<mpi.h>")
        self.assertIn("src/comm/other.cc:1: <mpi.h> outside its home",
                      offences[0])

    def test_third_party_header_in_a_header_fails(self):
        offences = self.offences_of("src/core/text.h", "<fmt/format.h>")
        self.assertIn("in a header", offences[0])

    def test_unknown_third_party_header_fails(self):
        offences = self.offences_of("src/core/text.cc", "<spdlog/spdlog.h>")
        self.assertIn("not a header this project knows", offences[0])

    def test_unknown_module_fails(self):
        offences = self.offences_of("src/extras/x.cc", "<vector>")
        self.assertIn("src/extras: not a module", offences[0])

    def test_include_that_names_no_module_fails(self):
        offences = self.offences_of("src/core/text.cc", '"text.h"')
        self.assertIn("names no module", offences[0])

    def test_tests_may_include_every_module_but_no_foreign_internals(self):
        self.assertEqual([], self.offences_of(
            "tests/conformance/all_test.cc", "<gtest/gtest.h>",
            '"run/plan.h"', '"tests/support/temp_dir.h"',
            '"storage/internal/ring.h"'))
        self.assertEqual([], self.offences_of(
            "tests/storage/ring_test.cc", '"storage/internal/ring.h"'))
        offences = self.offences_of("tests/run/plan_test.cc",
                                    '"storage/internal/ring.h"')
        self.assertIn("private to storage", offences[0])

    def test_table_has_no_cycle(self):
        known = list(check_layers.LAYERS)
        for module, allowed in check_layers.LAYERS.items():
            for lower in allowed:
                self.assertIn(lower, known)
                self.assertNotIn(module, check_layers.LAYERS[lower])


if __name__ == "__main__":
    unittest.main()
