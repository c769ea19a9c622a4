#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Converts, flattens and commits bad images: nothing crashes, hangs, or lies.

    bad-converts.py [WORD...]     only those with all the words in their name

A damaged image ends with status 1, and leaves no half of a new file.  One that can be read
gives the disk that it has.
"""
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import make  # noqa: E402
from mounts import PATIENCE, QCOWFS, complain, problems  # noqa: E402


def command(name, verb, *argv):
    """The status; None if it was neither 0 nor 1."""
    try:
        r = subprocess.run([QCOWFS, verb, *map(str, argv)], stdin=subprocess.DEVNULL,
                           capture_output=True, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        complain(name, f'{verb} hangs')
        return None
    if r.returncode not in (0, 1) or (r.returncode == 1) != bool(r.stderr and b'qcowfs: ' in r.stderr):
        if r.returncode != 0:
            complain(name, f'{verb}: {r.returncode} {r.stderr[-500:]!r}')
            return None
    return r.returncode


def differs(image, path):
    """The first cluster that is not as the recipe says."""
    with open(path, 'rb') as f:
        for guest, data in image.disk.items():
            if not isinstance(data, (bytes, bytearray)):
                continue  # a recipe that does not say
            f.seek(guest * len(data))
            if f.read(len(data)) != data:
                return guest
    return None


def try_one(recipe, number, folder):
    image = recipe.make()
    source = make.write(image, folder / recipe.name)
    out = source.parent / 'out'
    bad = bool(recipe.refuse or image.refused or image.error) and not recipe.hidden
    # An image that is refused as a whole is refused by the first command: then one more, in turn.
    turn = number % 3 if recipe.refuse and not os.environ.get('LONG') else None
    for argv in (['-O', 'raw'], ['-c', '-O', 'qcow2']):
        if argv[0] == '-c' and turn not in (None, 0):
            continue
        status = command(recipe.name, 'convert', *argv, source, out)
        if status == 1 and out.exists():
            complain(recipe.name, f'convert {argv}: it leaves a file')
        if bad and status == 0 and not recipe.options:
            complain(recipe.name, f'convert {argv}: no error')
        if not bad and not recipe.hidden and status == 0 and argv[1] == 'raw' and differs(image, out) is not None:
            complain(recipe.name, f'convert: guest cluster {differs(image, out)} is another')
        if out.exists():
            out.unlink()
    if turn in (None, 1):
        command(recipe.name, 'commit', '-d', source)
    if turn in (None, 2):
        command(recipe.name, 'rebase', '-b', '', source)
    shutil.rmtree(source.parent)


def main():
    recipes = [r for r in make.RECIPES if all(w in r.name for w in sys.argv[1:])]
    folder = Path(tempfile.mkdtemp(prefix='bad-', dir=os.environ.get('TEST_TMP', '.'))).resolve()
    try:
        with concurrent.futures.ThreadPoolExecutor(4) as pool:
            for r, done in [(r, pool.submit(try_one, r, n, folder)) for n, r in enumerate(recipes)]:
                try:
                    done.result()
                except Exception as e:  # noqa: BLE001
                    complain(r.name, repr(e))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f'{len(recipes)} bad images: {len(problems)} not ok')
    sys.exit(1 if problems else 0)


if __name__ == '__main__':
    main()
