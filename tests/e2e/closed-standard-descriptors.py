#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Started with standard input, output or error closed, the program works all the same, and no
# message goes into an image that got the number of stderr.
import itertools
from qcowtest import *

create('disk.qcow2', '4M')
qio('disk.qcow2', 'write -P 1 0 4M')
good = Path('disk.qcow2').read_bytes()
os.mkdir('mnt')


def start(closed, *argv):
    """Status; the descriptors are closed in the program itself."""
    redirect = ' '.join(f'{fd}>&-' if fd else '<&-' for fd in closed)
    with open('out', 'w') as out:
        return subprocess.run(['sh', '-c', f'exec "$@" {redirect}', 'sh', QCOWFS, *argv], stdout=out,
                              stderr=out).returncode


def is_gone():
    return not is_mounted('mnt')


for n in 1, 2, 3:
    for closed in itertools.combinations(range(3), n):
        for options in [], ['-o', 'sandbox=off']:
            status = start(closed, '-r', '-v', *options, '-o', 'pid-file=pid', 'disk.qcow2', 'mnt')
            check(status == 0 and is_mounted('mnt'), f'{closed} {options}: mounted, status {status}')
            pid = int(Path('pid').read_text())
            for fd in range(3):
                at = os.readlink(f'/proc/{pid}/fd/{fd}')
                check(at == '/dev/null', f'{closed}: descriptor {fd} of the daemon is {at}')
            check(Path('mnt/disk.raw').read_bytes() == b'\1' * (4 << 20), f'{closed}: it serves')
            run('fusermount3', '-u', 'mnt')
            until(PATIENCE, lambda: not os.path.exists(f'/proc/{pid}/fd/0'), 'it ends')
        # A failure has its status, though nothing can be printed.
        check(start(closed, 'nothing.qcow2', 'mnt') == 2, f'{closed}: an image that is not there')
        check(start(closed, 'info', 'nothing.qcow2') == 1, f'{closed}: a command')
        check(start(closed, 'info', 'disk.qcow2') == (1 in closed), f'{closed}: output that is lost')
        # Read 0 as the key, and write to 1: neither is an image.
        if 0 in closed:
            check(start(closed, '-o', 'key-fd=0', 'disk.qcow2', 'mnt') == 4, 'key-fd=0 that is closed')
        if 1 in closed:
            check(start(closed, '-o', 'ready-fd=1', 'disk.qcow2', 'mnt') == 1, 'ready-fd=1 that is closed')
check(is_gone() and Path('disk.qcow2').read_bytes() == good, 'the image is as it was')
