#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Bad images, one fault each, made from good ones.

    make.py FOLDER [WORD...]    writes those with all the words in their name

A recipe changes a good image and notes the wanted result.  The good ones are
built here, so that all offsets are known:

    v1, v2, v3   small clusters      v3-4k   4 KiB clusters
    ext          extended L2 entries (16 KiB clusters)
    zstd         compressed with zstd
    data         with an external data file
    over         with a backing file

They all have three L1 entries.  The first names a table with clusters 0 (data),
1 (data), 2 (compressed), 3 (unallocated), 4 (zeros), 5 (data), 6 (compressed) and 7 (zeros,
but with a host cluster); the second one with two clusters of data, of which
the last is the end of the file; the third is empty.
"""
import functools
import os
import random
import re
import struct
import sys
import zlib
from pathlib import Path

MAGIC = 0x514649fb
COPIED, PACKED, ZERO = 1 << 63, 1 << 62, 1
DIRTY, CORRUPT, DATA_FILE, COMPRESSION, EXTENDED = 1, 2, 4, 8, 16
FORMAT, FEATURES, BITMAPS, LUKS, DATA_NAME = \
    0xe2792aca, 0x6803f857, 0x23852875, 0x0537be77, 0x44415441
ANY = object()  # a cluster whose bytes nobody promises


def up(n, unit):
    return -(-n // unit) * unit


@functools.cache
def noise(seed, n):
    """Once for all images: they are kept by the hundred."""
    return random.Random(seed).randbytes(n)


@functools.cache
def text(seed, n):
    return (b'%d all work and no play ' % seed * n)[:n]


def deflate(data, wbits=-12):
    c = zlib.compressobj(-1, zlib.DEFLATED, wbits, 9)
    return c.compress(data) + c.flush()


def zstd_block(data, last=True):
    """A raw block, or a run where it is one byte over and over."""
    run = data and data == data[:1] * len(data)
    head = len(data) << 3 | (2 if run else 0) | last
    return head.to_bytes(3, 'little') + (data[:1] if run else data)


def zstd(data, window=None):
    """One frame, stored; half of it noise, half a run."""
    magic = bytes.fromhex('28b52ffd')
    half = len(data) // 2
    body = zstd_block(data[:half], False) + zstd_block(data[half:])
    if window:
        return magic + bytes([0, (window - 10) << 3]) + body
    return magic + b'\xa0' + len(data).to_bytes(4, 'little') + body


def extension(magic, data, length=None):
    n = len(data) if length is None else length
    return struct.pack('>II', magic, n) + data + bytes(-len(data) % 8)


class Image:
    """An image file in memory, and the wanted result."""

    def __init__(self):
        self.file = bytearray()
        self.length = None      # of the file, where it is sparse or cut
        self.disk = {}          # guest cluster -> bytes; zeros where there is none
        self.host = {}          # guest cluster -> host offset
        self.error = set()      # guest clusters that cannot be read
        self.look = set()       # others to look at
        self.beside = {}        # name -> Image, bytes, or a function of the path
        self.raw = None         # bytes of the external data file
        self.refused = False    # when it is opened

    # -- numbers in the file

    def put(self, at, fmt, *v):
        need = at + struct.calcsize('>' + fmt)
        if len(self.file) < need:
            self.file += bytes(need - len(self.file))
        struct.pack_into('>' + fmt, self.file, at, *v)

    def u8(self, at, v):
        self.put(at, 'B', v)

    def u32(self, at, v):
        self.put(at, 'I', v)

    def u64(self, at, v):
        self.put(at, 'Q', v)

    def get64(self, at):
        return struct.unpack_from('>Q', self.file, at)[0]

    def write(self, at, data):
        if len(self.file) < at + len(data):
            self.file += bytes(at + len(data) - len(self.file))
        self.file[at:at + len(data)] = data

    # -- tables

    def entry_at(self, g):
        """Where the L2 entry of a guest cluster is."""
        return self.l2[g // self.per_l2] + g % self.per_l2 * self.entry_bytes

    def l1_at(self, i):
        return self.l1 + 8 * i

    def set_l1(self, i, v):
        self.u64(self.l1_at(i), v)

    def set(self, g, v, bits=None):
        self.u64(self.entry_at(g), v)
        if bits is not None:
            self.u64(self.entry_at(g) + 8, bits)

    def get(self, g):
        return self.get64(self.entry_at(g))

    # -- the wanted result

    def table(self, i):
        """The guest clusters of an L1 entry that tests look at."""
        first = i * self.per_l2
        return [first, first + 1, first + 2, first + 5, first + self.per_l2 - 1]

    def known(self):
        """The guest clusters that tests look at."""
        last = (self.size - 1) // self.cs if self.size else 0
        every = set(range(9)) | set(self.disk) | self.error | self.look
        every |= {self.per_l2 - 1, self.per_l2, self.per_l2 + 1, 2 * self.per_l2, last}
        return sorted(g for g in every if g * self.cs < self.size)

    def fails(self, *guests):
        self.error |= set(guests)

    def holds(self, g, data):
        self.disk[g] = data

    def anything(self, *guests):
        for g in guests:
            self.disk[g] = ANY

    def file_bytes(self):
        return len(self.file) if self.length is None else self.length


def header_v2(i, features, data_name, extensions, backing):
    i.put(0, 'IIQIIQIIQQIIQ', MAGIC, i.version, 0, 0, i.bits, i.size, 0, 3, i.l1, i.reftable,
          1, 0, 0)
    at = 72
    if i.version == 3:
        i.put(72, 'QQQIIB', features, 0, 0, 4, 112, 1 if features & COMPRESSION else 0)
        at = 112
    i.extensions = at
    if data_name is not None:
        extensions = [(DATA_NAME, data_name), *extensions]
    for magic, data in extensions:
        record = extension(magic, data)
        i.write(at, record)
        at += len(record)
    i.extensions_end = at
    if backing is not None:
        set_backing(i, backing)


def set_backing(i, name, at=None):
    name = name if isinstance(name, bytes) else os.fsencode(name)
    if at is None:
        at = 80 if i.version == 1 else i.extensions_end + 8
    i.write(at, name)
    i.put(8, 'QI', at, len(name))


def set_extensions(i, *records):
    """Instead of those it had; raw records."""
    at = i.extensions
    i.write(at, bytes(i.cs - at))
    for r in records:
        i.write(at, r)
        at += len(r)
    i.extensions_end = at


def fill(i, place):
    """The guest's clusters, in file order.  place(): the next host cluster."""
    second = i.per_l2
    whole = 0xffffffff if i.extended else None
    zeros = 0xffffffff << 32 if i.extended else None

    def data(g):
        i.disk[g] = noise(g, i.cs)
        i.host[g] = place()
        i.write(i.host[g], i.disk[g])
        i.set(g, i.host[g] | (COPIED if i.version > 1 else 0), whole)

    data(0)
    data(1)
    if i.raw is None:
        fill_packed(i, place)
    data(5)
    if i.version == 3:
        i.set(4, 0 if i.extended else ZERO, zeros)
        i.host[7] = place()
        i.set(7, i.host[7] | COPIED | (0 if i.extended else ZERO), zeros)
        i.write(i.host[7], noise(7, i.cs))
    data(second)
    data(second + 1)


def packed_entry(i, at, n):
    if i.version == 1:
        return COPIED | n << (63 - i.bits) | at
    return PACKED | (at % 512 + n - 1) // 512 << (70 - i.bits) | at


