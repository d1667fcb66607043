#!/bin/bash
# Measures what Stoker costs its host and writes one report: the table of
# README.md's "Is the client the bottleneck?", as medians with their ranges.
#
# Usage: tests/perf/run.sh [OPTION...]
#   --runs N        runs per figure (default 5)
#   --rows A,B,...  only these rows (--list names them)
#   --folder DIR    datasets and results go below it (default build/perf);
#                   a file system with a page cache and 65,000 names per file
#   --memory DIR    tmpfs for the datagen rows (default /dev/shm)
#   --list          names of the rows, and nothing is measured
#
# Installs missing Debian packages, builds the release program, and takes about
# an hour in full. Nothing passes or fails here; nothing else should run on the
# machine meanwhile.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."

case "${1:-}" in
  -h | --help)
    sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' tests/perf/run.sh
    exit 0
    ;;
  --list) exec /usr/bin/python3 tests/perf/report.py --list ;;
esac

tools/install_packages.sh build
tools/install_packages.sh perf
mkdir -p build
cmake --preset release -D STOKER_TESTS=OFF >build/configure_release.log
cmake --build build/release -j "$(nproc)" --target stoker stoker_seam_overhead
exec /usr/bin/python3 tests/perf/report.py --stoker build/release/stoker "$@"
