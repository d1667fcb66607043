"""Tests of tools/install_packages.sh, with stand-ins for apt and dpkg."""

import os
import subprocess
import unittest

import support


class InstallPackagesTest(support.TreeTest):

    def setUp(self):
        super().setUp()
        self.write("tools/packages.txt",
                   "# comment\nbuild alpha\nbuild beta\ntest gamma\n")
        with open(support.tool_path("install_packages.sh"),
                  encoding="utf-8") as file:
            self.script = self.executable("tools/install_packages.sh",
                                          file.read())
        # alpha is the one package that is installed; sudo wants a password.
        self.executable("bin/dpkg-query",
                        '#!/bin/bash\n[[ "$4" == alpha ]] && echo -n installed')
        self.executable("bin/apt-get",
                        f'#!/bin/bash\necho "$@" >> {self.root}/apt.log\n')
        self.executable("bin/sudo", "#!/bin/bash\nexit 1\n")

    def executable(self, name, text):
        path = self.write(name, text)
        os.chmod(path, 0o755)
        return path

    def run_script(self, *groups):
        path = f"{self.root}/bin:{os.environ['PATH']}"
        return subprocess.run([self.script, *groups], check=False,
                              env={**os.environ, "PATH": path},
                              capture_output=True, text=True)

    def apt_calls(self):
        try:
            with open(f"{self.root}/apt.log", encoding="utf-8") as file:
                return file.read()
        except FileNotFoundError:
            return ""

    def test_nothing_missing_calls_no_apt(self):
        self.write("tools/packages.txt", "build alpha\n")

        done = self.run_script("build")

        self.assertEqual((0, ""), (done.returncode, done.stdout))
        self.assertEqual("", self.apt_calls())

    def test_missing_packages_of_the_groups_are_installed_or_asked_for(self):
        done = self.run_script("build")

        if os.geteuid() == 0:
            self.assertEqual(0, done.returncode, done.stderr)
            self.assertIn("install --no-install-recommends beta",
                          self.apt_calls())
            self.assertNotIn("gamma", self.apt_calls())
        else:
            self.assertEqual(1, done.returncode)
            self.assertIn("apt-get install --no-install-recommends beta",
                          done.stderr)
            self.assertEqual("", self.apt_calls())

    def test_unknown_group_is_refused(self):
        done = self.run_script("bild")

        self.assertEqual(2, done.returncode)
        self.assertIn("no packages in group bild", done.stderr)

    def test_without_a_group_usage_is_shown(self):
        self.assertEqual(2, self.run_script().returncode)


if __name__ == "__main__":
    unittest.main()
