#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Reading writes nothing to an image: neither with -o ro, nor with -o rw, nor on a descriptor for
# writing.  The image keeps its bytes and its mtime, its dirty bit, its unknown autoclear bits
# and its bitmaps.
import hashlib
from writing import *


def facts(name):
    return hashlib.sha256(Path(name).read_bytes()).hexdigest(), os.stat(name).st_mtime_ns


def read_in_all_ways(path):
    size = os.stat(path).st_size
    read_all(path, size)
    fd = os.open(path, os.O_RDONLY)
    data_map(fd, size)
    os.fsync(fd)
    os.close(fd)


def dirty(name):
    create(name, '4M', options='lazy_refcounts=on')
    p = subprocess.Popen(['qemu-io', '-f', 'qcow2', '-c', 'write -P 5 1M 1M', '-c', 'sleep 600000',
                          name], stdout=subprocess.DEVNULL)
    until(10, lambda: peek(name, 79, 1) == b'\1', 'it is dirty')
    p.kill()
    p.wait()


os.mkdir('src')
create('src/v1.img', '4M', fmt='qcow')
create('src/base.img', '4M')
qio('src/v1.img', 'write -P 3 5k 1M', fmt='qcow')
qio('src/base.img', 'write -P 3 5k 1M')
create('src/over.img', options='compat=0.10', backing='base.img', backing_format='qcow2')
create('src/bits.img', '4M')
run('qemu-img', 'bitmap', '--add', 'src/bits.img', 'one')
poke('src/bits.img', 90, b'\4')
dirty('src/dirty.img')
create('src/corrupt.img', '4M')
poke('src/corrupt.img', 79, b'\2')

names = [n[:-4] for n in os.listdir('src')]
before = {n: facts(f'src/{n}.img') for n in names}
for mount in ['-o', 'ro'], ['-r'], ['-o', 'rw']:
    with Mount('src', *mount, ro=False) as m:
        for n in names:
            read_in_all_ways(m.path(n + '.raw'))
    check({n: facts(f'src/{n}.img') for n in names} == before, f'{mount}: all is as it was')
with Mount('src', '-o', 'write-base', ro=False) as m:
    for n in names:
        if n in ('corrupt', 'dirty'):
            continue
        fd = os.open(m.path(n + '.raw'), os.O_RDWR)
        read_in_all_ways(m.path(n + '.raw'))
        os.fsync(fd)
        os.close(fd)
        check(facts(f'src/{n}.img') == before[n], f'{n}: opened for writing, it is as it was')
