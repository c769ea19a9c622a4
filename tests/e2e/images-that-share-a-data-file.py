#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Two images use one data file: while one of them is written, the other does not open, and the
# message names that image instead of another program.
import errno
from qcowtest import *

os.mkdir('src')
os.chdir('src')
create('p.qcow2', '1M', options='data_file=x.data,data_file_raw=on')
Path('q.qcow2').write_bytes(Path('p.qcow2').read_bytes())
os.chdir('..')

with Mount('src', '-o', 'backing=any,info', ro=False) as m:
    with open(m.path('p.raw'), 'r+b', buffering=0) as p:
        p.write(b'x' * 512)
        check(errno_of(os.open, m.path('q.raw'), os.O_RDONLY) == errno.EBUSY, 'q.raw does not open')
        line = m.log().splitlines()[-1]
        check('q.qcow2: locked: the image ' in line and 'src/p.qcow2, which is open here' in line and
              'data file' in line and 'another program' not in m.log(), line)
        error = json.loads(Path(m.path('q.json')).read_bytes())['error']
        check('src/p.qcow2, which is open here' in error, error)
    until(PATIENCE, lambda: not errno_of(os.open, m.path('q.raw'), os.O_RDONLY), 'q.raw opens')

    # Both open for reading, one of them for writing, too.
    with open(m.path('q.raw'), 'rb', buffering=0) as q:
        check(q.read(512) == b'x' * 512, 'both show the same data file')
        check(errno_of(os.open, m.path('p.raw'), os.O_RDWR) == errno.EBUSY, 'p.raw is not written')
        check('src/q.qcow2, which is open here' in m.log().splitlines()[-1], m.log())

    # Another program is still called that.
    holder = hold('p.qcow2', files=2, cwd='src')
    check(errno_of(os.open, m.path('q.raw'), os.O_RDONLY) == errno.EBUSY, 'QEMU has it')
    check('another program has it open' in m.log().splitlines()[-1], m.log())
    let_go(holder)
