#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 150
"""Mounts bad images: nothing crashes, hangs, grows, or lies.

    bad-images.py [WORD...]     only those with all the words in their name

Each recipe of make.py is mounted alone, where it must be refused in one line, or
fail where it is damaged and nowhere else; then all of them are looked at through
one mount of their folder.  So are good images cut at every sector, and good
images with a bit flipped, or some bytes changed ($SEED, $FLIPS: how many of each),
which are written a little, too.
"""
import concurrent.futures
import errno
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

sys.dont_write_bytecode = True
import make  # noqa: E402

HERE = Path(__file__).resolve().parent
QCOWFS = os.environ.get('QCOWFS', str(HERE.parent.parent / 'build' / 'qcowfs'))
SANITIZED = bool(os.environ.get('TEST_SANITIZER'))
SEED = int(os.environ.get('SEED', random.SystemRandom().randrange(1 << 31)))
SECONDS = 10 if SANITIZED else 1    # of a processor, for one thing
PATIENCE = 30 if SANITIZED else 10  # on the clock: then it hangs
MEMORY = 96 << 20
FLIPS = int(os.environ.get('FLIPS', 30 if SANITIZED else 80))  # changed images of each good one
REFUSALS = (errno.EIO, errno.EACCES)
WRITE_ERRORS = (0, errno.EIO, errno.ENOSPC, errno.EROFS, errno.EFBIG)
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
        stat = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(') ')[2].split()
        return (int(stat[11]) + int(stat[12])) / TICK

    def memory(self):
        """The most that it ever had."""
        if self.usage is not None:
            return self.usage.ru_maxrss << 10
        status = Path(f'/proc/{self.process.pid}/status').read_text()
        return int(re.search(r'^VmHWM:\s+(\d+)', status, re.M)[1]) << 10

    def timed(self, what, call, *args):
        """Does it, within the time that it may take."""
        cpu, began = self.cpu(), time.monotonic()
        watch = threading.Timer(PATIENCE, self.give_up, [what])
        watch.start()
        try:
            return call(*args)
        finally:
            watch.cancel()
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


# ---- looking at one image -------------------------------------------------------

def error_of(call, *args):
    """(result, errno)"""
    try:
        return call(*args), 0
    except OSError as e:
        return None, e.errno


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
    """What is called a hole must be one."""
    at = 0
    for _ in range(20):
        start, e = daemon.timed('SEEK_DATA', error_of, os.lseek, fd, at, os.SEEK_DATA)
        must(e in (0, errno.EIO, errno.ENXIO), f'SEEK_DATA at {at:#x}: {os.strerror(e)}')
        end = image.size if e == errno.ENXIO else at if e else start
        for g, data in image.disk.items():
            lost = at <= g * image.cs < end and data is not make.ANY and any(data)
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


# ---- each recipe, mounted alone ---------------------------------------------------

def refused_in_one_line(recipe, daemon, source):
    must(daemon.process.returncode == recipe.status,
         f'status {daemon.process.returncode}, not {recipe.status}: {daemon.log()}')
    said = daemon.log()
    must(said.startswith(f'qcowfs: {source}: ') and said.endswith('\n') and
         said.count('\n') == 1, f'not one line "qcowfs: {source}: WHY": {said!r}')
    must(not re.search('[\0-\x09\x0b-\x1f\x7f-\x9f]', said), f'control bytes: {said!r}')
    must(recipe.refuse in said, f'no word of "{recipe.refuse}": {said!r}')
    must(daemon.cpu() < SECONDS, f'takes {daemon.cpu():.1f} s of a processor')
    must(SANITIZED or daemon.memory() < MEMORY, f'takes {daemon.memory() >> 20} MiB')


def mount_alone(recipe, folder):
    image = recipe.make()
    source = make.write(image, folder / 'alone' / recipe.name)
    daemon = Daemon(source, folder / f'mnt-{recipe.name}', recipe.options)
    try:
        if not daemon.start():
            must(recipe.refuse, f'it does not mount: {daemon.log()}')
            refused_in_one_line(recipe, daemon, source)
            return
        must(not recipe.refuse, f'it mounts, with no word of "{recipe.refuse}"')
        look_at_disk(daemon, daemon.where / 'disk.raw', image)
        said = daemon.log()
        if recipe.log:
            must(recipe.log in said, f'no word of "{recipe.log}": {said!r}')
        daemon.stop()
    finally:
        hangs = daemon.hangs
        daemon.clean_up()
        shutil.rmtree(source.parent)
        must(not hangs, f'{hangs} hangs')


# ---- all of them in one folder ----------------------------------------------------

