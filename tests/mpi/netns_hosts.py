"""Several "hosts" on one machine: each a network namespace with an address, a
host name and an /etc/hosts of its own, joined by a bridge inside the first.

Needs root (CAP_SYS_ADMIN, CAP_NET_ADMIN) and `ip` of iproute2; where the
machine does not permit it, Hosts raises NotPermitted with what is missing.

    with Hosts(3, folder) as hosts:
        subprocess.run(hosts.on(0, ["mpirun", *hosts.mpi_words(), ...]))

Nothing is left behind: a watcher process of its own session removes the
namespaces and what runs in them when the one that made them is gone, however
it ended. Names carry the process id, so that two runs do not meet.
"""

import os
import pathlib
import signal
import shlex
import shutil
import stat
import subprocess
import sys

PREFIX = "stk"


class NotPermitted(RuntimeError):
    pass


def run(*words):
    done = subprocess.run(words, text=True, capture_output=True)
    if done.returncode != 0:
        raise NotPermitted(
            f"{shlex.join(words)}: {done.stderr.strip()}. This test makes "
            "network namespaces: it needs root with CAP_SYS_ADMIN and "
            "CAP_NET_ADMIN (docker run --privileged) and iproute2.")
    return done.stdout


def namespaces(prefix):
    listed = subprocess.run(["ip", "netns", "list"], text=True,
                            capture_output=True).stdout
    return [line.split()[0] for line in listed.splitlines()
            if line.startswith(prefix)]


def pids_in(namespace):
    listed = subprocess.run(["ip", "netns", "pids", namespace], text=True,
                            capture_output=True).stdout
    return [int(pid) for pid in listed.split()]


def remove(prefix):
    """Ends what runs in the namespaces of `prefix`, then removes them."""
    for name in namespaces(prefix):
        for pid in pids_in(name):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
        # The name goes last: by it a later run finds what is left.
        shutil.rmtree(f"/etc/netns/{name}", ignore_errors=True)
        subprocess.run(["ip", "netns", "del", name], capture_output=True)


def remove_of_the_dead():
    """What test runs left whose watcher was killed as well."""
    for name in namespaces(PREFIX):
        owner = name[len(PREFIX):].split("x")[0]
        if owner.isdigit() and not pathlib.Path(f"/proc/{owner}").exists():
            remove(f"{PREFIX}{owner}x")


class Hosts:
    def __init__(self, count, folder):
        if shutil.which("ip") is None:
            raise NotPermitted("ip is missing; remedy: apt install iproute2")
        if os.geteuid() != 0:
            raise NotPermitted("network namespaces need root")
        self.prefix = f"{PREFIX}{os.getpid()}x"
        self.names = [f"{self.prefix}{i}" for i in range(count)]
        # A net of its own inside the namespaces: the same for all runs.
        self.net = "10.77.0"
        self.folder = pathlib.Path(folder)
        self.agent = self.folder / "agent.sh"
        self.watcher = None
        self.lifeline = None

    def __enter__(self):
        remove_of_the_dead()
        self._watch()
        try:
            self._make()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *ignored):
        self.close()

    def close(self):
        """Removes everything; the watcher does it."""
        if self.lifeline is not None:
            os.close(self.lifeline)
            self.lifeline = None
            self.watcher.wait()

    def _watch(self):
        read_end, self.lifeline = os.pipe()
        # The write end is ours alone: it closes when this process is gone.
        self.watcher = subprocess.Popen(
            [sys.executable, __file__, self.prefix], stdin=read_end,
            start_new_session=True, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        os.close(read_end)

    def _make(self):
        table = "127.0.0.1 localhost\n" + "".join(
            f"{self.net}.{i + 1} {name}\n"
            for i, name in enumerate(self.names))
        for name in self.names:
            run("ip", "netns", "add", name)
            run("ip", "-n", name, "link", "set", "lo", "up")
            etc = pathlib.Path(f"/etc/netns/{name}")
            etc.mkdir(parents=True, exist_ok=True)
            (etc / "hosts").write_text(table)
        first = self.names[0]
        run("ip", "-n", first, "link", "add", "br0", "type", "bridge")
        run("ip", "-n", first, "addr", "add", f"{self.net}.1/24", "dev", "br0")
        run("ip", "-n", first, "link", "set", "br0", "up")
        for i, name in enumerate(self.names[1:], start=1):
            run("ip", "link", "add", f"v{i}", "netns", first, "type", "veth",
                "peer", "name", "eth0", "netns", name)
            run("ip", "-n", first, "link", "set", f"v{i}", "master", "br0",
                "up")
            run("ip", "-n", name, "addr", "add", f"{self.net}.{i + 1}/24",
                "dev", "eth0")
            run("ip", "-n", name, "link", "set", "eth0", "up")
        # What mpirun calls instead of ssh: agent HOST 'command'. A file
        # <folder>/<HOST>.sh, where there is one, runs first, in the host's own
        # mount namespace.
        self.agent.write_text(
            "#!/bin/bash\nhost=$1\nshift\n"
            f"prologue={shlex.quote(str(self.folder))}/$host.sh\n"
            "exec ip netns exec \"$host\" unshare --uts --mount /bin/bash -c '"
            "hostname \"$0\"; if [ -f \"$1\" ]; then . \"$1\"; fi; "
            "eval \"$2\"' \"$host\" \"$prologue\" \"$*\"\n")
        self.agent.chmod(self.agent.stat().st_mode | stat.S_IXUSR)

    def prologue(self, index, script):
        """Shell commands before anything runs on a host, such as mounts that
        only it sees."""
        (self.folder / f"{self.names[index]}.sh").write_text(script)

    def on(self, index, words):
        """The words that run `words` on a host."""
        return [str(self.agent), self.names[index], shlex.join(words)]

    def mpi_words(self):
        """Open MPI's options for these hosts."""
        net = f"{self.net}.0/24"
        return ["--mca", "plm_rsh_agent", str(self.agent),
                "--mca", "plm_rsh_no_tree_spawn", "1",
                "--mca", "btl", "self,vader,tcp", "--mca", "pml", "ob1",
                "--mca", "btl_tcp_if_include", net,
                "--mca", "oob_tcp_if_include", net,
                "--mca", "btl_vader_single_copy_mechanism", "none"]

    def pids(self, index):
        return pids_in(self.names[index])


if __name__ == "__main__":
    # The watcher: waits for the end of its maker, then cleans up.
    while os.read(0, 1):
        pass
    remove(sys.argv[1])
