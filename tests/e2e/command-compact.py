#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs compact` makes an image file about as short as a copy would be, and changes nothing that
# can be read from it: of its disk, its snapshots, its bitmaps.
import shutil

from encrypted import *


def compact(image, *more, ok=True):
    r = subprocess.run([QCOWFS, 'compact', *more, image], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True)
    if not ok:
        check(r.returncode == 1 and not r.stdout and r.stderr.startswith('qcowfs: ') and
              r.stderr.count('\n') == 1, f'compact {image} is refused in one line: {r}')
        return r.stderr
    check(not r.returncode and not r.stderr, f'compact {image}: {r}')
    check(r.stdout.endswith(f' {os.path.getsize(image)} after.\n') or '-q' in more, r.stdout)
    return r.stdout


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')
    ours = subprocess.run([QCOWFS, 'check', '-q', image], capture_output=True, text=True)
    check(not ours.returncode, f'{image} is sound to us: {ours}')


def info(image):
    return json.loads(run('qemu-img', 'info', '--output=json', image))


def contents(image):
    found = [raw_of(image)]
    for s in info(image).get('snapshots', []):
        run('qemu-img', 'convert', '-l', f'snapshot.name={s["name"]}', '-O', 'raw', image, 'of.raw')
        found.append(Path('of.raw').read_bytes())
    return found


def measured(image, options):
    extra = ['-o', options] if options else []
    return json.loads(run('qemu-img', 'measure', '--output=json', '-O', 'qcow2', *extra,
                          image))['required']


def used_clusters(image):
    """Bytes of the clusters whose refcount is not 0."""
    content = Path(image).read_bytes()
    at = lambda where, n: int.from_bytes(content[where:where + n], 'big')
    cluster, width = 1 << at(20, 4), (1 << at(96, 4)) // 8 if at(4, 4) > 2 else 2
    table = at(48, 8)
    blocks = [at(table + i, 8) for i in range(0, at(56, 4) * cluster, 8)]
    return cluster * sum(any(content[b + i:b + i + width]) for b in blocks if b
                         for i in range(0, cluster, width))


def used_bytes(image):
    r = json.loads(run('qemu-img', 'map', '--output=json', image))
    return sum(e['length'] for e in r if e['data'])


def compacted(image, limit=None):
    before, size = contents(image), os.path.getsize(image)
    compact(image)
    now = os.path.getsize(image)
    sound(image)
    used = used_clusters(image)
    check(now <= used * 1.05 + M, f'{image}: {now} bytes, and {used} in use')
    check(contents(image) == before, f'{image}: all disks read as before')
    check(now <= size, f'{image}: {now} bytes, {size} before')
    if limit:
        check(now <= limit * 1.05 + M, f'{image}: {now} bytes, more than {limit}')
    again = Path(image).read_bytes()
    compact(image)
    check(os.path.getsize(image) == now and (limit is None or Path(image).read_bytes() == again),
          f'{image}: there is no more to do')


create('base.qcow2', '24M')
qio('base.qcow2', 'write -P 9 0 24M')
VARIANTS = ['', 'compat=0.10', 'cluster_size=512', 'cluster_size=4k,refcount_bits=64',
            'cluster_size=2M', 'extended_l2=on', 'compression_type=zstd,cluster_size=16k',
            'cluster_size=4k,refcount_bits=8', 'compat=0.10,cluster_size=4k']
