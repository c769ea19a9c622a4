#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Three hundred snapshots are listed at once, and each is as QEMU reads it.
from views import *

N = 300
name = create('many.qcow2', '1M', options='cluster_size=4k')
for i in range(N):
    if i % 3 == 0:
        qio(name, f'write -P {i % 255 + 1} {i * 3 % 1000}k 3k')
    snap(name, '-c', f's{i}')
with Mount(name, '-o', 'snapshots') as m:
    folder = m.path('many.snapshots')
    start = m.cpu()
    names = os.listdir(folder)
    for n in names:
        os.stat(f'{folder}/{n}/disk.raw')
    took = m.cpu() - start
    print(f'# {took:.2f} s of a processor to list and look at {N}')
    check(sorted(names) == sorted(f's{i}' for i in range(N)), 'all are there')
    check(SANITIZER or took < 3, f'{took} s is not long')
    for i in [0, 1, N // 2, N - 1, *rng.sample(range(N), 20)]:
        same_bytes(Path(folder, f's{i}', 'disk.raw').read_bytes(), snapshot_raw(name, f's{i}'),
                   f's{i}')
    everything = [Path(folder, n, 'disk.raw').read_bytes() for n in names]
    check(len(set(everything)) == N / 3, 'they differ where they were made to')
