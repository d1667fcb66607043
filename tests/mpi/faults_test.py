"""Runs four ranks that lose one of them, or wait, and checks how they end.

usage: faults_test.py PROGRAM CASE
"""

import os
import re
import signal
import subprocess
import sys
import time

RANKS = 4
LIMIT_SECONDS = 10.0


def mpirun(program, what, *options):
    return subprocess.Popen(
        ["mpirun", "--oversubscribe", "--bind-to", "none", *options, "-n",
         str(RANKS), program, what],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def finish(job):
    """Output, exit code and the seconds since the call."""
    start = time.monotonic()
    try:
        output, _ = job.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        job.kill()
        raise
    print(output)
    return output, job.returncode, time.monotonic() - start


def ended(output):
    """Rank -> what it said at its end."""
    return {int(rank): text for rank, text in
            re.findall(r"rank (\d+) ends: (.*)", output)}


def killed(program):
    _, code, seconds = finish(mpirun(program, "killed"))
    assert code != 0
    assert seconds < LIMIT_SECONDS, seconds


def exited(program):
    _, code, seconds = finish(mpirun(program, "exited"))
    assert code != 0
    assert seconds < LIMIT_SECONDS, seconds


def launcher_kept_out(program):
    """A launcher that lets the others live: they must notice themselves.
    Its own exit code says nothing then."""
    output, _, seconds = finish(
        mpirun(program, "killed", "--enable-recovery"))
    assert seconds < LIMIT_SECONDS, seconds
    said = ended(output)
    assert sorted(said) == [0, 1, 3], said
    # Whoever notices first gives the others their cause.
    assert all("rank 2 (pid " in text and "is gone" in text
               for text in said.values()), said


def aborted(program):
    output, code, seconds = finish(mpirun(program, "aborted"))
    assert code == 3, code
    assert seconds < LIMIT_SECONDS, seconds
    said = ended(output)
    assert said.pop(2) == "I/O error: the disk of rank 2 is full"
    assert sorted(said) == [0, 1, 3], said
    assert set(said.values()) == {
        "unavailable: rank 2: the disk of rank 2 is full"}, said


def cancelled(program):
    """Signals go to the ranks themselves: mpirun's own reaction to one is to
    kill them."""
    job = mpirun(program, "cancelled")
    pids = []
    while len(pids) < RANKS:
        line = job.stdout.readline()
        assert line, "the ranks ended early"
        pids += [int(pid) for pid in re.findall(r"waiting (\d+)", line)]
    for pid in pids:
        os.kill(pid, signal.SIGTERM)
    output, code, seconds = finish(job)
    assert code == 3, code
    assert seconds < LIMIT_SECONDS, seconds
    said = ended(output)
    assert len(said) == RANKS, said
    # A rank may learn of another's request to stop before it sees its own.
    assert all("asked to stop" in text for text in said.values()), said


def waiting(program):
    output, code, _ = finish(mpirun(program, "waiting"))
    assert code == 0, code
    used = [float(text) for text in re.findall(r"cpu_seconds (\S+)", output)]
    assert len(used) == RANKS, used
    # Spinning, three ranks would use 4.5 s in 1.5 s on enough cores, 3 s on
    # two.
    assert sum(used) < 0.2, used


if __name__ == "__main__":
    {"killed": killed, "exited": exited, "aborted": aborted,
     "cancelled": cancelled, "waiting": waiting,
     "launcher_kept_out": launcher_kept_out}[sys.argv[2]](sys.argv[1])
