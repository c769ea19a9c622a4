#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Writes of any length at any place: single bytes at the edges of sectors, clusters and tables,
# with O_SYNC, O_DSYNC, O_DIRECT and with -o direct_io.
import mmap
from writing import *

SIZE = 5 * M + 512
EDGES = [0, 511, 512, 4095, 4096, 64 * K - 1, 64 * K, 2 * M - 1, 2 * M, 5 * M, SIZE - 1]


def any_writes(d, fds):
    for at in EDGES:
        d.write(at, rng.randbytes(1), rng.choice(fds))
    for _ in range(60):
        at = rng.randrange(SIZE)
        n = min(rng.choice([1, 2, 511, 513, 4097, rng.randrange(200000)]), SIZE - at)
        d.write(at, rng.randbytes(n), rng.choice(fds))
    d.write(100, rng.randbytes(4 * M + 77))  # more than one request


def direct_writes(d, fd):
    buf = mmap.mmap(-1, 256 * K)
    for _ in range(60):
        at = rng.randrange(SIZE // 512) * 512
        n = min(rng.choice([512, 1024, 4096, 64 * K, 256 * K]), SIZE - at)
        buf[:n] = rng.randbytes(n)
        d.write(at, memoryview(buf)[:n], fd)


for version, (fmt, options) in VERSIONS.items():
    for mount in [], ['direct_io']:
        image = f'{version}-{len(mount)}.img'
        create(image, SIZE, fmt=fmt, options=options)
        with Disk(image, bytes(SIZE), *mount, fmt=fmt) as d:
            fds = [os.open(d.path, os.O_RDWR | f) for f in (0, os.O_SYNC, os.O_DSYNC)]
            direct = os.open(d.path, os.O_RDWR | os.O_DIRECT)
            any_writes(d, fds)
            d.compare()
            direct_writes(d, direct)
            d.compare()
            any_writes(d, fds)
            for fd in (*fds, direct):
                os.close(fd)