def look_in_folder(recipe, image, daemon):
    path = daemon.where / recipe.name / 'disk.raw'
    if recipe.hidden:
        must(not path.exists(), 'it is shown')
        return
    if not image.refused:
        look_at_disk(daemon, path, image)
        return
    must(daemon.timed('stat', os.stat, path).st_size == 0, 'it is listed with a size')
    _, e = daemon.timed('open', error_of, os.open, path, os.O_RDONLY)
    must(e == (errno.EACCES if recipe.status == 4 else errno.EIO),
         f'open: {os.strerror(e)}')


def said_in_folder(recipe, lines):
    word = recipe.refuse or recipe.log
    if recipe.hidden or not word:
        return
    about = [x for x in lines if f'{recipe.name}/' in x]
    must(any(word in x for x in about), f'no word of "{word}" in the log: {about}')


def try_each(what, daemon, items, check):
    """Returns whether it lived to the end."""
    for name, *args in items:
        try:
            check(*args, daemon)
        except Wrong as e:
            complain(f'{what}/{name}', e)
        except OSError as e:
            complain(f'{what}/{name}', f'{e}: {daemon.log()[-2000:]}')
        if daemon.hangs or daemon.ended():
            complain(f'{what}/{name}', f'{daemon.hangs} hangs' if daemon.hangs else
                     f'it crashed: {daemon.process.returncode}: {daemon.log()[-4000:]}')
            return False
    return True


def through_one_mount(what, source, folder, items, check, how='ro'):
    """check(*item[1:], daemon) of each; the log."""
    daemon = Daemon(source, folder / f'mnt-{what}', how=how)
    try:
        must(daemon.start(), f'the folder does not mount: {daemon.log()}')
        if try_each(what, daemon, items, check):
            daemon.stop()
        return daemon.log().splitlines()
    finally:
        daemon.clean_up()


def bad_folder(recipes, folder):
    items = []
    for r in recipes:
        if r.folder and not r.options:
            image = r.make()
            make.write(image, folder / 'all' / r.name)
            image.file = image.beside = None
            items.append((r.name, r, image))
    lines = through_one_mount('folder', folder / 'all', folder, items, look_in_folder)
    for name, r, image in items:
        try:
            said_in_folder(r, lines)
        except Wrong as e:
            complain(f'folder/{name}', e)
    return len(items)


# ---- good images, cut short ---------------------------------------------------------

def is_true(image, g, got, cut):
    """Its own bytes; zeros only for what is behind the end of the file, in the last
    cluster of data."""
    want = image.disk.get(g, bytes(image.cs))
    if got == want:
        return True
    host = image.host.get(g)
    if host is None or g in (2, 6, 7) or not host < cut < host + image.cs:
        return False
    return got == want[:cut - host] + bytes(host + image.cs - cut)


def look_at_cut(image, cut, name, daemon):
    path = daemon.where / name
    if cut < 4:
        must(not path.exists(), 'it is shown')
        return
    fd, e = daemon.timed('open', error_of, os.open, path, os.O_RDONLY)
    must(e in (0, *REFUSALS), f'open: {os.strerror(e)}')
    if e:
        return
    wrong = []
    for g in image.known():
        got, e = daemon.timed('read', error_of, os.pread, fd, image.cs, g * image.cs)
        must(e in (0, errno.EIO), f'guest cluster {g}: {os.strerror(e)}')
        if not e and not is_true(image, g, got, cut):
            wrong.append(g)
    os.close(fd)
    must(not wrong, f'guest clusters {wrong} have wrong bytes')


def cut_images(bases, folder):
    items = []
    for base in bases:
        image = make.GOOD[base]()
        make.write(image, folder / 'cut' / base)
        end = len(image.file) if image.cs < 16384 else image.metadata + 512
        for cut in range(0, end, 512):
            name = f'at-{cut}'
            (folder / 'cut' / base / name).write_bytes(image.file[:cut])
            items.append((f'{base}-{name}', image, cut, f'{base}/{name}.raw'))
    through_one_mount('cut', folder / 'cut', folder, items, look_at_cut)
    return len(items)


# ---- good images with a bit flipped ---------------------------------------------------

def metadata_bytes(image):
    """Where a bit means something."""
    used = list(range(0, 160)) + list(range(image.l1, image.l1 + 24))
    for g in [*range(8), image.per_l2, image.per_l2 + 1]:
        used += range(image.entry_at(g), image.entry_at(g) + image.entry_bytes)
    return used


