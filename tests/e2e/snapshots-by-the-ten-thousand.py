#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# As many snapshots as the format allows are listed in seconds, and found by name in no time; one
# more is no image.
from views import *

N = 65536
name = create('full.qcow2', '1M')
qio(name, 'write -P 5 0 64k')
snap(name, '-c', 'first')
at, rows = table(name)
out = bytearray()
for i in range(N):
    new = f'snapshot number {i}'.encode()
    out += struct.pack('>QIHHIIQII', rows[0]['l1'], rows[0]['entries'], len(str(i)), len(new), i, 0,
                       0, 0, 16) + struct.pack('>QQ', 0, M) + str(i).encode() + new
    out += bytes(up8(len(out)) - len(out))
end = -(-os.stat(name).st_size // (64 * K)) * 64 * K
poke(name, end, out)
poke(name, 60, struct.pack('>IQ', N, end))
with Mount(name, '-o', 'snapshots') as m:
    folder = m.path('full.snapshots')
    start = m.cpu()
    names = os.listdir(folder)
    listing = m.cpu() - start
    check(len(set(names)) == N, f'all are there: {len(set(names))}')
    start = m.cpu()
    for i in rng.sample(range(N), 2000):
        check(os.stat(f'{folder}/snapshot number {i}').st_mtime == i, 'this one is itself')
    looking = m.cpu() - start
    with open(f'{folder}/snapshot number {N - 1}/disk.raw', 'rb') as f:
        check(f.read(10) == b'\5' * 10, 'the last one is read')
    print(f'# {listing:.2f} s of a processor to list, {looking:.2f} to find 2000, {m.rss() >> 20} MiB')
    check(SANITIZER or listing < 10 and looking < 5, 'this is not long')
    check(SANITIZER or m.rss() < 300 * M, 'nor is it much memory')
