#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# SIGTERM, SIGINT and SIGHUP unmount in order, with status 0 under -f, also while files are
# open; SIGUSR1 logs the counters and nothing else happens.
import re
from qcowtest import *

create('disk.qcow2', '1M')
qio('disk.qcow2', 'write -P 1 0 1M')
for options in [], ['-s']:
    for sig in signal.SIGTERM, signal.SIGINT, signal.SIGHUP:
        for is_open in False, True:
            m = Mount('disk.qcow2', *options)
            f = open(m.path('disk.raw'), 'rb', buffering=0) if is_open else None
            m.process.send_signal(sig)
            try:
                status = m.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                fail(f'{sig.name} ends it {options}, open: {is_open}')
            check(status == 0, f'{sig.name}: status 0, not {status}: {m.log()}')
            check(not is_mounted(m.where), f'{sig.name}: it is unmounted')
            if f:
                errno_of(f.close)  # ENOTCONN: the kernel cannot say that to anybody
    with Mount('disk.qcow2', *options) as m:
        for n in range(1, 4):
            Path(m.path('disk.raw')).read_bytes()
            m.process.send_signal(signal.SIGUSR1)
            until(10, lambda: m.log().count('counters') == n, f'{n} lines of counters')
        line = m.log().splitlines()[-1]
        check(re.search(r'^qcowfs: counters: .*\b[1-9]\d* reads, [1-9]\d* bytes', line),
              f'they have been counted: {line}')
    check(len(m.log().splitlines()) == 3, f'nothing else is logged: {m.log()}')
