#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# All threads of a daemon that may say so tell the kernel that they write file systems to disk.
# sanitize: none
from qcowtest import *

PR_SET_IO_FLUSHER, PF_MEMALLOC_NOIO, PF_LOCAL_THROTTLE = 57, 0x00080000, 0x00100000

if subprocess.run([sys.executable, '-c', f"""
import ctypes, sys
sys.exit(ctypes.CDLL(None).prctl({PR_SET_IO_FLUSHER}, 1, 0, 0, 0) != 0)"""]).returncode:
    skip('needs CAP_SYS_RESOURCE')


def flags_of(task):
    return int((task / 'stat').read_text().rpartition(')')[2].split()[6])


create('disk.qcow2', '1M')
with Mount('disk.qcow2', ro=False) as m:
    with open(m.path('disk.raw'), 'r+b') as f:  # opening it starts the threads of the core
        f.write(b'x')
    tasks = list(Path(f'/proc/{m.process.pid}/task').iterdir())
    check(len(tasks) > 1, f'it has threads: {tasks}')
    for task in tasks:
        check(flags_of(task) & PF_MEMALLOC_NOIO and flags_of(task) & PF_LOCAL_THROTTLE,
              f'{task} writes file systems: {flags_of(task):x}')
