#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs compare` tells what `qemu-img compare` tells, with its exit status.
from variants import *


def ours(*argv):
    return subprocess.run([QCOWFS, 'compare', *argv], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def theirs(*argv):
    return subprocess.run(['qemu-img', 'compare', *argv], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True)


def same(*argv, status=None):
    a, b = ours(*argv), theirs(*argv)
    check((a.returncode, a.stdout) == (b.returncode, b.stdout) and not a.stderr,
          f'compare {argv}: {b} and not {a}')
    check(status is None or a.returncode == status, f'compare {argv}: status {status}: {a}')


# Every kind of image is its own raw copy, until a sector changes.
for v in variants():
    Path('raw').write_bytes(v.raw())
    r = ours(*v.our_args(), v.name, 'raw')
    check(r.returncode == 0 and r.stdout == 'Images are identical.\n', f'{v.name}: {r}')
    for at in 4 * M - 1, 1 * M + 700, 5:
        was = peek('raw', at, 1)
        poke('raw', at, bytes([was[0] ^ 1]))
        r = ours(*v.our_args(), v.name, 'raw')
        check(r.returncode == 1 and r.stdout == f'Content mismatch at offset {at // 512 * 512}!\n',
              f'{v.name} at {at}: {r}')
    if not v.crypt and not v.data:
        same('-f', v.fmt, '-F', 'raw', v.name, 'raw', status=1)
        same('-f', v.fmt, '-F', 'raw', '-q', v.name, 'raw', status=1)
        check(ours('-s', v.name, 'raw').returncode == 1, 'strict')
        same('-f', v.fmt, '-F', v.fmt, '-s', v.name, v.name, status=0)

# Disks of different sizes: zeros behind the end, or data.
create('small.qcow2', '1M'), create('large.qcow2', '5M'), create('full.qcow2', '5M')
for name in 'small.qcow2', 'large.qcow2', 'full.qcow2':
    qio(name, 'write -P 7 100k 300k')
qio('large.qcow2', 'write -z 3M 1M')
qio('full.qcow2', 'write -P 1 4M 1k')
for pair in ('small.qcow2', 'large.qcow2'), ('large.qcow2', 'small.qcow2'):
    same(*pair, status=0), same('-s', *pair, status=1), same('-q', *pair, status=0)
for pair in ('small.qcow2', 'full.qcow2'), ('full.qcow2', 'small.qcow2'), \
            ('large.qcow2', 'full.qcow2'):
    same(*pair, status=1), same('-s', *pair, status=1)

# Two overlays of one base: what both read from it is not compared.
create('huge.qcow2', '1T')
for name in 'a.qcow2', 'b.qcow2':
    create(name, backing='huge.qcow2', backing_format='qcow2')
    qio(name, 'write -P 3 900G 64k')
same('a.qcow2', 'b.qcow2', status=0)
qio('b.qcow2', 'write -P 4 901G 1')
same('a.qcow2', 'b.qcow2', status=1)
Path('odd.raw').write_bytes(b'x' * 1000)
same('-f', 'raw', '-F', 'raw', 'odd.raw', 'odd.raw', status=0)

# What cannot be compared has the status 2, and one line.
for argv in ([], ['small.qcow2'], ['small.qcow2', 'missing'], ['missing', 'small.qcow2'],
             ['-f', 'qcow', 'small.qcow2', 'small.qcow2'], ['-f', 'x', 'small.qcow2', 'large.qcow2'],
             ['--backing=none', 'a.qcow2', 'b.qcow2'], ['-x', 'small.qcow2', 'large.qcow2']):
    r = ours(*argv)
    check(r.returncode == 2 and not r.stdout and r.stderr.count('\n') == 1 and
          r.stderr.startswith('qcowfs: '), f'compare {argv}: {r}')
