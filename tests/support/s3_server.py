#!/usr/bin/python3
"""A real S3 server on loopback for tests: Ceph's RADOS gateway over one
monitor and one OSD that keeps its objects in memory. It verifies signatures.

As a module: `with S3Server(folder) as server: ... server.environment()`.
As a program: s3_server.py up FOLDER      starts it, prints its environment
                                          as NAME=VALUE lines, and returns
              s3_server.py down FOLDER    ends it

Needs the Debian packages radosgw, ceph-mon, ceph-osd and ceph-common.
"""

import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

ACCESS_KEY = "stokertest"
SECRET_KEY = "stoker-test-secret-not-a-secret"
BUCKET = "stoker-test"
START_LIMIT_S = 120


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def config(folder, fsid, monitor_port, gateway):
    """`gateway`: the frontends line of radosgw."""
    # No cephx, so every connection is unencrypted; without these six lines
    # clients ask for secure ones and loop.
    modes = "\n".join(f"ms {part} mode = crc" for part in (
        "client", "service", "cluster", "mon client", "mon service",
        "mon cluster"))
    return f"""[global]
fsid = {fsid}
mon initial members = a
mon host = v2:127.0.0.1:{monitor_port}
public network = 127.0.0.0/8
cluster network = 127.0.0.0/8
ms bind ipv6 = false
{modes}
auth cluster required = none
auth service required = none
auth client required = none
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 8
osd pool default pgp num = 8
osd pool default pg autoscale mode = off
osd crush chooseleaf type = 0
mon allow pool size one = true
mon max pg per osd = 1000
mon data avail warn = 1
mon data avail crit = 1
mon cluster log to file = false
paxos propose interval = 0.05
osd objectstore = memstore
memstore device bytes = 6442450944
osd memory target = 1073741824
run dir = {folder}/run
pid file = {folder}/run/$name.pid
admin socket = {folder}/run/$name.asok
log file = {folder}/log/$name.log
crash dir = {folder}/run
setuser match path = {folder}
[mon]
mon data = {folder}/mon
[osd]
osd data = {folder}/osd
[client]
keyring = {folder}/keyring
rgw data = {folder}/rgw
rgw frontends = {gateway}
rgw dns name = localhost
rgw thread pool size = 64
rgw run sync thread = false
rgw enable usage log = false
rgw init timeout = 60
"""


