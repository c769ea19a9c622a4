#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Stores into a shared mapping are in the image after msync, and after the mapping and the
# file are closed in either order.
import mmap
from writing import *

SIZE = 3 * M
create('disk.qcow2', SIZE)


def store(d, m, count=100):
    for _ in range(count):
        at = rng.randrange(SIZE)
        n = min(rng.choice([1, 8, 5000]), SIZE - at)
        data = rng.randbytes(n)
        m[at:at + n] = data
        d.model[at:at + n] = data


with Disk('disk.qcow2', bytes(SIZE)) as d:
    m = mmap.mmap(d.fd, SIZE)
    store(d, m)
    m.flush()
    d.compare()
    store(d, m)
    os.fsync(d.fd)
    d.write(70000, b'written, not stored')
    check(m[70000:70007] == b'written', 'a write is seen in the mapping')
    store(d, m)
    m.close()
d = Disk('disk.qcow2', d.model)
m = mmap.mmap(d.fd, SIZE)  # which has a descriptor of its own
os.close(d.fd)
store(d, m)
m.close()
check(d.mount.unmount() == 0, 'it ends in order')
agrees('disk.qcow2', d.model)
