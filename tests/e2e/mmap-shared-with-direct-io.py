#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With direct_io a file can be mapped with MAP_SHARED, and the map and the other ways to read and
# write agree; where the kernel cannot do that, or another file shows the same bytes and can be
# written, mmap() fails.
import mmap
from writing import *

create('a.qcow2', M)
qio('a.qcow2', 'write -P 1 0 1M')
kernel = tuple(map(int, re.match(r'(\d+)\.(\d+)', os.uname().release).groups()))
can = kernel >= (6, 18)
print(f'# Linux {kernel}: {"maps" if can else "no maps"}')


def mapped(path, flags=os.O_RDWR, access=mmap.ACCESS_WRITE):
    fd = os.open(path, flags)
    try:
        return mmap.mmap(fd, M, access=access)
    finally:
        os.close(fd)


def refused(path):
    check(errno_of(mapped, path) == errno.ENODEV, f'{path} is not mapped')


def agree(path):
    fd = os.open(path, os.O_RDWR)
    with mapped(path) as shared, mapped(path, os.O_RDONLY, mmap.ACCESS_READ) as reader:
        model = bytearray(b'\1' * M)
        for i in range(100):
            at, data = rng.randrange(M - 9000), rng.randbytes(rng.randrange(1, 9000))
            model[at:at + len(data)] = data
            if i % 2:
                shared[at:at + len(data)] = data
            else:
                check(os.pwrite(fd, data, at) == len(data), 'it is written')
            same_bytes(os.pread(fd, M, 0), model, f'read, {i}')
            same_bytes(reader[:], model, f'mapped, {i}')
        punch(fd, 4096, 8192)
        model[4096:12288] = bytes(8192)
        same_bytes(reader[:], model, 'mapped, with a hole')
    os.close(fd)
    return model


with Mount('a.qcow2', '-o', 'direct_io', ro=False) as m:
    if can:
        want = agree(m.path('a.raw'))
    else:
        refused(m.path('a.raw'))
        want = b'\1' * M
agrees('a.qcow2', want)
with Mount('a.qcow2', '-o', 'partitions,direct_io', ro=False) as m:
    refused(m.path('a.raw'))
for options in ['partitions,chain'], ['partitions,chain', '-r']:
    with Mount('a.qcow2', '-o', *options, ro=False) as m:
        with mapped(m.path('a.raw'), os.O_RDONLY, mmap.ACCESS_READ) as whole:
            same_bytes(whole[:], want, f'mapped for reading, {options}')
