#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the commands that read on all bad images: none crashes, hangs, or takes much memory.

    bad-commands.py [WORD...]     only those with all the words in their name

An image that is refused as a whole is given to a third of them, in turn; LONG=1: to all.
bad-converts.py does the same with the commands that write.
"""
import concurrent.futures
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

sys.dont_write_bytecode = True
import make  # noqa: E402
from mounts import MEMORY, QCOWFS, SANITIZED, SECONDS, complain, problems, run_one  # noqa: E402

COMMANDS = (['info'], ['info', '--json'], ['check', '--json'], ['map', '--json'],
            ['measure', '-O', 'qcow2'], ['compare'])
CHUNK = 1 << 16


def discard(stream):
    """Its length, and its end."""
    size, end = 0, b''
    while chunk := stream.read(CHUNK):
        size, end = size + len(chunk), (end + chunk)[-1000:]
    return size, end


def try_command(name, command, source):
    """A processor works for so long at most; then the kernel ends the program."""
    operands = [source, source] if command[0] == 'compare' else [source]
    child = subprocess.Popen([QCOWFS, *command, '--backing=any', *operands],
                             stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.PIPE)
    resource.prlimit(child.pid, resource.RLIMIT_CPU, (10 * SECONDS, 10 * SECONDS))
    with child.stderr:
        size, said = discard(child.stderr)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    # The program begins as a copy of us, and other threads of ours may have grown meanwhile.
    ours = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    what = f'{name}: {" ".join(command)}'
    fine = (0, 1, 2, 3, 63) if command[0] == 'check' else (0, 1, 2, 3)
    if child.returncode not in fine or b'Sanitizer' in said or b'Assertion' in said:
        complain(what, f'status {child.returncode}: {said}')
    elif size > 1 << 20:
        complain(what, f'says {size} bytes of errors')
    # A disk that can be read is the same as itself.
    if command[0] == 'compare' and child.returncode == 1:
        complain(what, 'differs from itself')
    failed = child.returncode in ((2,) if command[0] == 'compare' else (1, 63))
    if failed and b'qcowfs: ' not in said:
        complain(what, f'fails without a reason: {said}')
    if not SANITIZED and usage.ru_maxrss > ours and usage.ru_maxrss << 10 > MEMORY:
        complain(what, f'takes {usage.ru_maxrss >> 10} MiB')


def try_recipe(recipe, number, folder):
    source = make.write(recipe.make(), folder / recipe.name)
    before = source.read_bytes() if source.stat().st_size < 1 << 26 else None
    for command in COMMANDS[number % 3::3] if recipe.refuse and not os.environ.get('LONG') else COMMANDS:
        try_command(recipe.name, command, source)
    if before is not None and source.read_bytes() != before:
        complain(recipe.name, 'a byte of it has changed')
    if number % 2 == 0 or os.environ.get('LONG'):
        try_command(recipe.name, ['check', '-r', 'all'], source)
    shutil.rmtree(source.parent)


def main():
    recipes = [r for r in make.RECIPES if all(w in r.name for w in sys.argv[1:])]
    with tempfile.TemporaryDirectory(dir=os.environ.get('TEST_TMP')) as folder, \
            concurrent.futures.ThreadPoolExecutor(os.cpu_count() + 1) as pool:
        for done in [pool.submit(run_one, r.name, try_recipe, r, n, Path(folder).resolve())
                     for n, r in enumerate(recipes)]:
            done.result()
    print(f'{len(recipes)} bad images: {len(problems)} problems')
    sys.exit(1 if problems or not recipes else 0)


if __name__ == '__main__':
    main()
