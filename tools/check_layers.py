#!/usr/bin/python3
"""Checks that every #include obeys the layers of docs/architecture.md.

Usage: check_layers.py [ROOT]

Prints one line per offence (file:line: reason) and exits with 1 if there are
any. Tests of a module may include every module, but no internal/ folder of
another.
"""

import os
import re
import sys

# Module -> modules whose headers it may include. Add a row with a new folder.
LAYERS = {
    "core": [],
    "comm": ["core"],
    "config": ["core"],
    "storage": ["core"],
    "cache": ["core", "storage"],
    "formats": ["core", "storage"],
    "metrics": ["core", "comm", "storage"],
    "dataset": ["core", "storage", "formats"],
    "checkpoint": ["core", "comm", "storage", "metrics"],
    "rules": ["core", "config", "metrics"],
    "generators": ["core", "comm", "storage", "formats", "dataset"],
    "emulator": ["core", "comm", "storage", "formats", "dataset", "metrics"],
    "reporting": ["core", "metrics", "rules"],
    "run": ["core", "comm", "config", "storage", "cache", "formats", "metrics",
            "dataset", "checkpoint", "rules", "generators", "emulator",
            "reporting"],
    "cli": ["core", "config", "run", "reporting"],
}

# Third-party headers (a prefix of the included name) -> modules or files whose
# .cc files may include them. "*" is every module.
HOMES = {
    "fmt/": ["*"],
    "yaml.h": ["config"],
    "liburing.h": ["storage"],
    "curl/": ["storage"],
    "openssl/": ["storage"],
    "pugixml.hpp": ["storage"],
    "isa-l": ["core/crc.cc", "core/internal/crc32_fold.cc",
              "core/internal/crc32_mix.cc"],
    "turbojpeg.h": ["formats/jpeg_format.cc"],
    "mpi.h": ["comm/mpi_communicator.cc"],
    "boost/": ["cli"],
    "nlohmann/": ["reporting", "dataset", "checkpoint"],
}

# What the C library and the kernel bring along; anywhere.
SYSTEM = re.compile(
    r"(sys|linux|netinet|arpa|bits)/[\w/]+\.h$|"
    r"(cpuid|dirent|dlfcn|emmintrin|errno|fcntl|ftw|immintrin|netdb|poll|"
    r"pthread|sched|signal|spawn|stdlib|string|time|unistd|unwind)\.h$")
STANDARD = re.compile(r"[a-z][a-z0-9_]*$")  # <vector>, <cstdint>

INCLUDE = re.compile(r'\s*#\s*include\s*([<"])([^>"]+)[>"]')


def home_of(header):
    """Where a third-party header may be included, or None if it is none."""
    for prefix, home in HOMES.items():
        if header == prefix or (header.startswith(prefix) and
                                not prefix.endswith(".h")):
            return home
    return None


def check_third_party(name, header, module):
    home = home_of(header)
    if home is None:
        return (f"<{header}> is not a header this project knows; give it a "
                "home in tools/check_layers.py")
    if name.endswith(".h"):
        return f"<{header}> in a header; third-party headers are for .cc files"
    if "*" in home or module in home or name in home:
        return None
    return f"<{header}> outside its home ({', '.join(home)})"


def check_own(header, module):
    """A header of ours included by `module` (None: tests, any module)."""
    parts = header.split("/")
    target = parts[0]
    if target not in LAYERS or len(parts) < 2:
        return f'"{header}" names no module of ours'
    if target == module:
        return None
    if "internal" in parts[1:-1]:
        return f'"{header}" is private to {target}'
    if module is None or target in LAYERS[module]:
        return None
    allowed = ", ".join(LAYERS[module]) or "no module"
    return f'{module} may not include {target} ("{header}"); allowed: {allowed}'


def check_source(name, kind, header):
    """An include in src/<name>; `name` starts with its module."""
    module = name.split("/")[0]
    if kind == '"':
        return check_own(header, module)
    if STANDARD.match(header) or SYSTEM.match(header):
        return None
    return check_third_party(name, header, module)


def check_test(name, kind, header):
    """An include in tests/<name>: any module, but no foreign internal/.

    Folders that are of no single module (conformance, interop, ...) may look
    inside all of them.
    """
    if kind == "<" or header.startswith("tests/") or header.endswith(".pb.h"):
        return None
    folder = name.split("/")[0]
    target = header.split("/")[0]
    if target in LAYERS and (folder == target or folder not in LAYERS):
        return None
    return check_own(header, None)


def includes(path):
    with open(path, encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if match:
                yield number, match.group(1), match.group(2)


def sources(folder):
    for where, _, names in sorted(os.walk(folder)):
        for name in sorted(names):
            if name.endswith((".h", ".cc")):
                path = os.path.join(where, name)
                yield path, os.path.relpath(path, folder)


def check_tree(root):
    offences = []
    src = os.path.join(root, "src")
    for entry in sorted(os.listdir(src)):
        if entry not in LAYERS:
            offences.append(f"src/{entry}: not a module of the layer table")
    for folder, check in (("src", check_source), ("tests", check_test)):
        for path, name in sources(os.path.join(root, folder)):
            if folder == "src" and name.split("/")[0] not in LAYERS:
                continue
            for number, kind, header in includes(path):
                reason = check(name, kind, header)
                if reason:
                    offences.append(f"{folder}/{name}:{number}: {reason}")
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
