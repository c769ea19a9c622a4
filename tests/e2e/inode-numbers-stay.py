#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Inode numbers are the same after a remount, whatever came or went meanwhile, and no two files of a
# mount have the same.
from partitions import *

os.makedirs('src/lab/deep')
filled('disk.raw', 8 * M)
poke('disk.raw', 0, record(entry(0x83, 2048, 512), entry(0x83, 4096, 512)))
for name in 'b.qcow2', 'lab/c.qcow2', 'lab/deep/d.qcow2':
    convert('disk.raw', f'src/{name}')
    for s in 'one', 'two', 'three':
        run('qemu-img', 'snapshot', '-c', s, f'src/{name}')
os.link('src/b.qcow2', 'src/lab/b-too.qcow2')
OPTIONS = ['-o', 'snapshots,chain,info,partitions']


def numbers(m):
    found = {}
    for d, folders, files in os.walk(m.where):
        for e in os.scandir(d):
            check(e.inode() == e.stat(follow_symlinks=False).st_ino, f'{e.path}: readdir and stat agree')
            found[e.path[len(m.where):]] = e.inode()
    return found


with Mount('src', *OPTIONS) as m:
    before = numbers(m)
one_file = [n for n in before if n in ('/b.raw', '/lab/b-too.raw')]
check(len(one_file) == 2 and len(set(before.values())) == len(before) - 1, 'all differ but two names of one')
for i in range(40):
    create(f'src/a{i}.qcow2', '1M')
    create(f'src/lab/a{i}.qcow2', '1M')
run('qemu-img', 'snapshot', '-c', 'four', 'src/b.qcow2')
with Mount('src', *OPTIONS) as m:
    os.listdir(m.path('lab/deep'))  # another order
    after = numbers(m)
changed = [n for n, ino in before.items() if after.get(n) != ino]
check(not changed, f'the same number: {changed}')
check(len(set(after.values())) == len(after) - 1, 'all differ, still')
with Mount('src/b.qcow2', *OPTIONS) as m:
    check(os.stat(m.path('b.raw')).st_ino == before['/b.raw'], 'the same as the only image')
