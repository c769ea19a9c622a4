#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# Eight threads write, punch, read and sync at once, through the kernel's pages, and
# past them: some in ranges of their own, which are as they left them; some all over the
# same, where each sector is one that some thread wrote, in the end whole.
import mmap
import struct
import threading
from writing import *

SIZE, OWN, SHARED = 16 * M + 512, M + 512 * 3, 12 * M
SECONDS = 30 if LONG else 2
KINDS = {'v1': ('qcow', ''), 'v2-512': ('qcow2', 'compat=0.10,cluster_size=512'),
         'v3': ('qcow2', 'compat=1.1'), 'v3-ext': ('qcow2', 'extended_l2=on')}


def sector(number, who):
    return struct.pack('<QQ', number, who) * 32


class Worker(threading.Thread):
    """Takes step() after step on a descriptor of its own, until one fails."""

    def __init__(self, i, path, flags):
        super().__init__()
        self.r, self.bad = random.Random(f'{SEED}-{i}'), None
        self.i, self.path, self.flags = i, path, flags

    def run(self):
        try:
            fd = os.open(self.path, os.O_RDWR | self.flags)
            until_ = time.monotonic() + SECONDS
            while time.monotonic() < until_ and not self.bad:
                self.step(fd)
            os.close(fd)
        except Exception as e:  # told in the end
            self.bad = repr(e)


class Own(Worker):
    """Writes to its own range, which it compares all the time."""

    def __init__(self, i, path, flags):
        super().__init__(i, path, flags)
        self.start_at, self.model = i * OWN, bytearray(OWN)

    def step(self, fd):
        unit = 512 if self.flags & os.O_DIRECT else 1
        at = self.r.randrange(OWN) // unit * unit
        n = min(self.r.choice([512, 4096, self.r.randrange(1, 100000)]), OWN - at)
        n = max(n // unit * unit, unit)
        what = self.r.randrange(10)
        buf = mmap.mmap(-1, n)  # aligned
        if what < 5:
            buf[:] = self.r.randbytes(n)
            if os.pwrite(fd, buf, self.start_at + at) != n:
                self.bad = f'a short write at {at}'
            self.model[at:at + n] = buf[:]
        elif what < 7:
            (punch if what == 5 else zero_range)(fd, self.start_at + at, n)
            self.model[at:at + n] = bytes(n)
        elif what == 7:
            os.fsync(fd)
        else:
            os.preadv(fd, [buf], self.start_at + at)
            if buf[:] != self.model[at:at + n]:
                self.bad = f'bytes at {self.start_at + at} + {n} are not as they were left'


class Everywhere(Worker):
    """Writes numbered sectors at the same offsets as others; reads must return such sectors."""

    def step(self, fd):
        first, n = SHARED // 512 + self.r.randrange(2000), self.r.randrange(1, 300)
        buf = mmap.mmap(-1, n * 512)
        what = self.r.randrange(12)
        if what < 6:
            buf[:] = b''.join(sector(first + k, self.i) for k in range(n))
            os.pwrite(fd, buf, first * 512)
        elif what == 6:
            punch(fd, first * 512, n * 512)
        elif what == 7:
            zero_range(fd, first * 512, n * 512)
        else:
            os.preadv(fd, [buf], first * 512)
            self.bad = wrong(buf, first)


def wrong(buf, first, whole=False):
    """A read may meet a write half way, but no other bytes."""
    unit = 512 if whole else 16
    for at in range(0, len(buf), unit):
        number, got = first + at // 512, buf[at:at + unit]
        who = struct.unpack('<QQ', got[:16])[1]
        if got != bytes(unit) and (got != sector(number, who)[:unit] or who > 8):
            return f'sector {number} is what nobody wrote: {got[:32].hex()}..{got[-16:].hex()}'
    return None


def story(image, fmt, options, mount, names):
    """Through several names the kernel does not make one writer wait for the other."""
    os.makedirs('src', exist_ok=True)
    create('src/0.img', SIZE, fmt=fmt, options=options)
    for i in range(1, names):
        os.link('src/0.img', f'src/{i}.img')
    model = bytearray(SIZE)
    with Mount('src', '-o', ','.join(('rw', *mount)), ro=False) as m:
        threads = [(Own if i < 4 else Everywhere)(i, m.path(f'{i % names}.raw'),
                                                  os.O_DIRECT if i % 2 else 0) for i in range(8)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        for t in threads:
            check(not t.bad, f'{image}: {t.bad}')
        for i, t in enumerate(threads[:4]):
            model[i * OWN:(i + 1) * OWN] = t.model
        model[SHARED:] = read_all(m.path('0.raw'), SIZE)[SHARED:]
        bad = wrong(model[SHARED:], SHARED // 512, whole=True)
        check(not bad, f'{image}: in the end, {bad}')
        same_bytes(read_all(m.path('0.raw'), SIZE), model, image)
    agrees('src/0.img', model, fmt)
    for i in range(names):
        os.unlink(f'src/{i}.img')


for kind, (fmt, options) in KINDS.items():
    for mount, names in ([], 1), (['direct_io'], 8):
        story(f'{kind} {mount} {names}', fmt, options, mount, names)
