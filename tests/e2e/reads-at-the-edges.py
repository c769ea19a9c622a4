#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Reads at, over and far behind the end; O_DIRECT, direct_io, mmap, and huge ones.
import mmap
from qcowtest import *

SIZE = 3 * M + 1536
want = noise(SIZE)
Path('ref').write_bytes(want)
convert('ref', 'disk.qcow2', extra=['-c'])


def aligned_read(path, at, n):
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    buf = mmap.mmap(-1, n)
    try:
        return buf[:os.preadv(fd, [buf], at)]
    finally:
        os.close(fd)


def edges(path):
    with open(path, 'rb', buffering=0) as f:
        fd = f.fileno()
        for at, n in ((0, 0), (0, 1), (SIZE - 1, 1), (SIZE - 1, 2), (SIZE - 1000, 65536), (SIZE, 1),
                      (SIZE + 1, 1), (SIZE + 511, 512), (1 << 40, 4096), ((1 << 63) - 4096, 4000),
                      (0, SIZE), (0, 8 * M), (1, SIZE), (511, 1), (65535, 2)):
            got = os.pread(fd, n, at)
            while 0 < len(got) < min(n, SIZE - at):  # a short count is no end
                more = os.pread(fd, n - len(got), at + len(got))
                check(more, f'no end at {at + len(got)}')
                got += more
            check(got == want[at:at + n], f'{n} bytes at {at}: got {len(got)}')
        for whence, at in ((os.SEEK_DATA, SIZE), (os.SEEK_HOLE, SIZE), (os.SEEK_DATA, SIZE + 1)):
            check(errno_of(os.lseek, fd, at, whence) == 6, f'seek to {at} is ENXIO')
        check(os.lseek(fd, 0, os.SEEK_END) == SIZE, 'the end is at the size')


def memory(path):
    with open(path, 'rb') as f:
        for access in mmap.ACCESS_READ, mmap.ACCESS_COPY:
            with mmap.mmap(f.fileno(), 0, access=access) as map:
                check(map[:] == want, f'mmap {access}')


for options in [], ['-s'], ['-o', 'direct_io'], ['-o', 'threads=2'], ['-o', 'threads=1'], \
        ['-o', 'cache-size=64K']:
    with Mount('disk.qcow2', *options) as m:
        path = m.path('disk.raw')
        edges(path)
        edges(path)
        for at in 0, 4096, 512 * 1024, SIZE // 4096 * 4096:
            for n in 4096, M:
                got = aligned_read(path, at, n)
                check(got == want[at:at + n], f'{options}: O_DIRECT {n} at {at}: got {len(got)}')
        memory(path) if 'direct_io' not in options else None
    with Mount('disk.qcow2', *options) as m:
        if 'direct_io' not in options:
            memory(m.path('disk.raw'))  # with nothing cached
Path('point').touch()
with Mount('disk.qcow2', where='point') as m:
    edges(m.path())
    memory(m.path())
