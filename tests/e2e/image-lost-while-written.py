#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Another program empties, cuts, overwrites, replaces or deletes the file of an image that is
# written. Every fsync fails from then on, and no read gives zeros where data was.
import errno
import shutil
from writing import *

DATA = 8 * M    # with bytes 1; the rest of the disk is unallocated
SIZE = 16 * M
CHUNK = 64 * K


def emptied():
    os.truncate('disk.qcow2', 0)


def cut():
    os.truncate('disk.qcow2', os.stat('disk.qcow2').st_size // 2)


def cut_by_a_byte():
    os.truncate('disk.qcow2', os.stat('disk.qcow2').st_size - 1)


def emptied_and_made_long_again():
    size = os.stat('disk.qcow2').st_size
    os.truncate('disk.qcow2', 0)
    os.truncate('disk.qcow2', size)


def overwritten():
    shutil.copyfile('other.qcow2', 'disk.qcow2')


def replaced():
    os.rename('other.qcow2', 'disk.qcow2')


def deleted():
    os.unlink('disk.qcow2')


def in_place(fd):
    os.pwrite(fd, b'\2' * 4096, 6 * M)


def at_the_end_of_the_file(fd):
    os.pwrite(fd, b'\2' * 4096, DATA - 4096)


def in_a_new_cluster(fd):
    os.pwrite(fd, b'\2' * 4096, 12 * M)


def in_many_new_clusters(fd):
    os.pwrite(fd, b'\2' * M, 12 * M)


def reads_are_true(fd, what):
    """Each chunk is an error, or the bytes that were written."""
    errors = 0
    for off in range(0, DATA, CHUNK):
        try:
            got = os.pread(fd, CHUNK, off)
        except OSError as e:
            check(e.errno == errno.EIO, f'{what}: a read fails with EIO, not {e}')
            errors += 1
            continue
        if set(got) - {1, 2}:
            fail(f'{what}: a read at {off // K} KiB gives bytes {set(got)}')
    return errors


def one(change, write):
    what = f'{change.__name__}, then a write {write.__name__}'
    create('disk.qcow2', SIZE)
    create('other.qcow2', 32 * M)
    qio('other.qcow2', 'write -P 3 0 32M')
    qio('disk.qcow2', f'write -P 1 0 {DATA}')
    with Mount('disk.qcow2', '-o', 'direct_io', ro=False) as m:
        fd = os.open(m.path('disk.raw'), os.O_RDWR)
        os.pwrite(fd, b'\2' * 4096, 4 * M)  # in place, and synced
        os.pwrite(fd, b'\2' * 4096, 10 * M)
        os.fsync(fd)
        change()
        wrote = errno_of(write, fd)
        check(wrote in (0, errno.EIO), f'{what}: {errno.errorcode.get(wrote)}')
        if change in (emptied, cut, cut_by_a_byte):
            reads_are_true(fd, what)
        check(errno_of(os.fsync, fd) == errno.EIO, f'{what}: fsync tells')
        errors = reads_are_true(fd, what)
        if change in (replaced, deleted):
            check(not errors, f'{what}: reads go on')
        check(errno_of(write, fd) == errno.EIO, f'{what}: a later write fails')
        check(errno_of(os.fsync, fd) == errno.EIO, f'{what}: a later fsync fails')
        check(m.log().count('another program has') == 1, f'{what}: the log says so once')
        check(errno_of(os.close, fd) == errno.EIO, f'{what}: close fails')


def close_tells():
    """Without an fsync, close(2) fails."""
    create('disk.qcow2', SIZE)
    with Mount('disk.qcow2', ro=False) as m:
        fd = os.open(m.path('disk.raw'), os.O_RDWR)
        os.pwrite(fd, b'\2' * 4096, 0)
        os.unlink('disk.qcow2')
        check(errno_of(os.close, fd) == errno.EIO, 'close fails')


for change in (emptied, cut, cut_by_a_byte, emptied_and_made_long_again, overwritten, replaced,
               deleted):
    for write in in_place, at_the_end_of_the_file, in_a_new_cluster, in_many_new_clusters:
        one(change, write)
close_tells()
