#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs convert --bitmap` stores what is dirty in a bitmap, zeros included, and nothing else;
# `--bitmaps` copies bitmaps as `qemu-img convert --bitmaps` does.
from dirtybits import *


def convert_ours(*argv, ok=True):
    return run(QCOWFS, 'convert', *argv, ok=ok)


def own_data(image):
    """[(start, end)] that the image itself has clusters for."""
    extents = json.loads(run('qemu-img', 'map', '--output=json', image))
    return joined_ranges(e for e in extents if not e['depth'] and e.get('present', True))


def in_clusters(ranges, size, unit=65536):
    b = Bits(unit)
    for a, e in ranges:
        b.mark(a, e - a)
    return b.ranges(size)


SIZE = 20 * M + 512
for granularity in 512, 65536, M:
    image = create(f'vm{granularity}.qcow2', SIZE)
    qio(image, 'write -P 1 0 3M', 'write -P 2 10M 1M')
    convert_ours('-O', 'qcow2', image, 'full.qcow2')
    bits = add_bitmap(image, 'b', granularity)
    for command, off, n in [('write -P 3', 100 * K, 5 * K), ('write -z', M, 64 * K),
                            ('write -P 1', 2 * M, 4 * K), ('discard', 10 * M, 128 * K),
                            ('write -P 4', SIZE - 512, 512), ('write -P 5', 15 * M + 512, 70 * K)]:
        qio(image, f'{command} {off} {n}')
        bits.mark(off, n)
    run('qemu-img', 'snapshot', '-c', 's', image)
    convert_ours('-O', 'qcow2', '--bitmap=b', '-b', 'full.qcow2', '-F', 'qcow2', image, 'inc.qcow2')
    run('qemu-img', 'compare', '-q', image, 'inc.qcow2')
    sound('inc.qcow2')
    same_dirty(own_data('inc.qcow2'), in_clusters(bits.ranges(SIZE), SIZE), f'granularity {granularity}')
    frozen = raw_of(image)
    qio(image, 'write -P 9 5M 64k', 'write -P 9 100k 1k')
    convert_ours('-O', 'qcow2', '-c', '--bitmap', 'b', '-l', 's', '-b', 'full.qcow2', '-F', 'qcow2', image,
                 'at-s.qcow2')
    same_bytes(raw_of('at-s.qcow2'), frozen, 'the disk of the snapshot')
    sound('at-s.qcow2')

for word, *argv in [('there is no such bitmap', '-O', 'qcow2', '--bitmap=x', '-b', 'full.qcow2', '-F', 'qcow2'),
                    ('only with a backing file', '-O', 'qcow2', '--bitmap=b'),
                    ('only qcow2 has bitmaps', '--bitmaps'),
                    ('only qcow2 has bitmaps', '-O', 'qcow', '--bitmaps')]:
    out = convert_ours(*argv, image, 'never', ok=False)
    check(word in out and not os.path.exists('never'), f'{argv}: {out}')

# All bitmaps.
add_bitmap(image, 'off', 4096, enabled=False)
add_bitmap(image, 'named "ü"', 512)
qio(image, 'write -P 9 7M 1000k')
convert_ours('-O', 'qcow2', '--bitmaps', image, 'ours.qcow2')
run('qemu-img', 'convert', '-O', 'qcow2', '--bitmaps', image, 'theirs.qcow2')
check(bitmap_info('ours.qcow2') == bitmap_info('theirs.qcow2'), 'the same bitmaps')
for name in bitmap_info('ours.qcow2'):
    same_dirty(qemu_dirty('ours.qcow2', name), qemu_dirty('theirs.qcow2', name), name)
sound('ours.qcow2')
run('qemu-img', 'compare', '-q', image, 'ours.qcow2')
subprocess.run(['qemu-io', '-c', 'write 0 64k', '-c', 'sigraise 9', image], capture_output=True)
out = convert_ours('-O', 'qcow2', '--bitmaps', image, 'never', ok=False)
check('inconsistent' in out and not os.path.exists('never'), f'an inconsistent one is an error: {out}')
