#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With 256 descriptors, thousands of images are read one after the other, and none stays open.
# More opens than descriptors fail with EMFILE; open files are
# read on, listed, and looked at.
# sanitize: none
import errno
import qcowtest
from qcowtest import *

N = 3000
many_images(N)
Path('limited').write_text(f'#!/bin/sh\nulimit -n 256\nexec {QCOWFS} "$@"\n')
os.chmod('limited', 0o755)
qcowtest.QCOWFS = os.path.abspath('limited')
with Mount('src', ro=False) as m:
    proc = f'/proc/{m.process.pid}/fd'
    idle = len(os.listdir(proc))
    for i in range(N):
        with open(m.path(f'disk{i:04}.raw'), 'r+b' if i % 3 == 0 else 'rb', buffering=0) as f:
            check(os.pread(f.fileno(), 513, 0) == b'\1' * 512 + b'\0', f'{i} is read')
            if i % 3 == 0:
                os.pwrite(f.fileno(), b'\2', 4096)
    until(10, lambda: len(os.listdir(proc)) <= idle + 4, 'none is kept open')

    opened = []
    try:
        for i in range(N):
            opened.append(open(m.path(f'disk{i:04}.raw'), 'rb', buffering=0))
        fail('there is an end')
    except OSError as e:
        check(e.errno == errno.EMFILE, f'the error is EMFILE, not {e}')
    print(f'# {len(opened)} were open')
    check(len(opened) >= 100, f'{len(opened)} are many')
    for i, f in enumerate(opened):
        check(os.pread(f.fileno(), 513, 0) == b'\1' * 512 + b'\0', f'{i} is read on')
    lines = run('ls', '-l', m.where).splitlines()
    check(len(lines) == N + 1 and all(' 1048576 ' in line for line in lines[1:]), 'all are listed')
    check(errno_of(open, m.path(f'disk{N - 1:04}.raw')) == errno.EMFILE, 'still there is no room')
    for f in opened[:20]:
        f.close()

    def one_more():
        try:
            open(m.path(f'disk{N - 1:04}.raw'), 'rb').close()
            return True
        except OSError as e:
            check(e.errno == errno.EMFILE, f'the error is EMFILE, not {e}')
            return False
    until(10, one_more, 'now there is')
    for f in opened[20:]:
        f.close()
    until(10, lambda: len(os.listdir(proc)) <= idle + 4, 'none is kept open')
