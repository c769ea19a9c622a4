#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A descriptor that seeks for data and holes again and again finds them where they are now, whatever
# was written, punched, resized or emptied through others meanwhile.
from writing import *

SIZE = 3 << 30  # several L2 tables
PLACES = 40 * 64 * K


def change(d):
    """A change through the descriptor of the writer, which leaves data and holes elsewhere."""
    at = rng.randrange(PLACES // (64 * K)) * 64 * K + rng.choice((0, 0, SIZE // 2, SIZE - PLACES))
    length = rng.randrange(1, 4) * 64 * K
    length = min(length, SIZE - at)
    if rng.random() < 0.6:
        os.pwrite(d, rng.choice(b'xyz').to_bytes(1, 'big') * length, at)
    else:
        punch(d, at, length)


def seek_somewhere(fd):
    """Leaves a run that the descriptor may remember."""
    for _ in range(rng.randrange(4)):
        at = rng.choice((0, rng.randrange(PLACES), SIZE // 2 + rng.randrange(PLACES)))
        for whence in rng.sample((os.SEEK_DATA, os.SEEK_HOLE), 2):
            try:
                at = os.lseek(fd, at, whence)
            except OSError as e:
                check(e.errno == errno.ENXIO, f'no data from {at} on: {e}')


def agree(kept, path, size, what):
    with open(path, 'rb', 0) as fresh:
        want = data_map(fresh.fileno(), size)
    found = data_map(kept, size)
    check(found == want, f'{what}: {found} instead of {want}')


create('image.qcow2', SIZE)
with Mount('image.qcow2', ro=False) as m:
    path = m.path('image.raw')
    writer, kept = os.open(path, os.O_RDWR), os.open(path, os.O_RDONLY)
    for i in range(150):
        seek_somewhere(kept)
        change(writer)
        agree(kept, path, SIZE, f'after change {i}')
    seek_somewhere(kept)
    os.ftruncate(writer, SIZE // 2 + 3 * 64 * K)
    agree(kept, path, SIZE // 2 + 3 * 64 * K, 'shorter')
    os.ftruncate(writer, SIZE)
    agree(kept, path, SIZE, 'longer again')
    os.pwrite(writer, b'e' * M, SIZE - M)
    agree(kept, path, SIZE, 'with data at the end')
    os.ftruncate(writer, 0)
    agree(kept, path, SIZE, 'emptied')
    os.close(writer)
    os.close(kept)
