#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A write that begins at or past the end fails with ENOSPC; one that crosses the end is short;
# appending is past the end.  None of them changes the size.
from writing import *

for version, (fmt, options) in VERSIONS.items():
    for size in M, M + 512, 64 * K:
        image = f'{version}-{size}.img'
        create(image, size, fmt=fmt, options=options)
        with Disk(image, bytes(size), fmt=fmt) as d:
            for off in size, size + 1, size + 10 * M, 1 << 50:
                check(errno_of(os.pwrite, d.fd, b'x', off) == errno.ENOSPC, f'{size}: at {off}')
            for n in 1, 511, 512, 5000:
                end = os.pwrite(d.fd, b'y' * (n + 700), size - n)
                check(end == n, f'{size}: {end} of the last {n} are written')
                d.model[size - n:] = b'y' * n
            fd = os.open(d.path, os.O_WRONLY | os.O_APPEND)
            check(errno_of(os.write, fd, b'z') == errno.ENOSPC, 'to append')
            os.close(fd)
            check(os.pwrite(d.fd, b'', size) == 0, 'nothing is written')
            check(os.fstat(d.fd).st_size == size, f'it has {size} bytes, still')