class S3Server:
    """`folder` is made anew. With `tls` (certificate file with its key) the
    gateway speaks https on a second port."""

    def __init__(self, folder, tls=None):
        self.folder = pathlib.Path(folder).resolve()
        self.port = free_port()
        self.tls_port = free_port() if tls else 0
        self.tls = tls

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    @property
    def tls_endpoint(self):
        return f"https://localhost:{self.tls_port}"

    def environment(self):
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY,
                "AWS_SECRET_ACCESS_KEY": SECRET_KEY,
                "AWS_ENDPOINT_URL": self.endpoint,
                "AWS_REGION": "us-east-1"}

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        self.stop()

    def call(self, *command, **keywords):
        result = subprocess.run(
            [str(part) for part in command], timeout=START_LIMIT_S,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, check=False, **keywords)
        if result.returncode != 0:
            raise RuntimeError(f"{' '.join(map(str, command))} failed: "
                               f"{result.stdout}")
        return result.stdout

    def launch(self, name, *command):
        with open(self.folder / "log" / f"{name}.out", "wb") as out:
            process = subprocess.Popen(
                [str(part) for part in command], stdin=subprocess.DEVNULL,
                stdout=out, stderr=out, start_new_session=True)
        (self.folder / f"{name}.pid").write_text(str(process.pid))

    def wait_for(self, what, ready):
        end = time.monotonic() + START_LIMIT_S
        while not ready():
            if time.monotonic() > end:
                raise RuntimeError(f"{what} did not come up; see "
                                   f"{self.folder}/log")
            time.sleep(0.1)

    def start(self):
        if self.folder.exists():
            shutil.rmtree(self.folder)
        for name in ("mon", "osd", "log", "run", "rgw"):
            (self.folder / name).mkdir(parents=True)
        monitor_port = free_port()
        gateway = f"beast endpoint=127.0.0.1:{self.port} tcp_nodelay=1"
        if self.tls:
            gateway += (f" ssl_endpoint=127.0.0.1:{self.tls_port} "
                        f"ssl_certificate={self.tls}")
        fsid, osd_id = uuid.uuid4(), uuid.uuid4()
        conf = self.folder / "ceph.conf"
        conf.write_text(config(self.folder, fsid, monitor_port, gateway))
        c = ("-c", conf)
        keyring = self.folder / "keyring"
        self.call("ceph-authtool", "--create-keyring", keyring, "--gen-key",
                  "-n", "mon.", "--cap", "mon", "allow *")
        self.call("ceph-authtool", keyring, "--gen-key", "-n", "client.admin",
                  "--cap", "mon", "allow *", "--cap", "osd", "allow *")
        self.call("ceph-authtool", keyring, "--gen-key", "-n", "client.rgw",
                  "--cap", "mon", "allow rwx", "--cap", "osd", "allow rwx")
        monmap = self.folder / "monmap"
        self.call("monmaptool", "--create", "--clobber", "--fsid", fsid,
                  "--addv", "a", f"[v2:127.0.0.1:{monitor_port}]", monmap)
        self.call("ceph-mon", *c, "--mkfs", "-i", "a", "--monmap", monmap,
                  "--keyring", keyring)
        self.launch("mon", "ceph-mon", *c, "-i", "a", "-f")
        self.call("ceph", *c, "--connect-timeout", "60", "osd", "new", osd_id,
                  "0")
        self.call("ceph-osd", *c, "-i", "0", "--mkfs", "--osd-uuid", osd_id)
        self.launch("osd", "ceph-osd", *c, "-i", "0", "-f")
        self.wait_for("the OSD", lambda: "1 up" in self.call(
            "ceph", *c, "osd", "stat"))
        self.call("radosgw-admin", *c, "user", "create", "--uid=stoker",
                  "--display-name=stoker", f"--access-key={ACCESS_KEY}",
                  f"--secret-key={SECRET_KEY}")
        self.start_gateway()
        self.make_bucket(BUCKET)

    def start_gateway(self):
        self.launch("rgw", "radosgw", "-c", self.folder / "ceph.conf", "-n",
                    "client.rgw", "-f")
        self.wait_for("the gateway", self.answers)

    def kill_gateway(self):
        """As a server that dies: connections are reset, then refused."""
        self.end("rgw", signal.SIGKILL)

    def answers(self):
        try:
            urllib.request.urlopen(self.endpoint, timeout=5).close()
            return True
        except urllib.error.HTTPError:
            return True
        except OSError:
            return False

    def make_bucket(self, name):
        """With curl's own signer, so that nothing depends on ours."""
        empty = ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b"
                 "7852b855")
        self.call("curl", "--silent", "--show-error", "--fail", "-X", "PUT",
                  "--aws-sigv4", "aws:amz:us-east-1:s3", "--user",
                  f"{ACCESS_KEY}:{SECRET_KEY}", "-H",
                  f"x-amz-content-sha256: {empty}", f"{self.endpoint}/{name}")

    def end(self, name, sign):
        path = self.folder / f"{name}.pid"
        if not path.exists():
            return
        pid = int(path.read_text())
        try:
            os.killpg(pid, sign)
        except ProcessLookupError:
            pass
        end = time.monotonic() + 10
        while time.monotonic() < end:
            try:
                if os.waitpid(pid, os.WNOHANG)[0] == pid:
                    break
            except ChildProcessError:
                # Another process's child: look whether it is still there.
                try:
                    os.kill(pid, 0)
                except ProcessLookupError:
                    break
            time.sleep(0.05)
        path.unlink(missing_ok=True)

    def stop(self):
        for name in ("rgw", "osd", "mon"):
            self.end(name, signal.SIGKILL)
        shutil.rmtree(self.folder, ignore_errors=True)


def main(arguments):
    if len(arguments) != 2 or arguments[0] not in ("up", "down"):
        sys.exit(__doc__)
    server = S3Server(arguments[1])
    if arguments[0] == "down":
        server.stop()
        return
    try:
        server.start()
    except BaseException:
        server.stop()
        raise
    for name, value in server.environment().items():
        print(f"{name}={value}")


if __name__ == "__main__":
    main(sys.argv[1:])
