# SPDX-License-Identifier: BSD-3-Clause
"""A small image in a store, on files and behind a web server, and programs that read all of it: what tests/fault/kill
and tests/fault/flip share. HPCRUN is the program under test (default: the one of PATH), HPCRUN_BUILD the build tree
with tests/lib/mkstore in it."""
import hashlib
import os
import random
import shutil
import subprocess
import sys
import time

LIMIT_S = 60
MARK = "HPCRUN_FAULT_ROUND"
IMAGE = "lab/fault:1"
TESTS = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))


def make_image(where):
    """A tree of files of all sizes around those of chunks; returns the sums by name."""
    rng, sums = random.Random(1), {}
    os.makedirs(where + "/bin")
    os.makedirs(where + "/data")
    shutil.copy("/bin/busybox", where + "/bin/busybox")
    os.symlink("busybox", where + "/bin/sh")
    for i in range(30):
        data = rng.randbytes(int(200 * 1.45 ** i) % 2_500_000)
        with open(where + "/data/f%d" % i, "wb") as f:
            f.write(data)
        sums["f%d" % i] = hashlib.md5(data).hexdigest()
    return sums


def ours(mark):
    """Processes of hpcrun, and what became of them, with the mark in their environment: [(pid, program)]."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open("/proc/%s/environ" % pid, "rb") as f:
                if mark not in f.read().split(b"\0"):
                    continue
            found.append((int(pid), os.path.basename(os.readlink("/proc/%s/exe" % pid))))
        except OSError:
            continue
    return found


class Failure(Exception):
    """What a round must not show."""


class Lab:
    """A scratch directory with the stores, and what the rounds share."""

    def __init__(self, scratch, rng, conf="outage_wait = 20\n"):
        self.scratch, self.rng = scratch, rng
        self.hpcrun = os.environ.get("HPCRUN", "hpcrun")
        self.sums = make_image(scratch + "/root")
        self.web = None
        subprocess.run([os.environ["HPCRUN_BUILD"] + "/tests/lib/mkstore", scratch + "/site", IMAGE, scratch + "/root"],
                       check=True, stdout=subprocess.DEVNULL)
        for name in ("home", "tmp", "run", "web"):
            os.mkdir(scratch + "/" + name, 0o700)
        with open(scratch + "/web/fault", "w"):
            pass
        with open(scratch + "/conf", "w") as f:
            f.write("session_linger = 0\nupstream = no\n" + conf)
        self.url = self.serve()

    def serve(self):
        """Start the web server; returns the URL of the store."""
        self.web = subprocess.Popen([sys.executable, TESTS + "/lib/web_store.py", self.scratch + "/site",
                                     self.scratch + "/web"], stderr=subprocess.DEVNULL)
        end = time.monotonic() + 20
        while not os.path.exists(self.scratch + "/web/port"):
            if time.monotonic() > end:
                raise Failure("the web server does not start")
            time.sleep(0.05)
        with open(self.scratch + "/web/port") as f:
            return "http://127.0.0.1:" + f.read()

    def close(self):
        """End the web server, and remove everything."""
        if self.web:
            self.web.kill()
            self.web.wait()
        shutil.rmtree(self.scratch, ignore_errors=True)

    def env(self, store, mark):
        """The environment of a program that runs an image of this store."""
        env = {k: v for k, v in os.environ.items()
               if k == "HPCRUN_LIBEXECDIR" or not k.startswith(("HPCRUN_", "SLURM_", "XDG_"))}
        s = self.scratch
        env.update({"HOME": s + "/home", "TMPDIR": s + "/tmp", "XDG_RUNTIME_DIR": s + "/run", "HPCRUN_CONF": s + "/conf",
                    "HPCRUN_CACHE": s + "/cache", "HPCRUN_STORE": store, "HPCRUN_PULL": "never", MARK: mark})
        return env

    def reader(self, env, times=1):
        """A program that reads every file so many times, in any order."""
        names = list(self.sums) * times
        self.rng.shuffle(names)
        return subprocess.Popen([self.hpcrun, "--no-home", IMAGE, "sh", "-c", "cd /data && md5sum " + " ".join(names)],
                                env=env, cwd="/", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def output(self, proc, name, times=1):
        """What a reader says on stderr, once it has ended; a wrong line, or one too few, is a Failure."""
        try:
            out, err = proc.communicate(timeout=LIMIT_S)
        except subprocess.TimeoutExpired:
            proc.kill()
            raise Failure("%s hangs" % name) from None
        lines = out.split("\n")
        for line in lines[:-1]:  # the last one may be cut by a kill
            got, _, file = line.partition("  ")
            if self.sums.get(file) != got:
                raise Failure("%s read wrong bytes: %r" % (name, line))
        if proc.returncode == 0 and len(lines) - 1 != len(self.sums) * times:
            raise Failure("%s read %d files, and says it succeeded" % (name, len(lines) - 1))
        return err

    def wait_alone(self, mark):
        """Until no process of hpcrun with this mark is left."""
        end = time.monotonic() + LIMIT_S
        while True:
            left = ours(mark)
            if not left:
                return
            if time.monotonic() > end:
                raise Failure("left running: %r" % left)
            time.sleep(0.02)
