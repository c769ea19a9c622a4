#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# Several processes write one file with O_DIRECT, while others read it through the kernel's pages
# and through maps.  After each write all of them read the new bytes.
import mmap
import signal
from writing import *

SIZE, PIECE, WRITERS, ROUNDS = 4 * M, 64 * K, 4, 60


def reader(path):
    """Reads the pages in again, all the time, while they are written."""
    pid = os.fork()
    if pid:
        return pid
    fd = os.open(path, os.O_RDONLY)
    shared = mmap.mmap(fd, SIZE, access=mmap.ACCESS_READ)
    while True:
        os.pread(fd, SIZE, 0)
        for at in range(0, SIZE, 4096):
            shared[at]


def writer(path, number):
    """Its own quarter of the disk; each write is compared in all ways.  Status 0 if all agree."""
    pid = os.fork()
    if pid:
        return pid
    try:
        direct = os.open(path, os.O_RDWR | os.O_DIRECT)
        cached = os.open(path, os.O_RDONLY)
        shared = mmap.mmap(cached, SIZE, access=mmap.ACCESS_READ)
        buf = mmap.mmap(-1, PIECE)
        for i in range(ROUNDS):
            at = (number * SIZE + i * PIECE % SIZE) // WRITERS // 4096 * 4096
            at = min(at, (number + 1) * SIZE // WRITERS - PIECE)
            buf[:] = bytes([i % 250 + 1]) * PIECE
            check(os.pwritev(direct, [buf], at) == PIECE, 'it is written')
            want = bytes(buf)
            same_bytes(os.pread(cached, PIECE, at), want, f'{number}, {i}: cached')
            same_bytes(shared[at:at + PIECE], want, f'{number}, {i}: mapped')
            check(os.preadv(direct, [buf], at) == PIECE and bytes(buf) == want, 'directly')
        os._exit(0)
    finally:
        os._exit(1)


def maps_are_read_directly(path):
    """What was written to a map is there for O_DIRECT, and stays when its neighbour is written."""
    direct = os.open(path, os.O_RDWR | os.O_DIRECT)
    fd = os.open(path, os.O_RDWR)
    buf = mmap.mmap(-1, 8192)
    with mmap.mmap(fd, SIZE) as shared:
        for i in range(1, 50):
            shared[i * 100:i * 100 + 3] = b'map'
            check(os.preadv(direct, [buf], 0) == 8192, 'it is read')
            check(buf[i * 100:i * 100 + 3] == b'map', f'{i}: directly')
            shared[8192] = i
            buf[:] = bytes([i]) * 8192
            check(os.pwritev(direct, [buf], 0) == 8192, 'it is written')
            check(shared[0:8193] == bytes([i]) * 8193, f'{i}: mapped')
    os.close(fd)
    os.close(direct)


for options in [], ['-o', 'threads=32']:
    create('a.qcow2', SIZE)
    with Mount('a.qcow2', *options, ro=False) as m:
        file = m.path('a.raw')
        readers = [reader(file) for _ in range(2)]
        status = [os.waitpid(p, 0)[1] for p in [writer(file, n) for n in range(WRITERS)]]
        for p in readers:
            os.kill(p, signal.SIGKILL)
            os.waitpid(p, 0)
        check(status == [0] * WRITERS, f'all writers agree: {status}')
        maps_are_read_directly(file)
        whole = read_all(file, SIZE)
    agrees('a.qcow2', whole)
    os.unlink('a.qcow2')
