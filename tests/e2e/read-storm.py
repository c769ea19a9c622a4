#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Eight threads read twenty images, which share backing files, at random, all at once.
# sanitize: thread
import threading
import time
from qcowtest import *

THREADS, SECONDS, SIZE = 8, 5, 6 * M + 512
names = []


def image(name, fmt='qcow2', **kw):
    if 'backing' in kw:
        create(name, fmt=fmt, **kw)
    else:
        convert('ref', name, fmt=fmt, **kw)
    names.append((name, fmt))


os.mkdir('src')
os.chdir('src')
Path('ref').write_bytes(noise(SIZE))
image('plain.qcow2')
image('small.qcow2', options='cluster_size=512')
image('large.qcow2', options='cluster_size=2M')
image('zlib.qcow2', extra=['-c'])
image('zlib-4k.qcow2', extra=['-c'], options='cluster_size=4k')
image('zstd.qcow2', extra=['-c', '-W'], options='compression_type=zstd')
image('zstd-2M.qcow2', extra=['-c'], options='compression_type=zstd,cluster_size=2M')
image('extended.qcow2', options='extended_l2=on')
image('v1.qcow', fmt='qcow')
image('v1-zlib.qcow', fmt='qcow', extra=['-c'])
for i, below in enumerate(('zlib', 'zlib', 'zstd', 'zstd', 'plain', 'over0', 'over1', 'over2')):
    image(f'over{i}.qcow2', backing=f'{below}.qcow2', backing_format='qcow2',
          options=rng.choice(('', 'cluster_size=4k', 'compat=0.10', 'extended_l2=on')))
    qio(f'over{i}.qcow2', *(f'write -P {rng.randrange(256)} {rng.randrange(SIZE - 100000)} '
                            f'{rng.randrange(1, 100000)}' for _ in range(20)))
image('over-v1.qcow2', backing='v1-zlib.qcow', backing_format='qcow')
image('over-raw.qcow2', backing='ref', backing_format='raw')
check(len(names) == 20, f'{len(names)} are twenty')
os.chdir('..')
want = {name: raw_of(f'src/{name}', fmt) for name, fmt in names}
errors = []


def reader(m, seed, until_then):
    r = random.Random(seed)
    done = 0
    while time.monotonic() < until_then and not errors:
        name = r.choice(names)[0]
        content = want[name]
        fd = os.open(m.path(name.rsplit('.', 1)[0] + '.raw'), os.O_RDONLY)
        for _ in range(r.randrange(1, 40)):
            at = r.randrange(len(content))
            n = r.choice((1, 512, 4096, 65536, 150001))
            got = os.pread(fd, n, at)
            if got != content[at:at + n]:
                errors.append(f'{name}: other bytes at {at}, of {n}')
        os.close(fd)
        done += 1
    counts.append(done)


def guarded(*args):
    try:
        reader(*args)
    except Exception as e:
        errors.append(repr(e))


for options in ['-o', 'direct_io'], ['-o', 'cache-size=64K,threads=8']:
    counts = []
    with Mount('src', *options) as m:
        end = time.monotonic() + SECONDS / 2
        threads = [threading.Thread(target=guarded, args=(m, rng.random(), end))
                   for _ in range(THREADS)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
    print(f'# {sum(counts)} opens with {options}')
    for e in errors[:10]:
        print('# ' + e)
    check(not errors, 'all bytes are right')
    check('qcowfs:' not in m.log(), f'nothing was logged: {m.log()}')
