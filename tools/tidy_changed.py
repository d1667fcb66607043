#!/usr/bin/python3
"""Runs clang-tidy-19 over the C++ files that changed, within a time budget.

Usage: tidy_changed.py [--build DIR] [--base COMMIT] [--budget SECONDS]
                       [--jobs N] [FILE...]

Changed means: against COMMIT; without it against the merge base with the
default branch of origin, or where that is the current commit itself (or there
is no origin) against the commit before. Uncommitted changes count. A changed
header brings the .cc of its name. Named FILEs are checked instead.

A file found clean is not checked again before it, a header of ours or
.clang-tidy changes. Files that the budget leaves no time for are listed: a
later call goes on with them. Exit status: 0 clean so far, 1 findings or no
compilation database.
"""

import argparse
import concurrent.futures
import hashlib
import json
import os
import subprocess
import sys
import time

ROOT = os.path.realpath(
    os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir))
EMPTY_TREE = "4b825dc642cb6eb9a060e54bf8d69288fbee4904"  # git's, of no files


def git(*arguments):
    """Output of git, or "" if it fails."""
    done = subprocess.run(["git", "-C", ROOT, *arguments], check=False,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                          text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def base_commit():
    head = git("rev-parse", "HEAD")
    for branch in (git("symbolic-ref", "refs/remotes/origin/HEAD"),
                   "origin/main", "origin/master"):
        base = git("merge-base", "HEAD", branch) if branch else ""
        if base and base != head:
            return base
    return git("rev-parse", "--verify", "HEAD~1") or EMPTY_TREE


def changed_files(base):
    listed = git("diff", "--name-only", "--diff-filter=d", base)
    fresh = git("ls-files", "--others", "--exclude-standard")
    return sorted(set((listed + "\n" + fresh).split()))


def sources_of(files, known):
    """The .cc files to check: changed ones, and those of changed headers.

    Sources of the product come before those of tests.
    """
    wanted = set()
    for name in files:
        if name.endswith(".h"):
            name = name[:-len(".h")] + ".cc"
        if name.endswith(".cc") and name in known:
            wanted.add(name)
    return sorted(wanted, key=lambda name: (name.startswith("tests/"), name))


def known_sources(build):
    """Sources of the compilation database, relative to the root."""
    path = os.path.join(build, "compile_commands.json")
    with open(path, encoding="utf-8") as file:
        entries = json.load(file)
    return {os.path.relpath(
        os.path.realpath(os.path.join(entry["directory"], entry["file"])),
        ROOT) for entry in entries}


def digest_of(paths):
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.encode())
        with open(os.path.join(ROOT, path), "rb") as file:
            digest.update(file.read())
    return digest


def header_digest():
    headers = []
    for folder in ("src", "tests"):
        for where, _, names in os.walk(os.path.join(ROOT, folder)):
            headers += [os.path.relpath(os.path.join(where, name), ROOT)
                        for name in names if name.endswith(".h")]
    return digest_of([".clang-tidy", *sorted(headers)])


class Checker:
    """Checks files and remembers which were clean."""

    def __init__(self, build, deadline):
        self.build = build
        self.deadline = deadline
        self.memory = os.path.join(build, "tidy")
        self.headers = header_digest()
        os.makedirs(self.memory, exist_ok=True)

    def stamp_of(self, name):
        digest = self.headers.copy()
        digest.update(digest_of([name]).digest())
        return os.path.join(self.memory, digest.hexdigest())

    def check(self, name):
        """"clean", "late" (no time left), or the findings."""
        stamp = self.stamp_of(name)
        if os.path.exists(stamp):
            return "clean"
        left = self.deadline - time.monotonic()
        if left <= 0:
            return "late"
        try:
            done = subprocess.run(
                ["clang-tidy-19", "--quiet", "-p", self.build,
                 os.path.join(ROOT, name)],
                check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, timeout=left)
        except subprocess.TimeoutExpired:
            return "late"
        if done.returncode != 0:
            return done.stdout
        with open(stamp, "w", encoding="utf-8"):
            return "clean"


def parse(arguments):
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(ROOT, "build/dev"))
    parser.add_argument("--base")
    parser.add_argument("--budget", type=float, default=480)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("files", nargs="*")
    return parser.parse_args(arguments)


def main(arguments):
    options = parse(arguments)
    try:
        known = known_sources(options.build)
    except OSError as error:
        print(f"cannot read the compilation database: {error}; configure the "
              "build folder first (cmake --preset dev)")
        return 1
    named = [os.path.relpath(os.path.realpath(f), ROOT) for f in options.files]
    names = sources_of(
        named or changed_files(options.base or base_commit()), known)
    checker = Checker(options.build, time.monotonic() + options.budget)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(checker.check, names))
    bad = [text for text in results if text not in ("clean", "late")]
    late = [name for name, text in zip(names, results) if text == "late"]
    for text in bad:
        print(text)
    print(f"clang-tidy: {len(names)} changed files, "
          f"{results.count('clean')} clean, {len(bad)} with findings, "
          f"{len(late)} left for want of time")
    for name in late:
        print(f"  not checked: {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
