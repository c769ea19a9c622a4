#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With timeout=1 it leaves when nothing was open for a second, and not before.
import time
from qcowtest import *

create('disk.qcow2', '1M')
for seconds in 1, 10, 100:  # a busy machine may take longer than that before the open
    m = Mount('disk.qcow2', '-o', f'timeout={seconds}')
    try:
        f = open(m.path('disk.raw'), 'rb', buffering=0)
        break
    except OSError:
        m.process.wait(PATIENCE)
with f:
    end = time.monotonic() + 3 * seconds
    while time.monotonic() < end:
        check(m.process.poll() is None, 'it stays while a file is open')
        time.sleep(0.1)
    f.read(10)
check(m.process.wait(PATIENCE) == 0, 'it leaves in order')
check(not is_mounted(m.where), 'it is unmounted')

m = Mount('disk.qcow2', '-o', 'timeout=1')  # never used at all
check(m.process.wait(PATIENCE) == 0, 'it leaves, unused')
