# SPDX-License-Identifier: MIT
"""A mount of a bad image: nothing of it may crash, hang or grow."""
import errno
import os
import random
import re
import resource
import signal
import subprocess
import threading
import time
import traceback
from pathlib import Path

import make

HERE = Path(__file__).resolve().parent
QCOWFS = os.environ.get('QCOWFS', str(HERE.parent.parent / 'build' / 'qcowfs'))
SANITIZED = bool(os.environ.get('TEST_SANITIZER'))
SEED = int(os.environ.get('SEED', random.SystemRandom().randrange(1 << 31)))
SECONDS = 10 if SANITIZED else 2    # of a processor, for one thing
PATIENCE = 300              # on the clock: then it hangs
MEMORY = 96 << 20
REFUSALS = (errno.EIO, errno.EACCES)
TICK = os.sysconf('SC_CLK_TCK')

problems = []
output = threading.Lock()


def complain(name, text):
    with output:
        problems.append(name)
        print(f'not ok - {name}: {text}', flush=True)


class Wrong(Exception):
    """It is not as it must be."""


def must(so, text):
    if not so:
        raise Wrong(text)


# ---- the daemon ---------------------------------------------------------------

calls = {}  # Daemon -> until when the call that it is in may take, and what it is


def watch_calls():
    """There are many calls: a timer for each would take longer than they do."""
    while True:
        time.sleep(1)
        for daemon, (deadline, what) in list(calls.items()):
            if time.monotonic() > deadline:
                daemon.give_up(what)


threading.Thread(target=watch_calls, daemon=True).start()


