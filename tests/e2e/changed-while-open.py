#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# An image that is changed while it is open gives right bytes or errors, never wrong ones; a
# file that replaced it does not disturb readers of the old one.
import errno
import shutil
from qcowtest import *

os.mkdir('src')
create('src/disk.qcow2', '2M')
qio('src/disk.qcow2', 'write -P 1 0 2M')
create('new.qcow2', '2M')
qio('new.qcow2', 'write -P 2 0 1M', 'write -P 3 1M 1M')
for options in [], ['-o', 'direct_io']:
    with Mount('src', *options) as m:
        path = m.path('disk.raw')
        with open(path, 'rb', buffering=0) as f:
            check(os.pread(f.fileno(), 1000, 0) == b'\1' * 1000, 'the old bytes')
            shutil.copy('src/disk.qcow2', 'keep.qcow2')
            os.rename('new.qcow2', 'src/disk.qcow2')
            check(os.pread(f.fileno(), 1000, M) == b'\1' * 1000, 'whoever has it open keeps it')
            check(os.fstat(f.fileno()).st_size == 2 * M, 'and can ask for its size')
            with open(path, 'rb', buffering=0) as g:
                check(os.pread(g.fileno(), 1000, M) == b'\3' * 1000, 'whoever opens it gets the new')
        os.rename('src/disk.qcow2', 'new.qcow2')
        os.rename('keep.qcow2', 'src/disk.qcow2')

        # In place: locks are only asked for by QEMU.
        with open(path, 'rb', buffering=0) as f:
            check(os.pread(f.fileno(), 1000, 0) == b'\1' * 1000, 'the old bytes, again')
            shutil.copy('src/disk.qcow2', 'keep.qcow2')
            shutil.copyfile('new.qcow2', 'src/disk.qcow2')
            with open(path, 'rb', buffering=0) as g:
                check(os.pread(g.fileno(), 1000, M) == b'\3' * 1000, 'a new open reads new bytes')
                try:
                    data = os.pread(f.fileno(), 1000, 300 * K)
                    check(data in (b'\1' * 1000, b'\2' * 1000), f'old or new bytes, not {data[:9]}')
                except OSError as e:
                    check(e.errno in (errno.EIO, errno.ESTALE), f'an error that tells, not {e}')
        shutil.copyfile('keep.qcow2', 'src/disk.qcow2')
