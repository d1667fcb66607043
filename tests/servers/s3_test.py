"""The s3 back end against a real S3 server that verifies signatures (Ceph's
gateway, started here): the back ends' conformance suite, the three workloads,
checkpoints, TLS, wrong credentials, a server that dies.

usage: s3_test.py STOKER CONFORMANCE_PROGRAM [unittest arguments]
"""

import json
import os
import pathlib
import subprocess
import sys
import time

sys.path[:0] = [str(pathlib.Path(__file__).resolve().parents[1] / name)
                for name in ("mpi", "support")]

import harness  # noqa: E402
from harness import (COSMOFLOW, ENVIRONMENT, RESNET50, TRAIN, UNET3D,  # noqa
                     LongRunCase, StokerCase, load_json, processes, wait_for)
from s3_server import BUCKET, SECRET_KEY, S3Server  # noqa: E402

_conformance = ""
_server = None

IO_TIMEOUT_S = 5
# Beyond the time limit of an op until the last rank is gone.
END_LIMIT_S = 10.0


def make_certificate(folder):
    """A certificate authority, and the server's key and certificate in one
    file: for localhost and our bucket's name below it."""
    def openssl(*words):
        subprocess.run(["openssl", *words], check=True, cwd=folder,
                       stdin=subprocess.DEVNULL, capture_output=True)
    names = f"subjectAltName=DNS:localhost,DNS:{BUCKET}.localhost"
    (folder / "names").write_text(names)
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
            "-subj", "/CN=stoker test authority", "-keyout", "ca.key", "-out",
            "ca.pem")
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=localhost",
            "-keyout", "server.key", "-out", "server.csr")
    openssl("x509", "-req", "-in", "server.csr", "-CA", "ca.pem", "-CAkey",
            "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "names",
            "-out", "server.crt")
    both = folder / "server.pem"
    both.write_text((folder / "server.key").read_text() +
                    (folder / "server.crt").read_text())
    return folder / "ca.pem", both


class S3Case(StokerCase):
    def setUp(self):
        super().setUp()
        self.place = f"s3://{BUCKET}/{self.id().split('.')[-1]}"

    def run_on(self, place, model, params, ranks=2, expect=0, words=()):
        return self.finish(self.words(
            "run", "-m", model, "-g", "h100", *words, ranks=ranks,
            params=params + TRAIN, data=place), expect=expect)

    def record(self):
        return load_json(self.run_folders()[-1] / "record.json")


class ConformanceTest(S3Case):
    def test_what_every_back_end_promises(self):
        done = subprocess.run(
            [_conformance, "--gtest_brief=1"], env=ENVIRONMENT, text=True,
            stdin=subprocess.DEVNULL, capture_output=True, timeout=300)
        self.assertEqual(done.returncode, 0, done.stdout + done.stderr)
        self.assertIn("[  PASSED  ]", done.stdout)


class WorkloadTest(S3Case):
    def whole_life(self, model, params):
        """Generated, verified, trained on and deleted, on files and on the
        server: the same dataset, the same demand."""
        streams = {}
        for place in (str(self.data), self.place):
            self.datagen(model, params, data=place)
            done = self.finish(self.words("datagen", "--verify", "-m", model,
                                          ranks=2, params=params, data=place))
            self.assertIn("every byte as generated", done.stdout)
            self.run_on(place, model, params)
            record = self.record()
            self.assertEqual(record["state"], "complete")
            streams[place] = record["op_stream_hash"]
            done = self.finish(self.words("datagen", "--delete", "-m", model,
                                          ranks=2, params=params, data=place))
            self.assertNotIn("stay", done.stdout + done.stderr)
        self.assertEqual(len(set(streams.values())), 1, streams)

    def test_unet3d(self):
        self.whole_life("unet3d", UNET3D)

    def test_resnet50(self):
        self.whole_life("resnet50", RESNET50 + ["reader.batch_size=8"])

    def test_cosmoflow(self):
        self.whole_life("cosmoflow", COSMOFLOW)

    def test_other_loaders_and_copies_by_the_server(self):
        self.finish(self.words("datagen", "-m", "unet3d", "--distinct", "4",
                               ranks=2, params=UNET3D, data=self.place))
        for loader in ("dlio-v3", "lean"):
            self.run_on(self.place + "?range=64KiB", "unet3d",
                        UNET3D + [f"reader.loader_model={loader}"])
            self.assertEqual(self.record()["state"], "complete")

    def test_the_workload_may_name_the_bucket(self):
        params = UNET3D + ["storage.storage_type=s3",
                           f"storage.storage_root={BUCKET}"]
        self.datagen("unet3d", params, data="named-by-workload")
        self.run_on("named-by-workload", "unet3d", params)
        self.assertIn(f"s3://{BUCKET}/named-by-workload/unet3d",
                      json.dumps(self.record()))


