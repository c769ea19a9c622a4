#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Each failure has its status, and one line that says what, why, and where there is one, a way out.
import contextlib
import shutil
from qcowtest import *

for name in 'folder', 'mnt', 'away':
    os.mkdir(name)
Path('file').touch()
Path('text').write_text('not an image\n')
create('good.qcow2', '1M')
create('new.qcow2', '1M')
poke('new.qcow2', 72, b'\x80')  # an incompatible feature, bit 63
create('away/base.qcow2', '1M')
create('overlay.qcow2', backing='away/base.qcow2', backing_format='qcow2')
os.rename('away/base.qcow2', 'away/other.qcow2')
create('base.raw', '1M', fmt='raw')
os.rename('overlay.qcow2', 'folder/over.qcow2')
create('outside.qcow2', backing='base.raw', backing_format='raw')
os.mkdir('sub')
create('sub/up.qcow2', '1M', backing='../base.raw', backing_format='raw')
create('short.qcow2', '1M')
os.truncate('short.qcow2', 60)

TABLE = [
    # status, words of the line, arguments
    (1, ['SOURCE: missing', 'usage: qcowfs'], []),
    (1, ['MOUNTPOINT: missing', 'usage: qcowfs'], ['good.qcow2']),
    (1, ['operands: more than two', 'usage: qcowfs'], ['a', 'b', 'c']),
    (1, ['frob: unknown option', '--help'], ['-o', 'frob', 'good.qcow2', 'mnt']),
    (1, ['-Z: unknown option', '--help'], ['-Z', 'good.qcow2', 'mnt']),
    (1, ["threads: 'many' is not N"], ['-o', 'threads=many', 'good.qcow2', 'mnt']),
    (1, ["backing: 'all' is not samedir|any|none"], ['-o', 'backing=all', 'good.qcow2', 'mnt']),
    (1, ['timeout: the option needs a value'], ['-o', 'timeout', 'good.qcow2', 'mnt']),
    (1, ['mountpoint file:', 'folder', 'only be mounted on a folder'], ['folder', 'file']),
    (1, ['mountpoint /dev/null:', 'neither a folder nor a regular file', 'one is needed'],
     ['good.qcow2', '/dev/null']),
    (1, ['pid-file: ', '/none/pid: No such file'], ['-o', 'pid-file=none/pid', 'good.qcow2', 'mnt']),
    (1, ['ready-fd: 99: ', 'open it for qcowfs'], ['-o', 'ready-fd=99', 'good.qcow2', 'mnt']),
    (2, ['none.qcow2: No such file or directory', 'SOURCE is an image, or a folder'],
     ['none.qcow2', 'mnt']),
    (2, ['text: not a QCOW image', 'qemu-img info'], ['text', 'mnt']),
    (2, ['short.qcow2: ', 'header', 'backup'], ['short.qcow2', 'mnt']),
    (2, ['new.qcow2: unsupported incompatible feature', 'may write one without'],
     ['new.qcow2', 'mnt']),
    (2, ['over.qcow2: ', "backing file 'away/base.qcow2'", 'No such file', 'backing-map='],
     ['folder/over.qcow2', 'mnt']),
    (2, ['up.qcow2: ', "'../base.raw' is outside of the image's folder", 'backing=any allows it'],
     ['sub/up.qcow2', 'mnt']),
    (2, ['outside.qcow2: ', "backing file 'base.raw': backing=none", 'backing=samedir or'],
     ['-o', 'backing=none', 'outside.qcow2', 'mnt']),
    (5, ['mountpoint none: No such file', 'mkdir'], ['good.qcow2', 'none']),
]


def says(status, words, arguments):
    r = subprocess.run([QCOWFS, *arguments], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True, timeout=PATIENCE)
    what = f'{arguments}: {r.returncode}, {r.stderr!r}'
    check(r.returncode == status, f'status {status}: {what}')
    check(r.stderr.startswith('qcowfs: ') and r.stderr.count('\n') == 1, f'one line: {what}')
    for word in words:
        check(word in r.stderr, f'says "{word}": {what}')
    check(not r.stdout, f'nothing on stdout: {what}')
    check(not is_mounted('mnt'), f'nothing is mounted: {what}')


for row in TABLE:
    for foreground in [], ['-f']:
        says(row[0], row[1], [*foreground, *row[2]])

# Another program has it.
with contextlib.ExitStack() as stack:
    stack.callback(let_go, hold('good.qcow2'))
    says(3, ['good.qcow2: locked: qemu-io (process', 'locking=share'], ['good.qcow2', 'mnt'])

# No process to be had, so there is no background.
if os.geteuid() == 0 and not SANITIZER:  # which wants a process of its own
    shutil.copy(QCOWFS, 'program')  # whatever the modes of the folders above it are
    r = subprocess.run(['setpriv', '--reuid=65534', '--clear-groups', 'prlimit', '--nproc=0:0',
                        './program', '-r', 'good.qcow2', 'mnt'], capture_output=True, text=True)
    if 'setpriv' not in r.stderr and 'prlimit' not in r.stderr:
        check(r.returncode == 6 and r.stderr.startswith('qcowfs: background: ') and
              '-f stays in the foreground' in r.stderr, f'{r.returncode} {r.stderr!r}')
