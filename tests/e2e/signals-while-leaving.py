#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# More signals while the daemon exits, as an impatient service manager sends, do not keep it from
# writing all data to the image.
from qcowtest import *

for options in [], ['-s']:
    for sig in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        create('disk.qcow2', '64M', options='cluster_size=4k')
        m = Mount('disk.qcow2', *options, ro=False)
        fd = os.open(m.path('disk.raw'), os.O_RDWR)
        os.pwrite(fd, bytes([7]) * (32 << 20), 0)
        deadline = time.monotonic() + PATIENCE
        while m.process.poll() is None and time.monotonic() < deadline:
            m.process.send_signal(sig)
        check(m.process.poll() == 0, f'{sig.name}: status 0, not {m.process.poll()}: {m.log()}')
        errno_of(os.close, fd)
        run('qemu-img', 'check', '-q', 'disk.qcow2')
        check(not m.log(), f'it says nothing: {m.log()}')
        check(raw_of('disk.qcow2')[:32 << 20] == bytes([7]) * (32 << 20), 'the bytes are there')
