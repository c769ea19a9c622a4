#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With timeout=1 it leaves when nothing was open for a second, and not before; and not while a
# process has its working directory in the mount, or another mount is above it.
import time
from qcowtest import *


class LeavingMount(Mount):
    """Has left already, perhaps, when a busy machine lets the test go on."""

    def wait_mounted(self, argv):
        until(20, lambda: is_mounted(self.where) or self.process.poll() is not None, f'{argv} mounts')

    def leaves(self, what):
        check(self.process.wait(PATIENCE) == 0, f'it leaves in order {what}: {self.log()}')
        check(not is_mounted(self.where), f'it is unmounted {what}')


def kept(keep, *options):
    """A mount, what keep() made to keep it, and its timeout: a longer one where it had left before."""
    for seconds in 1, 10, 100:
        m = LeavingMount('disk.qcow2', *options, '-o', f'timeout={seconds}')
        holder = keep(m)
        if holder:
            return m, holder, seconds
        m.leaves('before it is used')
    fail(f'it stays for {seconds} s')


def open_file(m):
    try:
        return open(m.path('disk.raw'), 'rb', buffering=0)
    except OSError:
        return None


def working_directory(m):
    try:
        shell = subprocess.Popen(['sleep', '600000'], cwd=m.path())
    except OSError:
        return None
    atexit.register(shell.kill)
    if os.stat(f'/proc/{shell.pid}/cwd').st_dev != os.stat('.').st_dev:
        return shell
    shell.kill()  # it is in the folder below
    shell.wait()
    return None


def types_at(where):
    lines = map(str.split, Path('/proc/mounts').read_text().splitlines())
    return [fields[2] for fields in lines if fields[1] == where]


def mount_above(m):
    run('mount', '-t', 'tmpfs', 'none', m.where)
    if len(types_at(m.where)) == 2:
        return m.where
    run('umount', m.where)
    return None


create('disk.qcow2', '1M')
holders = [kept(working_directory, *options) for options in ([], ['-s'], ['-o', 'sandbox=off'])]
above = [kept(mount_above)] if os.geteuid() == 0 else []
m, f, seconds = kept(open_file)
with f:
    end = time.monotonic() + 3 * max(x[2] for x in [*holders, *above, (m, f, seconds)])
    while time.monotonic() < end:
        check(m.process.poll() is None, 'it stays while a file is open')
        time.sleep(0.1)
    f.read(10)
m.leaves('when it is closed')

for m, shell, _ in holders:
    check(m.process.poll() is None and is_mounted(m.where), f'it stays under a shell: {m.log()}')
    check(os.listdir(f'/proc/{shell.pid}/cwd') == ['disk.raw'], 'which can use it')
    shell.kill()
    shell.wait()
for m, _, _ in holders:
    m.leaves('without the shell')
    check(not m.log(), f'and logs nothing: {m.log()}')

for m, where, _ in above:
    top = types_at(where)
    run('umount', where)
    check(top[-1] == 'tmpfs' and len(top) == 2, f'the mount of another program stays: {top}')
    m.leaves('when the other mount is gone')

LeavingMount('disk.qcow2', '-o', 'timeout=1').leaves('unused')
