#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Snapshots that others make, rename and delete show up and go without a remount, also those that
# take the place of one with the same name; an image in use gives EBUSY.
from views import *

os.mkdir('src')
name = create('src/disk.qcow2', '1M')
qio(name, 'write -P 1 0 1M')
Path('src/bad.qcow2').write_bytes(b'QFI\xfb' + bytes(1000))
create('src/gone.qcow2', '1M')
snap('src/gone.qcow2', '-c', 'x')


def content(m, s):
    try:
        return Path(m.path(f'disk.snapshots/{s}/disk.raw')).read_bytes()[:1]
    except OSError as e:
        return e.errno


with Mount('src', '-o', 'snapshots,rw', ro=False) as m:
    folder = m.path('disk.snapshots')
    check(os.listdir(folder) == [], 'there are none')
    snap(name, '-c', 'a')
    check(os.listdir(folder) == ['a'], 'one is there')
    check(content(m, 'a') == b'\1', 'and is read')
    for i in range(2, 6):  # deleted and made anew, at once
        snap(name, '-d', 'a')
        qio(name, f'write -P {i} 0 1M')
        snap(name, '-c', 'a')
        until(4, lambda: content(m, 'a') == bytes([i]), f'the new one is read: {i}')
    old = os.stat(folder + '/a').st_ino
    snap(name, '-d', 'a')
    snap(name, '-c', 'b')
    check(os.listdir(folder) == ['b'], 'the other is there')
    until(4, lambda: content(m, 'a') == errno.ENOENT, 'the first is gone')
    check(os.stat(folder + '/b').st_ino != old, 'they are not the same')
    snap(name, '-c', 'b2')
    qio(name, 'write -P 9 0 64k')
    at, rows = table(name)
    rows[1]['name'] = b'b\0'  # in its place
    set_table(name, rows)
    until(4, lambda: sorted(os.listdir(folder)) == ['b', 'b%00'], 'so is one of another name')

    # In use.
    p = hold(name)
    refuses(errno.EBUSY, os.listdir, folder)
    refuses(errno.EBUSY, os.mkdir, folder + '/c')
    until(4, lambda: content(m, 'b') == errno.EBUSY, 'it is not read')
    let_go(p)
    check(sorted(os.listdir(folder)) == ['b', 'b%00'], 'it is free again')

    # Unusable, and gone.
    refuses(errno.EIO, os.listdir, m.path('bad.snapshots'))
    check('version' in m.log(), 'the log says why')
    os.listdir(m.path('gone.snapshots'))
    held = open(m.path('gone.snapshots/x/disk.raw'), 'rb')
    os.unlink('src/gone.qcow2')
    check('gone.snapshots' not in os.listdir(m.where), 'it is gone with its image')
    until(4, lambda: errno_of(os.stat, m.path('gone.snapshots/x')) == errno.ENOENT, 'and what it held')
    check(os.fstat(held.fileno()).st_size == M, 'what is open can be looked at')
    check(held.read(10) == bytes(10), 'and be read')
    held.close()
    create('src/gone.qcow2', '2M')
    snap('src/gone.qcow2', '-c', 'y')
    until(4, lambda: os.listdir(m.path('gone.snapshots')) == ['y'], 'another takes its place')
    check(os.stat(m.path('gone.snapshots/y/disk.raw')).st_size == 2 * M, 'with its own size')

    # A damaged table.
    good = peek(name, 60, 12)
    poke(name, 64, struct.pack('>Q', 1 << 62))
    check(errno_of(os.listdir, folder) == errno.EIO, 'a table that cannot be there')
    poke(name, 60, good)
    at, rows = table(name)
    entry = peek(name, at, 8)
    poke(name, at, struct.pack('>Q', 1 << 50))
    n = next(n for n in os.listdir(folder) if n == 'b')
    check(content(m, n) == errno.EIO, 'a snapshot that cannot be there')
    poke(name, at, entry)
