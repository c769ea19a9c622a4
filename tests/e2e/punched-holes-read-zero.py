#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A punched hole, or a zeroed range, of any bytes reads as zeros, and nothing else does: with each
# version, over a backing file (longer, or shorter), over packed clusters, and with snapshots.
from writing import *

SIZE = 3 * M + 512
BACKING = {'none': 0, 'same': SIZE, 'long': 5 * M, 'short': M + 700}
KINDS = {**VERSIONS, 'v3-4k': ('qcow2', 'cluster_size=4k'),
         'v3-ext': ('qcow2', 'extended_l2=on'), 'v2-512': ('qcow2', 'compat=0.10,cluster_size=512')}


def prepare(name, fmt, options, backing):
    """An image with content; it, as a model."""
    content = random.Random(SEED).randbytes(max(SIZE, BACKING[backing]))
    if backing == 'none':
        Path('raw').write_bytes(content[:SIZE])
        convert('raw', name, fmt=fmt, options=options, extra=rng.choice([(), ('-c',)]))
        return content[:SIZE]
    Path(f'{backing}.raw').write_bytes(content[:BACKING[backing]])
    create(name, SIZE, fmt=fmt, options=options, backing=f'{backing}.raw', backing_format='raw')
    qio(name, 'write -P 7 1M 700k', fmt=fmt)
    model = bytearray(content[:BACKING[backing]][:SIZE].ljust(SIZE, b'\0'))
    model[M:M + 700 * K] = b'\7' * (700 * K)
    return model


def places():
    for at in 0, 1, 511, 4095, 64 * K - 1, 64 * K, M - 1, M + 64 * K + 1, SIZE - 512:
        for n in 1, 2, 512, 4097, 64 * K - 1, 128 * K + 2:
            yield at, n
    yield SIZE - 1, 1
    yield SIZE - 5000, 100000
    yield 2 * M - 3, M


for kind, (fmt, options) in KINDS.items():
    for backing in BACKING:
        image = f'{kind}-{backing}.img'
        model = prepare(image, fmt, options, backing)
        if fmt == 'qcow2':
            run('qemu-img', 'snapshot', '-c', 'before', image)
        with Disk(image, model, fmt=fmt) as d:
            for at, n in rng.sample([*places()], 20):
                rng.choice([d.punch, d.zero])(at, n)
                d.compare() if rng.random() < .2 else None
                if rng.random() < .3:
                    d.write(max(at - 10, 0), b'again')
        if fmt == 'qcow2':
            run('qemu-img', 'snapshot', '-a', 'before', image)
            agrees(image, model)
