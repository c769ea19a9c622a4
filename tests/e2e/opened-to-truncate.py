#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Opening with O_TRUNC, as cp and a shell's > do, makes the disk empty, or does nothing, as on a
# block device; then it can be written from its begin to its end.
from writing import *

for fmt, options in VERSIONS.values():
    image = f'disk{options[-1:]}.img'
    create(image, M, fmt=fmt, options=options)
    qio(image, 'write -P 1 0 1M', fmt=fmt)
    with Mount(image, ro=False) as m:
        path = m.path(os.listdir(m.where)[0])
        read_all(path, M)
        fd = os.open(path, os.O_RDWR | os.O_TRUNC)
        size = os.fstat(fd).st_size
        check(size in (0, M), f'its size is {size}')
        content = bytes(M) if not size else b'\1' * M
        if not size:
            os.ftruncate(fd, M)
        same_bytes(read_all(path, M), content, 'after O_TRUNC')
        check(os.pread(fd, M + 1, 0) == content, 'through the same descriptor, too')
        new = noise(M)
        check(os.pwrite(fd, new, 0) == M, 'it is written')
        os.close(fd)
        same_bytes(read_all(path, M), new, 'what was written')
    agrees(image, new, fmt)
