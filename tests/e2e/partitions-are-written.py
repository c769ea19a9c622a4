#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A partition is written as the disk is, within its bounds; and each shows writes to
# the other at once.
import mmap
import threading
from partitions import *

START, SIZE = 3 * M + 512, 5 * M + 1536
disk('disk.raw', 16 * M, f'label: dos\nstart={START // 512},size={SIZE // 512},type=83\n'
     f'start={10 * M // 512},size={M // 512},type=83\n')
model = bytearray(Path('disk.raw').read_bytes())
convert('disk.raw', 'vm.qcow2')


def both_are(m, what):
    same_bytes(read_all(m.path('vm.raw'), len(model)), model, f'{what}: the disk')
    same_bytes(read_all(part(m, 'vm', 1), SIZE), model[START:START + SIZE], f'{what}: p1')


def change(fd, start, at, data):
    check(os.pwrite(fd, data, at) == len(data), 'all of it')
    model[start + at:start + at + len(data)] = data


def sees_the_other(m, disk, p1):
    for _ in range(60):
        at, data = rng.randrange(SIZE - 9000), rng.randbytes(rng.randrange(1, 9000))
        if rng.randrange(2):
            change(disk, 0, START + at, data)
        else:
            change(p1, START, at, data)
        for fd, base in (disk, START), (p1, 0):
            got = os.pread(fd, len(data), base + at)
            same_bytes(got, data, 'the bytes of just now')
    both_are(m, 'written by turns')


def bounds(p1):
    change(p1, START, SIZE - 4096, b'e' * 4096)
    check(os.pwrite(p1, b'x' * 4096, SIZE - 100) == 100, 'a write ends at the end')
    model[START + SIZE - 100:START + SIZE] = b'x' * 100
    for at in SIZE, SIZE + 1, SIZE + 10 * M, 1 << 60:
        check(errno_of(os.pwrite, p1, b'y', at) == errno.ENOSPC, f'ENOSPC at {at}')
        check(os.pread(p1, 10, at) == b'', 'nothing to read')
    check(len(os.pread(p1, 4096, SIZE - 7)) == 7, 'a read ends at the end')
    check(errno_of(fallocate, p1, 0, SIZE - 4096, 8192) == errno.ENOSPC, 'there is no more room')
    punch(p1, SIZE - 4096, 1 << 40)  # and not a byte behind
    model[START + SIZE - 4096:START + SIZE] = bytes(4096)


def sizes(m, p1):
    check(errno_of(os.ftruncate, p1, SIZE - 512) == errno.EPERM, 'it cannot be cut')
    check(errno_of(os.truncate, part(m, 'vm', 1), SIZE + 512) == errno.EPERM, 'nor grow')
    os.ftruncate(p1, SIZE)
    for flags in os.O_TRUNC, 0:
        fd = os.open(part(m, 'vm', 1), os.O_RDWR | flags)
        if not flags:
            os.ftruncate(fd, 0)
        os.ftruncate(fd, SIZE // 2)
        check(os.stat(part(m, 'vm', 1)).st_size == SIZE, 'emptying it keeps the size')
        os.close(fd)
        model[START:START + SIZE] = bytes(SIZE)
        both_are(m, 'emptied')
        change(p1, START, 4096, rng.randbytes(SIZE - 8192))
    os.truncate(part(m, 'vm', 1), 0)
    model[START:START + SIZE] = bytes(SIZE)
    both_are(m, 'emptied by name')
    change(p1, START, 0, rng.randbytes(SIZE))


def holes(p1):
    punch(p1, M - 100, M)
    model[START + M - 100:START + 2 * M - 100] = bytes(M)
    zero_range(p1, 3 * M, 70000)
    model[START + 3 * M:START + 3 * M + 70000] = bytes(70000)
    fallocate(p1, 0, 0, SIZE)
    fallocate(p1, 0, M, 300000)
    check(data_map(p1, SIZE)[-1][1] == SIZE, 'data ends with it')


def seeks(m):
    """Holes and data are cut at the ends."""
    disk = os.open(m.path('vm.raw'), os.O_RDWR)
    p2 = os.open(part(m, 'vm', 2), os.O_RDWR)
    punch(disk, 9 * M, 3 * M)
    model[9 * M:12 * M] = bytes(3 * M)
    check(data_map(p2, M) == [] and os.lseek(p2, 0, os.SEEK_HOLE) == 0, 'one hole')
    os.pwrite(p2, b'q' * 65536, 512 * K)
    model[10 * M + 512 * K:10 * M + 576 * K] = b'q' * 65536
    check(data_map(p2, M) == [(512 * K, 576 * K)], f'{data_map(p2, M)}')
    check(errno_of(os.lseek, p2, M, os.SEEK_HOLE) == errno.ENXIO, 'nothing behind the end')
    os.close(disk), os.close(p2)


def direct(m):
    """O_DIRECT; and a shared map is as the manual says."""
    fd = os.open(part(m, 'vm', 1), os.O_RDWR | os.O_DIRECT)
    buf = mmap.mmap(-1, 8192)
    buf.write(b'd' * 8192)
    check(os.pwritev(fd, [buf], 4096) == 8192, 'O_DIRECT')
    model[START + 4096:START + 12288] = b'd' * 8192
    os.fsync(fd), os.fdatasync(fd)
    for name in 'vm.raw', 'vm.p1.raw':
        other = os.open(m.path(name), os.O_RDWR)
        with mmap.mmap(other, 4096, mmap.MAP_PRIVATE) as p:
            check(p[:512] == os.pread(other, 512, 0), 'a private map works')
        check(errno_of(mmap.mmap, other, 4096, mmap.MAP_SHARED) == errno.ENODEV, 'a shared one does not')
        os.close(other)
    os.close(fd)


def many_writers(m):
    def work(seed):
        r = random.Random(seed)
        fd = os.open(part(m, 'vm', 1) if seed % 2 else m.path('vm.raw'), os.O_RDWR)
        base, lane = (0 if seed % 2 else START), seed * 512 * K
        for _ in range(40):
            at, data = lane + r.randrange(500 * K), r.randbytes(r.randrange(1, 12 * K))
            os.pwrite(fd, data, base + at)
            model[START + at:START + at + len(data)] = data
        os.close(fd)
    threads = [threading.Thread(target=work, args=(i,)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()


with Mount('vm.qcow2', '-o', 'partitions', ro=False) as m:
    disk_fd, p1 = (os.open(f, os.O_RDWR) for f in (m.path('vm.raw'), part(m, 'vm', 1)))
    sees_the_other(m, disk_fd, p1)
    bounds(p1)
    sizes(m, p1)
    holes(p1)
    os.close(p1), os.close(disk_fd)
    seeks(m)
    direct(m)
    many_writers(m)
    both_are(m, 'in the end')
    check(run('cp', '--sparse=always', part(m, 'vm', 1), 'copy') == '', 'cp')
    same_bytes(Path('copy').read_bytes(), model[START:START + SIZE], 'a copy')
same_bytes(raw_of('vm.qcow2'), model, 'what QEMU reads')
run('qemu-img', 'check', '-q', 'vm.qcow2')
with Mount('vm.qcow2', '-o', 'partitions') as m:
    both_are(m, 'read-only')
    with open(part(m, 'vm', 1), 'rb') as f, mmap.mmap(f.fileno(), SIZE, mmap.MAP_SHARED,
                                                      mmap.PROT_READ) as p:
        same_bytes(p[:], model[START:START + SIZE], 'a shared map of what cannot be written')
