#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# A disk, its partitions, its chain and its bitmaps are files that show the same bytes.  After a
# change through one of them all others have the new bytes, read or mapped; with one thread, too.
# A daemon that is killed meanwhile leaves no process and no reader that waits.
import mmap
import signal
import threading
from partitions import *

SECONDS = 0.8 if not LONG else 60
START, SIZE, ALL = M + 512, 3 * M + 1536, 6 * M
disk('disk.raw', ALL, f'label: dos\nstart={START // 512},size={SIZE // 512},type=83\n')
start_of = {'vm.raw': 0, 'vm.p1.raw': START, 'vm.chain/0-vm.qcow2.raw': 0}


def mapped(path):
    with open(path, 'rb') as f:
        return mmap.mmap(f.fileno(), 0, access=mmap.ACCESS_READ)


class Views:
    def __init__(self, m, names):
        self.fds = {n: os.open(m.path(n), os.O_RDONLY) for n in names}
        self.maps = {n: mapped(m.path(n)) for n in names}

    def agree(self, model, at, end, what):
        for n, fd in self.fds.items():
            base = start_of.get(n, 0)
            os.fstat(fd)  # after it was emptied the kernel asks for its size anew
            a = max(at, base)
            b = max(a, min(end, base + len(self.maps[n])))
            same_bytes(self.maps[n][a - base:b - base], model[a:b], f'{what}: {n}, mapped')
            same_bytes(os.pread(fd, max(b - a, 0), a - base), model[a:b], f'{what}: {n}, read')

    def close(self):
        for n, fd in self.fds.items():
            os.close(fd)
            self.maps[n].close()


def changes(m, model, views, writers, rounds):
    """Each change is seen by all at once."""
    fds = {n: os.open(m.path(n), os.O_RDWR) for n in writers}
    for i in range(rounds):
        n = rng.choice(writers)
        base, size = start_of[n], os.fstat(fds[n]).st_size
        at = rng.randrange(0 if base else M, size - 9000)  # the table stays
        length = rng.randrange(1, 9000)
        data = rng.randbytes(length) if i % 4 else bytes(length)
        if i % 4:
            check(os.pwrite(fds[n], data, at) == length, 'all of it')
        else:
            punch(fds[n], at, length)
        model[base + at:base + at + length] = data
        views.agree(model, base + at - 5000, base + at + length + 5000, f'{i}, by {n}')
    for n in writers:
        os.close(fds[n])


def empties(m, model, views):
    os.truncate(m.path('vm.p1.raw'), 0)
    model[START:START + SIZE] = bytes(SIZE)
    views.agree(model, 0, ALL, 'emptied by name')
    os.close(os.open(m.path('vm.raw'), os.O_RDWR | os.O_TRUNC))
    model[:] = bytes(ALL)
    views.agree(model, 0, ALL, 'emptied while it was opened')


def storm_of(m, model, seconds):
    """Two write, each its half, through both files; others read and map all the time."""
    ends = time.monotonic() + seconds
    wrong = []

    def write(number):
        r = random.Random(number)
        views = Views(m, ['vm.raw', 'vm.p1.raw'])
        half = SIZE // 2
        fds = {n: os.open(m.path(n), os.O_RDWR) for n in ('vm.raw', 'vm.p1.raw')}
        while time.monotonic() < ends and not wrong:
            n, at = r.choice(list(fds)), START + number * half + r.randrange(half - 70000)
            data = r.randbytes(r.choice((512, 5000, 65536)))
            os.pwrite(fds[n], data, at - start_of[n])
            model[at:at + len(data)] = data
            for v in views.fds:
                b = at - start_of[v]
                for got in views.maps[v][b:b + len(data)], os.pread(views.fds[v], len(data), b):
                    if got != data:
                        wrong.append(f'{v} at {b}')
        views.close()
        for fd in fds.values():
            os.close(fd)

    def read(number):
        views = Views(m, ['vm.raw', 'vm.p1.raw', 'vm.chain/0-vm.qcow2.raw'])
        while time.monotonic() < ends and not wrong:
            for n in views.fds:
                bytes(views.maps[n])
                os.pread(views.fds[n], M, 0)
        views.close()
    threads = [threading.Thread(target=f, args=(i,)) for f in (write, read) for i in range(2)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not wrong, f'{wrong[:3]}')


def helper_of(daemon):
    found = run('pgrep', '-P', str(daemon), '-f', 'qcowfs-pages', ok=False)
    return int(found) if found.strip() else None


def mix(path, other):
    """Reads one file and writes the other until it fails."""
    a, b = os.open(path, os.O_RDONLY), os.open(other, os.O_RDWR)
    while True:
        os.pread(a, M, rng.randrange(SIZE))
        os.pwrite(b, b'k' * 65536, rng.randrange(SIZE - 65536))


def killed(rounds):
    for i in range(rounds):
        m = Mount('vm.qcow2', '-o', 'partitions', ro=False)
        helper = helper_of(m.process.pid)
        check(helper, 'another process drops pages')
        files = [m.path('vm.raw'), m.path('vm.p1.raw')]
        pids = []
        for n in range(4):
            pids.append(os.fork())
            if not pids[-1]:
                signal.alarm(60)
                rng.seed(n)
                errno_of(mix, *files[::1 if n % 2 else -1])
                os._exit(0)
        time.sleep(0.2 + rng.random() / 5)
        m.process.kill()
        m.process.wait()
        check([os.waitpid(p, 0)[1] for p in pids] == [0] * 4, 'no reader waits')
        until(10, lambda: not os.path.exists(f'/proc/{helper}'), 'the process ends')
        run('umount', '-l', m.where)
        run('qemu-img', 'check', '-q', '-r', 'leaks', 'vm.qcow2')


for options in [], ['-s'], ['-o', 'threads=2']:
    convert('disk.raw', 'vm.qcow2')
    model = bytearray(Path('disk.raw').read_bytes())
    with Mount('vm.qcow2', '-o', 'partitions,chain', *options, ro=False) as m:
        views = Views(m, start_of)
        changes(m, model, views, ['vm.raw', 'vm.p1.raw'], 25)
        if not options or LONG or '-s' in options:
            storm_of(m, model, SECONDS)
        empties(m, model, views)
        views.agree(model, 0, ALL, 'in the end')
        views.close()
    same_bytes(raw_of('vm.qcow2'), model, 'what QEMU reads')
for option in 'chain', 'bitmaps':  # here the disk itself is cached
    convert('disk.raw', 'vm.qcow2')
    model = bytearray(Path('disk.raw').read_bytes())
    if option == 'bitmaps':
        run('qemu-img', 'bitmap', '--add', 'vm.qcow2', 'b')
        run('qemu-io', '-c', f'write -P 0 0 {ALL}', 'vm.qcow2')
        model = bytearray(ALL)
    view = {'chain': 'vm.chain/0-vm.qcow2.raw', 'bitmaps': 'vm.bitmaps/b.raw'}[option]
    with Mount('vm.qcow2', '-o', f'{option},keep-bitmaps=on', ro=False) as m:
        views = Views(m, ['vm.raw', view])
        changes(m, model, views, ['vm.raw'], 25)
        views.close()
killed(2 if not LONG else 100)
