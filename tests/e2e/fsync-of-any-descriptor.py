#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# An fsync covers all that was written to the disk, whichever descriptor it was written through,
# and whichever is synced: one for reading will do.  So does closing.
from writing import *


def by_fsync(path, flags):
    fd = os.open(path, os.O_RDWR)
    other = os.open(path, flags)
    os.pwrite(fd, b'x' * 200000, 70000)
    os.fsync(other)


def by_close(path, _):
    fd = os.open(path, os.O_RDWR)
    other = os.dup(fd)
    os.pwrite(fd, b'x' * 200000, 70000)
    os.close(other)


def by_osync(path, flags):
    os.pwrite(os.open(path, os.O_RDWR | flags), b'x' * 200000, 70000)


def by_sync(path, _):
    os.pwrite(os.open(path, os.O_RDWR), b'x' * 200000, 70000)
    run('sync', path)


CASES = [(by_fsync, os.O_RDONLY), (by_fsync, os.O_WRONLY), (by_close, 0), (by_osync, os.O_SYNC),
         (by_osync, os.O_DSYNC), (by_sync, 0)]
for how, flags in CASES:
    create('disk.qcow2', M)
    m = Mount('disk.qcow2', ro=False)
    how(m.path('disk.raw'), flags)
    m.process.kill()
    m.process.wait()
    run('fusermount3', '-u', '-z', m.where)
    sound('disk.qcow2', leaks=True)
    same_bytes(raw_of('disk.qcow2'), bytes(70000) + b'x' * 200000 + bytes(M - 270000),
               f'{how.__name__} {flags:o}')
