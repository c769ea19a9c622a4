#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A folder of ten thousand images mounts at once, and ls -l of it takes little memory.
# sanitize: none
# alone
from qcowtest import *

N = 10000
many_images(N)
with Mount('src') as m:
    began = m.cpu()
    check(began < 1, f'it mounts with {began:.2f} s of a processor')
    lines = run('ls', '-l', m.where).splitlines()
    took = m.cpu() - began
    print(f'# ls -l: {took:.2f} s of a processor')
    check(len(lines) == N + 1 and all(' 1048576 ' in line for line in lines[1:]), 'all are listed')
    check(took < 10, f'ls -l takes {took:.2f} s')
    check(m.rss() < 64 * M, f'{m.rss() / M:.0f} MiB are less than 64')
    fds = len(os.listdir(f'/proc/{m.process.pid}/fd'))
    check(fds < 100, f'none is kept open: {fds} descriptors')
    for i in 0, N // 2, N - 1:
        check(Path(m.path(f'disk{i:04}.raw')).read_bytes()[:513] == b'\1' * 512 + b'\0', 'and read')