class CheckpointTest(S3Case):
    def command(self, *words, params=()):
        return [harness.stoker(), "checkpointing", "run", "-m", "llama3-mini",
                "-np", "4", "-ncw", "2", "-ncr", "2", "-cf", self.place, "-rd",
                str(self.results), "-cm", "16", *words, "--params",
                "checkpoint.time_between_checkpoints=0", *params]

    def test_saved_restored_verified_deleted(self):
        for io in ("lean", "reference"):
            self.finish(self.command("--io", io,
                                     params=["checkpoint.verify=full"]))
        place = f"{self.place}/llama3-mini"
        done = self.finish([harness.stoker(), "checkpointing", "verify",
                            place])
        self.assertEqual(done.stdout.count(": whole"), 2, done.stdout)
        done = self.finish([harness.stoker(), "checkpointing", "delete",
                            place])
        self.assertIn("removed", done.stdout)
        self.finish([harness.stoker(), "checkpointing", "verify", place],
                    expect=None)

    def test_a_killed_save_is_no_checkpoint_and_its_uploads_are_cleaned(self):
        # What was under way may be complete by the time the kill comes.
        for _ in range(5):
            taken_back = self.kill_a_save()
            if " 0 unfinished" not in taken_back:
                break
        self.assertNotIn(" 0 unfinished", taken_back)
        self.assertIn("taken back", taken_back)

    def kill_a_save(self):
        # Files of 30 MiB and more, so that they are uploaded in parts.
        command = self.command()
        command[command.index("llama3-mini")] = "llama3-tiny"
        job = subprocess.Popen(command, env=ENVIRONMENT, cwd=self.folder,
                               stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
        cleanup = [harness.stoker(), "s3", "cleanup", self.place,
                   "--older-than", "1s"]

        def uploading():
            self.assertIsNone(job.poll(), "ended early")
            done = self.finish([*cleanup, "--what-if"])
            return " 0 unfinished" not in done.stdout
        wait_for("an upload a second old", uploading, pause=0.2)
        for pid in processes(str(self.results)):
            os.kill(pid, 9)
        job.wait()
        done = self.finish([harness.stoker(), "checkpointing", "verify",
                            f"{self.place}/llama3-tiny"], expect=None)
        self.assertNotIn("step1: whole", done.stdout)
        time.sleep(1.1)
        done = self.finish(cleanup)
        self.assertIn(" 0 unfinished", self.finish(cleanup).stdout)
        return done.stdout


class SecurityTest(S3Case):
    def test_tls_with_a_bundle_of_ones_own(self):
        options = f"?endpoint={_server.tls_endpoint}&addressing=virtual"
        self.datagen("unet3d", UNET3D, data=self.place + options)
        self.run_on(self.place + options, "unet3d", UNET3D)
        without = dict(ENVIRONMENT)
        del without["AWS_CA_BUNDLE"]
        done = self.finish(self.words("run", "-m", "unet3d", "-g", "h100",
                                      ranks=2, params=UNET3D + TRAIN,
                                      data=self.place + options),
                           expect=None, environment=without)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("certificate", done.stderr)

    def test_a_wrong_secret_is_named_and_no_secret_ever(self):
        wrong = "wrong-secret-1234567890"
        environment = dict(ENVIRONMENT, AWS_SECRET_ACCESS_KEY=wrong)
        done = self.finish(self.words("datagen", "-m", "unet3d", ranks=2,
                                      params=UNET3D, data=self.place),
                           expect=None, environment=environment)
        self.assertNotEqual(done.returncode, 0)
        # The first question is a HEAD, whose answer has no text.
        self.assertIn("status 403; check the credentials", done.stderr)
        self.datagen("unet3d", UNET3D, data=self.place)
        job = subprocess.Popen(
            self.words("run", "-m", "unet3d", "-g", "h100", "--debug", ranks=2,
                       params=UNET3D + TRAIN, data=self.place),
            env=ENVIRONMENT, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT)
        lines = set()
        while job.poll() is None:
            for place in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
                try:
                    lines.add(place.read_bytes())
                except OSError:
                    pass
            time.sleep(0.01)
        said = job.communicate()[0]
        self.assertEqual(job.returncode, 0, said)
        for secret in (SECRET_KEY, wrong):
            self.assertNotIn(secret, said + done.stdout + done.stderr)
            for line in lines:
                self.assertNotIn(secret.encode(), line)
            for path in self.results.rglob("*"):
                if path.is_file():
                    self.assertNotIn(secret.encode(), path.read_bytes(), path)

    def test_a_missing_bucket_is_named(self):
        done = self.finish(self.words(
            "datagen", "-m", "unet3d", ranks=1, params=UNET3D,
            data="s3://no-such-bucket/x"), expect=None)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("NoSuchBucket", done.stderr)

    def test_without_credentials_it_says_where_they_belong(self):
        environment = {name: value for name, value in ENVIRONMENT.items()
                       if not name.startswith("AWS_")}
        environment["HOME"] = str(self.folder)
        done = self.finish(self.words("run", "-m", "unet3d", "-g", "h100",
                                      ranks=1, params=UNET3D, data=self.place),
                           expect=None, environment=environment)
        self.assertNotEqual(done.returncode, 0)
        self.assertIn("AWS_ACCESS_KEY_ID", done.stderr)


class DeadServerTest(LongRunCase):
    """Last, for the gateway dies (and is started again)."""

    def test_a_server_killed_mid_epoch_ends_all_ranks(self):
        place = f"s3://{BUCKET}/dead"
        params = UNET3D + ["reader.batch_size=1", "train.epochs=1000",
                           "train.computation_time=0.02"]
        self.datagen("unet3d", UNET3D, data=place)
        job = subprocess.Popen(
            self.words("run", "-m", "unet3d", "-g", "h100", "--io-timeout",
                       f"{IO_TIMEOUT_S}s", ranks=3, params=params, data=place),
            env=ENVIRONMENT, cwd=self.folder, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        self.addCleanup(self.end, job)

        def running():
            self.assertIsNone(job.poll(), "ended early")
            files = list(self.results.glob("training/*/run/*/steps.csv"))
            return files and files[0].read_text().count("\n") > 3
        wait_for("the first epoch", running)
        _server.kill_gateway()
        self.addCleanup(_server.start_gateway)
        start = time.monotonic()
        _, said = job.communicate(timeout=IO_TIMEOUT_S + 60)
        while processes(str(self.results)):
            self.assertLess(time.monotonic() - start, 60)
            time.sleep(0.02)
        self.assertLess(time.monotonic() - start, IO_TIMEOUT_S + END_LIMIT_S,
                        said)
        self.assertNotEqual(job.returncode, 0, said)
        self.assertIn(f"127.0.0.1:{_server.port}", said)
        record = load_json(self.run_folders()[-1] / "record.json")
        self.assertEqual(record["state"], "aborted")
        self.assertIn(f"127.0.0.1:{_server.port}", record["cause"])


def main():
    global _conformance, _server
    _conformance = str(pathlib.Path(sys.argv.pop(2)).resolve())
    folder = pathlib.Path(harness.own_folder())
    authority, certificate = make_certificate(folder)
    with S3Server(folder / "server", tls=certificate) as server:
        _server = server
        ENVIRONMENT.update(server.environment(), STOKER_TEST_TLS=(
            server.tls_endpoint), AWS_CA_BUNDLE=str(authority))
        harness.main()


if __name__ == "__main__":
    main()
