#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Version 1 images of every geometry, with tables at odd offsets, are read.
from qcowtest import *
from v1image import V1

os.mkdir('src')
want = {}  # name -> (size, {cluster: bytes}, cluster size)


def make(name, size, clusters, l2_first=None, **kw):
    v1 = V1(size, **kw)
    if l2_first:
        v1.end = l2_first
    content = {}
    for n in clusters:
        data = noise(min(v1.cluster, size - n * v1.cluster))
        if rng.randrange(2) or not v1.packed(n, data, slack=rng.randrange(3), skip=rng.randrange(9)):
            v1.plain(n, data)
        content[n] = data
    v1.write(f'src/{name}.qcow')
    want[name] = (size, content, v1.cluster)


for cb in range(9, 17):
    for l2_bits in range(6, 14):
        reach = 1 << (cb + l2_bits)
        size = reach + rng.randrange(1, min(reach, M)) // 512 * 512 + 512
        total = -(-size // (1 << cb))
        clusters = {0, total - 1, *(rng.randrange(total) for _ in range(8))}
        make(f'cb{cb}-l{l2_bits}', size, clusters, cluster_bits=cb, l2_bits=l2_bits,
             l1_at=rng.choice((48, 49, 56, 1001)))
make('tables-at-odd-places', 4 * M, range(0, 1024, 50), l1_at=49, l2_first=4097)
make('padding-and-mtime', M, [0, 5], padding=0xffff, mtime=0x5eadbeef)
for size in 2, 511, 513, 1000:
    make(f'size-{size}', size, [0])
    make(f'size-{size}-empty', size, [])

# A compressed cluster that claims more bytes than the file has.
v1 = V1(8192)
v1.packed(1, b'tail' * 1024, slack=2000)
v1.write('src/past-the-end.qcow')
want['past-the-end'] = (8192, {1: b'tail' * 1024}, 4096)


def problem(path, size, content, cluster):
    with open(path, 'rb', buffering=0) as f:
        if os.fstat(f.fileno()).st_size != size:
            return f'size {os.fstat(f.fileno()).st_size}, not {size}'
        for n, data in content.items():
            if os.pread(f.fileno(), len(data), n * cluster) != data:
                return f'cluster {n} has other bytes'
        runs = []
        for n in sorted(content):
            start, end = n * cluster, min((n + 1) * cluster, size)
            if runs and runs[-1][1] == start:
                start = runs.pop()[0]
            runs.append((start, end))
        found = data_map(f.fileno(), size)
        if found != runs:
            return f'data at {found}, not at {runs}'
        start = runs[0][1] if runs else 0
        end = runs[1][0] if len(runs) > 1 else size
        if any(os.pread(f.fileno(), min(end - start, M), start)):
            return 'a hole is not zero'
    return None


with Mount('src') as m:
    problems = [f'{name}: {p}' for name, w in want.items()
                if (p := problem(m.path(name + '.raw'), *w))]
    log = m.log()
for p in problems:
    print('# ' + p)
check(not problems, f'all of {len(want)} images are read right: {log}')
