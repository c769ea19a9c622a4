#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Size, blocks, times, owner and mode are those of the image, less the write bits; inode
# numbers are stable; statfs is that of the file system with the images.
from qcowtest import *

os.makedirs('src/lab')
create('src/disk.qcow2', '10G')
qio('src/disk.qcow2', 'write -P 1 5G 1M')
create('src/lab/other.qcow', '1M', fmt='qcow')
os.chmod('src/disk.qcow2', 0o660)
os.chmod('src/lab/other.qcow', 0o604)
os.chmod('src/lab', 0o750)
if not os.geteuid():
    os.chown('src/disk.qcow2', 1234, 4321)
os.utime('src/disk.qcow2', ns=(111111111_000000001, 1234567890_123456789))


def compare(shown, image, size, mode):
    a, b = os.stat(shown), os.stat(image)
    check(a.st_size == size, f'{shown}: size {a.st_size}')
    check(a.st_mode & 0o7777 == mode, f'{shown}: mode {a.st_mode:o}')
    check((a.st_uid, a.st_gid) == (b.st_uid, b.st_gid), f'{shown}: owner')
    check(a.st_mtime_ns == b.st_mtime_ns, f'{shown}: mtime')
    check(a.st_ctime_ns == b.st_ctime_ns, f'{shown}: ctime')
    check(a.st_blocks == b.st_blocks, f'{shown}: blocks {a.st_blocks} of {b.st_blocks}')
    check(a.st_nlink == 1, f'{shown}: one link')
    return a


def numbers(m):
    return {os.path.join(d, n): os.lstat(os.path.join(d, n)).st_ino
            for d, folders, files in os.walk(m.where) for n in folders + files}


with Mount('src') as m:
    st = compare(m.path('disk.raw'), 'src/disk.qcow2', 10 * G, 0o440)
    check(st.st_blksize >= 64 * K, 'the best block is a cluster')
    compare(m.path('lab/other.raw'), 'src/lab/other.qcow', M, 0o404)
    check(os.stat(m.path('lab')).st_mode & 0o7777 == 0o550, 'a folder cannot be written to')
    before = numbers(m)
    check(len(set(before.values())) == 3, 'all numbers differ')
    listed = {e.name: e.inode() for e in os.scandir(m.where)}
    check(listed == {'disk.raw': before[m.path('disk.raw')], 'lab': before[m.path('lab')]},
          'readdir has the same')
    for i in range(50):
        create(f'src/more{i}.qcow2', '64k')
    Path('/proc/sys/vm/drop_caches').write_text('2') if not os.geteuid() else None
    os.listdir(m.where)
    after = numbers(m)
    check(all(after[name] == ino for name, ino in before.items()), 'they are stable')
    check(len(set(after.values())) == 53, 'all differ, still')
    a, b = os.statvfs(m.where), os.statvfs('src')
    check((a.f_blocks, a.f_bsize, a.f_files) == (b.f_blocks, b.f_bsize, b.f_files),
          'statfs is that of the source')
    os.utime('src/disk.qcow2', (1, 2))
    os.chmod('src/disk.qcow2', 0o400)
    until(3, lambda: os.stat(m.path('disk.raw')).st_mtime == 2, 'a new mtime is seen')
    until(3, lambda: os.stat(m.path('disk.raw')).st_mode & 0o777 == 0o400, 'so is a new mode')
