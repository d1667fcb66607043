"""What the machine can do, by fio: the ceiling beside which ours stands."""

import json
import os
import shutil
import subprocess


def run(log, *words):
    command = ["fio", "--output-format=json", "--thread=0", *words]
    log.write(" ".join(command) + "\n")
    output = subprocess.run(command, check=True, text=True,
                            stdout=subprocess.PIPE).stdout
    return json.loads(output[output.index("{"):])["jobs"]


def read_cached(log, files, jobs, seconds):
    """psync reads of 256 KiB from the page cache, `jobs` processes at once.

    Each job reads every file again and again, front to back, into one buffer
    (fio takes the same one each time, whatever --iodepth says). Returns (bytes
    per second of all jobs, CPU seconds per byte).
    """
    names = ":".join(str(file).replace(":", r"\:") for file in files)
    grouped = run(
        log, "--name=read", "--rw=read", "--ioengine=psync", "--bs=256k",
        f"--numjobs={jobs}", f"--filename={names}",
        "--file_service_type=sequential", "--invalidate=0", "--time_based",
        f"--runtime={seconds}", "--readonly")
    total = sum(job["read"]["io_bytes"] for job in grouped)
    rate = sum(job["read"]["bw_bytes"] for job in grouped)
    cpu = sum((job["usr_cpu"] + job["sys_cpu"]) / 100 *
              job["read"]["runtime"] / 1000 for job in grouped)
    return rate, cpu / total


def read_direct(log, files, block, depth, seconds):
    """Bytes per second of one job that reads `files` front to back, again and
    again, past the page cache: io_uring with O_DIRECT, memory and files
    registered, `depth` requests of `block` bytes at once. Also CPU seconds per
    byte."""
    names = ":".join(str(file).replace(":", r"\:") for file in files)
    job = run(
        log, "--name=direct", "--rw=read", "--ioengine=io_uring", "--direct=1",
        f"--bs={block}", f"--iodepth={depth}", "--fixedbufs=1",
        "--registerfiles=1", f"--filename={names}",
        "--file_service_type=sequential", "--time_based",
        f"--runtime={seconds}", "--readonly")[0]
    seconds = job["read"]["runtime"] / 1000
    cpu = (job["usr_cpu"] + job["sys_cpu"]) / 100 * seconds
    done = job["read"]["io_bytes"]
    return done / seconds, cpu / done


def use_memory(folder, size):
    """Takes so many bytes of tmpfs and frees them: a virtual machine may have
    given free memory back to its host, and whoever needs it first pays for
    getting it again."""
    name = f"{folder}/stoker-perf-memory"
    block = bytes(1 << 20)
    try:
        with open(name, "wb", buffering=0) as file:
            for _ in range(-(-size // len(block))):
                file.write(block)
    finally:
        os.unlink(name)


def write_fresh(log, folder, jobs, sizes):
    """Bytes per second of writing new files, `jobs` processes at once.

    `sizes`: (number of files per job, bytes of each).
    """
    count, size = sizes
    grouped = run(
        log, "--name=write", "--rw=write", "--ioengine=psync", "--bs=256k",
        f"--numjobs={jobs}", f"--directory={folder}", f"--nrfiles={count}",
        f"--filesize={size}", "--create_on_open=1", "--fallocate=none",
        "--file_service_type=sequential", "--openfiles=1", "--unlink=1",
        "--group_reporting")
    job = grouped[0]["write"]
    return job["io_bytes"] / (job["runtime"] / 1000)


def write_streams(log, folder, jobs, size, fsync, count):
    """Bytes per second of each of `count` writings, one after the other: a new
    file of `size` bytes a job, in requests of 1 MiB, all of it on stable
    storage at the end if `fsync`. The files of the writing before are there
    until it has ended."""
    rates = []
    for number in range(count):
        place = folder / f"stream-{number}"
        place.mkdir()
        grouped = run(
            log, "--name=stream", "--rw=write", "--ioengine=psync", "--bs=1m",
            f"--numjobs={jobs}", f"--directory={place}",
            f"--size={size // 2**20}m", "--create_on_open=1",
            "--fallocate=none", f"--end_fsync={int(fsync)}",
            "--group_reporting")
        job = grouped[0]["write"]
        rates.append(job["io_bytes"] / (job["runtime"] / 1000))
        shutil.rmtree(folder / f"stream-{number - 1}", ignore_errors=True)
    return rates
