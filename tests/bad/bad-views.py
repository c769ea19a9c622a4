#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""-o snapshots and -o info of bad images.

    bad-views.py [WORD...]      only those with all the words in their name

Each recipe is mounted alone, for reading.  Opening an invalid snapshot fails, the disk
itself can be read, and the facts of the image are JSON.
"""
import errno
import json
import os
import shutil
import struct
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
from make import (NEW, RECIPES as UNREADABLE, Recipe, bitmaps,  # noqa: E402
                  recipes_of, snapshot, up, write)
from mounts import (Daemon, complain, error_of, look_at_disk, must, problems, run_one)  # noqa: E402


class Shown(Recipe):
    """shown: the snapshots, or errno of looking for them; opens: errno of the disk of each;
    said: (key, value) in the page."""
    def __init__(self, *args, shown=(), opens=0, said=None, **how):
        super().__init__(*args, **how)
        self.shown, self.opens, self.said = shown, opens, said


RECIPES = []
bad, each = recipes_of(Shown, RECIPES)


# ---- snapshots ------------------------------------------------------------------

ONE = {'shown': ('one',)}
L1_IMPOSSIBLE = {**ONE, 'opens': errno.EIO, 'log': 'the L1 table of the snapshot is impossible'}
SIZE_IMPOSSIBLE = {**ONE, 'opens': errno.EIO, 'log': 'the size of the snapshot is impossible'}
DAMAGED = {'shown': errno.EIO, 'log': 'snapshots'}


@bad(NEW, **ONE)
def snapshot_as_it_should_be(i):
    snapshot(i)


@bad('v3 ext', **ONE)
def snapshot_with_an_l1_longer_than_that_of_the_disk(i):
    snapshot(i, entries=i.cs // 8)


@each(NEW, [4194305, 0xffffffff], 'snapshot-with-an-l1-of-%s-entries', **L1_IMPOSSIBLE)
def snapshot_l1_entries(i, v):
    snapshot(i, entries=v)


@bad(NEW, **L1_IMPOSSIBLE)
def snapshot_with_an_l1_unaligned(i):
    snapshot(i, l1=i.l1 + 8)


@each(NEW, [0, 1 << 40, 1 << 63, (1 << 64) - (1 << 21)], 'snapshot-with-an-l1-at-%s',
      **L1_IMPOSSIBLE)
def snapshot_l1_far(i, v):
    snapshot(i, l1=v)


@each(NEW, [1 << 63, (1 << 64) - 512, 1 << 62], 'snapshot-of-%s-bytes', **SIZE_IMPOSSIBLE)
def snapshot_size(i, v):
    snapshot(i, size=v)


@bad(NEW, **SIZE_IMPOSSIBLE)
def snapshot_with_an_l1_too_short(i):
    snapshot(i, entries=2)


@each('v3', [1025, 0xffffffff], 'snapshot-with-%s-bytes-of-extra-data', **DAMAGED)
def snapshot_extra(i, v):
    snapshot(i, extra=v)


@bad('v3', **DAMAGED)
def snapshot_table_is_garbage(i):
    at = up(len(i.file), i.cs)
    i.write(at, b'\xff' * i.cs)
    i.put(60, 'IQ', 65536, at)


@bad('v3', **DAMAGED)
def snapshot_table_over_64_mib(i):
    row = struct.pack('>QIHHIIQII', i.l1, 3, 0xffff, 0xffff, 1, 0, 0, 0, 0)
    at = up(len(i.file), i.cs)
    for n in range(600):
        i.write(at + n * (40 + 2 * 0xffff + 2), row)
    i.write(at + 600 * (40 + 2 * 0xffff + 2), b'')
    i.put(60, 'IQ', 600, at)


@bad('v3', shown=('%2E.%2F%2Fetc%1B[2J%25s%0A',))
def snapshot_with_a_hostile_name(i):
    snapshot(i, name=b'..//etc\x1b[2J%s\n')


# ---- the page ---------------------------------------------------------------------

NO_BITMAPS = {'said': ('bitmaps-error', 'the bitmap directory is damaged, or too large')}


@bad('v3', said=('bitmaps-valid', True))
def bitmaps_as_they_should_be(i):
    bitmaps(i)


@each('v3', [65536, 0xffffffff], 'bitmaps-of-number-%s', **NO_BITMAPS)
def bitmaps_many(i, v):
    bitmaps(i, n=v)


@each('v3', [0, 31, 67107841, 1 << 63, (1 << 64) - 1], 'bitmap-directory-of-%s-bytes', **NO_BITMAPS)
def bitmap_directory_size(i, v):
    bitmaps(i, size=v)


@each('v3', [0, 1 << 40, 1 << 63, (1 << 64) - 8], 'bitmap-directory-at-%s', **NO_BITMAPS)
def bitmap_directory_place(i, v):
    bitmaps(i, offset=v)


# ---- one of them --------------------------------------------------------------------

def look_at_snapshots(recipe, daemon):
    folder = daemon.where / 'disk.snapshots'
    names, e = daemon.timed('listing', error_of, os.listdir, folder)
    if not isinstance(recipe.shown, tuple):
        must(e == recipe.shown or (not e and not names), f'listed: {names}, {os.strerror(e or 0)}')
        return
    if not recipe.shown and not names:
        return
    must(not e and sorted(names) == sorted(recipe.shown), f'shown: {names}, {os.strerror(e or 0)}')
    for name in names:
        fd, e = daemon.timed('open', error_of, os.open, folder / name / 'disk.raw', os.O_RDONLY)
        must(e == recipe.opens, f'open {name}: {os.strerror(e)}')
        if not e:
            got, e = daemon.timed('read', error_of, os.pread, fd, 1 << 16, 0)
            os.close(fd)
            must(not e and not any(got), f'{name} has other bytes: {os.strerror(e)}')


def page_of(daemon):
    text, e = daemon.timed('the page', error_of, (daemon.where / 'disk.json').read_bytes)
    must(not e, f'the page: {os.strerror(e)}')
    return json.loads(text)


def look_at_page(recipe, daemon):
    page = page_of(daemon)
    if recipe.said:
        key, value = recipe.said
        must(page['qcowfs'].get(key) == value, f'not {key} {value!r} in {page["qcowfs"]}')


def mounted(daemon, what):
    try:
        must(daemon.start(), f'it does not mount: {daemon.log()}')
        what()
        daemon.stop()
    finally:
        hangs = daemon.hangs
        daemon.clean_up()
        must(not hangs, f'{hangs} hangs')


def try_recipe(recipe, folder):
    image = recipe.make()
    source = write(image, folder / recipe.name)
    daemon = Daemon(source.parent, folder / f'mnt-{recipe.name}', 'snapshots,info')

    def look():
        look_at_disk(daemon, daemon.where / 'disk.raw', image)
        look_at_snapshots(recipe, daemon)
        look_at_page(recipe, daemon)
        said = daemon.log()
        must(not recipe.log or recipe.log in said, f'no word of "{recipe.log}": {said!r}')

    mounted(daemon, look)
    shutil.rmtree(source.parent)


# ---- all that cannot be opened, in one folder ------------------------------------------

def try_pages(recipes, folder):
    """They say why; and nothing was opened that an image names."""
    source = folder / 'unreadable'
    for r in recipes:
        write(r.make(), source / r.name)
    daemon = Daemon(source, folder / 'mnt-unreadable', 'info')

    def look():
        for r in recipes:
            text = daemon.timed(r.name, (daemon.where / r.name / 'disk.json').read_bytes)
            error = json.loads(text).get('error', '')
            # An encrypted image is only read if there is a key.
            if r.refuse not in error and 'encrypted (LUKS)' not in error:
                complain(f'page/{r.name}', f'no word of "{r.refuse}": {error!r}')

    mounted(daemon, look)


def main():
    words = sys.argv[1:]

    def wanted(r):
        return all(w in r.name for w in words)

    recipes = [r for r in RECIPES if wanted(r)]
    refused = [r for r in UNREADABLE if wanted(r) and r.refuse and r.folder and not r.hidden and
               not r.options]
    folder = Path(tempfile.mkdtemp(prefix='bad-', dir=os.environ.get('TEST_TMP', '.'))).resolve()
    began = time.monotonic()
    try:
        for r in recipes:
            run_one(r.name, try_recipe, r, folder)
        run_one('pages', try_pages, refused, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{len(recipes)} bad images shown, {len(refused)} pages of others: {len(problems)} not ok '
          f'({time.monotonic() - began:.1f} s)', flush=True)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