def look_at_flipped(image, name, daemon):
    path = daemon.where / name
    if not path.exists():
        return
    size = daemon.timed('stat', os.stat, path).st_size
    fd, e = daemon.timed('open', error_of, os.open, path, os.O_RDONLY)
    must(e in (0, *REFUSALS), f'open: {os.strerror(e)}')
    if e:
        return
    places = [(g * image.cs, image.cs) for g in image.known()]
    places += [(0, 128 << 10), (max(0, size - 4096), 4096), (size // 2, 1000)]
    for at, n in places:
        _, e = daemon.timed('read', error_of, os.pread, fd, n, at)
        must(e in (0, errno.EIO, errno.EINVAL), f'read at {at:#x}: {os.strerror(e)}')
    at = 0
    for whence in (os.SEEK_DATA, os.SEEK_HOLE) * 3:
        at, e = daemon.timed('lseek', error_of, os.lseek, fd, at, whence)
        must(e in (0, errno.EIO, errno.ENXIO), f'lseek: {os.strerror(e)}')
        if e:
            break
    os.close(fd)
    write_a_little(path, size, daemon)


def write_a_little(path, size, daemon):
    """What was written without an error is read again."""
    fd, e = daemon.timed('open to write', error_of, os.open, path, os.O_RDWR)
    must(e in (0, errno.EROFS, *REFUSALS), f'open to write: {os.strerror(e)}')
    if e:
        return
    for at, n, byte in [(700, 3000, b'a'), (size // 2, 512, b'b'), (max(0, size - 999), 999, b'c')]:
        n = min(n, max(0, size - at))
        done, e = daemon.timed('write', error_of, os.pwrite, fd, byte * n, at)
        must(e in WRITE_ERRORS, f'write at {at:#x}: {os.strerror(e)}')
        if not e and done == n:
            got, e = daemon.timed('read', error_of, os.pread, fd, n, at)
            must(e or got == byte * n, f'write at {at:#x}: it reads other bytes then')
    for call in (lambda: os.fsync(fd), lambda: os.close(fd)):
        _, e = daemon.timed('sync', error_of, call)
        must(e in WRITE_ERRORS, f'sync: {os.strerror(e)}')


def flipped_images(bases, folder):
    rng = random.Random(SEED)
    items = []
    for base in bases:
        image = make.GOOD[base]()
        make.write(image, folder / 'flipped' / base)
        used = metadata_bytes(image)
        for _ in range(FLIPS):
            at = rng.choice(used) if rng.random() < 0.8 else rng.randrange(image.metadata)
            data = bytearray(image.file)
            if rng.random() < 0.7:
                bit = rng.randrange(8)
                data[at] ^= 1 << bit
                name = f'byte-{at}-bit-{bit}'
            else:
                new = rng.randbytes(rng.choice((1, 2, 4, 8)))
                data[at:at + len(new)] = new
                name = f'byte-{at}-{new.hex()}'
            (folder / 'flipped' / base / name).write_bytes(data)
            items.append((f'{base}-{name}', image, f'{base}/{name}.raw'))
    through_one_mount('flipped', folder / 'flipped', folder, items, look_at_flipped,
                      how='rw')
    return len(items)


# ---------------------------------------------------------------------------------

def run_one(name, call, *args):
    try:
        return call(*args) or 1
    except Wrong as e:
        complain(name, e)
    except Exception as e:  # a fault of this script; the others go on
        complain(name, repr(e))
    return 1


def main():
    words = sys.argv[1:]
    if not os.access(QCOWFS, os.X_OK):
        sys.exit(f'no program {QCOWFS} ($QCOWFS)')
    recipes = [r for r in make.RECIPES if all(w in r.name for w in words)]
    bases = [b for b in make.GOOD if not words or all(w in b for w in words)]
    folder = Path(tempfile.mkdtemp(prefix='bad-', dir=os.environ.get('TEST_TMP', '.'))).resolve()
    print(f'# SEED={SEED}', flush=True)
    began = time.monotonic()
    jobs = []
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            def job(name, *call):
                jobs.append((name, pool.submit(run_one, name, *call)))

            job('folder', bad_folder, recipes, folder)
            if bases:
                job('cut', cut_images, bases, folder)
                job('flipped', flipped_images, bases, folder)
            for r in recipes:
                job(f'alone/{r.name}', mount_alone, r, folder)
        looked = {name: future.result() for name, future in jobs}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{len(recipes)} bad images alone, {looked["folder"]} in a folder, '
          f'{looked.get("cut", 0)} cut, {looked.get("flipped", 0)} flipped: '
          f'{len(problems)} not ok ({time.monotonic() - began:.1f} s)', flush=True)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
