#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A disk of 64 TiB with data all over is read with bounded memory, and its holes are skipped.
# sanitize: none
from qcowtest import *

SIZE = 64 * T
marks = sorted({rng.randrange(SIZE // (64 * K)) * 64 * K for _ in range(1500)})
create('huge.qcow2', SIZE, options='cluster_size=64k')
for i in range(0, len(marks), 100):
    qio('huge.qcow2', *(f'write -P {(i + k) % 255 + 1} {at} 64k'
                        for k, at in enumerate(marks[i:i + 100])))
with Mount('huge.qcow2') as m:
    path = m.path('huge.raw')
    check(os.stat(path).st_size == SIZE, 'its size')
    with open(path, 'rb', buffering=0) as f:
        began = m.cpu()
        found = data_map(f.fileno(), SIZE)
        took = m.cpu() - began
        merged = []
        for at in marks:
            if merged and merged[-1][1] == at:
                merged[-1] = (merged[-1][0], at + 64 * K)
            else:
                merged.append((at, at + 64 * K))
        check(found == merged, f'the data is where it is: {len(found)} of {len(merged)} runs')
        print(f'# a walk over 64 TiB: {took:.2f} s of a processor')
        check(took < 20, f'a walk takes {took:.2f} s')
        order = list(enumerate(marks))
        rng.shuffle(order)
        for i, at in order:
            piece = os.pread(f.fileno(), 64 * K, at)
            check(piece == bytes([i % 255 + 1]) * 64 * K, f'the data at {at}')
            hole = os.pread(f.fileno(), 512, rng.randrange(SIZE // 512) * 512)
            check(len(hole) == 512, 'anything can be read')
        check(os.pread(f.fileno(), 4096, SIZE - 512) == bytes(512), 'the end')
    limit = 64 * M + 32 * M
    check(m.rss() < limit, f'{m.rss() / M:.0f} MiB are less than {limit / M:.0f}')
with Mount('huge.qcow2', '-o', 'cache-size=1M') as m, open(m.path('huge.raw'), 'rb', 0) as f:
    for i, at in order:
        check(os.pread(f.fileno(), 512, at) == bytes([i % 255 + 1]) * 512, f'the data at {at}')
    check(m.rss() < 40 * M, f'{m.rss() / M:.0f} MiB are less than 40')
