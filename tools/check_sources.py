#!/usr/bin/python3
"""Checks what compilers and formatters do not: the habits of CONTRIBUTING.md.

Usage: check_sources.py [ROOT]

Prints one line per offence (file:line: reason) and exits with 1 if there are
any.
"""

import os
import re
import sys

MAX_LINES = 600
CODE_FOLDERS = ("src", "tests")
TEXT_FOLDERS = (".ci", "cmake", "configs", "docs", "results", "src", "tests",
                "tools", "workloads")
TEXT_SUFFIXES = (".cc", ".cmake", ".h", ".json", ".md", ".proto", ".py", ".sh",
                 ".txt", ".yaml", ".yml", "")
# Recorded input and output of tests, as it came.
SKIPPED_FOLDERS = ("tests/data",)

TODO = re.compile(r"\b(TODO|FIXME|XXX)\b(?!\(#\d+\))")
NOLINT = re.compile(r"\bNOLINT(NEXTLINE|BEGIN|END)?\b(?P<rest>.*)")
NOLINT_REASON = re.compile(r"\([\w.,* -]+\)(:? \S.*|)$")
# Folders of one machine or one person, and section signs: both point at
# things a reader of this repository does not have.
OUTSIDE = re.compile(r"(?<![\w.$}])/(home|root|Users|work)/\w|\u00a7")
DOCUMENT = re.compile(r"\bdocs/[\w./-]+\.md\b")

# Strings, characters and comments of C++, whichever starts first.
TOKENS = re.compile(
    r'R"(?P<tag>[^(\s]*)\(.*?\)(?P=tag)"'
    r'|"(?:\\.|[^"\\\n])*"'
    r"|(?<![0-9a-fA-F])'(?:\\.|[^'\\\n])*'"
    r"|(?P<comment>//[^\n]*|/\*.*?\*/)", re.DOTALL)


def without_comments(text):
    """`text` with comments blanked out; lines keep their numbers."""
    def blank(match):
        if match.group("comment") is None:
            return match.group(0)
        return re.sub(r"[^\n]", " ", match.group(0))
    return TOKENS.sub(blank, text)


def check_nolint(line):
    match = NOLINT.search(line)
    if not match:
        return None
    reason = NOLINT_REASON.match(match.group("rest"))
    if reason and (match.group(1) == "END" or reason.group(1)):
        return None
    return "NOLINT needs the check and the reason: NOLINT(check): why"


# Literals cannot be had in another way.
USING = re.compile(r"\busing\s+namespace\s+(?!std::(\w+::)*\w*literals\s*;)")


def check_code_line(line):
    if USING.search(line):
        return "`using namespace`"
    if not line.isascii():
        return "a character outside ASCII in code (comments may have them)"
    return None


def check_own_header(root, name, text):
    """A .cc of src/ includes the header of its name before all others."""
    header = name[:-len(".cc")] + ".h"
    if not name.startswith("src/") or not os.path.exists(
            os.path.join(root, header)):
        return []
    own = header[len("src/"):]
    first = re.search(r'^\s*#\s*include\s*[<"]([^>"]+)', text, re.MULTILINE)
    if first and first.group(1) == own:
        return []
    return [f'{name}: the first include must be its own "{own}"']


def check_code(root, name, text):
    offences = []
    for number, line in enumerate(without_comments(text).split("\n"), 1):
        reason = check_code_line(line)
        if reason:
            offences.append(f"{name}:{number}: {reason}")
    if name.endswith(".h") and not text.startswith("#pragma once\n"):
        offences.append(f"{name}:1: a header starts with #pragma once")
    if name.endswith(".cc"):
        offences += check_own_header(root, name, text)
    return offences


def check_text(root, name, text):
    offences = []
    for number, line in enumerate(text.split("\n"), 1):
        if TODO.search(line):
            offences.append(f"{name}:{number}: a to-do without its issue; "
                            "write it with (#number)")
        if OUTSIDE.search(line):
            offences.append(f"{name}:{number}: names a place outside of this "
                            "repository")
        reason = check_nolint(line)
        if reason and name.endswith((".h", ".cc")):
            offences.append(f"{name}:{number}: {reason}")
        for document in DOCUMENT.findall(line):
            if not os.path.exists(os.path.join(root, document)):
                offences.append(f"{name}:{number}: {document} does not exist")
    return offences


def check_length(name, text):
    lines = text.count("\n")
    if name.startswith(CODE_FOLDERS) and lines > MAX_LINES:
        return [f"{name}: {lines} lines, at most {MAX_LINES}; "
                "split it by topic"]
    return []


def text_files(root):
    for name in sorted(os.listdir(root)):
        if os.path.isfile(os.path.join(root, name)) and name != "LICENSE":
            yield name
    for folder in TEXT_FOLDERS:
        for where, folders, names in os.walk(os.path.join(root, folder)):
            relative = os.path.relpath(where, root)
            folders[:] = sorted(
                f for f in folders if f != "__pycache__" and
                os.path.join(relative, f) not in SKIPPED_FOLDERS)
            if folder == "results":
                folders[:] = []  # runs
            for name in sorted(names):
                if os.path.splitext(name)[1] in TEXT_SUFFIXES:
                    yield os.path.join(relative, name)


def check_tree(root):
    offences = []
    # This file and its test hold the patterns they look for.
    own = ("tools/check_sources.py", "tests/tools/check_sources_test.py")
    for name in text_files(root):
        with open(os.path.join(root, name), encoding="utf-8") as file:
            text = file.read()
        offences += check_length(name, text)
        if name.startswith(CODE_FOLDERS) and name.endswith((".h", ".cc")):
            offences += check_code(root, name, text)
        if name not in own:
            offences += check_text(root, name, text)
    return offences


def main(arguments):
    root = arguments[0] if arguments else os.path.join(
        os.path.dirname(os.path.abspath(__file__)), os.pardir)
    offences = check_tree(root)
    for offence in offences:
        print(offence)
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
