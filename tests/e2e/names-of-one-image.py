#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Hard and symbolic links to one image, also in other folders, are names of one file: one inode, one
# page cache. Views are beside each name.
import mmap
from writing import *

os.makedirs('src/lab/deep')
create('src/base.qcow2', '4M')
qio('src/base.qcow2', 'write -P 7 0 4M')
create('src/a.qcow2', backing='base.qcow2', backing_format='qcow2')
run('qemu-img', 'snapshot', '-c', 'first', 'src/a.qcow2')
os.link('src/a.qcow2', 'src/b.qcow2')
os.symlink('a.qcow2', 'src/c.qcow2')
os.symlink('../../a.qcow2', 'src/lab/deep/up.qcow2')
os.link('src/base.qcow2', 'src/lab/base-too.qcow2')
NAMES = ['a.raw', 'b.raw', 'c.raw', 'lab/deep/up.raw']


def listed(m):
    return sorted(os.path.join(d, f)[len(m.where) + 1:] for d, _, files in os.walk(m.where) for f in files)


with Mount('src', '-o', 'snapshots,info', ro=False) as m:
    # The link is looked at first. Its folder does not have the backing file; the real name's does.
    check(Path(m.path('lab/deep/up.raw')).read_bytes() == b'\7' * (4 * M), 'the chain is found')
    listed(m)
    stats = [os.stat(m.path(n)) for n in NAMES]
    check(len({s.st_ino for s in stats}) == 1, f'one inode: {[s.st_ino for s in stats]}')
    until(3, lambda: os.stat(m.path('a.raw')).st_nlink == 4, 'four names')
    check(os.stat(m.path('base.raw')).st_ino == os.stat(m.path('lab/base-too.raw')).st_ino, 'so has the base')
    check(os.stat(m.path('a.raw')).st_ino != os.stat(m.path('base.raw')).st_ino, 'another image has another')

    # What is written through one is read through the others, from the page cache and mapped.
    files = [os.open(m.path(n), os.O_RDWR) for n in NAMES]
    maps = [mmap.mmap(f, M) for f in files]
    for i, f in enumerate(files):
        os.pwrite(f, b'%d' % i * 5000, i * 5000)
        for g, other in zip(files, maps):
            check(os.pread(g, 5000, i * 5000) == b'%d' % i * 5000, 'read through another name')
            check(other[i * 5000:(i + 1) * 5000] == b'%d' % i * 5000, 'mapped through another name')
    for i, one in enumerate(maps):
        one[100000 + i] = 65 + i
        check(all(o[100000 + i] == 65 + i for o in maps), 'written through a map')
        one.flush()
        check(all(os.pread(f, 1, 100000 + i) == bytes([65 + i]) for f in files), 'and read')
    for one in maps:
        one.close()
    for f in files:
        os.close(f)

    # A snapshot is taken beside one name, and is there beside all.
    os.mkdir(m.path('b.snapshots/second'))
    for n in NAMES:
        folder = m.path(n[:-4] + '.snapshots')
        check(sorted(os.listdir(folder)) == ['first', 'second'], f'{folder}: {os.listdir(folder)}')
        check(Path(folder, 'first/disk.raw').read_bytes() == b'\7' * (4 * M), 'the disk of then')
        check(json.loads(Path(m.path(n[:-4] + '.json')).read_text())['virtual-size'] == 4 * M, 'JSON')
    inodes = {os.stat(m.path(n[:-4] + '.snapshots')).st_ino for n in NAMES}
    check(len(inodes) == 4, 'each folder of snapshots is one of its own')

    # Names go; the file stays, until the last has gone.
    reader = os.open(m.path('a.raw'), os.O_RDONLY)
    os.unlink('src/a.qcow2')  # c and up dangle
    until(3, lambda: 'a.raw' not in os.listdir(m.where), 'a has gone')
    check('c.raw' not in os.listdir(m.where), 'a link to it has gone, too')
    check(os.fstat(reader).st_ino == os.stat(m.path('b.raw')).st_ino, 'the file is the same')
    with open(m.path('b.raw'), 'r+b') as f:
        f.write(b'later')
    check(os.pread(reader, 5, 0) == b'later', 'the one that is open still sees what is written')
    listed(m)  # the link in lab/deep is seen to lead nowhere
    until(3, lambda: os.fstat(reader).st_nlink == 1, 'one name is left')

    # A name that leads to another image is another file.
    create('new.qcow2', '1M')
    os.rename('new.qcow2', 'src/a.qcow2')
    until(3, lambda: os.path.exists(m.path('a.raw')) and os.stat(m.path('a.raw')).st_size == M, 'another a')
    check(os.stat(m.path('a.raw')).st_ino != os.stat(m.path('b.raw')).st_ino, 'it is not b')
    check(os.stat(m.path('c.raw')).st_ino == os.stat(m.path('a.raw')).st_ino, 'the link leads to the new one')
    check(os.pread(reader, 5, 0) == b'later', 'the old one is open, still')
    os.close(reader)
    os.rename('src/b.qcow2', 'src/lab/d.qcow2')
    until(3, lambda: os.path.exists(m.path('lab/d.raw')), 'it has moved')
run('qemu-img', 'check', '-q', 'src/lab/base-too.qcow2')