class Daemon:
    """A mount, in the foreground, and a watch on how long each thing takes."""

    def __init__(self, source, where, options='', how='ro'):
        where.mkdir()
        self.where = where
        self.device = os.stat(where).st_dev
        self.log_path = where.with_suffix('.log')
        self.hangs = None
        argv = [QCOWFS, '-f', '-o', f'{how},direct_io' + (',' + options if options else ''),
                str(source), str(where)]
        with open(self.log_path, 'wb') as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log,
                                            stdout=log)
        self.usage = None

    def log(self):
        return self.log_path.read_text(errors='backslashreplace')

    def is_mounted(self):
        try:
            return os.stat(self.where).st_dev != self.device
        except OSError as e:
            return e.errno in (errno.ENOTCONN, errno.ECONNABORTED)  # its daemon was killed

    def start(self):
        """Whether it mounts; else it has ended."""
        deadline = time.monotonic() + PATIENCE
        while not self.ended():
            if self.is_mounted():
                return True
            if time.monotonic() > deadline:
                self.process.kill()
                raise Wrong(f'neither mounted nor refused in {PATIENCE} s')
            time.sleep(0.002)
        return False

    def ended(self):
        if self.usage is None:
            pid, status, usage = os.wait4(self.process.pid, os.WNOHANG)
            if pid:
                self.process.returncode = os.waitstatus_to_exitcode(status)
                self.usage = usage
        return self.usage is not None

    def cpu(self):
        if self.usage is not None:
            return self.usage.ru_utime + self.usage.ru_stime
        with open(f'/proc/{self.process.pid}/stat', 'rb') as f:
            stat = f.read().rpartition(b') ')[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK

    def memory(self):
        """The most that it ever had.  Of what has ended we only hear if that is more than we
        had, as it began as a copy of us."""
        if self.usage is not None:
            ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            return self.usage.ru_maxrss << 10 if self.usage.ru_maxrss > ours else 0
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        return int(re.search(r'^VmHWM:\s+(\d+)', status, re.M)[1]) << 10

    def timed(self, what, call, *args):
        """Does it, within the time that it may take."""
        cpu, began = self.cpu(), time.monotonic()
        calls[self] = began + PATIENCE, what
        try:
            return call(*args)
        finally:
            del calls[self]
            if not self.hangs and not self.ended() and time.monotonic() - began > SECONDS:
                used = self.cpu() - cpu
                must(used < SECONDS, f'{what} takes {used:.1f} s of a processor')

    def give_up(self, what):
        self.hangs = what
        self.process.kill()

    def stop(self):
        """It must be alive, small, and end in order."""
        small = True
        must(not self.hangs, f'{self.hangs} hangs')
        must(not self.ended(), f'it crashed: status {self.process.returncode}: {self.log()}')
        if not SANITIZED:
            small = self.memory() < MEMORY
        self.process.send_signal(signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while not self.ended():
            must(time.monotonic() < deadline, 'it does not end')
            time.sleep(0.002)
        must(self.process.returncode == 0,
             f'it ends with status {self.process.returncode}: {self.log()}')
        must(small, f'it took more than {MEMORY >> 20} MiB')

    def clean_up(self):
        if not self.ended():
            self.process.kill()
            self.process.wait()
        if self.is_mounted():
            subprocess.run(['fusermount3', '-u', '-z', self.where], capture_output=True)


def error_of(call, *args):
    """(result, errno)"""
    try:
        return call(*args), 0
    except OSError as e:
        return None, e.errno


# ---- looking at one image -------------------------------------------------------

def look_at_cluster(fd, image, g):
    got, e = error_of(os.pread, fd, image.cs, g * image.cs)
    where = f'guest cluster {g} (offset {g * image.cs:#x})'
    want = image.disk.get(g, bytes(image.cs))
    if want is make.ANY:
        must(e in (0, errno.EIO), f'{where}: {os.strerror(e)}')
    elif g in image.error:
        must(e == errno.EIO, f'{where} can be read: {os.strerror(e)}')
    else:
        must(not e, f'{where}: {os.strerror(e)}')
        must(got == want, f'{where} has wrong bytes')


def look_at_all(fd, image):
    """In one request; an error somewhere may cut it short, or fail it."""
    n = min(image.size, 128 << 10)
    got, e = error_of(os.pread, fd, n, 0)
    want = [image.disk.get(g, bytes(image.cs)) for g in range(-(-n // image.cs))]
    must(e in (0, errno.EIO), f'the beginning: {os.strerror(e)}')
    if make.ANY not in want and not image.error:
        must(got == b''.join(want)[:n], 'the beginning has wrong bytes')


def look_for_data(daemon, fd, image):
    """A reported hole must read as zeros."""
    at = 0
    for _ in range(20):
        start, e = daemon.timed('SEEK_DATA', error_of, os.lseek, fd, at, os.SEEK_DATA)
        must(e in (0, errno.EIO, errno.ENXIO), f'SEEK_DATA at {at:#x}: {os.strerror(e)}')
        end = image.size if e == errno.ENXIO else at if e else start
        for g, data in image.disk.items():
            skipped = slice(max(0, at - g * image.cs), max(0, end - g * image.cs))
            lost = data is not make.ANY and any(data[skipped])
            must(not lost, f'guest cluster {g} is called a hole')
        if e:
            return
        at, e = daemon.timed('SEEK_HOLE', error_of, os.lseek, fd, start, os.SEEK_HOLE)
        must(e in (0, errno.EIO), f'SEEK_HOLE at {start:#x}: {os.strerror(e)}')
        if e or at >= image.size:
            return


def look_at_disk(daemon, path, image):
    must(os.stat(path).st_size == image.size, f'its size is {os.stat(path).st_size}')
    fd = daemon.timed('open', os.open, path, os.O_RDONLY)
    try:
        for g in image.known():
            daemon.timed(f'reading guest cluster {g}', look_at_cluster, fd, image, g)
        daemon.timed('reading', look_at_all, fd, image)
        look_for_data(daemon, fd, image)
    finally:
        os.close(fd)


# -----------------------------------------------------------------------------------

def run_one(name, call, *args):
    try:
        return call(*args) or 1
    except Wrong as e:
        complain(name, e)
    except Exception:  # a fault of this script; the others go on
        complain(name, traceback.format_exc())
    return 1
