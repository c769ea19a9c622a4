#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With -o compress whole clusters are stored compressed: in new images, over compressed data, and not
# over plain data.
from qcowtest import *

text = b''.join(b'line %d: all work and no play makes a dull disk %d\n' % (i, i * i % 7919) for i in range(90000))
data = (text * 2)[:8 * M - 3000] + bytes(3000)


def compressed(path):
    """The number of compressed clusters."""
    return json.loads(run('qemu-img', 'check', '--output=json', path))['compressed-clusters'] \
        if 'compressed-clusters' in run('qemu-img', 'check', '--output=json', path) else 0


def size(path):
    return os.stat(path).st_blocks * 512


os.mkdir('src')
Path('disk.raw').write_bytes(data)
for i, options in enumerate(['', 'compression_type=zstd', 'cluster_size=4k', 'compat=0.10:cluster_size=256k',
                             'extended_l2=on', 'cluster_size=512:refcount_bits=1']):
    image = f'src/i{i}.qcow2'
    level = '=9' if i % 2 else ''
    with Mount('src', '-o', f'create={options},compress{level}' if options else f'create,compress{level}', ro=False) as m:
        run('dd', 'if=disk.raw', f'of={m.path(f"i{i}.raw")}', 'bs=1M') if '256k' in options else \
            run('cp', 'disk.raw', m.path(f'i{i}.raw'))
        check(Path(m.path(f'i{i}.raw')).read_bytes() == data, f'{options}: its bytes')
    convert('disk.raw', 'theirs.qcow2', options=options.replace(':', ','), extra=['-c'])
    if 'refcount_bits=1' not in options:
        check(os.stat(image).st_size <= 1.05 * os.stat('theirs.qcow2').st_size + 64 * K,
              f'{options}: {os.stat(image).st_size} is about {os.stat("theirs.qcow2").st_size}')
    # Rewritten whole, and in part.
    with Mount('src', '-o', 'compress', ro=False) as m:
        with open(m.path(f'i{i}.raw'), 'r+b', buffering=0) as f:
            f.write(data[M:2 * M])
            f.seek(3 * M + 100)
            f.write(b'a part')
        now = bytearray(data)
        now[:M] = data[M:2 * M]
        now[3 * M + 100:3 * M + 106] = b'a part'
        check(Path(m.path(f'i{i}.raw')).read_bytes() == now, f'{options}: rewritten')
    run('qemu-img', 'check', '-q', image)
    check(raw_of(image) == now, f'{options}: its bytes, as QEMU reads them')
    check(compressed(image) > 0, f'{options}: compressed clusters')
    for _ in range(3):  # to write it again and again takes no more space
        with Mount('src', '-o', 'compress', ro=False) as m:
            run('dd', 'if=disk.raw', f'of={m.path(f"i{i}.raw")}', 'bs=1M', 'conv=notrunc')
    run('qemu-img', 'check', '-q', image)
    check(raw_of(image) == data, f'{options}: written again')
    if 'refcount_bits=1' not in options:
        check(size(image) <= 1.5 * size('theirs.qcow2') + 2 * M, f'{options}: {size(image)} {size("theirs.qcow2")}')

# So are clusters that a program writes in parts, also if it leaves out zeros.
sparse = bytearray(data)
for at in range(0, 4 * M, 100 * K):
    sparse[at:at + 8 * K] = bytes(8 * K)
Path('sparse.raw').write_bytes(sparse)
os.mkdir('parts')
for options, argv in [('cluster_size=2M', ['cp', '--sparse=never', 'sparse.raw']), ('', ['dd', 'bs=10000', 'if=sparse.raw']),
                      ('', ['cp', '--sparse=always', 'sparse.raw']),
                      ('', ['qemu-img', 'convert', '-f', 'raw', '-O', 'raw', 'sparse.raw'])]:
    with Mount('parts', '-o', f'create={options},compress' if options else 'create,compress', ro=False) as m:
        to = m.path('new.raw')
        run(*argv, 'of=' + to if argv[0] == 'dd' else to)
        check(Path(to).read_bytes() == sparse, f'{argv}: its bytes')
    run('qemu-img', 'check', '-q', 'parts/new.qcow2')
    check(raw_of('parts/new.qcow2') == sparse, f'{argv}: its bytes, as QEMU reads them')
    convert('sparse.raw', 'theirs.qcow2', options=options, extra=['-c'])
    check(size('parts/new.qcow2') <= 1.05 * size('theirs.qcow2') + 64 * K,
          f'{argv}: {size("parts/new.qcow2")} is about {size("theirs.qcow2")}')
    os.unlink('parts/new.qcow2')

# A small write stays plain; parts that wait are found by others, and are there after an fsync.
image = create('src/parts.qcow2', '4M')
with Mount('src', '-o', 'compress', ro=False) as m:
    path = m.path('parts.raw')
    with open(path, 'r+b', buffering=0) as f, open(path, 'rb', buffering=0) as g:
        f.write(text[:30000])
        check(g.read(40000) == text[:30000] + bytes(10000), 'parts that wait are read')
        f.write(text[30000:50000])
        os.fsync(g.fileno())
        run('cp', image, 'synced.qcow2')
        check(raw_of('synced.qcow2')[:50000] == text[:50000], 'parts that wait are there after an fsync')
check(compressed(image) == 0 and raw_of(image)[:50000] == text[:50000], 'a small write stays plain')

# Noise stays plain, and so does plain data.
noise_data = rng.randbytes(2 * M)
image = create('src/plain.qcow2', '4M')
qio(image, 'write -P 1 0 1M')
with Mount('src', '-o', 'compress', ro=False) as m:
    with open(m.path('plain.raw'), 'r+b', buffering=0) as f:
        f.write(text[:M])
        f.seek(2 * M)
        f.write(noise_data)
check(compressed(image) == 0 and raw_of(image) == text[:M] + bytes(M) + noise_data, 'plain and noise')

# Without the option nothing is compressed.
with Mount('src', ro=False) as m:
    run('dd', 'if=disk.raw', f'of={m.path("i0.raw")}', 'bs=1M', 'conv=notrunc')
check(compressed('src/i0.qcow2') == 0, 'plain')
for value in '0', '23', 'x':
    out = run(QCOWFS, '-o', f'compress={value}', 'src', m.where, ok=False)
    check(out.count('\n') == 1 and 'compress' in out, f'compress={value}: {out}')