for n, options in enumerate(VARIANTS):
    small = 'cluster_size=512' in options
    size = (4 if small else 32 if '2M' in options else 24) * M
    # Written in a random order, then trimmed.
    image = create(f'{n}.qcow2', size, options=options)
    steps = list(range(0, size, size // 64))
    rng.shuffle(steps)
    qio(image, *(f'write -P {1 + i % 250} {at} {size // 64}' for i, at in enumerate(steps)))
    qio(image, *(f'discard {at} {size // 64}' for at in rng.sample(steps, 40)))
    compacted(image, measured(image, options))
    qio(image, 'write -P 251 0 1M', f'write -P 252 {size // 2} 1M')
    sound(image)

    # With snapshots, one of which goes, and compressed clusters.
    image = create(f'{n}s.qcow2', size, options=options, **({} if 'compat' in options else {
        'backing': 'base.qcow2', 'backing_format': 'qcow2'}))
    cs = info(image)['cluster-size']
    qio(image, *(f'write -P {1 + i % 250} {at} {size // 64}' for i, at in enumerate(steps[:32])))
    run('qemu-img', 'snapshot', '-c', 'one', image)
    qio(image, *(f'write -P {101 + i % 150} {at} {size // 128}' for i, at in enumerate(steps[10:50])))
    if 'refcount_bits=8' not in options:
        packed = [at // cs * cs for at in steps[50:]]
        qio(image, *(f'write -c -P {7 + i} {at} {cs}' for i, at in enumerate(packed)),
            ok=False)  # QEMU refuses where the cluster has data
    run('qemu-img', 'snapshot', '-c', 'two', image)
    qio(image, *(f'write -z {at} {size // 100}' for at in steps[5:30]))
    run('qemu-img', 'snapshot', '-d', 'one', image)
    compacted(image)
    run('qemu-img', 'snapshot', '-a', 'two', image)
    run('qemu-img', 'snapshot', '-d', 'two', image)
    sound(image)
    compacted(image, measured(image, options))

# An image full of compressed clusters, of which most are overwritten.
Path('text.raw').write_bytes(noise(12 * M))
# Clusters that lie one after the other still do.
create('order.qcow2', '64M')
qio('order.qcow2', 'write -P 1 1M 20M', 'discard 1M 16M')
compacted('order.qcow2')
pieces = [e for e in json.loads(run('qemu-img', 'map', '--output=json', 'order.qcow2')) if e['data']]
check(len(pieces) <= 2, f'the data is in one or two pieces: {pieces}')

for options in ('', 'compression_type=zstd', 'cluster_size=4k'):
    convert('text.raw', 'packed.qcow2', options=options, extra=('-c',))
    qio('packed.qcow2', *(f'write -P 5 {at}k 128k' for at in rng.sample(range(0, 11000, 128), 60)))
    qio('packed.qcow2', 'discard 0 2M', 'discard 5M 3M')
    size = os.path.getsize('packed.qcow2')
    compacted('packed.qcow2')
    check(os.path.getsize('packed.qcow2') < size - M, f'{os.path.getsize("packed.qcow2")} of {size}')

# A table of many clusters that lies behind all data, and bitmaps.
create('long.qcow2', '1M', options='cluster_size=512')
qio('long.qcow2', 'write -P 3 0 1M')
run('qemu-img', 'resize', '-q', 'long.qcow2', '1G')
run('qemu-img', 'bitmap', '--add', '-g', '512', 'long.qcow2', 'b0')
qio('long.qcow2', 'write -P 4 100M 1M', 'discard 0 1000k', 'write -P 5 500M 1k')
bitmaps = info('long.qcow2')['format-specific']['data']['bitmaps']
before, used = raw_of('long.qcow2')[:102 * M], os.path.getsize('long.qcow2')
compact('long.qcow2')
check(raw_of('long.qcow2')[:102 * M] == before, 'the disk')
sound('long.qcow2')
check(info('long.qcow2')['format-specific']['data']['bitmaps'] == bitmaps, 'its bitmaps')
check(os.path.getsize('long.qcow2') < used - 700 * K, f'{os.path.getsize("long.qcow2")} of {used}')
copy = json.loads(run('qemu-img', 'measure', '--output=json', '-O', 'qcow2', '-o', 'cluster_size=512',
                      'long.qcow2'))
copy = copy['required'] + copy['bitmaps']
now = os.path.getsize('long.qcow2')
check(now <= copy * 1.05 + M, f'with bitmaps: {now} bytes, {copy} of a copy')

# Encrypted images: a LUKS sector is encrypted for the host offset that it has.
encrypted('luks.qcow2', 'qcow2', f'{LUKS},cluster_size=4k', '4M', 'write -P 5 0 4M', 'discard 0 2M')
Path('key').write_text(KEY)
before = encrypted_raw('luks.qcow2')
compact('luks.qcow2', '--key-file=key')
check(encrypted_raw('luks.qcow2') == before, 'the bytes of an encrypted image')
encrypted_sound('luks.qcow2')

# Leaks are freed, an external data file is not touched; the impossible changes nothing.
create('data.qcow2', '4M', options='data_file=d.data')
qio('data.qcow2', 'write -P 3 0 4M', 'discard 1M 2M')
before = Path('d.data').read_bytes()
compact('data.qcow2', '--backing=any')
check(Path('d.data').read_bytes() == before and raw_of('data.qcow2')[:M] == b'\3' * M, 'the data file')
sound('data.qcow2')
create('v1.qcow', '1M', fmt='qcow')
create('bad.qcow2', '1M')
qio('bad.qcow2', 'write -P 1 0 1M')
l2 = int.from_bytes(peek('bad.qcow2', int.from_bytes(peek('bad.qcow2', 40, 8), 'big') + 1, 7), 'big')
poke('bad.qcow2', l2 + 8, peek('bad.qcow2', l2, 8))
for image in ('v1.qcow', 'bad.qcow2'):
    before = Path(image).read_bytes()
    if image == 'v1.qcow':
        compact(image, ok=False)
        check(Path(image).read_bytes() == before, f'{image} is as it was')
compact('missing', ok=False)
