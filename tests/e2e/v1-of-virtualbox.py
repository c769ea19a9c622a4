#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Version 1 images as VirtualBox lays them out: the backing name in a cluster of its own, L2
# tables of one cluster, and clusters that lie at sectors, not at clusters.
from qcowtest import *
from v1image import V1

SIZE = 20 * M
base = noise(SIZE)
Path('base.dat').write_bytes(base)
want = bytearray(base)
v1 = V1(SIZE, cluster_bits=12, l2_bits=9, backing=b'base.dat', backing_at=3 * 4096)
for i in range(200):
    n = rng.randrange(SIZE // 4096)
    data = rng.randbytes(4096)
    v1.plain(n, data, skip=512 * rng.randrange(3), l2_align=512)
    want[n * 4096:(n + 1) * 4096] = data
v1.write('vbox.qcow')
check(raw_of('vbox.qcow', 'qcow') == bytes(want), 'QEMU reads what was made')
with Mount('vbox.qcow') as m:
    check(Path(m.path('vbox.raw')).read_bytes() == bytes(want), 'the disk is read')
