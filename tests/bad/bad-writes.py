#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes to bad images: a refused write has a reason, written data can be read, and
no old data is lost.

    bad-writes.py [WORD...]     only those with all the words in their name

Each recipe is mounted alone, for writing, and written here and there; a part is
freed again.  Then it is read, and read once more through another mount; and where
nothing of the image is damaged any more, QEMU has to find it sound, too.
"""
import concurrent.futures
import ctypes
import errno
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from make import (ALL, ANY, COPIED, CORRUPT, DIRTY, GOOD, NEW, PACKED, ZERO,  # noqa: E402
                  bitmap_row, bitmaps, count, noise, packed_entry, recipes_of, snapshot, sparse, up, write)
from mounts import (Daemon, Wrong, complain, error_of, look_at_disk, must, problems,  # noqa: E402
                    run_one)

KEEP_SIZE, PUNCH_HOLE = 1, 2
libc = ctypes.CDLL(None, use_errno=True)
INCOMPATIBLE, AUTOCLEAR = 72, 88


# ---- recipes ------------------------------------------------------------------

class Recipe:
    def __init__(self, name, base, change, log=None, opens=0, breaks=False, sound=True,
                 leaks=False, bits=None):
        self.name = name
        self.base = base
        self.change = change
        self.log = log          # a word of the message
        self.opens = opens      # errno of opening it for writing
        self.breaks = breaks    # a write is refused, and so are all that come later
        self.sound = sound      # QEMU has nothing to say against it in the end
        self.leaks = leaks      # ... but for leaks
        self.bits = bits        # (place, mask, value) in the header, in the end

    def make(self):
        i = GOOD[self.base]()
        self.change(i)
        return i


RECIPES = []
bad, each = recipes_of(Recipe, RECIPES)

REPAIRED = 'rebuilding refcounts'
HOPELESS = 'refcounts are wrong, and cannot be repaired'


@bad(ALL + ' zstd over')
def nothing_is_bad(i):
    pass


# -- features

@bad('v3 ext', opens=errno.EROFS, log='feature: corrupt bit', bits=(INCOMPATIBLE, CORRUPT, CORRUPT))
def corrupt_bit(i):
    i.u64(72, i.get64(72) | CORRUPT)


@bad('v3 ext', log='not closed in order', bits=(INCOMPATIBLE, DIRTY, 0))
def dirty_bit(i):
    i.u64(72, i.get64(72) | DIRTY)


@bad('v3', log='not closed in order', bits=(INCOMPATIBLE, DIRTY, 0), leaks=True)
def dirty_bit_and_refcounts_are_garbage(i):
    i.u64(72, DIRTY)
    i.write(i.refblock, noise(1, i.cs))


@bad('v3 ext', bits=(AUTOCLEAR, 0xff, 0))
def autoclear_bit_of_bitmaps_without_any(i):
    i.u64(88, 1)


@bad('v3', bits=(AUTOCLEAR, (1 << 64) - 1, 0))
def autoclear_bits_that_nobody_knows(i):
    i.u64(88, 0xfffffffffffffffd)


# -- refcounts

@bad(NEW, log=REPAIRED)
def refcount_table_entry_0(i):
    i.u64(i.reftable, 0)


@bad(NEW, opens=errno.EIO, log='refcount')
def refcount_table_entry_is_garbage(i):
    i.u64(i.reftable, 0xfffffffffffffff1)


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def refcount_table_names_itself(i):
    i.u64(i.reftable, i.reftable)


@bad('v2 ext', opens=errno.EIO, log='refcount')
def refcount_table_entry_unaligned(i):
    i.u64(i.reftable, i.refblock + 512)


@bad(NEW, opens=errno.EIO, log='refcount')
def refcount_table_entry_with_a_reserved_bit(i):
    i.u64(i.reftable, i.refblock | 1)


@bad(NEW, opens=errno.EIO, log='refcount')
def refcount_block_beyond_the_file(i):
    i.u64(i.reftable, 1 << 40)


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def refcount_block_is_the_l1(i):
    i.u64(i.reftable, i.l1)


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def refcount_block_is_data(i):
    i.u64(i.reftable, i.host[0])


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def refcount_table_names_one_block_twice(i):
    i.u64(i.reftable + 8, i.refblock)


@bad(NEW, log=REPAIRED)
def refcounts_are_all_zero(i):
    i.write(i.refblock, bytes(i.cs))


@bad(NEW, sound=False)
def refcounts_are_all_at_the_most(i):
    i.write(i.refblock, b'\xff' * i.cs)


@bad(NEW, log=REPAIRED)
def data_is_counted_free(i):
    count(i, i.host[1], 0)


@bad(NEW, log=REPAIRED)
def packed_data_is_counted_free(i):
    count(i, i.host[2], 0)


@each(NEW, ['header', 'reftable', 'refblock', 'l1', 'l2'], '%s-is-counted-free', log=REPAIRED)
def table_is_counted_free(i, what):
    at = {'header': 0, 'l2': i.l2[0]}
    count(i, at[what] if what in at else getattr(i, what), 0)


# -- L1 entries

BROKEN = {'breaks': True, 'sound': False}


@bad(NEW, log='the L1 entry for guest offset', **BROKEN)
def l1_entry_copied_without_offset(i):
    i.set_l1(1, COPIED)
    i.fails(*[g for g in i.known() if i.per_l2 <= g < 2 * i.per_l2])


@bad('v1', opens=errno.EIO, log='two table entries reference one cluster')
def l1_entry_in_the_header(i):
    i.set_l1(1, 1)
    i.fails(*[g for g in i.known() if i.per_l2 <= g < 2 * i.per_l2])


@each(NEW, ['reftable', 'l1'], 'l1-entry-points-at-the-%s', opens=errno.EIO, log=HOPELESS)
def l1_entry_points_at_table(i, what):
    i.set_l1(2, getattr(i, what) | COPIED)
    i.fails(*[g for g in i.known() if 2 * i.per_l2 <= g])


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def l1_entry_points_at_data(i):
    i.set_l1(2, i.host[1] | COPIED)
    i.anything(*[g for g in i.known() if 2 * i.per_l2 <= g])


@bad(NEW, log=REPAIRED)
def l1_entries_share_a_table(i):
    i.set_l1(2, i.get64(i.l1_at(1)))
    for n in (0, 1):
        i.holds(2 * i.per_l2 + n, i.disk[i.per_l2 + n])


@bad(NEW, log=REPAIRED)
def l1_entries_share_a_table_that_counts_them(i):
    l1_entries_share_a_table(i)
    count(i, i.l2[1], 2)
    for n in (0, 1):
        count(i, i.host[i.per_l2 + n], 2)


# -- L2 entries

def place_of(i, what):
    return i.l2[0] if what == 'l2' else getattr(i, what)


TABLES = ['reftable', 'refblock', 'l1', 'l2']


@each(NEW, TABLES, 'entry-points-at-the-%s', opens=errno.EIO, log=HOPELESS)
def entry_points_at_table(i, what):
    i.set(5, place_of(i, what) | COPIED)
    i.anything(5)


@each(NEW, TABLES, 'entry-points-at-the-%s-that-counts-it', opens=errno.EIO, log=HOPELESS)
def entry_points_at_table_that_counts_it(i, what):
    entry_points_at_table(i, what)
    count(i, place_of(i, what), 2)


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def entry_points_at_the_table_of_another(i):
    i.set(5, i.l2[1])
    i.anything(5)


@bad('v2 v3', log=REPAIRED)
def entries_share_a_cluster(i):
    i.set(5, i.host[1] | COPIED)
    i.holds(5, i.disk[1])


@bad('v2 v3', log=REPAIRED)
def entries_share_a_cluster_that_counts_them(i):
    entries_share_a_cluster(i)
    count(i, i.host[1], 2)


@bad('v2 v3', log=REPAIRED)
def entries_share_a_cluster_without_copied(i):
    entries_share_a_cluster_that_counts_them(i)
    count(i, i.host[5], 0)
    for g in (1, 5):
        i.set(g, i.host[1])


@bad('v2', log='the L2 entry for guest offset', **BROKEN)
def zero_flag_in_version_2(i):
    i.set(5, i.host[5] | COPIED | ZERO)
    i.fails(5)


@bad(NEW, opens=errno.EIO, log=HOPELESS)
def packed_cluster_overlaps_a_table(i):
    i.set(6, PACKED | i.l2[0])
    i.fails(6)


@bad(NEW, log=HOPELESS, opens=errno.EIO)
def entry_beyond_the_file(i):
    i.set(5, 1 << 40 | COPIED)
    i.fails(5)


# Version 1 has no counts that could tell.

OVERLAP = {'opens': errno.EIO, 'log': 'two table entries reference one cluster'}


@bad('v1', **OVERLAP)
def entry_points_at_its_own_table_(i):
    i.set(5, i.l2[0])
    i.anything(5)


@bad('v1', **OVERLAP)
def entry_points_at_the_l1(i):
    at = up(len(i.file), i.cs)
    i.write(at, bytes(i.file[i.l1:i.l1 + 24]) + bytes(i.cs - 24))
    i.u64(40, at)
    i.l1 = at
    i.set(5, at)
    i.anything(5)


@bad('v1', **OVERLAP)
def entries_share_a_cluster_(i):
    i.set(5, i.host[1])
    i.holds(5, i.disk[1])


@bad('v1', **OVERLAP)
def l1_entries_share_a_table_(i):
    l1_entries_share_a_table(i)


@bad('v1', **OVERLAP)
def packed_cluster_overlaps_a_table_(i):
    i.set(6, packed_entry(i, i.l2[0], 100))
    i.fails(6)


@bad('v1', **OVERLAP)
def entry_beyond_the_file_(i):
    i.set(5, up(len(i.file), i.cs) + i.cs)
    i.fails(5)


# -- snapshots

@bad(NEW)
def snapshot_as_it_should_be(i):
    snapshot(i)


DAMAGED = {'opens': errno.EROFS, 'log': 'snapshot table is damaged'}


@bad(NEW, **DAMAGED)
def snapshot_table_is_garbage(i):
    at = up(len(i.file), i.cs)
    i.write(at, b'\xff' * i.cs)
    i.put(60, 'IQ', 65536, at)


@bad(NEW, **DAMAGED)
def snapshot_table_of_too_many(i):
    snapshot(i, n=2)
    i.length = len(i.file) - i.cs + 70


@each(NEW, [1025, 0xffffffff], 'snapshot-with-%s-bytes-of-extra-data', **DAMAGED)
def snapshot_extra(i, v):
    snapshot(i, extra=v)


@each(NEW, [4194305, 0xffffffff], 'snapshot-with-an-l1-of-%s-entries', **DAMAGED)
def snapshot_l1_entries(i, v):
    snapshot(i, entries=v)


@bad(NEW, **DAMAGED)
def snapshot_with_an_l1_unaligned(i):
    snapshot(i, l1=i.l1 + 8)


@each(NEW, [0, 1 << 40, 1 << 63, (1 << 64) - (1 << 21)], 'snapshot-with-an-l1-at-%s', **DAMAGED)
def snapshot_l1_far(i, v):
    snapshot(i, l1=v)


@bad(NEW, log=HOPELESS, opens=errno.EIO)
def snapshot_names_a_table_far_away(i):
    i.u64(snapshot(i), 1 << 50)


@bad(NEW, log=HOPELESS, opens=errno.EIO)
def snapshot_names_a_cluster_far_away(i):
    l1 = snapshot(i)
    at = up(len(i.file), i.cs)
    i.write(at, bytes(i.cs))
    i.u64(at, 1 << 50)
    if i.extended:
        i.u64(at + 8, 1)
    i.u64(l1, at)
    count(i, at, 1)


@bad(NEW, log=HOPELESS, opens=errno.EIO)
def snapshot_has_the_l1_of_the_disk(i):
    snapshot(i, l1=i.l1)


@bad('v3')
def snapshot_with_an_l1_longer_than_that_of_the_disk(i):
    snapshot(i, entries=i.cs // 8)


@bad('v3', **DAMAGED)
def snapshots_of_one_huge_l1(i):
    sparse(i, 9, 4194304)
    i.l1 = 16 * i.cs
    at = i.l1 + (32 << 20)
    blocks = at + (5 << 20)
    for n in range(600):
        i.u64(i.reftable + 8 * n, blocks + 512 * n)
    i.u32(56, 10)
    i.u64(40, i.l1)
    i.write(blocks, b'\0\1' * 256 * 600)
    row = struct.pack('>QIHHIIQII', i.l1, 4194304, 1, 1, 1, 0, 0, 0, 0) + b'1a' + bytes(6)
    i.write(at, row * 65536)
    i.put(60, 'IQ', 65536, at)
    i.length = None


@bad('v3', opens=errno.EIO, log='cannot be repaired', bits=(INCOMPATIBLE, DIRTY, DIRTY))
def dirty_bit_and_more_tables_than_there_is_room_for(i):
    """One, as often as the L1 table has entries: counting its references takes forever."""
    sparse(i, 21, 64)
    i.l2 = [6 * i.cs]
    i.set_l1(0, i.l2[0] | COPIED)
    i.file[i.l1:] = i.file[i.l1:i.l1 + 8] * 64
    i.write(i.l2[0], bytes(i.cs))
    i.length = None
    i.u64(72, DIRTY)


# -- bitmaps

KEPT = {'bits': (AUTOCLEAR, 1, 1)}
ALL_LOST = {'log': 'bitmaps are removed', 'bits': (AUTOCLEAR, 1, 0), 'leaks': True}
LOST = {'log': "bitmap 'one' is removed", 'bits': (AUTOCLEAR, 1, 0), 'leaks': True}


@bad('v3 ext', **KEPT)
def bitmaps_as_they_should_be(i):
    bitmaps(i)


@bad('v3 ext', **KEPT)
def bitmaps_with_bits(i):
    bitmaps(i, entry='data')


@bad('v3 ext', **KEPT)
def bitmaps_with_all_bits(i):
    bitmaps(i, entry=1)


@bad('v3', **KEPT)
def bitmap_that_was_in_use(i):
    bitmaps(i, flags=3)


@bad('v3', **KEPT)
def bitmap_that_was_in_use_and_has_a_table_for_a_larger_disk(i):
    bitmaps(i, flags=3, entries=2)


# Valid, though QEMU refuses extra data.

@bad('v3', sound=False, **KEPT)
def bitmap_with_extra_data_that_need_not_be_known(i):
    bitmaps(i, flags=6, extra=b'12345678')


@bad('v3', sound=False, **KEPT)
def bitmap_with_extra_data_that_must_be_known(i):
    bitmaps(i, flags=2, extra=b'12345678')


# The header.

@each('v3', [65536, 0xffffffff], 'bitmaps-of-number-%s', **ALL_LOST)
def bitmaps_many(i, v):
    bitmaps(i, n=v)


@bad('v3', **ALL_LOST)
def bitmaps_of_number_0(i):
    bitmaps(i, n=0)


@bad('v3', **ALL_LOST)
def bitmaps_of_number_2(i):
    bitmaps(i, n=2)


@bad('v3', **ALL_LOST)
def bitmaps_with_a_reserved_field(i):
    bitmaps(i, reserved=1)


@each('v3', [0, 31, 40, 67107841, 1 << 63, (1 << 64) - 1], 'bitmap-directory-of-%s-bytes', **ALL_LOST)
def bitmap_directory_size(i, v):
    bitmaps(i, size=v)


@each('v3', [0, 8, 1 << 40, 1 << 63, (1 << 64) - 8], 'bitmap-directory-at-%s', **ALL_LOST)
def bitmap_directory_place(i, v):
    bitmaps(i, offset=v)


@bad('v3', log=REPAIRED, bits=(AUTOCLEAR, 1, 0))
def bitmap_directory_in_guest_data(i):
    at = i.get(0) & 0x00fffffffffffe00
    i.write(at, bitmap_row(at + i.cs))
    i.anything(0)
    bitmaps(i, offset=at, size=32)


@bad('v3', log='they are damaged', bits=(AUTOCLEAR, 1, 0), leaks=True)
def bitmap_directory_in_the_header(i):
    bitmaps(i, offset=0, size=32)


@bad('v3', log='persistent bitmaps are removed, since another program', bits=(AUTOCLEAR, 1, 0))
def bitmaps_that_are_void(i):
    bitmaps(i, entry='data')
    i.u64(88, 0)


@bad('v3', log='persistent bitmaps are removed, since another program', bits=(AUTOCLEAR, 1, 0),
     leaks=True)
def bitmaps_that_are_void_and_lie_where_guest_data_is(i):
    """Their clusters were freed, and used again: they must stay."""
    bitmaps(i, rows=lambda _: bitmap_row(i.l2[0]), size=32)
    i.u64(88, 0)


@bad('v3', log='persistent bitmaps are removed, since another program', bits=(AUTOCLEAR, 1, 0))
def bitmaps_that_are_void_and_free(i):
    bitmaps(i, entry='data', counted=False)
    i.u64(88, 0)


# An entry of the directory.

@each('v3', [0, 2, 255], 'bitmap-of-type-%s', **ALL_LOST)
def bitmap_type(i, v):
    bitmaps(i, kind=v)


@each('v3', [10, 1 << 31], 'bitmap-with-flags-%s', **ALL_LOST)
def bitmap_flags(i, v):
    bitmaps(i, flags=v)


@each('v3', [64, 255], 'bitmap-of-granularity-2^%s', **ALL_LOST)
def bitmap_granularity_impossible(i, v):
    bitmaps(i, granularity=v)


@each('v3', [0, 8, 32, 63], 'bitmap-of-granularity-2^%s', **LOST)
def bitmap_granularity(i, v):
    bitmaps(i, granularity=v)


@each('v3', [0, 1024, 65535], 'bitmap-with-a-name-of-%s-bytes', **ALL_LOST)
def bitmap_name_length(i, v):
    bitmaps(i, name_len=v, size=32)


@each('v3', [1, 0xffffffff], 'bitmap-with-extra-data-of-%s-bytes', **ALL_LOST)
def bitmap_extra_length(i, v):
    bitmaps(i, extra_len=v, name=b'12345678', size=32)


@bad('v3', log="is removed: another one has the same name", bits=(AUTOCLEAR, 1, 1))
def bitmap_twice(i):
    bitmaps(i, n=2, rows=lambda t: bitmap_row(t) + bitmap_row(t))


@bad('v3', **KEPT)
def bitmap_with_a_hostile_name(i):
    bitmaps(i, name=b'..//e\x1b[2J%s\n')


@each('v3', [0, 8], 'bitmap-table-at-%s', **ALL_LOST)
def bitmap_table_place(i, v):
    bitmaps(i, table=v)


@each('v3', [1 << 40, 1 << 63, (1 << 64) - 512], 'bitmap-table-at-%s', **LOST)
def bitmap_table_behind_the_end_of_the_file(i, v):
    bitmaps(i, table=v)


@bad('v3', **ALL_LOST)
def bitmap_table_without_an_entry(i):
    bitmaps(i, entries=0)


@each('v3', [0x7ffffff, 0x8000000, 0xffffffff], 'bitmap-table-of-%s-entries', **ALL_LOST)
def bitmap_table_length(i, v):
    bitmaps(i, entries=v)


# An entry of a table.

@each('v3', [2, 0x100, 1 << 56, 1 << 63], 'bitmap-table-entry-with-bit-%s', **LOST)
def bitmap_entry_reserved(i, v):
    bitmaps(i, entry=v)


@each('v3', [0x200, 0x400, 0x600], 'bitmap-cluster-at-%s', log='they are damaged',
      bits=(AUTOCLEAR, 1, 0), leaks=True)
def bitmap_cluster_that_is_a_table_of_the_header(i, v):
    bitmaps(i, entry=v)


@each('v3', [1 << 40, 0xfffffffffffe00], 'bitmap-cluster-at-%s', **LOST)
def bitmap_cluster_place(i, v):
    bitmaps(i, entry=v)


@bad('v3', **LOST)
def bitmap_cluster_with_all_bits_too(i):
    bitmaps(i, entry=4 * i.cs + 1)


@bad('v3', log='they are damaged', bits=(AUTOCLEAR, 1, 0), leaks=True)
def bitmap_cluster_that_is_a_table(i):
    bitmaps(i, entry=i.l2[0])


@bad('v3', log=REPAIRED, bits=(AUTOCLEAR, 1, 1))
def bitmap_cluster_that_is_guest_data(i):
    bitmaps(i, entry=i.get(0) & 0x00fffffffffffe00)


# ---- one of them --------------------------------------------------------------

def punch(fd, at, n):
    if libc.fallocate(fd, KEEP_SIZE | PUNCH_HOLE, ctypes.c_int64(at), ctypes.c_int64(n)):
        raise OSError(ctypes.get_errno(), 'fallocate')


def try_write(fd, image, g, recipe, daemon):
    """Writes most of a cluster, and notes the result."""
    lead = image.cs // 4
    new = noise(1000 + g, image.cs // 2)
    n, e = daemon.timed(f'writing guest cluster {g}', error_of, os.pwrite, fd, new,
                        g * image.cs + lead)
    where = f'guest cluster {g}'
    if recipe.breaks:
        must(e in (0, errno.EIO), f'{where}: {os.strerror(e)}')
    elif g in image.error:
        must(e == errno.EIO, f'{where} can be written: {os.strerror(e)}')
    else:
        must(not e and n == len(new), f'{where}: {os.strerror(e)}')
    if not e and recipe.breaks:  # else it may be lost, and nobody said it was kept
        _, e = error_of(os.fsync, fd)
        must(not e, f'fsync: {os.strerror(e)}')
    if e:
        return e
    old = image.disk.get(g, bytes(image.cs))
    if old is not ANY:
        image.disk[g] = old[:lead] + new + old[lead + len(new):]
    return 0


def write_and_free(fd, image, recipe, daemon):
    errors = [try_write(fd, image, g, recipe, daemon) for g in image.known()]
    must(not recipe.breaks or errno.EIO in errors, 'all of it can be written')
    _, e = daemon.timed('fsync', error_of, os.fsync, fd)
    must(not e or recipe.breaks, f'fsync: {os.strerror(e)}')
    for g in (1, 6, image.per_l2):
        if g in image.error or recipe.breaks:
            continue
        _, e = daemon.timed('punching', error_of, punch, fd, g * image.cs, image.cs)
        must(e in (0, errno.EOPNOTSUPP), f'punching guest cluster {g}: {os.strerror(e)}')
        if not e:
            image.disk.pop(g, None)


def changed_through(daemon, recipe, image, source, before):
    """Returns whether it was written."""
    path = daemon.where / 'disk.raw'
    fd, e = daemon.timed('open', error_of, os.open, path, os.O_RDWR)
    must(e == recipe.opens, f'open: {os.strerror(e)}, not {os.strerror(recipe.opens)}')
    if not e:
        try:
            write_and_free(fd, image, recipe, daemon)
        finally:
            _, e = error_of(os.close, fd)
        must(not e or recipe.breaks, f'close: {os.strerror(e)}')
    look_at_disk(daemon, path, image)
    said = daemon.log()
    must(not recipe.log or recipe.log in said, f'no word of "{recipe.log}": {said!r}')
    must(recipe.log or 'rebuilding refcounts' not in said, f'it was repaired: {said!r}')
    return not recipe.opens


def in_order(daemon, what):
    """what() between a mount and its end."""
    try:
        must(daemon.start(), f'it does not mount: {daemon.log()}')
        result = what()
        daemon.stop()
        return result
    finally:
        hangs = daemon.hangs
        daemon.clean_up()
        must(not hangs, f'{hangs} hangs')


def check_with_qemu(source, leaks):
    if not shutil.which('qemu-img'):
        return
    r = subprocess.run(['qemu-img', 'check', source], stdout=subprocess.PIPE,
                       stderr=subprocess.STDOUT, text=True)
    must(r.returncode in (0, 63) or (leaks and r.returncode == 3),
         f'qemu-img check: {r.stdout[-1500:]}')


def try_recipe(recipe, folder):
    image = recipe.make()
    source = write(image, folder / 'alone' / recipe.name)
    before = source.read_bytes() if recipe.opens else b''
    daemon = Daemon(source, folder / f'mnt-{recipe.name}', how='rw')
    written = in_order(daemon, lambda: changed_through(daemon, recipe, image, source, before))
    if not written:
        must(source.read_bytes() == before, 'it was changed')
    else:
        again = Daemon(source, folder / f'again-{recipe.name}')
        in_order(again, lambda: look_at_disk(again, again.where / 'disk.raw', image))
    if recipe.bits:
        at, mask, value = recipe.bits
        now = int.from_bytes(source.read_bytes()[at:at + 8], 'big') & mask
        must(now == value, f'the bits at {at} are {now:#x}')
    if written and recipe.sound:
        check_with_qemu(source, recipe.leaks)
    shutil.rmtree(source.parent)


def main():
    words = sys.argv[1:]
    recipes = [r for r in RECIPES if all(w in r.name for w in words)]
    folder = Path(tempfile.mkdtemp(prefix='bad-', dir=os.environ.get('TEST_TMP', '.'))).resolve()
    began = time.monotonic()
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            list(pool.map(lambda r: run_one(r.name, try_recipe, r, folder), recipes))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{len(recipes)} bad images written: {len(problems)} not ok '
          f'({time.monotonic() - began:.1f} s)', flush=True)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
