#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# We and QEMU write to an image in turn, ten times; after each turn it is sound, and both read
# the same bytes.
from writing import *

SIZE = 6 * M + 512
KINDS = {**VERSIONS, 'v2-over': ('qcow2', 'compat=0.10'), 'v3-lazy': ('qcow2', 'lazy_refcounts=on'),
         'v3-ext': ('qcow2', 'extended_l2=on'), 'v3-over': ('qcow2', 'compat=1.1,cluster_size=4k')}


def place():
    at = rng.randrange(SIZE)
    n = rng.choice([512, 4096, 64 * K, rng.randrange(1, 300000)])
    return at, min(n, SIZE - at)


def we(image, fmt, model, flags):
    with Disk(image, model, fmt=fmt, flags=flags) as d:
        for _ in range(12):
            at, n = place()
            what = rng.randrange(6)
            if what == 0:
                d.punch(at, n)
            elif what == 1:
                d.zero(at, n)
            else:
                d.write(at, rng.randbytes(n))
    return d.model


def they(image, fmt, model):
    commands = []
    for _ in range(12):
        at, n = (x // 512 * 512 for x in place())
        byte = rng.randrange(1, 256)
        if n and fmt == 'qcow2' and rng.random() < .3:
            commands.append(rng.choice(['write -z', 'write -zu']) + f' {at} {n}')
            byte = 0
        elif n:
            commands.append(f'write -P {byte} {at} {n}')
        model[at:at + n] = bytes([byte]) * n
    qio(image, *commands, fmt=fmt)
    agrees(image, model, fmt)


Path('base.raw').write_bytes(rng.randbytes(4 * M))
for kind, (fmt, options) in KINDS.items():
    image = f'{kind}.img'
    model = bytearray(SIZE)
    if kind.endswith('over'):
        create(image, SIZE, fmt=fmt, options=options, backing='base.raw', backing_format='raw')
        model[:4 * M] = Path('base.raw').read_bytes()
    else:
        create(image, SIZE, fmt=fmt, options=options)
    for i in range(100 if LONG else 10):
        model = we(image, fmt, model, os.O_DSYNC if i % 2 else 0)
        they(image, fmt, model)
