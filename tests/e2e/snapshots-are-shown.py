#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With -o snapshots each has a folder with its disk, of its size, as QEMU reads it; its date is the
# time of the file.  All versions, and images with one, three and no snapshots.
from views import *

os.mkdir('src')
VARIANTS = {
    'v2': 'compat=0.10', 'v3': 'compat=1.1', 'small': 'compat=1.1,cluster_size=512,refcount_bits=64',
    'extended': 'compat=1.1,extended_l2=on', 'narrow': 'compat=1.1,refcount_bits=4',
}
want = {}
for v, options in VARIANTS.items():
    name = create(f'src/{v}.qcow2', '3M', options=options)
    qio(name, 'write -P 1 0 2M')
    snap(name, '-c', 'one')
    qio(name, 'write -P 2 3k 130k', 'write -z 1M 100k', 'discard 1500k 256k')
    if v != 'v2':  # which has no room for sizes
        run('qemu-img', 'resize', '-q', name, '5M')
        qio(name, 'write -P 9 4M 70k')
    snap(name, '-c', 'two')
    qio(name, 'write -P 3 0 512')
    if v != 'v2':
        run('qemu-img', 'resize', '-q', '--shrink', name, '1M')
    snap(name, '-c', 'three')
    qio(name, 'write -P 4 512k 9k')
    for s in 'one', 'two', 'three':
        want[v, s] = applied_raw(name, s)
create('src/none.qcow2', '1M')
create('src/v1.qcow', '1M', fmt='qcow')
create('src/single.qcow2', '1M')
qio('src/single.qcow2', 'write -P 7 5k 9k')
snap('src/single.qcow2', '-c', 'only')
want['single', 'only'] = snapshot_raw('src/single.qcow2', 'only')

# Version 2 may leave out the size: then it is that of the disk.

Path('src/bare.qcow2').write_bytes(Path('src/v2.qcow2').read_bytes())
at, rows = table('src/bare.qcow2')
for r in rows:
    r['extra'] = b''
set_table('src/bare.qcow2', rows)
for s in 'one', 'two', 'three':
    want['bare', s] = want['v2', s]

with Mount('src', '-o', 'snapshots') as m:
    names = sorted(os.listdir(m.where))
    check(names == sorted(n + e for n in [*VARIANTS, 'bare', 'none', 'single', 'v1']
                          for e in ('.raw', '.snapshots')), f'these are shown: {names}')
    for n in 'none', 'v1':
        check(os.listdir(m.path(f'{n}.snapshots')) == [], f'{n} has none')
    numbers = set()
    for (v, s), data in want.items():
        folder = m.path(f'{v}.snapshots/{s}')
        check(os.listdir(folder) == ['disk.raw'], f'{folder} has a disk, and nothing else')
        st = os.stat(folder + '/disk.raw')
        check(st.st_size == len(data), f'{folder}: {len(data)} bytes, not {st.st_size}')
        same_bytes(Path(folder, 'disk.raw').read_bytes(), data, folder)
        row = next(r for r in table(f'src/{v}.qcow2')[1] if r['name'] == s.encode())
        for x in st, os.stat(folder):
            check(x.st_mtime_ns == row['s'] * 10**9 + row['ns'], f'{folder}: its date')
            check(not x.st_mode & 0o222, f'{folder}: it cannot be written')
            check(x.st_blocks * 512 <= len(data), f'{folder}: blocks')
            numbers.add(x.st_ino)
        check(os.stat(folder).st_mode & 0o7777 == 0o555, 'its folder can be entered')
        fd = os.open(folder + '/disk.raw', os.O_RDONLY)
        for start, end in data_map(fd, len(data)):
            data = data[:start] + bytes(end - start) + data[end:]
        os.close(fd)
        check(not any(data), f'{folder}: no data in a hole')
    check(len(numbers) == 2 * len(want), 'all have numbers of their own')
    again = {os.stat(os.path.join(d, n)).st_ino for d, dirs, files in os.walk(m.where)
             for n in dirs + files if '.snapshots/' in os.path.join(d, n)}
    check(again == numbers, 'and keep them')
    p = m.path('v3.snapshots/one')
    refuses(errno.EROFS, os.open, p + '/disk.raw', os.O_RDWR)
    refuses(errno.EROFS, os.mkdir, m.path('v3.snapshots/new'))
    refuses(errno.EROFS, os.rmdir, p)
    refuses(errno.EROFS, os.rename, p, m.path('v3.snapshots/new'))
    refuses(errno.ENOENT, os.stat, m.path('v3.snapshots/four'))
    refuses(errno.ENOENT, os.stat, p + '/vmstate')
    check(os.statvfs(p).f_blocks == os.statvfs('src').f_blocks, 'statfs is that of the source')

# One image: the same, beside it.
with Mount('src/v3.qcow2', '-o', 'snapshots') as m:
    check(sorted(os.listdir(m.where)) == ['v3.raw', 'v3.snapshots'], 'two names')
    same_bytes(Path(m.path('v3.snapshots/two/disk.raw')).read_bytes(), want['v3', 'two'], 'two')
