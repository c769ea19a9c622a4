#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# timeout: 900
# Threads make, clone, write, rename and remove images in nested folders, with a model beside them:
# the mount then holds what the model says.  A daemon that is killed meanwhile leaves sound images.
import collections
import errno
import signal
import threading

from qcowtest import *

THREADS = 8
SECONDS = float(os.environ.get('SECONDS', '60' if os.environ.get('LONG') else '2'))
DIRS = ['', 'a', 'a/b']


class Killed(Exception):
    """The daemon is gone."""


def error_of(call, *argv):
    error = errno_of(call, *argv)
    if error in (errno.ECONNABORTED, errno.ENOTCONN):
        raise Killed
    return error


class Storm:
    """The names of each thread begin with its number, and only it changes them.  All threads share
    the folders and the bases."""

    def __init__(self, where, seed, number):
        self.where, self.number = where, number
        self.r = random.Random(f'{seed}-{number}')
        self.disks = {}  # name -> bytes
        self.bases = {}  # name -> name of its backing file
        self.dirs = set()
        self.counts = collections.Counter()
        self.error = None

    def path(self, name):
        return os.path.join(self.where, name)

    def new_name(self):
        return os.path.join(self.r.choice(DIRS), f't{self.number}-{self.r.randrange(6)}.raw')

    def some(self):
        return self.r.choice(sorted(self.disks)) if self.disks else None

    def is_needed(self, name):
        return name in self.bases.values()

    def create(self):
        name, size = self.new_name(), self.r.randrange(1, 200) * 512
        data = self.r.randbytes(size)
        if self.r.randrange(2):  # it is stored compressed
            data = data[:64] * (size // 64)
        try:
            fd = os.open(self.path(name), os.O_CREAT | os.O_EXCL | os.O_WRONLY)
        except FileExistsError:
            check(name in self.disks, f'{name} is there')
            return
        check(name not in self.disks, f'{name} was there')
        for at in range(0, size, 20000):
            os.write(fd, data[at:at + 20000])
        os.close(fd)
        self.disks[name] = data

    def clone(self):
        base, name = self.some(), self.new_name()
        if not base or os.path.dirname(name) not in base[:len(os.path.dirname(name))]:
            return
        if os.path.dirname(name) and not base.startswith(os.path.dirname(name) + '/'):
            return
        error = error_of(os.symlink, os.path.relpath(base, os.path.dirname(name) or '.'), self.path(name))
        if name in self.disks:
            check(error == errno.EEXIST, f'symlink {name}: {error}')
        else:
            check(error == 0, f'symlink {base} {name}: {error}')
            self.disks[name], self.bases[name] = self.disks[base], base

    def write(self):
        name = self.some()
        if not name:
            return
        try:
            fd = os.open(self.path(name), os.O_RDWR)
        except ConnectionAbortedError as e:
            raise Killed from e
        except OSError as e:
            if e.errno == errno.ENOTCONN:
                raise Killed from e
            check(e.errno == errno.EROFS and self.is_needed(name), f'open {name}: {e}')
            return
        check(not self.is_needed(name), f'{name} is a base, and written')
        data = bytearray(self.disks[name])
        at = self.r.randrange(len(data))
        new = self.r.randbytes(self.r.randrange(1, 3000))[:len(data) - at]
        os.pwrite(fd, new, at)
        if not self.r.randrange(3):
            os.fsync(fd)
        os.close(fd)
        data[at:at + len(new)] = new
        self.disks[name] = bytes(data)

    def rename(self):
        name, to = self.some(), self.new_name()
        if not name or name == to:
            return
        error = error_of(os.rename, self.path(name), self.path(to))
        moved = os.path.dirname(name) != os.path.dirname(to)
        if self.is_needed(name) or self.is_needed(to):
            check(error in (errno.EBUSY, errno.EPERM), f'rename {name} {to}: {error}')
        elif moved and name in self.bases:
            check(error == errno.EPERM, f'rename {name} {to}: {error}')
        else:
            check(error == 0, f'rename {name} {to}: {error}')
            self.disks[to] = self.disks.pop(name)
            self.bases.pop(to, None)
            if name in self.bases:
                self.bases[to] = self.bases.pop(name)

    def remove(self):
        name = self.some()
        if not name:
            return
        error = error_of(os.unlink, self.path(name))
        if self.is_needed(name):
            check(error == errno.EBUSY, f'unlink {name}: {error}')
        else:
            check(error == 0, f'unlink {name}: {error}')
            del self.disks[name]
            self.bases.pop(name, None)

    def read(self):
        name = self.some()
        if name:
            check(Path(self.path(name)).read_bytes() == self.disks[name], f'the bytes of {name}')

    def folder(self):
        name = f'd{self.number}-{self.r.randrange(3)}'
        if name in self.dirs:
            os.rmdir(self.path(name))
            self.dirs.remove(name)
        else:
            os.mkdir(self.path(name))
            self.dirs.add(name)

    def look(self):
        where = self.r.choice(DIRS)
        mine = {n for n in os.listdir(self.path(where)) if n.startswith(f't{self.number}-')}
        want = {os.path.basename(n) for n in self.disks if os.path.dirname(n) == where}
        check(mine == want, f'the names in {where!r}: {mine} {want}')

    def run(self, until_when):
        steps = [self.create, self.create, self.clone, self.clone, self.write, self.write, self.rename, self.remove,
                 self.read, self.folder, self.look]
        try:
            while time.monotonic() < until_when and (self.counts.total() < 40 or not SANITIZER or os.environ.get('LONG')):
                step = self.r.choice(steps)
                step()
                self.counts[step.__name__] += 1
        except SystemExit as e:
            self.error = f'{step.__name__}: a check failed' if e.code else None
        except Exception as e:
            self.error = f'{step.__name__}: {e!r}'


def blow(m, seed, seconds):
    storms = [Storm(m.where, seed, i) for i in range(THREADS)]
    end = time.monotonic() + seconds
    threads = [threading.Thread(target=s.run, args=(end,)) for s in storms]
    for t in threads:
        t.start()
    return storms, threads


def images():
    return sorted(p for p in Path('src').rglob('*') if p.is_file())


def make_source():
    run('rm', '-rf', 'src')
    os.makedirs('src/a/b')


make_source()
with Mount('src', '-o', 'create,compress', ro=False) as m:
    storms, threads = blow(m, SEED, SECONDS)
    for t in threads:
        t.join()
    check(not any(s.error for s in storms), [s.error for s in storms])
    print('#', dict(sum((s.counts for s in storms), collections.Counter())))
    want = {n: d for s in storms for n, d in s.disks.items()}
    have = {os.path.relpath(os.path.join(d, f), m.where) for d, _, files in os.walk(m.where) for f in files}
    check(have == set(want), f'the mount holds what the model says: {have ^ set(want)}')
    for name, data in want.items():
        check(Path(m.path(name)).read_bytes() == data, f'the bytes of {name}')
check({str(p.relative_to('src'))[:-6] + '.raw' for p in images()} == set(want), 'the source holds the same')
for p in images():
    run('qemu-img', 'check', '-q', p)

for i in range(30 if os.environ.get('LONG') else 1 if SANITIZER else 4):
    make_source()
    m = Mount('src', '-o', 'create,compress', ro=False)
    storms, threads = blow(m, f'{SEED}-{i}', 60)
    time.sleep(random.Random(f'{SEED}-{i}').uniform(0.02, 0.6))
    m.process.send_signal(signal.SIGKILL)
    m.process.wait()
    for t in threads:
        t.join()
    m.stop()
    with Mount('src', '-o', 'ro') as m:
        shown = sum(len(files) for _, _, files in os.walk(m.where))
        check(shown == len(images()), f'each file is an image: {shown} of {images()}')
    for p in images():
        out = run('qemu-img', 'check', p, ok=False)
        check('rror' not in out.replace('No errors', ''), f'{p}: {out}')
