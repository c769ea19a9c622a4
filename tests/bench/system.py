# SPDX-License-Identifier: MIT
"""Commands, processes and mounts: what a measurement starts, what that spent, and its end.

All that is made for one measurement is below WORK, and all that is started descends from this
process, however it detaches itself; so sweep() finds it.  Nothing is mounted elsewhere.
"""
import contextlib
import ctypes
import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

BENCH_DIR = Path(os.path.realpath(os.environ.get('BENCH_DIR', '/tmp/qcowfs-bench')))
WORK = BENCH_DIR / 'now'
HALF = 'half-'  # what in BENCH_DIR is not complete has a name that begins so
PR_SET_CHILD_SUBREAPER = 36
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
TICKS = os.sysconf('SC_CLK_TCK')


class Failed(Exception):
    """One measurement could not be made; the others can."""


# ---- commands ----------------------------------------------------------------

def command(*argv, stdin='', timeout=600):
    """Its output; what it says otherwise is the error."""
    argv = [str(a) for a in argv]
    try:
        r = subprocess.run(argv, input=stdin, text=True, errors='replace',
                           capture_output=True, timeout=timeout, start_new_session=True)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Failed(str(e)) from e
    if r.returncode:
        raise Failed(f'{" ".join(argv)}: {(r.stderr or r.stdout).strip()[-400:]}')
    return r.stdout


def quietly(*argv):
    """Whether it succeeds."""
    try:
        command(*argv, timeout=30)
    except Failed:
        return False
    return True


def start(*argv):
    """A daemon, or what becomes one: it has no terminal, and nobody listens to it."""
    return subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                            start_new_session=True)


def wait_until(what, condition, seconds=15):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise Failed(f'not in {seconds} s: {what}')
        time.sleep(0.02)


def wait_for_disk(path):
    """Until a file has a size, as those have that a daemon shows."""
    def is_there():
        try:
            return path.stat().st_size > 0
        except OSError:
            return False
    wait_until(f'{path} is shown', is_there)


# ---- processes ---------------------------------------------------------------

def adopt_orphans():
    """Daemons become our children once whoever started them has gone."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def stat_of(pid):
    """The fields of /proc/PID/stat behind the name: state, parent, ..."""
    text = Path('/proc', str(pid), 'stat').read_text(errors='replace')
    return text[text.rindex(')') + 2:].split()


def reap(pid):
    with contextlib.suppress(OSError):
        os.waitpid(pid, os.WNOHANG)


def daemons():
    """All that descend from us and still run."""
    parents = {}
    for entry in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError, ValueError):
            state, parent = stat_of(entry.name)[:2]
            if state != 'Z':
                parents[int(entry.name)] = int(parent)
            elif int(parent) == os.getpid():
                reap(int(entry.name))
    found = {os.getpid()}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {os.getpid()}


def end_daemons(sig=None, seconds=60):
    """Waits for them to end, after a signal if need be; by force when they do not."""
    signal_all(sig)
    with contextlib.suppress(Failed):
        wait_until('daemons have ended', lambda: not daemons(), seconds)
    if daemons():
        signal_all(signal.SIGKILL)


def signal_all(sig):
    for pid in daemons() if sig else ():
        with contextlib.suppress(OSError):
            os.kill(pid, sig)


def seconds_spent():
    """Processor time of all daemons, with that of children that have ended."""
    ticks = 0
    for pid in daemons():
        with contextlib.suppress(OSError):
            ticks += sum(int(field) for field in stat_of(pid)[11:15])
    return ticks / TICKS


def peak_memory():
    """The most that each daemon had in memory, added up; in bytes."""
    total = 0
    for pid in daemons():
        with contextlib.suppress(OSError):
            found = re.search(r'^VmHWM:\s*(\d+) kB', Path(f'/proc/{pid}/status').read_text(), re.M)
            total += int(found[1]) * 1024 if found else 0
    return total


@contextlib.contextmanager
def spending(run):
    """Adds to the facts of a run what the daemons spent meanwhile."""
    before = seconds_spent()
    yield
    run['cpu'] = round(seconds_spent() - before, 2)
    run['peak'] = peak_memory()


# ---- mounts ------------------------------------------------------------------

def is_below(path, folder):
    return path == folder or path.startswith(folder + '/')


def mounts_below(folder):
    """(mountpoint, type), the newest first."""
    found = []
    for line in Path('/proc/self/mountinfo').read_text(errors='surrogateescape').splitlines():
        fields = line.split(' ')
        where = re.sub(r'\\(\d{3})', lambda m: chr(int(m[1], 8)), fields[4])
        if is_below(where, str(folder)):
            found.insert(0, (where, fields[fields.index('-') + 1]))
    return found


def loops_below(folder):
    for entry in Path('/sys/block').glob('loop*/loop/backing_file'):
        with contextlib.suppress(OSError):
            if is_below(entry.read_text().strip(), str(folder)):
                yield f'/dev/{entry.parent.parent.name}'


def unmount(where, seconds=10):
    """A loop device that was just detached may keep it busy for a moment."""
    def is_gone():
        return quietly('fusermount3', '-u', where) or quietly('umount', where) or \
            not any(mount == str(where) for mount, _ in mounts_below(where))
    try:
        wait_until(f'{where} is unmounted', is_gone, seconds)
    except Failed:
        quietly('umount', '-l', where)


# ---- the place ---------------------------------------------------------------

def sweep():
    """Ends all that a measurement left."""
    release()
    end_daemons(signal.SIGTERM, 10)
    release()  # what one of them was just about to mount
    if not mounts_below(WORK):  # never through what is mounted
        remove(WORK)
    for path in BENCH_DIR.glob(HALF + '*'):
        remove(path)


def release():
    """Mounts and loop devices: what is on top goes first."""
    for where, fs in mounts_below(WORK):
        if not fs.startswith('fuse'):
            unmount(where)
    for loop in list(loops_below(WORK)):
        quietly('losetup', '-d', loop)
    for where, _ in mounts_below(WORK):
        unmount(where)


def remove(path):
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def tidy():
    """Everything between is alone in BENCH_DIR, and is cleaned up after, whatever happens."""
    BENCH_DIR.mkdir(parents=True, exist_ok=True)
    lock = os.open(BENCH_DIR, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise SystemExit(f'bench: somebody else measures in {BENCH_DIR}') from None
    for sig in SIGNALS:
        signal.signal(sig, signal.default_int_handler)
    adopt_orphans()
    sweep()
    try:
        yield
    finally:
        for sig in SIGNALS:
            signal.signal(sig, signal.SIG_IGN)
        sweep()
        os.close(lock)


@contextlib.contextmanager
def fresh_work():
    """WORK, empty."""
    sweep()
    WORK.mkdir()
    try:
        yield
    finally:
        sweep()
