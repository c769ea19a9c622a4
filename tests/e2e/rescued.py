# SPDX-License-Identifier: MIT
"""The library of the tests of damaged images: disks whose every sector says which one it is, and
the judge of what is served of them."""
import shutil
import struct
from qcowtest import *

SECTOR = 512
LOST = b'qcowfs: lost '


def sector(generation, number):
    text = b'GEN %d SECTOR %d ' % (generation, number)
    return (text * (SECTOR // len(text) + 1))[:SECTOR]


def sectors(generation, first, n):
    return b''.join(sector(generation, i) for i in range(first, first + n))


def full_disk(size, generation=1):
    return sectors(generation, 0, size // SECTOR)


def make_full(name, size=2 * M, options='cluster_size=4k', extra=(), fmt='qcow2'):
    """An image with all of its disk written; the bytes of the disk."""
    disk = full_disk(size)
    Path('full.raw').write_bytes(disk)
    convert('full.raw', name, fmt=fmt, options=options, extra=extra)
    return disk


def write_generation(name, generation, at, n, fmt='qcow2'):
    """Writes n bytes at an offset with sectors of another generation."""
    Path('part.raw').write_bytes(sectors(generation, at // SECTOR, n // SECTOR))
    qio(name, f'write -s part.raw {at} {n}', fmt=fmt)


def head(name):
    """The fields of a header of version 2 or 3."""
    h = peek(name, 0, 112)
    bits, size = struct.unpack('>I', h[20:24])[0], struct.unpack('>Q', h[24:32])[0]
    l1_entries, l1 = struct.unpack('>IQ', h[36:48])
    return {'bits': bits, 'cluster': 1 << bits, 'size': size, 'l1': l1, 'l1_entries': l1_entries,
            'reftable': struct.unpack('>Q', h[48:56])[0]}


def words(data):
    return list(struct.unpack(f'>{len(data) // 8}Q', data))


def l2_tables(name):
    h = head(name)
    return [w & 0x00fffffffffffe00 for w in words(peek(name, h['l1'], 8 * h['l1_entries']))]


def read_map(text):
    """[(start, length, status)] of a mapfile."""
    lines = [line.split() for line in text.splitlines() if line and not line.startswith('#')]
    areas = [(int(a, 0), int(b, 0), c) for a, b, c in lines[1:]]
    at = 0
    for start, n, _ in areas:
        check(start == at and n > 0, f'areas follow each other: {start:#x} after {at:#x}')
        at += n
    return areas


def judge(raw, map_text, disk, what):
    """Checks that no `+` byte is wrong, and that bad bytes are not served.  @raw was read with
    lost=mark; the sectors by status."""
    areas = read_map(map_text)
    check(sum(n for _, n, _ in areas) == len(raw), f'{what}: the map is as long as the disk')
    found = {}
    for start, n, status in areas:
        found[status] = found.get(status, 0) + n // SECTOR
        for at in range(start, start + n, SECTOR):
            ours, right = raw[at:at + SECTOR], disk[at:at + SECTOR]
            if status == '+':
                check(ours == right, f'{what}: the good sector at {at:#x} is right: {ours[:60]!r}')
            elif status != '?':
                check(ours.startswith(LOST), f'{what}: {status} at {at:#x} is marked: {ours[:60]!r}')
    return found


def rescue(name, disk, *options, what=None, raw='x'):
    """Mounts and judges an image; the sectors by status."""
    what = what or name
    with Mount(name, '-o', 'rescue,lost=mark', *options) as m:
        stem = name.rsplit('.', 1)[0]
        data = Path(m.path(f'{stem}.raw')).read_bytes()
        text = Path(m.path(f'{stem}.map')).read_text()
    return judge(data, text, disk, what)
