#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Persistent dirty bitmaps of QEMU stay true while the image is written at random through a mount:
# QEMU finds the bits of the model, by turns writes on itself, and finds neither corruption nor leak.
from dirtybits import *

TURNS = 20 if LONG else 4
OPS = 60


def write_by_qemu(image, size, models):
    commands = []
    for _ in range(rng.randrange(1, 6)):
        off = rng.randrange(size // 512) * 512
        length = min(rng.randrange(1, 300) * 512, size - off)
        commands.append(rng.choice([f'write -P {rng.randrange(256)} {off} {length}',
                                    f'write -z {off} {length}', f'discard {off} {length}']))
        for m in models.values():
            m.mark(off, length)
    qio(image, *commands)


def write_by_us(d, size, models, resizes):
    for _ in range(OPS):
        off = rng.randrange(size)
        length = min(rng.choice([1, 512, 5000, 70000, 400000]), size - off)
        what = rng.choice(['write'] * 4 + ['punch', 'zero'] + ['resize'] * resizes)
        if what == 'write':
            d.write(off, rng.randbytes(length))
        elif what == 'resize':
            new = rng.randrange(1, 24) * 400 * K // 512 * 512
            d.resize(new)
            for m in models.values():
                m.resize(size, new)
            size = new
            continue
        else:
            getattr(d, what)(off, length)
        for m in models.values():
            m.mark(off, length)
    return size


def walk(name, size, options, bitmaps, resizes=0, mount=(), turns=TURNS):
    image = create(f'{name}.qcow2', size, options=options)
    models = {n: add_bitmap(image, n, g, enabled) for n, g, enabled in bitmaps}
    for _ in range(turns):
        write_by_qemu(image, size, models)
        qemu_agrees(image, models, size)
        d = Disk(image, raw_of(image), *mount)
        size = write_by_us(d, size, models, resizes)
        for m in models:
            check(('in-use' in bitmap_info(image)[m]) == (models[m].enabled or resizes > 0),
                  f'{m} is marked while it is written')
        with d:
            pass
        qemu_agrees(image, models, size)
    qemu_merges(image, models, size)


G = [('small', 512, True), ('64k', 65536, True), ('off', 4096, False), ('huge', 2 * G, True)]
walk('plain', 8 * M, '', G)
walk('resized', 8 * M, '', G, resizes=1)
walk('512', 4 * M, 'cluster_size=512', G, resizes=1, turns=2)
walk('subclusters', 8 * M, 'extended_l2=on', G, turns=2)
walk('external', 8 * M, 'data_file=external.raw', G[:2], mount=('data-file=external.raw',), turns=2)
# Dirty bits take more memory than there is, and are stored in between.
walk('paged', 64 * M, 'cluster_size=4k', [(f'b{i}', 512, True) for i in range(20)],
     mount=('cache-size=256K',), turns=1)
