#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With timeout=1 it leaves when nothing was open for a second, and not before.
import time
from qcowtest import *

create('disk.qcow2', '1M')
m = Mount('disk.qcow2', '-o', 'timeout=1')
with open(m.path('disk.raw'), 'rb', buffering=0) as f:
    end = time.monotonic() + 3
    while time.monotonic() < end:
        check(m.process.poll() is None, 'it stays while a file is open')
        time.sleep(0.1)
    f.read(10)
check(m.process.wait(20) == 0, 'it leaves in order')
check(not is_mounted(m.where), 'it is unmounted')

m = Mount('disk.qcow2', '-o', 'timeout=1')  # never used at all
check(m.process.wait(20) == 0, 'it leaves, unused')
