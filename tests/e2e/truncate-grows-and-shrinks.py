#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Truncating resizes the disk.  The new part reads as zeros: not as the tail that was cut off,
# not as a longer backing file, and not as VM state.
from writing import *

SIZES = [M, M + 512, 64 * K + 512, 64 * K, 5 * M, 512, 2 * M + 1024, 700 * M, 3 * M]


def more_behind_the_end(name, options, where):
    """An image of 1 MiB with bytes behind its end, such as VM state, or as a shrink that was cut
    short leaves them."""
    create(name, M, options=options)
    qio(name, 'write -P 1 0 1M')
    run('qemu-img', 'resize', '-q', name, where + 3 * M)
    qio(name, f'write -P 0x55 {where} 3M')
    poke(name, 24, M.to_bytes(8, 'big'))


for version, (fmt, options) in VERSIONS.items():
    image = f'{version}.img'
    create(image, SIZES[-1], fmt=fmt, options=options)
    with Disk(image, bytes(SIZES[-1]), fmt=fmt) as d:
        for size in SIZES:
            d.write(0, rng.randbytes(min(len(d.model), 4 * M)))
            d.write(len(d.model) - 512, b'\xee' * 512)
            d.resize(size)
            check(os.fstat(d.fd).st_size == size, f'fstat says {size}')
            check(os.stat(d.path).st_size == size, f'stat says {size}')
            if size < 10 * M:
                d.compare()
        check(errno_of(os.ftruncate, d.fd, 1000) == errno.EINVAL, 'only whole sectors')
        check(os.truncate(d.path, M) is None, 'by name')
        del d.model[M:]

for options in 'compat=0.10', 'compat=1.1', 'cluster_size=4k':
    for where in M, 2 * M, 2 * M - 64 * K, 512 * M, 514 * M:
        more_behind_the_end('more.qcow2', options, where)
        with Disk('more.qcow2', b'\1' * M) as d:
            for size in 3 * M, M, 4 * M + 512:
                d.resize(size)
                d.compare()
            d.resize(516 * M)
            check(data_map(d.fd, 516 * M)[-1][1] <= 2 * M, 'it gained no data')
            check(os.pread(d.fd, M, 514 * M) == bytes(M), 'nor bytes')
            d.resize(2 * M)
        os.unlink('more.qcow2')

Path('long.raw').write_bytes(b'\xbb' * 5 * M)
for options, want in ('compat=1.1', 0), ('extended_l2=on', 0), ('compat=0.10', errno.EOPNOTSUPP):
    image = f'{options}-over.qcow2'
    create(image, M + 512, options=options, backing='long.raw', backing_format='raw')
    with Disk(image, b'\xbb' * (M + 512)) as d:
        if want:
            got = errno_of(os.ftruncate, d.fd, 3 * M)
            check(got == want, f'{image}: it cannot grow: {got}')
            check('backing file' in d.mount.log(), 'the log says why')
            check(os.fstat(d.fd).st_size == M + 512, 'its size is as it was')
            continue
        for size in 3 * M + 512, 6 * M, 2 * M, 4 * M:
            d.resize(size)
            d.compare()

for options, want in ('compat=1.1', 0), ('compat=0.10', errno.EOPNOTSUPP):
    image = f'{options}-snapshot.qcow2'
    create(image, M, options=options)
    qio(image, 'write -P 3 0 1M')
    run('qemu-img', 'snapshot', '-c', 'one', image)
    with Disk(image, b'\3' * M) as d:
        if want:
            got = errno_of(os.ftruncate, d.fd, 2 * M)
            check(got in (errno.EOPNOTSUPP, errno.EBUSY), f'with snapshots: {got}')
            check('snapshot' in d.mount.log(), 'the log says why')
            continue
        d.resize(2 * M)
        d.resize(64 * K)
    if not want:
        run('qemu-img', 'snapshot', '-a', 'one', image)
        agrees(image, b'\3' * M)
