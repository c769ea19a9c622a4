#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# The daemon is killed while it writes: bitmaps that record writes are in use, as QEMU leaves them, all
# others are as they were, and the image has no corruption. Later writes leave them alone.
from dirtybits import *

image = create('vm.qcow2', 16 * M)
off = add_bitmap(image, 'off', 65536)
add_bitmap(image, 'on', 65536)
qio(image, 'write -P 1 1M 100k')
off.mark(M, 100 * K)
run('qemu-img', 'bitmap', '--disable', image, 'off')
m = Mount(image, '-o', 'rw', ro=False)
fd = os.open(m.path('vm.raw'), os.O_RDWR)
check(bitmap_info(image) == {'off': [], 'on': ['auto']}, 'opening marks none')
for i in range(50):
    os.pwrite(fd, rng.randbytes(5000), rng.randrange(16 * M - 5000))
os.fsync(fd)
for i in range(50):
    os.pwrite(fd, rng.randbytes(5000), rng.randrange(16 * M - 5000))
m.process.kill()
m.process.wait()
errno_of(os.close, fd)
m.stop()
sound(image, leaks=True)
run('qemu-img', 'check', '-q', '-r', 'leaks', image)
check(bitmap_info(image) == {'off': [], 'on': ['in-use', 'auto']}, f'in use: {bitmap_info(image)}')
same_dirty(qemu_dirty(image, 'off'), off.ranges(16 * M), 'the disabled one')
disk = raw_of(image)
with Disk(image, disk, 'bitmaps') as d:
    d.write(5 * M, b'after')
    folder = d.mount.path('vm.bitmaps')
    check(sorted(os.listdir(folder)) == ['off.raw', 'on.raw'], 'both are shown')
    check(errno_of(os.open, f'{folder}/on.raw', os.O_RDONLY) == errno.EIO, 'the bits are not known')
    check('inconsistent' in d.mount.log(), 'the log says why')
    os.mkdir(f'{folder}/next')
    d.write(6 * M, b'more')
    d.resize(17 * M)
check(bitmap_info(image) == {'off': [], 'on': ['in-use', 'auto'], 'next': ['auto']}, 'as they were')
same_dirty(qemu_dirty(image, 'next'), [(6 * M, 6 * M + 65536), (16 * M, 17 * M)], 'the new one')
same_dirty(qemu_dirty(image, 'off'), off.ranges(17 * M), 'the disabled one')
with Disk(image, raw_of(image), 'bitmaps') as d:
    os.rmdir(d.mount.path('vm.bitmaps/on'))
check(set(bitmap_info(image)) == {'off', 'next'}, 'it can be removed')
