"""Ranks started by srun: a Slurm of one node, started for the test. It uses
neither munge nor cgroups, and no files but those of the test's folder.

usage: slurm_test.py STOKER [unittest arguments]
"""

import ctypes
import os
import pwd
import shutil
import signal
import socket
import subprocess

import harness
from harness import (ENVIRONMENT, TRAIN, UNET3D, StokerCase, load_json,
                     wait_for)

ATTEMPTS = 5  # to find ports that nobody else takes meanwhile
SEARCH = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
CONFIGURATION = """
ClusterName=stoker
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/none
CredType=cred/none
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
TmpFS={folder}/tmp
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SwitchType=switch/none
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/none
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} State=UNKNOWN
PartitionName=all Nodes=ALL Default=YES OverSubscribe=FORCE:8 State=UP
"""


def die_with_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


class PortTaken(AssertionError):
    pass


class SlurmTest(StokerCase):
    @classmethod
    def setUpClass(cls):
        missing = [name for name in ("slurmctld", "slurmd", "srun")
                   if shutil.which(name, path=SEARCH) is None]
        if missing:
            raise AssertionError(f"{', '.join(missing)} missing; remedy: apt "
                                 "install slurmctld slurmd slurm-client")

    def setUp(self):
        super().setUp()
        for attempt in range(ATTEMPTS):
            try:
                self.start_slurm(self.folder / f"slurm{attempt}")
                break
            except PortTaken:
                if attempt == ATTEMPTS - 1:
                    raise
        plugins = subprocess.run(["srun", "--mpi=list"], text=True,
                                 env=self.environment, capture_output=True)
        said = plugins.stdout + plugins.stderr
        self.assertIn("pmix", said, "Slurm's pmix plugin is missing; remedy: "
                      f"apt install slurm-wlm-basic-plugins\n{said}")

    def start_slurm(self, slurm):
        for part in "state", "spool", "tmp":
            (slurm / part).mkdir(parents=True)
        (slurm / "slurm.conf").write_text(CONFIGURATION.format(
            host=socket.gethostname().split(".")[0], folder=slurm,
            cpus=os.cpu_count(),
            user=pwd.getpwuid(os.geteuid()).pw_name, ports=free_ports(2)))
        # The step daemons get it too, by which the harness finds them.
        self.environment = dict(ENVIRONMENT, PATH=SEARCH,
                                SLURM_CONF=str(slurm / "slurm.conf"))
        daemons = []
        for daemon in "slurmctld", "slurmd":
            with (slurm / f"{daemon}.log").open("w") as log:
                daemons.append(subprocess.Popen(
                    [shutil.which(daemon, path=SEARCH), "-D", "-f",
                     str(slurm / "slurm.conf")],
                    env=self.environment, stdin=subprocess.DEVNULL,
                    stdout=log, stderr=subprocess.STDOUT,
                    preexec_fn=die_with_parent))
            self.addCleanup(daemons[-1].wait)
            self.addCleanup(daemons[-1].terminate)
        self.wait_for_node(slurm, daemons)

    def wait_for_node(self, slurm, daemons):
        def idle():
            if any(daemon.poll() is not None for daemon in daemons):
                raise AssertionError("a daemon of Slurm ended")
            done = subprocess.run(["sinfo", "-h", "-o", "%t"], text=True,
                                  env=self.environment, capture_output=True)
            return done.stdout.strip() == "idle"
        try:
            wait_for("Slurm's node", idle)
        except AssertionError as error:
            logs = "\n".join(path.read_text()[-2000:]
                             for path in slurm.glob("*.log"))
            kind = (PortTaken if "Address already in use" in logs
                    else AssertionError)
            raise kind(f"{error}\n{logs}") from None

    def srun(self, tasks, *words):
        return ["srun", "-O", "-n", str(tasks), *words]

    def test_tasks_with_pmix_are_ranks(self):
        self.finish(self.srun(3, "--mpi=pmix") + self.words(
            "datagen", "-m", "unet3d", ranks=3, params=UNET3D),
            environment=self.environment)
        done = self.finish(self.srun(3, "--mpi=pmix") + self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=3,
            params=[*UNET3D, *TRAIN, "reader.batch_size=1"]),
            environment=self.environment)
        record = load_json(self.run_folder() / "record.json")
        self.assertEqual(record["state"], "complete")
        self.assertEqual(record["run"]["num_accelerators"], 3)
        self.assertEqual([host["ranks"] for host in record["hosts"]], [3])
        self.assertEqual(done.stdout.count("results: "), 1)

    def test_tasks_without_pmix_name_the_remedy(self):
        done = self.finish(self.srun(2, "--mpi=none") + self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=2, params=UNET3D),
            environment=self.environment, expect=2)
        self.assertIn("srun --mpi=pmix", done.stderr)
        self.assertFalse(self.results.exists())

    def test_another_number_of_tasks_names_the_remedy(self):
        done = self.finish(self.srun(2, "--mpi=pmix") + self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=3, params=UNET3D),
            environment=self.environment, expect=5)
        self.assertIn("2 rank(s) were started, the command asks for 3",
                      done.stderr)

    def test_a_failure_ends_all_tasks_with_its_status(self):
        done = self.finish(self.srun(2, "--mpi=pmix") + self.words(
            "run", "-m", "unet3d", "-g", "h100", ranks=2, params=UNET3D),
            environment=self.environment, expect=3)
        self.assertIn("stoker training datagen", done.stderr)


if __name__ == "__main__":
    harness.main()
