#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# Readers, writers and maps go on over three names of one image, while a fourth name comes and goes and
# folders are listed: each block is always one that its one writer wrote, and never an older one.
import mmap
import struct
from writing import *
from storm import *

SECONDS = 4 if not LONG else 60
BLOCK, BLOCKS = 4096, 64
os.makedirs('src/sub')
create('src/a.qcow2', '1M')
os.link('src/a.qcow2', 'src/b.qcow2')
os.symlink('../a.qcow2', 'src/sub/c.qcow2')
NAMES = ['a.raw', 'b.raw', 'sub/c.raw']
written = [0] * BLOCKS  # the last number that is in the file for sure
done = [0, 0, 0]


def fd_of(r, flags):
    return os.open(m.path(r.choice(NAMES)), flags)


def write(half):
    def once(r):
        i = 2 * r.randrange(BLOCKS // 2) + half
        n = written[i] + 1
        fd = fd_of(r, os.O_RDWR)
        data = struct.pack('<Q', n) * (BLOCK // 8)
        if r.randrange(2):
            os.pwrite(fd, data, i * BLOCK)
        else:
            with mmap.mmap(fd, BLOCK * BLOCKS) as area:
                area[i * BLOCK:(i + 1) * BLOCK] = data
        if not r.randrange(8):
            os.fsync(fd)
        os.close(fd)
        written[i] = n
        done[0] += 1
    return once


def is_good(i, got, least, mapped):
    numbers = set(struct.unpack(f'<{BLOCK // 8}Q', got))
    # A map is read while another thread stores: old and new may meet.
    good = min(numbers) >= least and max(numbers) <= written[i] + 1 and (mapped or len(numbers) <= 2)
    if not good:
        failed.append(f'block {i}: {numbers} after {least}')


def read(r):
    i = r.randrange(BLOCKS)
    fd = fd_of(r, os.O_RDONLY)
    least = written[i]
    is_good(i, os.pread(fd, BLOCK, i * BLOCK), least, False)
    os.close(fd)
    done[1] += 1


def read_mapped(r):
    i = r.randrange(BLOCKS)
    fd = fd_of(r, os.O_RDONLY)
    with mmap.mmap(fd, BLOCK * BLOCKS, prot=mmap.PROT_READ) as area:
        least = written[i]
        is_good(i, area[i * BLOCK:(i + 1) * BLOCK], least, True)
    os.close(fd)
    done[2] += 1


def come_and_go(r):
    os.link('src/a.qcow2', 'src/sub/d.qcow2')
    os.listdir(m.path('sub'))
    os.path.exists(m.path('sub/d.raw'))
    time.sleep(r.random() / 50)
    os.unlink('src/sub/d.qcow2')
    names = os.listdir(m.path('sub'))
    if 'c.raw' not in names:
        failed.append(f'c is listed: {names}')


def look(r):
    n = [os.stat(m.path(name)).st_ino for name in NAMES]
    if len(set(n)) != 1:
        failed.append(f'one inode: {n}')
    os.listdir(m.path(r.choice(['', 'sub', 'a.snapshots', 'sub/c.snapshots'])))


with Mount('src', '-o', 'snapshots', ro=False) as m:
    works = [write(0), write(1), read, read, read_mapped, read_mapped, come_and_go, look]
    storm(works, SECONDS, lambda: min(done) > 10, 'all have done some')
    print(f'# written, read, read mapped: {done}')
got = raw_of('src/a.qcow2')
for i in range(BLOCKS):
    check(got[i * BLOCK:(i + 1) * BLOCK] == struct.pack('<Q', written[i]) * (BLOCK // 8), f'block {i} is in the file')
run('qemu-img', 'check', '-q', 'src/a.qcow2')
