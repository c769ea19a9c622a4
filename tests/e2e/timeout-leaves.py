#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With timeout=1 it leaves when nothing was open for a second, and not before; and not while a
# process has its working directory in the mount, or another mount is above it.
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

for options in [], ['-s'], ['-o', 'sandbox=off']:
    m = Mount('disk.qcow2', *options, '-o', 'timeout=1')
    shell = subprocess.Popen(['sleep', '600000'], cwd=m.path())
    atexit.register(shell.kill)
    time.sleep(4)
    check(m.process.poll() is None and is_mounted(m.where), f'it stays under a shell {options}')
    check(os.listdir(f'/proc/{shell.pid}/cwd') == ['disk.raw'], 'which can use it')
    shell.kill()
    shell.wait()
    check(m.process.wait(PATIENCE) == 0 and not is_mounted(m.where), f'then it leaves {options}: {m.log()}')
    check(not m.log(), f'and logs nothing {options}: {m.log()}')

if os.geteuid() == 0:
    m = Mount('disk.qcow2', '-o', 'timeout=1')
    run('mount', '-t', 'tmpfs', 'none', m.where)
    time.sleep(4)
    top = [line.split()[2] for line in Path('/proc/mounts').read_text().splitlines()
           if line.split()[1] == m.where]
    run('umount', m.where)
    check(top[-1] == 'tmpfs' and len(top) == 2, f'the mount of another program stays: {top}')
    check(m.process.wait(PATIENCE) == 0, 'and then it leaves')
