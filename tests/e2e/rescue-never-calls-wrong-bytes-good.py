#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Whatever bytes of the metadata are flipped, and wherever the file is cut, a byte that the map calls
# good is right.  FLIPS=2000 and CUTS=1 take longer.
# sanitize: none
from rescued import *

FLIPS, CUTS = int(os.environ.get('FLIPS', 60)), int(os.environ.get('CUTS', 0))
TOGETHER = 100  # images in one mount
KINDS = [('4k', 'cluster_size=4k', (), 'qcow2'), ('64k', 'cluster_size=64k', (), 'qcow2'),
         ('512', 'cluster_size=512', (), 'qcow2'), ('extended', 'extended_l2=on,cluster_size=16k', (), 'qcow2'),
         ('deflate', 'cluster_size=4k', ('-c',), 'qcow2'), ('refcount-1', 'refcount_bits=1,cluster_size=4k', (), 'qcow2'),
         ('version-1', '', (), 'qcow'), ('snapshot', 'cluster_size=4k', (), 'qcow2')]
SIZE = 1 * M
totals = {'images': 0, 'refused': 0}


def metadata_of(name, kind):
    """Host offsets of sectors that hold no guest data."""
    if kind == 'deflate':
        h = head(name)
        blocks = [w for w in words(peek(name, h['reftable'], h['cluster'])) if w]
        starts = [0, h['l1'], h['reftable'], *blocks, *l2_tables(name)]
        return [s + i for s in starts for i in range(0, h['cluster'], 512)]
    data = Path(name).read_bytes()
    return [i for i in range(0, len(data), 512) if not data[i:i + 4] == b'GEN ']


def make_images():
    made = {}
    for kind, options, extra, fmt in KINDS:
        disk = make_full(f'{kind}.base', SIZE, options, extra, fmt)
        if kind == 'snapshot':
            run('qemu-img', 'snapshot', '-c', 'one', f'{kind}.base')
            write_generation(f'{kind}.base', 2, 256 * K, 64 * K)
            disk = disk[:256 * K] + sectors(2, 512, 128) + disk[320 * K:]
        made[kind] = (disk, metadata_of(f'{kind}.base', kind))
    return made


def flip(name, where):
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.choice(where) + rng.randrange(512)
        poke(name, at, bytes([peek(name, at, 1)[0] ^ rng.randrange(1, 256)]))


def judge_good(m, name, disk):
    """Checks the good bytes of one image of the mount."""
    totals['images'] += 1
    try:
        with open(m.path(f'{name}.map')) as f:
            text = f.read()
        with open(m.path(f'{name}.raw'), 'rb') as f:
            raw = f.read(len(disk))
    except OSError:
        totals['refused'] += 1
        return
    for start, n, status in read_map(text):
        totals[status] = totals.get(status, 0) + n // SECTOR
        for at in range(start, min(start + n, len(raw)), SECTOR):
            if status == '+' and raw[at:at + SECTOR] != disk[at:at + SECTOR]:
                shutil.copy(f'many/{name}.qcow2', f'{name}.wrong')
                check(False, f'{name}: the good sector at {at:#x} is right')
                return


def judge_all(made, names):
    with Mount('many', '-o', 'rescue,lost=mark') as m:
        for name in names:
            judge_good(m, name, made[name.rsplit('_', 1)[0]][0])
    for name in names:
        os.unlink(f'many/{name}.qcow2')


def campaign(made, makers):
    os.makedirs('many', exist_ok=True)
    names = []
    for kind, number, change in makers:
        names.append(f'{kind}_{number}')
        shutil.copy(f'{kind}.base', f'many/{names[-1]}.qcow2')
        change(f'many/{names[-1]}.qcow2')
        if len(names) == TOGETHER:
            judge_all(made, names)
            names = []
    judge_all(made, names)


images = make_images()
kinds = list(images)
campaign(images, ((kinds[i % len(kinds)], i, lambda n, w=images[kinds[i % len(kinds)]][1]: flip(n, w))
                  for i in range(FLIPS)))
print('# flips', totals)
if CUTS:
    for key in list(totals):
        totals[key] = 0
    campaign(images, ((kind, at, lambda n, at=at: os.truncate(n, at)) for kind in ('deflate', 'snapshot', 'version-1')
                      for at in range(512, os.path.getsize(f'{kind}.base'), 512)))
    print('# cuts', totals)
check(totals['images'] > 0, 'images were judged')
