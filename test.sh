#!/bin/bash
# Builds Stoker and checks everything. The last line says "N passed, N failed".
#
# Usage: ./test.sh           all of it
#        ./test.sh --quick   the inner loop: dev build and fast tests
#
# Installs missing Debian packages (needs root only then). Goes on after a
# failure, so that one call shows all of them; the exit status is 1 then.
# TIDY_BUDGET: seconds clang-tidy may take (default 480).
# shellcheck disable=SC2317  # most functions are called through stage
set -uo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")" || exit 1

usage() {
  sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}"
}

quick=0
for argument in "$@"; do
  case "$argument" in
    --quick) quick=1 ;;
    -h | --help) usage && exit 0 ;;
    *)
      echo "test.sh: unknown argument '$argument'; allowed: --quick, --help" >&2
      exit 2
      ;;
  esac
done

exec </dev/null  # nothing asks questions
jobs="$(nproc)"
export CTEST_OUTPUT_ON_FAILURE=1
export GTEST_BRIEF=1  # of a program that fails: which tests, and why
export ASAN_OPTIONS="detect_stack_use_after_return=1:strict_string_checks=1"
export UBSAN_OPTIONS="print_stacktrace=1"
export TSAN_OPTIONS="second_deadlock_stack=1"
if ((EUID == 0)); then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1
fi

passed=0
failed=0
summary=()

# note RESULT SECONDS NAME [DETAIL]: a line of the summary.
note() {
  summary+=("$(printf '%-6s %5d s  %s%s' "$1" "$2" "$3" "${4:+: $4}")")
}

# stage NAME COMMAND...: runs the command and counts it as one check.
stage() {
  local name="$1" start="$SECONDS" result=ok
  shift
  echo
  echo "== $name"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    result=FAILED
  fi
  note "$result" "$((SECONDS - start))" "$name"
  [[ "$result" == ok ]]
}

# skipped NAME REASON: a check that could not run counts as failed.
skipped() {
  failed=$((failed + 1))
  note FAILED 0 "$1" "not run, $2"
}

# tests NAME PRESET CTEST-ARGUMENTS...: runs CTest and counts each test.
tests() {
  local name="$1" preset="$2" start="$SECONDS" result=ok log total bad
  shift 2
  log="build/$preset/last_test_run.log"
  echo
  echo "== $name"
  local -a run=(ctest --test-dir "build/$preset" --no-tests=error -j "$jobs" "$@")
  if [[ "$preset" == tsan ]]; then
    run=("${without_aslr[@]}" "${run[@]}")
  fi
  if ! "${run[@]}" 2>&1 | tee "$log"; then
    result=FAILED
  fi
  # "98% tests passed, 1 tests failed out of 42"
  if [[ "$(grep 'tests passed, ' "$log" | tail -n 1)" =~ \
    ([0-9]+)\ tests\ failed\ out\ of\ ([0-9]+) ]]; then
    bad="${BASH_REMATCH[1]}"
    total="${BASH_REMATCH[2]}"
  else
    result=FAILED
    bad=1
    total=1
  fi
  if [[ "$result" == FAILED ]] && ((bad == 0)); then
    bad=1
    total=$((total + 1))
  fi
  passed=$((passed + total - bad))
  failed=$((failed + bad))
  note "$result" "$((SECONDS - start))" "$name" "$((total - bad)) of $total"
}

# The thread sanitizer of gcc 12 cannot place its shadow memory where the
# kernel randomises addresses by more than 28 bits.
without_aslr=()
if (($(cat /proc/sys/vm/mmap_rnd_bits 2>/dev/null || echo 28) > 28)) &&
  setarch --addr-no-randomize true 2>/dev/null; then
  without_aslr=(setarch --addr-no-randomize)
fi

configure() {
  mkdir -p build
  cmake --preset "$1" >"build/configure_$1.log" 2>&1 || {
    cat "build/configure_$1.log"
    return 1
  }
}

# build PRESET [TARGET]: configures and builds.
build() {
  local -a target=()
  [[ -n "${2:-}" ]] && target=(--target "$2")
  configure "$1" && cmake --build "build/$1" -j "$jobs" "${target[@]}"
}

check_format() {
  find src tests \( -name '*.h' -o -name '*.cc' \) -print0 |
    xargs -0 clang-format-19 --dry-run -Werror
}

check_shell() {
  local -a scripts
  mapfile -t scripts < <(find run.sh test.sh .ci tools tests -type f \
    \( -name '*.sh' -o -path '.ci/*' \) | sort)
  shellcheck "${scripts[@]}"
}

finish() {
  echo
  echo "== Summary ($((SECONDS / 60)) min $((SECONDS % 60)) s)"
  printf '%s\n' "${summary[@]}"
  echo "$passed passed, $failed failed"
  ((failed == 0))
  exit
}

if ! stage "packages" tools/install_packages.sh build test; then
  finish
fi

if stage "build dev" build dev; then
  if ((quick)); then
    tests "tests (fast)" dev -L '^(fast|tools)$'
  else
    tests "tests" dev
  fi
else
  skipped "tests" "the build failed"
fi

if ((!quick)); then
  for preset in asan tsan; do
    if stage "build $preset" build "$preset" fast_tests; then
      tests "tests $preset (fast)" "$preset" -L '^fast$'
    else
      skipped "tests $preset (fast)" "the build failed"
    fi
  done
  stage "headers compile alone" build dev check_headers
  stage "layers" /usr/bin/python3 tools/check_layers.py
  stage "sources" /usr/bin/python3 tools/check_sources.py
  stage "format" check_format
  stage "shell scripts" check_shell
  stage "clang-tidy (changed files)" /usr/bin/python3 tools/tidy_changed.py \
    --budget "${TIDY_BUDGET:-480}"
fi
finish
