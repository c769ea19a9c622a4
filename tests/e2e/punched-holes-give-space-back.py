#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Punching whole clusters gives the host's space back (unless discard=ignore), zeroing them need
# not; SEEK_HOLE finds the hole, fallocate makes it data again, without the old bytes.
from writing import *

SIZE = 32 * M


def filled(name, options, backing=None):
    create(name, SIZE, options=options, backing=backing, backing_format=backing and 'raw')
    qio(name, f'write -P 9 0 {SIZE}')
    return b'\t' * SIZE


def holes_are_found(d, start, end):
    check(os.lseek(d.fd, 0, os.SEEK_HOLE) == start, f'the hole begins at {start}')
    check(os.lseek(d.fd, start, os.SEEK_DATA) == end, f'the data behind it at {end}')
    check(data_map(d.fd, SIZE) == [(0, start), (end, SIZE)], 'there is one hole')


def allocate_again(d):
    fallocate(d.fd, 0, 8 * M + 5, M)
    d.compare()
    check(os.lseek(d.fd, 8 * M + 64 * K, os.SEEK_DATA) == 8 * M + 64 * K, 'it is data again')
    check(errno_of(fallocate, d.fd, 0, SIZE - 5, 10) == errno.ENOSPC, 'not past the end')


Path('base.raw').write_bytes(b'\6' * SIZE)
for options in 'compat=0.10', 'compat=1.1', 'extended_l2=on':
    for backing in None, 'base.raw':
        for how in 'unmap', 'ignore':
            if backing and options == 'compat=0.10':
                continue  # it cannot say that a cluster is zeros
            image = f'{options}-{backing}-{how}.img'
            with Disk(image, filled(image, options, backing), f'discard={how}') as d:
                before = d.blocks()
                check(before >= SIZE, 'it is all there')
                d.punch(4 * M + 1, 20 * M - 2)
                os.fsync(d.fd)
                after = d.blocks()
                if how == 'unmap':
                    check(after <= before - 19 * M, f'{image}: the space is back: {after}')
                elif options != 'compat=0.10':
                    check(after >= before, f'{image}: the space is kept: {after}')
                if how == 'unmap':
                    holes_are_found(d, 4 * M + 64 * K if options != 'extended_l2=on' else 4 * M + 2 * K,
                                    24 * M - 64 * K if options != 'extended_l2=on' else 24 * M - 2 * K)
                allocate_again(d)