def fill_packed(i, place):
    """Two packed clusters, close together, the second at an odd offset."""
    at = place()
    end = at + i.cs
    for g in (2, 6):
        if i.zstd:
            i.disk[g] = noise(g, i.cs // 4) + bytes([g]) * (i.cs - i.cs // 4)
            stream = zstd_cluster(i.disk[g])
        else:
            i.disk[g] = text(g, i.cs)
            stream = deflate(i.disk[g])
        assert at + len(stream) <= end and len(stream) < i.cs
        i.host[g] = at
        i.write(at, stream)
        i.set(g, packed_entry(i, at, len(stream)), 0 if i.extended else None)
        at += len(stream) + 3
    i.packed_end = at
    i.write(end - 1, b'\0')


def zstd_cluster(data):
    """Single segment, a quarter raw, the rest a run."""
    quarter = len(data) // 4
    return bytes.fromhex('28b52ffda0') + len(data).to_bytes(4, 'little') + \
        zstd_block(data[:quarter], False) + zstd_block(data[quarter:])


def qcow2(version=3, bits=9, features=0, data_name=None, extensions=(), backing=None):
    i = Image()
    i.version, i.bits, i.cs = version, bits, 1 << bits
    i.extended = bool(features & EXTENDED)
    i.zstd = bool(features & COMPRESSION)
    i.entry_bytes = 16 if i.extended else 8
    i.per_l2 = i.cs // i.entry_bytes
    i.size = 3 * i.per_l2 * i.cs
    i.reftable, i.refblock, i.l1 = i.cs, 2 * i.cs, 3 * i.cs
    i.l2 = [4 * i.cs, 5 * i.cs]
    i.metadata = 6 * i.cs
    i.raw = bytearray() if features & DATA_FILE else None
    header_v2(i, features, data_name, extensions, backing)
    i.write(i.metadata - 1, b'\0')
    for n in range(2):
        i.set_l1(n, i.l2[n] | COPIED)

    def place():
        at = up(len(i.file), i.cs)
        i.write(at + i.cs - 1, b'\0')
        return at

    if i.raw is None:
        fill(i, place)
    else:
        fill_external(i)
    i.u64(i.reftable, i.refblock)
    for n in range(len(i.file) // i.cs):
        i.put(i.refblock + 2 * n, 'H', 2 if n == i.host.get(2, 0) // i.cs and n else 1)
    return i


def fill_external(i):
    """Guest data lies where it lies in the disk."""
    i.raw = bytearray((i.per_l2 + 2) * i.cs)
    for g in (0, 1, 5, i.per_l2, i.per_l2 + 1):
        i.disk[g] = noise(g, i.cs)
        i.host[g] = g * i.cs
        i.raw[g * i.cs:(g + 1) * i.cs] = i.disk[g]
        i.set(g, g * i.cs | COPIED)
    i.set(4, ZERO)
    i.beside['disk.data'] = i.raw


def qcow1(bits=9, l2_bits=6):
    i = Image()
    i.version, i.bits, i.cs = 1, bits, 1 << bits
    i.extended, i.zstd, i.entry_bytes, i.per_l2 = False, False, 8, 1 << l2_bits
    i.size = 3 * i.per_l2 * i.cs
    i.l1 = 48
    i.put(0, 'IIQIIQBBHIQ', MAGIC, 1, 0, 0, 0, i.size, bits, l2_bits, 0, 0, i.l1)
    table = up(i.per_l2 * 8, i.cs)
    i.l2 = [i.cs, i.cs + table]
    i.metadata = i.cs + 2 * table
    i.write(i.metadata - 1, b'\0')
    for n in range(2):
        i.set_l1(n, i.l2[n])

    def place():
        at = up(len(i.file), i.cs)
        i.write(at + i.cs - 1, b'\0')
        return at

    fill(i, place)
    return i


def overlay():
    i = qcow2(backing='base.raw', extensions=[(FORMAT, b'raw')])
    base = bytearray(i.size)
    for g in (3, i.per_l2 + 3):
        i.holds(g, noise(100 + g, i.cs))
        base[g * i.cs:(g + 1) * i.cs] = i.disk[g]
    i.beside['base.raw'] = bytes(base)
    return i


GOOD = {
    'v1': qcow1,
    'v2': lambda: qcow2(2, 12),
    'v3': qcow2,
    'v3-4k': lambda: qcow2(3, 12),
    'ext': lambda: qcow2(3, 14, EXTENDED),
    'zstd': lambda: qcow2(3, 12, COMPRESSION),
    'data': lambda: qcow2(3, 12, DATA_FILE, b'disk.data'),
    'over': overlay,
}


# ---- optional parts of good images -------------------------------------------

def count(i, host, n):
    i.put(i.refblock + 2 * (host // i.cs), 'H', n)


def snapshot(i, l1=None, entries=3, id_=b'1', name=b'one', extra=24, size=None, n=1):
    """One, of an L1 table of its own, unless its place is given."""
    if l1 is None:
        l1 = up(len(i.file), i.cs)
        i.write(l1, bytes(i.cs))
        count(i, l1, 1)
    at = up(len(i.file), i.cs)
    row = struct.pack('>QIHHIIQII', l1, entries, len(id_), len(name), 1, 0, 0, 0, extra)
    row += struct.pack('>QQQ', 0, i.size if size is None else size, 0) + id_ + name
    i.write(at, row + bytes(-len(row) % i.cs))
    count(i, at, 1)
    i.put(60, 'IQ', n, at)
    return l1


def bitmap_row(table, entries=1, flags=2, kind=1, granularity=16, name=b'one', name_len=None,
               extra=b'', extra_len=None):
    row = struct.pack('>QIIBBHI', table, entries, flags, kind, granularity,
                      len(name) if name_len is None else name_len,
                      len(extra) if extra_len is None else extra_len) + extra + name
    return row + bytes(-len(row) % 8)


def bitmaps(i, n=1, reserved=0, size=None, offset=None, rows=None, entry=0, counted=True, **row):
    """A directory, its table and a cluster of bits; rows: a function of the offset of the table."""
    at = up(len(i.file), i.cs)
    table, data = at + i.cs, at + 2 * i.cs
    text = rows(table) if rows else bitmap_row(row.pop('table', table), **row)
    i.write(at, text + bytes(-len(text) % i.cs))
    i.write(table, struct.pack('>Q', data if entry == 'data' else entry) + bytes(i.cs - 8))
    i.write(data, b'\5' + bytes(i.cs - 1))
    for off in (at, table, *([data] if entry == 'data' else [])):
        count(i, off, 1 if counted else 0)
    size = len(text) if size is None else size
    set_extensions(i, extension(BITMAPS, struct.pack('>IIQQ', n, reserved, size,
                                                     at if offset is None else offset)))
    i.u64(88, 1)


# ---- recipes ------------------------------------------------------------------

class Recipe:
    def __init__(self, name, base, change, refuse=None, log=None, status=2, hidden=False,
                 options='', folder=True):
        self.name = name
        self.base = base
        self.change = change
        self.refuse = refuse    # a word of why it cannot be opened
        self.log = log          # a word of the message for the damage
        self.status = status    # of a single mount, where refused
        self.hidden = hidden    # it is no image: a folder does not show it
        self.options = options  # that the single mount needs
        self.folder = folder    # try it in a folder, too (without options)

    def make(self):
        i = GOOD[self.base]()
        self.change(i)
        i.refused = self.refuse is not None
        return i


RECIPES = []


def plain_name(name):
    return re.sub('[^A-Za-z0-9]+', '-', name).strip('-')


def recipes_of(kind, recipes):
    """What notes functions as recipes of a kind: one per base, or one per base and value."""
    def bad(bases, **how):
        def note(change):
            name = plain_name(change.__name__)
            for base in bases.split():
                recipes.append(kind(f'{base}-{name}', base, change, **how))
            return change
        return note

    def each(bases, values, name, **how):
        """name has a %s for the value."""
        def note(change):
            for base in bases.split():
                for v in values:
                    called = plain_name(name % (hex(v) if isinstance(v, int) and v >> 20 else v))
                    recipes.append(kind(f'{base}-{called}', base,
                                        lambda i, v=v: change(i, v), **how))
            return change
        return note
    return bad, each


bad, each = recipes_of(Recipe, RECIPES)

NEW = 'v2 v3 ext'
ALL = 'v1 v2 v3 ext'


# -- header

@bad('v3', refuse='not a QCOW image', hidden=True)
def empty_file(i):
    i.file = bytearray()


@bad('v3', refuse='not a QCOW image', hidden=True)
def file_of_three_bytes(i):
    i.file = i.file[:3]


@bad('v1 v3', refuse='not a QCOW image', hidden=True)
def magic_is_another(i):
    i.u32(0, MAGIC + 1)


@bad(ALL, refuse='ends inside the header')
def file_of_four_bytes(i):
    i.file = i.file[:4]


@bad(ALL, refuse='ends inside the header')
def file_of_47_bytes(i):
    i.file = i.file[:47]


@bad('v2', refuse='ends inside the header')
def file_of_71_bytes(i):
    i.file = i.file[:71]


@bad('v3 ext', refuse='ends inside the header')
def file_of_103_bytes(i):
    i.file = i.file[:103]


@bad('v1', refuse='beyond the end')
def file_of_the_header_only(i):
    i.file = i.file[:48]
    i.u64(40, 512)


@bad(NEW, refuse='beyond the end')
def file_of_one_cluster(i):
    i.file = i.file[:i.cs]


@each('v1 v3', [0, 4, 0xffffffff], 'version-%s', refuse='unknown version')
def version(i, v):
    i.u32(4, v)


@each('v1', [0, 8, 17, 64, 255], 'cluster-bits-%s', refuse='cluster_bits')
def cluster_bits_v1(i, v):
    i.u8(32, v)


@each('v1', [0, 5, 14, 64, 255], 'l2-bits-%s', refuse='l2_bits')
def l2_bits(i, v):
    i.u8(33, v)


@each(NEW, [0, 8, 22, 64, 0xffffffff], 'cluster-bits-%s', refuse='cluster_bits')
def cluster_bits(i, v):
    i.u32(20, v)


@bad('ext', refuse='extended L2')
def cluster_bits_13(i):
    i.u32(20, 13)
    i.u64(24, 4096)


@each('v1', [0, 1], 'size-%s', refuse='virtual size')
def size_too_small(i, v):
    i.u64(24, v)


@each(ALL, [1 << 63, (1 << 64) - 1], 'size-%s', refuse='too large')
def size_beyond_63_bits(i, v):
    i.u64(24, v)


@each('v1', [(1 << 63) - 1, 4194304 * 32768 + 1], 'size-%s', refuse='too large')
def size_with_huge_l1_v1(i, v):
    i.u64(24, v)


@bad('v1', refuse='L1 table')
def size_with_l1_beyond_the_file(i):
    i.u64(24, 4194304 * 32768)


@bad(NEW, refuse='too small')
def size_beyond_the_l1_table(i):
    i.u64(24, i.size + 512)


@bad(NEW, refuse='too small')
def size_near_2_63(i):
    i.u64(24, (1 << 63) - 512)


@bad(NEW)
def size_0(i):
    """Then it needs no L1 table."""
    i.size, i.disk, i.host = 0, {}, {}
    i.u64(24, 0)
    i.put(36, 'IQ', 0, 0)


@bad('v2 v3-4k ext')
def l1_longer_than_the_disk(i):
    """Entries beyond the end belong to no disk."""
    i.u32(36, i.cs // 8)
    i.u64(i.l1 + 24, (1 << 64) - 1)


@bad(NEW, refuse='too small')
def l1_of_no_entries(i):
    i.u32(36, 0)


@each(NEW, [4194305, 0xffffffff], 'l1-of-%s-entries', refuse='too large')
def l1_too_large(i, v):
    i.u32(36, v)


@bad(NEW, refuse='L1 table')
def l1_of_32_mib_beyond_the_file(i):
    i.u32(36, 4194304)


@bad(ALL, refuse='inside the header')
def l1_offset_0(i):
    i.u64(40, 0)


@bad('v1', refuse='inside the header')
def l1_offset_47(i):
    i.u64(40, 47)


@bad(NEW, refuse='not cluster aligned')
def l1_offset_unaligned(i):
    i.u64(40, i.l1 + 8)


@each(ALL, [1 << 40, (1 << 63) - (1 << 21), 1 << 63, (1 << 64) - (1 << 21)], 'l1-offset-%s',
      refuse='L1 table')
def l1_offset_far(i, v):
    i.u64(40, v)


@bad(ALL, refuse='L1 table')
def l1_begins_where_the_file_ends(i):
    i.u64(40, up(len(i.file), i.cs))


@bad(NEW, refuse='overlap')
def l1_is_the_refcount_table(i):
    i.u64(40, i.reftable)


@bad('v3', refuse='overlap')
def l1_reaches_into_the_refcount_table(i):
    i.u32(36, i.cs // 8 + 1)
    i.u64(48, 4 * i.cs)


@each(NEW, [0, 0xffffffff], 'refcount-table-of-%s-clusters', refuse='refcount table')
def refcount_table_clusters(i, v):
    i.u32(56, v)


@bad(NEW, refuse='refcount table')
def refcount_table_over_8_mib(i):
    i.u32(56, (8 << 20) // i.cs + 1)


@bad(NEW, refuse='refcount table')
def refcount_table_of_8_mib_beyond_the_file(i):
    i.u32(56, (8 << 20) // i.cs)


@bad(NEW, refuse='inside the header')
def refcount_table_offset_0(i):
    i.u64(48, 0)


@bad(NEW, refuse='not cluster aligned')
def refcount_table_unaligned(i):
    i.u64(48, i.reftable + 8)


@each(NEW, [1 << 40, 1 << 63, (1 << 64) - (1 << 21)], 'refcount-table-offset-%s',
      refuse='refcount table')
def refcount_table_far(i, v):
    i.u64(48, v)


@bad(NEW, refuse='overlap')
def refcount_table_is_the_l1(i):
    i.u64(48, i.l1)


@each(NEW, [65537, 0xffffffff], 'snapshots-%s', refuse='snapshots')
def snapshots_many(i, v):
    i.put(60, 'IQ', v, i.l2[0])


@bad(NEW, refuse='snapshot table')
def snapshot_table_offset_0(i):
    i.put(60, 'IQ', 1, 0)


@bad(NEW, refuse='snapshot table')
def snapshot_table_unaligned(i):
    i.put(60, 'IQ', 1, i.l2[0] + 8)


@each(NEW, [1 << 40, (1 << 64) - (1 << 21)], 'snapshot-table-offset-%s',
      refuse='snapshot table')
def snapshot_table_far(i, v):
    i.put(60, 'IQ', 1, v)


@bad(NEW, refuse='overlap')
def snapshot_table_is_the_l1(i):
    i.put(60, 'IQ', 1, i.l1)


@bad(NEW, refuse='overlap')
def snapshot_table_is_the_refcount_table(i):
    i.put(60, 'IQ', 1, i.reftable)


@bad('v1', refuse='encryption')
def crypt_2(i):
    i.u32(36, 2)


@each(NEW, [3, 0xffffffff], 'crypt-%s', refuse='encryption')
def crypt_unknown(i, v):
    i.u32(32, v)


@bad(NEW, refuse='LUKS')
def luks_without_its_extension(i):
    i.u32(32, 2)


@each(NEW, [0, 1], 'luks-extension-but-method-%s', refuse='the header has a LUKS extension')
def luks_extension_but_another_method(i, v):
    luks(i)
    i.u32(32, v)


@bad('v1', refuse='encrypted', status=4)
def encrypted_with_aes(i):
    i.u32(36, 1)


@bad(NEW, refuse='encrypted', status=4)
def encrypted_with_aes_(i):
    i.u32(32, 1)


@each('v3', [0, 15, 17], 'luks-extension-of-%s-bytes', refuse='LUKS')
def luks_extension_length(i, v):
    i.u32(32, 2)
    set_extensions(i, extension(LUKS, bytes(v)))


# -- LUKS headers: refused before a key is asked for

LUKS_BYTES = 2068480


def luks(i, *patches):
    """As QEMU makes them, but for the patches: (offset, format, value)."""
    at = up(len(i.file), i.cs)
    i.u32(32, 2)
    set_extensions(i, extension(LUKS, struct.pack('>QQ', at, LUKS_BYTES)))
    i.write(at, struct.pack('>6sH32s32s32sII20s32sI40s', b'LUKS\xba\xbe', 1, b'aes',
                            b'xts-plain64', b'sha256', 4040, 64, noise(1, 20), noise(2, 32),
                            1000, b'8ddcf7fe-0b8e-4f1e-9b5a-6c7d7a0a1e11'))
    for n in range(8):
        i.put(at + 208 + 48 * n, 'II32sII', 0xdead if n else 0xac71f3, 0 if n else 1000,
              noise(3 + n, 32), 8 + 504 * n, 4000)
    for where, fmt, v in patches:
        i.put(at + where, fmt, v)
    i.length = at + LUKS_BYTES


@bad(NEW, refuse='encrypted', status=4)
def luks_as_it_should_be(i):
    luks(i)


LUKS_SINS = {
    'magic': (0, 'B', 0),
    'version-2': (6, 'H', 2),
    'key-of-0-bytes': (108, 'I', 0),
    'key-of-24-bytes': (108, 'I', 24),
    'key-of-4-gib': (108, 'I', 0xffffffff),
    'digest-without-iterations': (164, 'I', 0),
    'digest-with-most-iterations': (164, 'I', 0xffffffff),
    'slot-in-no-state': (208, 'I', 1),
    'slot-without-iterations': (212, 'I', 0),
    'slot-with-most-iterations': (212, 'I', 0xffffffff),
    'slot-with-too-many-iterations': (212, 'I', 1 << 26),
    'slot-material-in-the-header': (248, 'I', 0),
    'slot-material-behind-the-end': (248, 'I', 4040 - 499),
    'slot-material-far': (248, 'I', 0xffffffff),
    'slot-with-0-stripes': (252, 'I', 0),
    'slot-with-most-stripes': (252, 'I', 0xffffffff),
    'cipher-without-an-end': (8, '32s', b'a' * 32),
    'mode-without-an-end': (40, '32s', b'xts-plain64' + b':' * 21),
    'hash-without-an-end': (72, '32s', b'sha256' + b' ' * 26),
    'unknown-cipher': (8, '32s', b'rot13'),
    'unknown-mode': (40, '32s', b'xts-none'),
    'unknown-hash': (72, '32s', b'\x1b[2Jcrc32'),
    'essiv-without-a-hash': (40, '32s', b'cbc-essiv'),
}


@each('v3', LUKS_SINS, 'luks-header-%s', refuse='LUKS header')
def luks_header(i, v):
    luks(i, LUKS_SINS[v])


@bad('v3', refuse='rounds of PBKDF2, more than 268435456')
def luks_slots_that_want_too_much_together(i):
    most = ((1 << 26) - 1000) // 2
    luks(i, *((208 + 48 * n + k, 'I', v) for n in range(8)
              for k, v in ((0, 0xac71f3), (4, most))))


@bad('v3', refuse='overlaps another')
def luks_slots_that_overlap(i):
    luks(i, (256, 'I', 0xac71f3), (260, 'I', 1), (296, 'I', 9))


@each('v3', [0, 591], 'luks-header-of-%s-bytes', refuse='LUKS header')
def luks_header_bytes(i, v):
    luks(i)
    i.u64(i.extensions + 16, v)


@each('v3', [1 << 40, (1 << 64) - 512], 'luks-header-of-%s-bytes', refuse='LUKS header')
def luks_header_is_long(i, v):
    luks(i)
    i.u64(i.extensions + 16, v)


@each('v3', [0, 513, 1 << 40, (1 << 64) - 512], 'luks-header-at-%s', refuse='LUKS header')
def luks_header_place(i, v):
    luks(i)
    i.u64(i.extensions + 8, v)


@bad('v3', refuse='LUKS header and a table overlap')
def luks_header_is_the_l1(i):
    luks(i)
    i.put(i.extensions + 8, 'QQ', i.l1, 1024)


@bad('v3', refuse='LUKS header')
def luks_header_is_data(i):
    luks(i)
    i.put(i.extensions + 8, 'QQ', i.host[0], 1024)


@each('v3 ext', [0, 72, 96, 103, 105, 108, 0xffffffff], 'header-length-%s',
      refuse='header_length')
def header_length(i, v):
    i.u32(100, v)


@bad('v3 ext', refuse='header_length')
def header_length_over_a_cluster(i):
    i.u32(100, i.cs + 8)


@each('v3 ext', [7, 64, 0xffffffff], 'refcount-order-%s', refuse='refcount_order')
def refcount_order(i, v):
    i.u32(96, v)


# -- features

@bad('v3 ext', refuse='0x20')
def unknown_feature(i):
    i.u64(72, i.get64(72) | 0x20)


@bad('v3 ext', refuse='0x8000000000000000')
def unknown_feature_63(i):
    i.u64(72, i.get64(72) | 1 << 63)


def feature_name(bit, name, kind=0):
    return bytes([kind, bit]) + name.ljust(46, b'\0')


@bad('v3 ext', refuse='time travel')
def unknown_feature_with_a_name(i):
    i.u64(72, i.get64(72) | 0x40)
    set_extensions(i, extension(FEATURES, feature_name(6, b'wrong set', 1) +
                                feature_name(5, b'wrong bit') + feature_name(6, b'time travel')))


@bad('v3', refuse='feature')
def unknown_feature_with_a_hostile_name(i):
    i.u64(72, 0x40)
    set_extensions(i, extension(FEATURES, feature_name(
        6, b'\x1b]0;x\x07\r\n\x1b[2Jqcowfs: all is well\x7f\x80\x9b2J%s%n')))


@bad('v3', refuse='xxxxxxxxxxxxxxxx')
def unknown_feature_with_a_name_without_end(i):
    i.u64(72, 0x40)
    set_extensions(i, extension(FEATURES, feature_name(6, b'x' * 46)))


@bad('v3-4k', refuse='feature')
def unknown_features_with_fifty_names(i):
    i.u64(72, 0xffffffffffffffe0)
    set_extensions(i, extension(FEATURES, b''.join(
        feature_name(n, b'y' * 46) for n in range(5, 55))))


@bad('v3', refuse='0x20')
def unknown_feature_and_a_name_table_cut_off(i):
    i.u64(72, 0x20)
    set_extensions(i, extension(FEATURES, feature_name(5, b'cut')[:47]))


@bad('v3', refuse='0x20')
def unknown_feature_and_extensions_too_long(i):
    i.u64(72, 0x20)
    set_extensions(i, extension(FEATURES, b'', 0xffffffff))


@each('v3', [1, 255], 'compression-type-%s-without-its-bit', refuse='compression type')
def compression_without_bit(i, v):
    i.u8(104, v)


@bad('v3', refuse='compression type')
def compression_bit_without_type(i):
    i.u64(72, COMPRESSION)


@bad('v3', refuse='compression type')
def compression_bit_and_header_of_104_bytes(i):
    i.u64(72, COMPRESSION)
    i.u8(104, 1)
    i.u32(100, 104)
    i.write(104, bytes(i.cs - 104))


@each('v3', [2, 255], 'compression-type-%s', refuse='compression type')
def compression_unknown(i, v):
    i.u64(72, COMPRESSION)
    i.u8(104, v)


@bad('v3', refuse='raw external data')
def raw_bit_without_a_data_file(i):
    i.u64(88, 2)


# These are not refused: who only reads need not mind.

@bad('v3 ext')
def dirty_bit(i):
    i.u64(72, i.get64(72) | DIRTY)


@bad('v3 ext')
def corrupt_bit(i):
    i.u64(72, i.get64(72) | CORRUPT)


@bad('v3')
def autoclear_bits_without_what_they_stand_for(i):
    i.u64(88, 0xfffffffffffffffd)


@bad('v2')
def feature_fields_of_version_3_are_extensions(i):
    i.u32(72, 0x12345678)
    i.u32(76, 8)
    i.write(80, b'\xff' * 8)


@bad('v1')
def padding_is_not_zero(i):
    i.put(34, 'H', 0xffff)
    i.u32(20, 0xffffffff)   # the time of the backing file


@bad('v1')
def tables_at_odd_offsets(i):
    i.write(49, bytes(i.file[i.l1:i.l1 + 24]))
    i.u64(40, 49)
    i.l1 = 49
    at = len(i.file) + 1
    i.write(at, bytes(i.file[i.l2[1]:i.l2[1] + i.cs]))
    i.set_l1(1, at)


@bad(ALL)
def backing_name_of_some_length_nowhere(i):
    i.u32(16, 0xffffffff)


@bad('v1', refuse='is beyond the end of the file')
def backing_name_beyond_the_file(i):
    i.put(8, 'QI', 1 << 63, 10)


@bad('v1', refuse='is beyond the end of the file')
def backing_name_is_cut_by_the_end_of_the_file(i):
    i.put(8, 'QI', len(i.file) - 4, 5)


@bad(NEW)
def snapshot_table_far_but_no_snapshots(i):
    i.u64(64, 0xffffffffffffffff)


@bad(NEW)
def refcount_table_entry_is_garbage(i):
    i.u64(i.reftable, 0xfffffffffffffff1)


@bad(NEW)
def refcount_table_names_itself(i):
    i.u64(i.reftable, i.reftable)


@bad(NEW)
def refcounts_are_all_zero(i):
    i.write(i.refblock, bytes(i.cs))


@bad(NEW)
def snapshot_table_is_garbage(i):
    at = up(len(i.file), i.cs)
    i.write(at, b'\xff' * i.cs)
    i.put(60, 'IQ', 65536, at)


# -- extensions

@bad(NEW, refuse='extension')
def extension_of_4_gib(i):
    set_extensions(i, extension(0x12345678, b'', 0xffffffff))


@bad(NEW, refuse='extension')
def extension_longer_than_the_cluster(i):
    set_extensions(i, extension(0x12345678, b'', i.cs - i.extensions - 7))


@bad(NEW)
def extension_as_long_as_the_cluster(i):
    set_extensions(i, extension(0x12345678, b'', i.cs - i.extensions - 8))


@bad(NEW, refuse='extension')
def extension_reaches_the_backing_name(i):
    set_extensions(i, extension(0x12345678, bytes(8), 9))
    i.put(8, 'QI', i.extensions + 16, 4)


@bad(NEW, refuse='cut off')
def extension_is_cut_off_by_the_backing_name(i):
    set_extensions(i, extension(0x12345678, bytes(8)))
    i.put(8, 'QI', i.extensions + 20, 4)


@bad(NEW, refuse='extension')
def end_record_with_a_length(i):
    set_extensions(i, extension(0, b'', 0xffffffff))


@bad('v3', refuse='bitmaps')
def bitmaps_extension_of_23_bytes(i):
    set_extensions(i, extension(BITMAPS, bytes(23)))


@bad('v3', refuse='backing format')
def backing_format_of_16_bytes(i):
    set_extensions(i, extension(FORMAT, b'q' * 16))


@bad('v3', refuse='NUL')
def backing_format_with_a_nul(i):
    set_extensions(i, extension(FORMAT, b'raw\0x'))


# -- backing files

def refer(i, name, fmt=b'raw'):
    if i.version > 1:
        set_extensions(i, *([extension(FORMAT, fmt)] if fmt else []))
    set_backing(i, name)


@bad('over')
def backing_format_padded_to_8_bytes(i):
    refer(i, 'base.raw', b'raw\0\0\0\0\0')


@bad('v3-4k', refuse='too long')
def backing_name_of_1024_bytes(i):
    refer(i, 'n' * 1024)


@bad('v1', refuse='too long')
def backing_name_of_1024_bytes_(i):
    set_backing(i, 'n' * 1024, len(i.file))


@bad('v1 v3', refuse='too long')
def backing_name_of_4_gib(i):
    i.put(8, 'QI', 256, 0xffffffff)


@bad(NEW, refuse='not inside the first cluster')
def backing_name_beyond_the_first_cluster(i):
    i.put(8, 'QI', i.cs, 1)


@each(NEW, [1 << 32, 1 << 63, (1 << 64) - 1], 'backing-name-at-%s',
      refuse='not inside the first cluster')
def backing_name_far(i, v):
    i.put(8, 'QI', v, 1)


@each(NEW, [1, 71], 'backing-name-at-%s', refuse='inside the header')
def backing_name_in_header(i, v):
    i.put(8, 'QI', v, 4)


@bad('v3 ext', refuse='inside the header')
def backing_name_at_104(i):
    i.put(8, 'QI', 104, 4)


@bad('v1 v3', refuse='NUL')
def backing_name_with_a_nul(i):
    refer(i, b'base.raw\0/etc/shadow')
    i.beside['base.raw'] = b'x' * 512


@bad('v1 v3', refuse='cannot open backing file')
def backing_name_with_control_bytes(i):
    refer(i, b'./x\nqcowfs: all is well\r\x1b[2J\x7f\x80\xff%s%n')


@bad('v1 v3', refuse='cannot open backing file')
def backing_name_with_control_characters(i):
    refer(i, 'x\x9b2J\x85y')


@bad('v3-4k', refuse='cannot open backing file')
def backing_name_of_1023_bytes(i):
    refer(i, b'\xff' * 1023)


@bad('v3', refuse='unknown backing format')
def backing_format_with_control_bytes(i):
    refer(i, 'base.raw', b'\x1b[2J\n')
    i.beside['base.raw'] = b'x' * 512


@bad('v3', refuse='unknown backing format')
def backing_format_unknown(i):
    refer(i, 'base.raw', b'vmdk')
    i.beside['base.raw'] = b'x' * 512


@each('v1 v3', ['nbd://localhost', 'fat:rw:.'],
      'backing-name-is-%s', refuse='not a path')
def backing_name_is_url(i, v):
    refer(i, v)


@bad('v1 v3', refuse='no \'filename\'')
def backing_name_is_empty_json(i):
    refer(i, 'json:{}')


@bad('v1 v3', refuse='No such file')
def backing_name_is_file_that_is_missing(i):
    refer(i, 'file:base.raw')


@bad('v3', refuse='outside')
def backing_name_is_json_with_a_path(i):
    refer(i, 'json:{"driver":"raw","file":{"driver":"file","filename":"/etc/passwd"}}')


@each('v1 v3', ['/etc/passwd', '/proc/self/environ'], 'backing-file-is-%s',
      refuse='outside')
def backing_outside(i, v):
    refer(i, v)


@bad('v1 v3', refuse='outside')
def backing_name_goes_up(i):
    refer(i, '../../../../../../../../../../../../../etc/passwd')


@bad('v3', refuse='outside')
def backing_name_is_a_link_that_leads_out(i):
    refer(i, 'base.raw')
    i.beside['base.raw'] = lambda path: path.symlink_to('/etc/passwd')


@bad('v3', refuse='cannot open backing file')
def backing_name_is_a_link_to_itself(i):
    refer(i, 'base.raw')
    i.beside['base.raw'] = lambda path: path.symlink_to('base.raw')


@bad('v1 v3', refuse='cannot open backing file')
def backing_file_is_missing(i):
    refer(i, 'base.raw')


@bad('v3', refuse='cannot open backing file')
def backing_name_of_a_long_component(i):
    refer(i, 'n' * 300)


@bad('v1 v3', refuse='not a regular file')
def backing_file_is_a_folder(i):
    refer(i, 'sub')
    i.beside['sub'] = Path.mkdir


@bad('v1 v3', refuse='not a regular file')
def backing_file_is_its_own_folder(i):
    refer(i, '.')


@bad('v1 v3', refuse='not a regular file')
def backing_file_is_a_fifo(i):
    refer(i, 'pipe')
    i.beside['pipe'] = os.mkfifo


@each('v3', ['/dev/zero', '/dev/tty', '/proc/self/fd/0', '/etc'], 'backing-file-is-%s',
      refuse='not a regular file', options='backing=any', folder=False)
def backing_device(i, v):
    refer(i, v)


@bad('v3', refuse='backing=samedir', options='backing=none', folder=False)
def backing_file_where_none_is_allowed(i):
    refer(i, 'base.raw')
    i.beside['base.raw'] = b'x' * 512


@bad('v3', refuse='loop')
def backing_file_is_the_image_itself(i):
    refer(i, 'disk.qcow2', b'qcow2')


@bad('v3', refuse='loop')
def backing_file_is_a_second_name_of_the_image(i):
    refer(i, 'link', b'qcow2')
    i.beside['link'] = lambda path: path.symlink_to('disk.qcow2')


@bad('v3', refuse='loop')
def backing_files_go_in_a_loop(i):
    refer(i, 'other.qcow2', b'qcow2')
    other = qcow2()
    refer(other, 'disk.qcow2', b'qcow2')
    i.beside['other.qcow2'] = other


@bad('v3', refuse='longer than')
def chain_of_300_files(i):
    i.file = bytearray(i.file)
    refer(i, 'x0', b'qcow2')
    for n in range(300):
        layer = qcow2()
        refer(layer, f'x{n + 1}', b'qcow2')
        i.beside[f'x{n}'] = layer
    i.beside['x300'] = qcow2()


@bad('v3', refuse='not a QCOW image')
def backing_file_declared_qcow2_is_raw(i):
    refer(i, 'base.raw', b'qcow2')
    i.beside['base.raw'] = b'x' * 512


@bad('v3', refuse='declared')
def backing_file_declared_qcow2_is_version_1(i):
    refer(i, 'base', b'qcow2')
    i.beside['base'] = qcow1()


@bad('v3', refuse='declared')
def backing_file_declared_qcow_is_version_3(i):
    refer(i, 'base', b'qcow')
    i.beside['base'] = qcow2()


@bad('v1 v3', refuse='was not declared')
def backing_file_of_undeclared_format_refers_further(i):
    refer(i, 'base', None)
    base = qcow2()
    refer(base, 'secret')
    i.beside['base'] = base
    i.beside['secret'] = b'x' * 512


@bad('v1', refuse='was not declared')
def backing_file_of_undeclared_format_has_a_data_file(i):
    refer(i, 'base')
    i.beside['base'] = GOOD['data']()
    i.beside['disk.data'] = b'x' * 512


@bad('v3')
def backing_file_declared_raw_is_an_image(i):
    """A guest may write a header with any file name to its raw disk."""
    refer(i, 'base.raw')
    base = qcow2()
    refer(base, '/etc/passwd')
    i.beside['base.raw'] = raw = bytes(base.file)
    for g in range(up(len(raw), i.cs) // i.cs):
        if g not in i.disk and g not in (4, 7):
            i.holds(g, raw[g * i.cs:(g + 1) * i.cs].ljust(i.cs, b'\0'))


@bad('v3', refuse='backing file')
def backing_file_is_damaged(i):
    refer(i, 'base', b'qcow2')
    i.beside['base'] = qcow2()
    i.beside['base'].u32(20, 8)


@bad('v3', log='L1 entry 1')
def backing_file_has_a_bad_table(i):
    refer(i, 'base', b'qcow2')
    base = qcow2()
    base.set_l1(1, COPIED)
    i.beside['base'] = base
    i.fails(i.per_l2 + 2, i.per_l2 + 3, 2 * i.per_l2 - 1)


@bad('over', log=None)
def backing_file_of_one_byte(i):
    i.beside['base.raw'] = b'b'
    del i.disk[3], i.disk[i.per_l2 + 3]


# -- external data files

@bad('data', refuse='no name')
def data_file_without_a_name(i):
    set_extensions(i)


@bad('data', refuse='NUL')
def data_file_name_with_a_nul(i):
    set_extensions(i, extension(DATA_NAME, b'disk.data\0x'))


@bad('data', refuse='more than 1023')
def data_file_name_of_1024_bytes(i):
    set_extensions(i, extension(DATA_NAME, b'n' * 1024))


@each('data', ['missing', 'json:{"driver":"null-co"}', '/etc/passwd', '../..', 'disk.data/x'],
      'data-file-is-%s', refuse='data file')
def data_file_named(i, v):
    set_extensions(i, extension(DATA_NAME, v.encode()))


@bad('data', refuse='not a regular file')
def data_file_is_a_fifo(i):
    i.beside['disk.data'] = os.mkfifo


@bad('data', refuse='raw external data')
def raw_data_file_and_a_backing_file(i):
    i.u64(88, 2)
    set_backing(i, 'base.raw')
    i.beside['base.raw'] = b'x' * 512


@bad('data', refuse='data file', options='backing=none', folder=False)
def data_file_where_none_is_allowed(i):
    pass


@bad('data')
def data_file_is_the_image_itself(i):
    set_extensions(i, extension(DATA_NAME, b'disk.qcow2'))
    i.anything(*i.disk)


@bad('data', log='L2 entry 5')
def entry_is_not_at_its_own_offset(i):
    i.set(5, 1 * i.cs | COPIED)
    i.fails(5)


@bad('data', log='L2 entry 5')
def entry_at_offset_0_is_not_that_of_cluster_0(i):
    i.set(5, COPIED)
    i.fails(5)


@bad('data', log='L2 entry 5')
def packed_cluster_with_a_data_file(i):
    i.set(5, PACKED | i.l2[0])
    i.fails(5)


@bad('data', log='beyond the end')
def data_file_is_too_short(i):
    i.beside['disk.data'] = bytes(i.raw[:i.per_l2 * i.cs + 100])
    i.holds(i.per_l2, i.disk[i.per_l2][:100] + bytes(i.cs - 100))
    i.fails(i.per_l2 + 1)


# -- L1 entries

@each(NEW, [56, 62, 0, 8], 'l1-entry-reserved-bit-%s', log='L1 entry 1')
def l1_reserved(i, v):
    i.set_l1(1, i.l2[1] | COPIED | 1 << v)
    i.fails(*i.table(1))


@bad(NEW, log='L1 entry 1')
def l1_entry_copied_without_offset(i):
    i.set_l1(1, COPIED)
    i.fails(*i.table(1))


@bad(NEW, log='L1 entry 2')
def l1_entry_all_ones(i):
    i.set_l1(2, (1 << 64) - 1)
    i.fails(*i.table(2))


@bad('v2 v3-4k ext', log='L1 entry 1')
def l1_entry_unaligned(i):
    i.set_l1(1, i.l2[1] + 512 | COPIED)
    i.fails(*i.table(1))


@bad('v1 v3', log='L2 table')
def l1_entry_beyond_the_file(i):
    i.set_l1(1, up(len(i.file), i.cs))
    i.fails(*i.table(1))


@each(NEW, [1 << 40, 0x00ffffffffe00000], 'l1-entry-points-at-%s', log='L2 table')
def l1_far(i, v):
    i.set_l1(1, v | COPIED)
    i.fails(*i.table(1))


@each('v1', [1 << 40, 1 << 62, (1 << 63) - 8192, 1 << 63, (1 << 64) - 1],
      'l1-entry-points-at-%s', log='guest offset 0x8000')
def l1_far_v1(i, v):
    i.set_l1(1, v)
    i.fails(*i.table(1))


@each('v1', [1, 47], 'l1-entry-points-at-%s', log='L1 entry 1')
def l1_in_header(i, v):
    i.set_l1(1, v)
    i.fails(*i.table(1))


@bad(ALL, log='L1 entry 2')
def l1_entry_points_at_the_l1_table(i):
    i.set_l1(2, i.l1 | (COPIED if i.version > 1 else 0))
    i.fails(*i.table(2))


@bad(NEW, log='L1 entry 2')
def l1_entry_points_at_the_refcount_table(i):
    i.set_l1(2, i.reftable | COPIED)
    i.fails(*i.table(2))


@bad(ALL)
def l1_entries_share_a_table(i):
    i.set_l1(2, i.get64(i.l1_at(1)))
    for n in (0, 1):
        i.holds(2 * i.per_l2 + n, i.disk[i.per_l2 + n])


@bad(ALL)
def l1_entry_points_at_data(i):
    """It cannot be told from a table: no crash."""
    i.set_l1(2, i.host[1] | (COPIED if i.version > 1 else 0))
    i.anything(*i.table(2))


@bad('v1 v2 v3', log='L1 entry 0')
def first_l1_entry_is_bad(i):
    i.set_l1(0, (1 << 64) - 1)
    i.fails(*i.table(0))
    i.fails(*[g for g in i.disk if g < i.per_l2])
    i.fails(*range(9))


# -- L2 entries

@each('v2 v3', [1, 4, 8, 56, 61], 'l2-entry-reserved-bit-%s', log='L2 entry 5')
def l2_reserved(i, v):
    i.set(5, i.host[5] | COPIED | 1 << v)
    i.fails(5)


@each('ext', [1, 8, 56, 61], 'l2-entry-reserved-bit-%s', log='L2 entry 5')
def l2_reserved_extended(i, v):
    i.set(5, i.host[5] | COPIED | 1 << v)
    i.fails(5)


@bad('v1', log='L2 entry 5')
def l2_entry_unaligned(i):
    i.set(5, i.host[5] + 8)
    i.fails(5)


@bad('v2 v3-4k ext', log='L2 entry 5')
def l2_entry_unaligned_(i):
    i.set(5, i.host[5] + 512 | COPIED)
    i.fails(5)


@bad('v1 v2 v3 ext', log='beyond the end')
def l2_entry_beyond_the_file(i):
    i.set(5, up(len(i.file), i.cs))
    i.fails(5)


@bad(ALL, log='beyond the end')
def l2_entry_points_at_2_55(i):
    i.set(5, 1 << 55)
    i.fails(5)


@each('v1', [1 << 62, (1 << 63) - 512], 'l2-entry-points-at-%s', log='guest offset 0x')
def l2_far_v1(i, v):
    i.set(5, v)
    i.fails(5)


@bad('v1 v2 v3')
def l2_entries_share_a_cluster(i):
    i.set(5, i.host[1])
    i.holds(5, i.disk[1])


@bad(ALL)
def l2_entry_points_at_a_table(i):
    """QEMU reads that, too, but it must not be written."""
    i.set(5, i.l2[0])
    i.anything(5)


@bad('v2', log='L2 entry 5')
def zero_flag_in_version_2(i):
    i.set(5, i.host[5] | COPIED | ZERO)
    i.fails(5)


@bad('v2', log='L2 entry 3')
def zero_flag_alone_in_version_2(i):
    i.set(3, ZERO)
    i.fails(3)


@bad('v3')
def l2_entry_copied_without_offset(i):
    """Unallocated, as QEMU has it."""
    i.set(5, COPIED)
    del i.disk[5]


@bad('v2 v3-4k', log='L2 entry 0')
def first_l2_entry_is_bad(i):
    i.set(0, 1 << 60)
    i.fails(0)


@bad('v2 v3-4k', log='beyond the end')
def first_cluster_is_beyond_the_file(i):
    i.set(0, 1 << 40 | COPIED)
    i.fails(0)


@bad('v3-4k v2')
def table_is_cut_by_the_end_of_the_file(i):
    """The last cluster of a file need not be whole; the rest is zeros."""
    at = up(len(i.file), i.cs)
    i.set(2 * i.per_l2 - 1, i.host[1])
    i.write(at, bytes(i.file[i.l2[1]:i.l2[1] + i.cs]))
    i.set_l1(1, at | COPIED)
    i.length = len(i.file) - 512


@bad('v3-4k')
def l1_table_is_cut_by_the_end_of_the_file(i):
    at = up(len(i.file), i.cs)
    i.write(at, bytes(i.file[i.l1:i.l1 + 24]))
    i.u64(40, at)
    i.length = at + 8
    i.anything(*i.table(1), *i.table(2))


@bad('v1 v2 v3')
def last_cluster_is_cut(i):
    g = i.per_l2 + 1
    i.length = len(i.file) - 412
    i.holds(g, i.disk[g][:-412] + bytes(412))


@bad('ext')
def last_cluster_is_cut_inside_a_subcluster(i):
    g = i.per_l2 + 1
    i.length = len(i.file) - 10 * 512 - 100
    i.holds(g, i.disk[g][:-5220] + bytes(5220))


@bad('v1 v2 v3 ext', log='beyond the end')
def last_cluster_is_cut_off(i):
    i.length = len(i.file) - i.cs
    i.fails(i.per_l2 + 1)


# -- extended L2 entries

@bad('ext', log='L2 entry 5')
def subcluster_with_data_and_zeros(i):
    i.set(5, i.host[5] | COPIED, 0x80000000ffffffff)
    i.fails(5)


@bad('ext', log='L2 entry 5')
def subclusters_without_a_cluster(i):
    i.set(5, 0, 0x00000000ffffffff)
    i.fails(5)


@bad('ext', log='L2 entry 5')
def one_subcluster_without_a_cluster(i):
    i.set(5, COPIED, 0xfffffffe00000001)
    i.fails(5)


@bad('ext')
def zero_flag_of_standard_entries_is_ignored(i):
    i.set(5, i.host[5] | COPIED | ZERO)


@bad('ext')
def packed_cluster_with_a_bitmap(i):
    i.set(2, i.get(2), (1 << 64) - 1)


@bad('ext')
def cluster_without_subclusters(i):
    i.set(5, i.host[5] | COPIED, 0)
    del i.disk[5]


# -- packed clusters

def repack(i, stream, g=6, tight=False):
    """Another stream in place of that of a cluster; tight: it ends where its last
    sector does."""
    at = up(len(i.file), i.cs)
    if tight:
        at += -len(stream) % 512
    i.write(at, stream + bytes(-len(stream) % 512))
    i.set(g, packed_entry(i, at, len(stream)), 0 if i.extended else None)


@bad('v1 v2 v3 ext zstd', log='cannot decompress')
def packed_cluster_beyond_the_file(i):
    i.set(6, packed_entry(i, up(len(i.file), i.cs), 100))
    i.fails(6)


@bad('v1 v2 v3 zstd')
def packed_cluster_reaches_beyond_the_file(i):
    """What its stream does not need may be missing."""
    stream = zstd_cluster(i.disk[6]) if i.zstd else deflate(i.disk[6])
    at = up(len(i.file), i.cs)
    i.write(at, stream)
    i.set(6, packed_entry(i, at, i.cs - 1))


@bad('v2 v3', log='L2 entry 6')
def packed_cluster_beyond_2_56(i):
    i.set(6, PACKED | 1 << 56)
    i.fails(6)


@bad('ext', log='cannot decompress')
def packed_cluster_at_2_55(i):
    i.set(6, PACKED | 1 << 55)
    i.fails(6)


@bad('v1', log='cannot decompress')
def packed_cluster_at_the_last_offset(i):
    i.set(6, COPIED | 511 << 54 | (1 << 54) - 1)
    i.fails(6)


@bad('v1', log='L2 entry 6')
def packed_cluster_of_no_bytes(i):
    i.set(6, packed_entry(i, i.host[6], 0))
    i.fails(6)


@bad('v1 v2 v3 ext zstd', log='cannot decompress')
def packed_cluster_is_noise(i):
    repack(i, b'\xff' + noise(1, 400))
    i.fails(6)


@bad('v1 v2 v3 ext zstd', log='cannot decompress')
def packed_cluster_is_zeros(i):
    repack(i, bytes(400))
    i.fails(6)


@bad('v1 v2 v3 ext', log='cannot decompress')
def packed_cluster_is_too_short(i):
    repack(i, deflate(i.disk[6][:-1]))
    i.fails(6)


@bad('v1 v2 v3', log='cannot decompress')
def packed_cluster_has_a_zlib_header(i):
    repack(i, deflate(i.disk[6], 12))
    i.fails(6)


@bad('v1', log='cannot decompress')
def packed_cluster_is_cut(i):
    i.set(6, packed_entry(i, i.host[6], 20))
    i.fails(6)


@bad('v1 v2 v3')
def packed_cluster_is_too_long(i):
    """QEMU uses only the needed entries."""
    repack(i, deflate(i.disk[6] + i.disk[6]))


@bad('v1 v2 v3')
def packed_cluster_without_its_last_block(i):
    c = zlib.compressobj(-1, zlib.DEFLATED, -12, 9)
    repack(i, c.compress(i.disk[6]) + c.flush(zlib.Z_SYNC_FLUSH), tight=True)


@bad('v1 v2 v3', log='cannot decompress')
def packed_cluster_looks_back_before_its_begin(i):
    # A fixed block that begins with a match: length 3, distance 1.
    repack(i, b'\x03\x02\x00' + bytes(60))
    i.fails(6)


@bad('v2 v3 ext')
def packed_cluster_says_it_is_copied(i):
    i.set(6, i.get(6) | COPIED)


@bad('v3 zstd')
def packed_clusters_share_their_bytes(i):
    i.set(2, i.get(6))
    i.holds(2, i.disk[6])


@bad('zstd', log='cannot decompress')
def frame_with_a_window_of_2_gib(i):
    repack(i, zstd(i.disk[6], 31))
    i.fails(6)


@bad('zstd', log='cannot decompress')
def frame_with_a_window_of_256_mib(i):
    repack(i, zstd(i.disk[6], 28))
    i.fails(6)


@bad('zstd')
def frame_with_a_window_of_128_mib(i):
    repack(i, zstd(i.disk[6], 27))


@bad('zstd', log='cannot decompress')
def frame_longer_than_a_cluster(i):
    repack(i, zstd_cluster(i.disk[6] + i.disk[6][-4:]))
    i.fails(6)


@bad('zstd', log='cannot decompress')
def frame_shorter_than_a_cluster(i):
    repack(i, zstd_cluster(i.disk[6][:-4]))
    i.fails(6)


@bad('zstd', log='cannot decompress')
def frame_claims_another_length(i):
    stream = bytearray(zstd_cluster(i.disk[6]))
    stream[5:9] = b'\xff\xff\xff\xff'
    repack(i, stream)
    i.fails(6)


@bad('zstd', log='cannot decompress')
def frames_of_nothing(i):
    repack(i, (bytes.fromhex('28b52ffd2000') + zstd_block(b'')) * 300)
    i.fails(6)


@bad('zstd')
def frames_that_add_up_to_a_cluster(i):
    half = i.cs // 2
    repack(i, b'\x50\x2a\x4d\x18\x03\0\0\0abc' + zstd_cluster(i.disk[6][:half]) +
           zstd_cluster(i.disk[6][half:]))


@bad('zstd', log='cannot decompress')
def packed_cluster_is_deflate(i):
    repack(i, deflate(i.disk[6]))
    i.fails(6)


# -- sizes that no memory could hold

def sparse(i, bits, l1_entries):
    """All absent; the L1 table is a hole in the file."""
    i.bits, i.cs = bits, 1 << bits
    i.per_l2 = i.cs // 8
    i.size = l1_entries * i.per_l2 * i.cs
    i.file = bytearray(i.file[:i.extensions])
    i.l1, i.reftable = 4 * i.cs, i.cs
    i.u32(20, bits)
    i.u64(24, i.size)
    i.u32(36, l1_entries)
    i.u64(40, i.l1)
    i.u64(48, i.reftable)
    i.length = i.l1 + 8 * l1_entries
    i.disk, i.host = {}, {}


@bad('v2 v3')
def l1_of_32_mib_and_2_pib(i):
    sparse(i, 16, 4194304)


@bad('v2 v3')
def l1_of_32_mib_and_2_eib(i):
    sparse(i, 21, 4194304)


@bad('v3')
def l1_of_32_mib_and_128_gib(i):
    sparse(i, 9, 4194304)


@bad('v1')
def l1_of_32_mib_and_2_pib_(i):
    i.bits, i.per_l2 = 16, 1 << 13
    i.cs = 1 << 16
    i.size = 4194304 << 29
    i.file = i.file[:48]
    i.u64(24, i.size)
    i.u8(32, 16)
    i.u8(33, 13)
    i.length = 48 + (32 << 20)
    i.disk, i.host = {}, {}


@bad('v3')
def table_of_2_mib_named_65536_times(i):
    """Holes of two kinds in turn: whoever looks for data has 2^34 of them to look at."""
    sparse(i, 21, 65536)
    i.l2 = [6 * i.cs]
    i.set_l1(0, i.l2[0] | COPIED)
    i.file[i.l1:] = i.file[i.l1:i.l1 + 8] * 65536
    i.write(i.l2[0], struct.pack('>QQ', 0, ZERO) * (i.per_l2 // 2))
    i.length = None


@bad('v3')
def table_of_2_mib_named_65536_times_in_a_long_file(i):
    """The file is as long as if all these tables were there: the rest of it is a hole."""
    table_of_2_mib_named_65536_times(i)
    i.length = 65536 << 21


# ---- as files --------------------------------------------------------------------

def write_file(path, what):
    if callable(what):
        what(path)
    elif isinstance(what, Image):
        path.write_bytes(what.file)
        if what.length is not None:
            os.truncate(path, what.length)
    else:
        path.write_bytes(what)


def write(image, folder):
    """Into a folder of its own; the path of the image."""
    folder.mkdir(parents=True)
    path = folder / 'disk.qcow2'
    write_file(path, image)
    for name, what in image.beside.items():
        write_file(folder / name, what)
    return path


def main():
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for name, make in GOOD.items():
        if all(w in 'good-' + name for w in sys.argv[2:]):
            print(write(make(), Path(sys.argv[1], 'good-' + name)))
    for r in RECIPES:
        if all(w in r.name for w in sys.argv[2:]):
            print(write(r.make(), Path(sys.argv[1], r.name)))


if __name__ == '__main__':
    main()
