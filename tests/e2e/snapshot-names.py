#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Each snapshot has its own folder, with any name: bytes that cannot be in a file name are shown as
# %XX, equal names get @ID behind them, long names are cut.
from views import *

LONG = b'x' * 300
NAMES = [  # id, name, shown as
    (b'1', b'plain', b'plain'),
    (b'2', b'a/b', b'a%2Fb'),
    (b'3', b'..', b'%2E.'),
    (b'4', b'.', b'%2E'),
    (b'5', b'.hidden', b'%2Ehidden'),
    (b'6', b'', b'%'),
    (b'7', b'100%', b'100%25'),
    (b'8', b'line\nfeed\x7f\x01', b'line%0Afeed%7F%01'),
    (b'9', b'nul\0nul', b'nul%00nul'),
    (b'10', 'schön'.encode(), 'schön'.encode()),
    (b'11', b'\xff\xfe broken', b'\xff\xfe broken'),
    (b'12', b'same', b'same@12'),
    (b'13', b'same', b'same@13'),
    (b'14', b'twin', b'twin@14'),
    (b'14', b'twin', b'twin@14@2'),
    (b'1/6', b'odd', b'odd@1%2F6'),
    (b'', b'odd', b'odd@%'),
    (b'18', b'same@12x', b'same@12x'),
    (b'19', b'x' * 255, b'x' * 255),
    (b'20', LONG, None),
    (b'21', LONG + b'y', None),
    (b'22', b'/' * 100, None),
]
name = create('odd.qcow2', '1M', options='cluster_size=4k')
for i in range(len(NAMES)):
    qio(name, f'write -P {i + 1} 0 100k')
    snap(name, '-c', str(i) + 'p' * 150)  # room in the table
disks = [snapshot_raw(name, str(i) + 'p' * 150) for i in range(len(NAMES))]
at, rows = table(name)
for r, (i, n, _) in zip(rows, NAMES):
    r['id'], r['name'] = i, n
set_table(name, rows)

with Mount(name, '-o', 'snapshots') as m:
    folder = os.fsencode(m.path('odd.snapshots'))
    names = os.listdir(folder)
    check(len(set(names)) == len(NAMES), f'all are there: {names}')
    for (_, _, shown), want in zip(NAMES, disks):
        if shown:
            check(shown in names, f'{shown} is among {names}')
            same_bytes(Path(os.fsdecode(folder + b'/' + shown), 'disk.raw').read_bytes(), want, shown)
    cut = [n for n in names if b'%~' in n]
    check(len(cut) == 3 and all(len(n) <= 255 for n in cut), f'three are cut: {cut}')
    found = {Path(os.fsdecode(folder + b'/' + n), 'disk.raw').read_bytes() for n in names}
    check(found == set(disks), 'each disk is there')
    for n in 'same', 'plain@1', 'a', 'a%2fb', '%2E%2E', '%41', 'x' * 256:
        check(errno_of(os.stat, m.path(f'odd.snapshots/{n}')) in (errno.ENOENT, errno.ENAMETOOLONG),
              f'{n} is not there')

# Not even an equal place, date and id make two of them one.
for r in rows:
    r.update(id=b'1', name=b'n', l1=rows[0]['l1'], s=1, ns=2)
set_table(name, rows)
with Mount(name, '-o', 'snapshots') as m:
    st = [os.stat(m.path(f'odd.snapshots/{n}')) for n in os.listdir(m.path('odd.snapshots'))]
    check(len({s.st_ino for s in st}) == len(NAMES), 'all have numbers of their own')
    same_bytes(Path(m.path('odd.snapshots/n@1@22/disk.raw')).read_bytes(), disks[0], 'the last')
