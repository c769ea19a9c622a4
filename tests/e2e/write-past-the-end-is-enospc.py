#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A write that begins at or past the end fails with ENOSPC; one that crosses the end is short;
# with O_DIRECT it is short or fails, after writing the bytes before the end; appending is past the
# end.  None of them changes the size.
import mmap
from writing import *


def crosses_directly(d, size):
    buf = mmap.mmap(-1, 3 * M)
    for length in 8192, 3 * M:
        buf[:] = bytes([length % 251]) * (3 * M)
        start = max(0, size - (length - 4096)) // 4096 * 4096
        fd = os.open(d.path, os.O_WRONLY | os.O_DIRECT)
        with memoryview(buf)[:length] as part:
            try:
                n = os.pwritev(fd, [part], start)
                check(n <= size - start, f'{size}: {n} are written directly from {start}')
            except OSError as e:
                check(e.errno == errno.ENOSPC, f'{size}: directly from {start}: {e}')
        os.close(fd)
        d.model[start:] = buf[:size - start]


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
            crosses_directly(d, size)
            fd = os.open(d.path, os.O_WRONLY | os.O_APPEND)
            check(errno_of(os.write, fd, b'z') == errno.ENOSPC, 'to append')
            os.close(fd)
            check(os.pwrite(d.fd, b'', size) == 0, 'nothing is written')
            check(os.fstat(d.fd).st_size == size, f'it has {size} bytes, still')
