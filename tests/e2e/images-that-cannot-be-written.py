#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# An image without write permission, or on a read-only file system, can be read; opening it for
# writing fails with EACCES or EROFS.  A mount of only this image logs that it is read-only.
import shutil
from writing import *

requires_root()
REFUSED = (errno.EACCES, errno.EROFS)


def reads_only(m, model, refused=REFUSED):
    p = m.path('disk.raw')
    for flags in os.O_RDWR, os.O_WRONLY, os.O_WRONLY | os.O_APPEND:
        e = errno_of(os.open, p, flags)
        check(e in refused, f'it is not opened for writing: {e}')
    e = errno_of(os.truncate, p, 512)
    check(e in refused, f'nor is it resized: {e}')
    same_bytes(read_all(p, len(model)), model, 'it is read')


model = b'\2' * M
for fmt in 'qcow2', 'qcow':
    os.makedirs('ro/src')
    run('mount', '-t', 'tmpfs', '-o', 'size=16M', 'none', 'ro/src')
    try:
        create('ro/src/disk.img', M, fmt=fmt)
        qio('ro/src/disk.img', 'write -P 2 0 1M', fmt=fmt)
        run('mount', '-o', 'remount,ro', 'ro/src')
        for source in 'ro/src', 'ro/src/disk.img':
            with Mount(source, ro=False) as m:
                reads_only(m, model)
                if source != 'ro/src':
                    check('read-only' in m.log().lower(), f'it says so: {m.log()}')
        run('mount', '-o', 'remount,rw', 'ro/src')
        qio('ro/src/disk.img', 'write -P 2 0 1M', fmt=fmt)
    finally:
        run('umount', 'ro/src')
    shutil.rmtree('ro')

# Not even root can write to an immutable file.
create('disk.img', M)
qio('disk.img', 'write -P 2 0 1M')
if not subprocess.run(['chattr', '+i', 'disk.img'], capture_output=True).returncode:
    try:
        with Mount('disk.img', ro=False) as m:
            reads_only(m, model, (*REFUSED, errno.EPERM))
    finally:
        run('chattr', '-i', 'disk.img')
