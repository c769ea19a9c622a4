#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Mounts bad images: nothing crashes, hangs, grows, or lies.

    bad-images.py [WORD...]     only those with all the words in their name

Each recipe of make.py is mounted alone, where it must be refused in one line, or
fail where it is damaged and nowhere else; then all of them are looked at through
one mount of their folder.  So are good images cut at every sector, and good
images with a bit flipped, or some bytes changed ($SEED, $FLIPS: how many of each),
which are written a little, too.
"""
import concurrent.futures
import errno
import hashlib
import os
import random
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
import make  # noqa: E402
from mounts import (MEMORY, QCOWFS, REFUSALS, SANITIZED, SECONDS, SEED, Daemon,  # noqa: E402
                    Wrong, complain, error_of, look_at_disk, must, problems, run_one)

FLIPS = int(os.environ.get('FLIPS', 30 if SANITIZED else 80))  # changed images of each good one
WRITE_ERRORS = (0, errno.EIO, errno.ENOSPC, errno.EROFS, errno.EFBIG)


# ---- each recipe, mounted alone ---------------------------------------------------

def refused_in_one_line(recipe, daemon, source):
    must(daemon.process.returncode == recipe.status,
         f'status {daemon.process.returncode}, not {recipe.status}: {daemon.log()}')
    said = daemon.log()
    must(said.startswith(f'qcowfs: {source}: ') and said.endswith('\n') and
         said.count('\n') == 1, f'not one line "qcowfs: {source}: WHY": {said!r}')
    must(not re.search('[\0-\x09\x0b-\x1f\x7f-\x9f]', said), f'control bytes: {said!r}')
    must(recipe.refuse in said, f'no word of "{recipe.refuse}": {said!r}')
    must(daemon.cpu() < SECONDS, f'takes {daemon.cpu():.1f} s of a processor')
    must(SANITIZED or daemon.memory() < MEMORY, f'takes {daemon.memory() >> 20} MiB')


def mount_alone(recipe, folder):
    image = recipe.make()
    source = make.write(image, folder / 'alone' / recipe.name)
    daemon = Daemon(source, folder / f'mnt-{recipe.name}', recipe.options)
    try:
        if not daemon.start():
            must(recipe.refuse, f'it does not mount: {daemon.log()}')
            refused_in_one_line(recipe, daemon, source)
            return
        must(not recipe.refuse, f'it mounts, with no word of "{recipe.refuse}"')
        look_at_disk(daemon, daemon.where / 'disk.raw', image)
        said = daemon.log()
        if recipe.log:
            must(recipe.log in said, f'no word of "{recipe.log}": {said!r}')
        daemon.stop()
    finally:
        hangs = daemon.hangs
        daemon.clean_up()
        shutil.rmtree(source.parent)
        must(not hangs, f'{hangs} hangs')


# ---- all of them in one folder ----------------------------------------------------

def look_in_folder(recipe, image, daemon):
    path = daemon.where / recipe.name / 'disk.raw'
    if recipe.hidden:
        must(not path.exists(), 'it is shown')
        return
    if not image.refused:
        look_at_disk(daemon, path, image)
        return
    must(daemon.timed('stat', os.stat, path).st_size == 0, 'it is listed with a size')
    _, e = daemon.timed('open', error_of, os.open, path, os.O_RDONLY)
    must(e == (errno.EACCES if recipe.status == 4 else errno.EIO),
         f'open: {os.strerror(e)}')


def said_in_folder(recipe, lines):
    word = recipe.refuse or recipe.log
    if recipe.hidden or not word:
        return
    about = [x for x in lines if f'{recipe.name}/' in x]
    must(any(word in x for x in about), f'no word of "{word}" in the log: {about}')


def try_each(what, daemon, items, check):
    """Returns whether it lived to the end."""
    for name, *args in items:
        try:
            check(*args, daemon)
        except Wrong as e:
            complain(f'{what}/{name}', e)
        except OSError as e:
            complain(f'{what}/{name}', f'{e}: {daemon.log()[-2000:]}')
        if daemon.hangs or daemon.ended():
            complain(f'{what}/{name}', f'{daemon.hangs} hangs' if daemon.hangs else
                     f'it crashed: {daemon.process.returncode}: {daemon.log()[-4000:]}')
            return False
    return True


def through_one_mount(what, source, folder, items, check, how='ro'):
    """check(*item[1:], daemon) of each; the log."""
    daemon = Daemon(source, folder / f'mnt-{what}', how=how)
    try:
        must(daemon.start(), f'the folder does not mount: {daemon.log()}')
        if try_each(what, daemon, items, check):
            daemon.stop()
        return daemon.log().splitlines()
    finally:
        daemon.clean_up()


def bad_folder(recipes, folder):
    items = []
    for r in recipes:
        if r.folder and not r.options:
            image = r.make()
            make.write(image, folder / 'all' / r.name)
            image.file = image.beside = None
            items.append((r.name, r, image))
    lines = through_one_mount('folder', folder / 'all', folder, items, look_in_folder)
    for name, r, image in items:
        try:
            said_in_folder(r, lines)
        except Wrong as e:
            complain(f'folder/{name}', e)
    return len(items)


# ---- good images, cut short ---------------------------------------------------------

def is_true(image, g, got, cut):
    """Its own bytes; zeros only beyond the end of the file, in the last cluster of
    data."""
    want = image.disk.get(g, bytes(image.cs))
    if got == want:
        return True
    host = image.host.get(g)
    if host is None or g in (2, 6, 7) or not host < cut < host + image.cs:
        return False
    return got == want[:cut - host] + bytes(host + image.cs - cut)


def look_at_cut(image, cut, name, daemon):
    path = daemon.where / name
    if cut < 4:
        must(not path.exists(), 'it is shown')
        return
    fd, e = daemon.timed('open', error_of, os.open, path, os.O_RDONLY)
    must(e in (0, *REFUSALS), f'open: {os.strerror(e)}')
    if e:
        return
    wrong = []
    for g in image.known():
        got, e = daemon.timed('read', error_of, os.pread, fd, image.cs, g * image.cs)
        must(e in (0, errno.EIO), f'guest cluster {g}: {os.strerror(e)}')
        if not e and not is_true(image, g, got, cut):
            wrong.append(g)
    os.close(fd)
    must(not wrong, f'guest clusters {wrong} have wrong bytes')


def cut_images(bases, folder):
    items = []
    for base in bases:
        image = make.GOOD[base]()
        make.write(image, folder / 'cut' / base)
        end = len(image.file) if image.cs < 16384 else image.metadata + 512
        for cut in range(0, end, 512):
            name = f'at-{cut}'
            (folder / 'cut' / base / name).write_bytes(image.file[:cut])
            items.append((f'{base}-{name}', image, cut, f'{base}/{name}.raw'))
    through_one_mount('cut', folder / 'cut', folder, items, look_at_cut)
    return len(items)


# ---- good images with a bit flipped ---------------------------------------------------

def metadata_bytes(image):
    """Where a bit means something."""
    used = list(range(0, 160)) + list(range(image.l1, image.l1 + 24))
    for g in [*range(8), image.per_l2, image.per_l2 + 1]:
        used += range(image.entry_at(g), image.entry_at(g) + image.entry_bytes)
    return used


def read_places(fd, image, daemon):
    """(offset, length) -> bytes, or None where it fails."""
    size = os.fstat(fd).st_size
    places = [(g * image.cs, image.cs) for g in image.known()]
    places += [(0, 128 << 10), (max(0, size - 4096), 4096), (size // 2, 1000)]
    got = {}
    for at, n in places:
        got[at, n], e = daemon.timed('read', error_of, os.pread, fd, n, at)
        must(e in (0, errno.EIO, errno.EINVAL), f'read at {at:#x}: {os.strerror(e)}')
    return got


def must_be_as_before(before, after, written):
    """Except for written bytes; (offset, bytes) in turn."""
    for (at, n), old in before.items():
        new = after[at, n]
        if old is None or new is None:
            continue
        want = bytearray(old)
        for w, data in written:
            first, end = max(at, w), min(at + len(old), w + len(data))
            if first < end:
                want[first - at:end - at] = data[first - w:end - w]
        must(new == want, f'when it was written the {n} bytes at {at:#x} are others')


def look_at_flipped(image, name, last, daemon):
    path = daemon.where / name
    if not path.exists():
        return
    size = daemon.timed('stat', os.stat, path).st_size
    fd, e = daemon.timed('open', error_of, os.open, path, os.O_RDONLY)
    must(e in (0, *REFUSALS), f'open: {os.strerror(e)}')
    if e:
        return
    before = read_places(fd, image, daemon)
    at = 0
    for whence in (os.SEEK_DATA, os.SEEK_HOLE) * 3:
        at, e = daemon.timed('lseek', error_of, os.lseek, fd, at, whence)
        must(e in (0, errno.EIO, errno.ENXIO), f'lseek: {os.strerror(e)}')
        if e:
            break
    written, safe = write_a_little(path, size, daemon)
    if written is not None:
        after = read_places(fd, image, daemon)
        must_be_as_before(before, after, written)
        if safe:
            last[name] = digests(after)
    os.close(fd)


def digests(got):
    """In little memory, for there are many."""
    return {place: data and hashlib.sha256(data).digest() for place, data in got.items()}


def look_again(image, name, last, daemon):
    """It was written, and that is on disk."""
    if name not in last:
        return
    fd, e = daemon.timed('open', error_of, os.open, daemon.where / name, os.O_RDONLY)
    must(not e, f'open again: {os.strerror(e)}')
    now = digests(read_places(fd, image, daemon))
    os.close(fd)
    for (at, n), digest in last[name].items():
        must(None in (digest, now[at, n]) or digest == now[at, n],
             f'opened again the {n} bytes at {at:#x} are others')


def write_a_little(path, size, daemon):
    """Reads again each write that had no error.  Returns (offset, bytes) of each, and
    whether they are on disk; None if it may be anything."""
    fd, e = daemon.timed('open to write', error_of, os.open, path, os.O_RDWR)
    must(e in (0, errno.EROFS, *REFUSALS), f'open to write: {os.strerror(e)}')
    if e:
        return [], False
    errors, written = [], []
    for at, n, byte in [(700, 3000, b'a'), (size // 2, 512, b'b'), (max(0, size - 999), 999, b'c')]:
        n = min(n, max(0, size - at))
        done, e = daemon.timed('write', error_of, os.pwrite, fd, byte * n, at)
        must(e in WRITE_ERRORS, f'write at {at:#x}: {os.strerror(e)}')
        errors.append(e or done != n)
        written.append((at, byte * n))
        if not e and done == n:
            got, e = daemon.timed('read', error_of, os.pread, fd, n, at)
            must(e or got == byte * n, f'write at {at:#x}: it reads other bytes then')
    for call in (lambda: os.fsync(fd), lambda: os.close(fd)):
        _, e = daemon.timed('sync', error_of, call)
        must(e in WRITE_ERRORS, f'sync: {os.strerror(e)}')
        errors.append(e)
    return (None, False) if any(errors) else (written, True)


def flipped_images(bases, folder):
    rng = random.Random(SEED)
    items, last = [], {}
    for base in bases:
        image = make.GOOD[base]()
        make.write(image, folder / 'flipped' / base)
        used = metadata_bytes(image)
        for _ in range(FLIPS):
            at = rng.choice(used) if rng.random() < 0.8 else rng.randrange(image.metadata)
            data = bytearray(image.file)
            if rng.random() < 0.7:
                bit = rng.randrange(8)
                data[at] ^= 1 << bit
                name = f'byte-{at}-bit-{bit}'
            else:
                new = rng.randbytes(rng.choice((1, 2, 4, 8)))
                data[at:at + len(new)] = new
                name = f'byte-{at}-{new.hex()}'
            (folder / 'flipped' / base / name).write_bytes(data)
            items.append((f'{base}-{name}', image, f'{base}/{name}.raw', last))
    through_one_mount('flipped', folder / 'flipped', folder, items, look_at_flipped,
                      how='rw')
    through_one_mount('again', folder / 'flipped', folder, items, look_again)
    return len(items)


# ---------------------------------------------------------------------------------

def main():
    words = sys.argv[1:]
    if not os.access(QCOWFS, os.X_OK):
        sys.exit(f'no program {QCOWFS} ($QCOWFS)')
    recipes = [r for r in make.RECIPES if all(w in r.name for w in words)]
    bases = [b for b in make.GOOD if not words or all(w in b for w in words)]
    folder = Path(tempfile.mkdtemp(prefix='bad-', dir=os.environ.get('TEST_TMP', '.'))).resolve()
    print(f'# SEED={SEED}', flush=True)
    began = time.monotonic()
    jobs = []
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            def job(name, *call):
                jobs.append((name, pool.submit(run_one, name, *call)))

            job('folder', bad_folder, recipes, folder)
            if bases:
                job('cut', cut_images, bases, folder)
                job('flipped', flipped_images, bases, folder)
            for r in recipes:
                job(f'alone/{r.name}', mount_alone, r, folder)
        looked = {name: future.result() for name, future in jobs}
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{len(recipes)} bad images alone, {looked["folder"]} in a folder, '
          f'{looked.get("cut", 0)} cut, {looked.get("flipped", 0)} flipped: '
          f'{len(problems)} not ok ({time.monotonic() - began:.1f} s)', flush=True)
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
