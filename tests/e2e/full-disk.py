#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The host's disk is full: the writer gets ENOSPC, old data is not lost, the image is
# sound, and all goes on as soon as there is room.
from writing import *

requires_root()
SIZE = 64 * M


def fill(d, step):
    """Writes until it is full; where it failed."""
    for at in range(0, SIZE, step):
        data = rng.randbytes(step)
        try:
            n = os.pwrite(d.fd, data, at)
            d.model[at:at + n] = data[:n]
            if n == step:
                os.fsync(d.fd)
        except OSError as e:
            check(e.errno == errno.ENOSPC, f'it is full: {e}')
            n = 0
        if n < step:
            return at + n
    fail('it gets full')


def uncertain(d, at, n):
    """A write that failed may have been done in part; each byte is the old or the new."""
    now = os.pread(d.fd, n, at)
    d.model[at:at + n] = now


def story(fmt, options, step):
    image = 'small/disk.img'
    create(image, SIZE, fmt=fmt, options=options)
    qio(image, 'write -P 1 0 3M', fmt=fmt)
    ballast = Path('small/ballast')
    ballast.write_bytes(bytes(6 * M))
    with Disk(image, b'\1' * (3 * M) + bytes(SIZE - 3 * M), fmt=fmt) as d:
        before = bytes(d.model[:3 * M])
        at = fill(d, step)
        check(at > 3 * M, f'there was room for more than {at}')
        pages_of(d.fd)
        uncertain(d, at, min(step, SIZE - at))
        d.compare()
        for _ in range(20):
            e = errno_of(os.pwrite, d.fd, b'more' * 50000, rng.randrange(at + M, SIZE - M))
            check(e in (0, errno.ENOSPC), f'still full: {e}')
        pages_of(d.fd)
        uncertain(d, at, SIZE - at)
        d.write(M, b'in place' * 100000)  # has room already
        d.compare()
        ballast.unlink()
        d.write(at, rng.randbytes(step))
        d.write(SIZE - 2 * M, rng.randbytes(2 * M))
        os.fsync(d.fd)
        d.compare()


def full(what, options):
    os.makedirs('small', exist_ok=True)
    run('mount', *options, 'small')
    try:
        for fmt, o, step in (('qcow2', '', M), ('qcow2', 'compat=0.10,cluster_size=512', 100 * K),
                             ('qcow', '', 64 * K), ('qcow2', 'extended_l2=on', 700 * K)):
            print(f'# {what} {fmt} {o}', flush=True)
            story(fmt, o, step)
            os.unlink('small/disk.img')
    finally:
        run('umount', 'small', ok=False) and run('umount', '-l', 'small', ok=False)


full('tmpfs', ['-t', 'tmpfs', '-o', 'size=20M', 'none'])
with open('small.ext4', 'wb') as f:
    f.truncate(28 * M)
run('mkfs.ext4', '-q', '-m', '0', 'small.ext4')
full('ext4', ['-o', 'loop', 'small.ext4'])
