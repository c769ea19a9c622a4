#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Every kind of image that QEMU makes reads as QEMU reads it, and its holes are QEMU's.
# sanitize: none
import concurrent.futures
from qcowtest import *

SIZE = 3 * M + 1536  # not a whole number of clusters
REF = 'ref.dat'
variants = {}  # file -> (format, the map must be exact, how it is made)


def add(name, make, fmt='qcow2', exact=True):
    check(name not in variants, f'{name} is not there twice')
    variants[name] = (fmt, exact, make)


def converted(name, options='', extra=(), fmt='qcow2', **kw):
    add(name, lambda: convert(REF, name, 'raw', fmt, options, extra), fmt, **kw)


def made(name, size, *commands, options='', fmt='qcow2', backing=None, backing_format=None,
         ok=True, **kw):
    def make():
        create(name, size, fmt, options, backing, backing_format)
        if commands:
            qio(name, *commands, fmt=fmt, ok=ok)
    add(name, make, fmt, exact=kw.pop('exact', backing_format != 'raw'), **kw)


def random_commands(size, n, cluster, r):
    """Writes of all kinds, most of them at odd places."""
    out = []
    for _ in range(n):
        length = min(r.choice((1, 511, 512, 3000, cluster, 2 * cluster + 700, 100000)), size)
        at = r.randrange(size - length + 1)
        kind = r.choice(('write', 'write', 'zero', 'unmap', 'discard'))
        if kind == 'write':
            out.append(f'write -P {r.randrange(1, 255)} {at} {length}')
        elif kind == 'discard':
            at -= at % cluster
            out.append(f'discard {at} {min(max(length, cluster), size - at)}')
        else:
            out.append(f'write {"-z" if kind == "zero" else "-z -u"} {at} {length}')
    return out


# ---- plain and compressed, by version and cluster size ----

for v, compat in (2, '0.10'), (3, '1.1'):
    for cs in '512', '1k', '4k', '16k', '64k', '256k', '2M':
        o = f'compat={compat},cluster_size={cs}'
        converted(f'plain-v{v}-{cs}.qcow2', o)
        converted(f'zlib-v{v}-{cs}.qcow2', o, ['-c'])
for cs in '512', '4k', '64k', '2M':
    o = f'cluster_size={cs},compression_type=zstd'
    converted(f'zstd-{cs}.qcow2', o, ['-c'])
    converted(f'zstd-scattered-{cs}.qcow2', o, ['-c', '-W', '-m', '8'])
    converted(f'zlib-scattered-{cs}.qcow2', f'cluster_size={cs}', ['-c', '-W', '-m', '8'])

# ---- refcount widths, extended L2 entries ----

for bits in 1, 2, 4, 8, 16, 32, 64:
    for cs in '512', '4k', '64k':
        o = f'refcount_bits={bits},cluster_size={cs}'
        converted(f'refcounts-{bits}-{cs}.qcow2', o, ['-c'] if cs == '4k' else [])
for cs in '16k', '64k', '2M':
    o = f'extended_l2=on,cluster_size={cs}'
    converted(f'extended-{cs}.qcow2', o)
    converted(f'extended-zlib-{cs}.qcow2', o, ['-c'])
    converted(f'extended-zstd-{cs}.qcow2', o + ',compression_type=zstd', ['-c'])
    made(f'extended-over-raw-{cs}.qcow2', None, 'write -P 1 512 512', 'write -z 70k 1k',
         'write -P 2 300k 3k', 'discard 512k 2M', options=o, backing=REF, backing_format='raw')
made('extended-preallocated.qcow2', None, options='extended_l2=on,preallocation=metadata',
     backing=REF, backing_format='raw')

# ---- preallocation, sizes, data files ----

for p in 'metadata', 'falloc', 'full':
    made(f'preallocated-{p}.qcow2', '4M', 'write -P 9 70k 100', options=f'preallocation={p}',
         exact=False)
for size in 0, 512, 1024, 65024, 65536, 66048, 1000448, 512 * M, 512 * M + 512:
    commands = [f'write -P 3 {max(0, size - 700)} {min(size, 700)}'] if size else []
    made(f'size-{size}.qcow2', size, *commands)
    if size:
        made(f'size-v1-{size}.qcow', size, *commands, fmt='qcow')
for name, o in ('data', ''), ('data-raw', ',data_file_raw=on'), ('data-4k', ',cluster_size=4k'), \
               ('data-extended', ',extended_l2=on'):
    def make(name=name, o=o):
        create(f'{name}.qcow2', SIZE, options=f'data_file={name}.bin{o}')
        convert(REF, f'{name}.qcow2', extra=['-n'])
        qio(f'{name}.qcow2', 'write -P 7 0 1000', 'write -z 200k 300k', 'discard 1M 128k')
    add(f'{name}.qcow2', make, exact=False)
made('data-over-raw.qcow2', None, 'write -P 4 5000 70000', options='data_file=data-over.bin',
     backing=REF, backing_format='raw')

# ---- version 1 ----

converted('v1-plain.qcow', fmt='qcow')
converted('v1-zlib.qcow', extra=['-c'], fmt='qcow')
made('v1-over-raw.qcow', None, 'write -P 0x11 512 512', 'write -P 0x12 100k 70k', fmt='qcow',
     backing=REF, backing_format='raw')
made('v1-over-v3.qcow', None, 'write -P 0x13 1000 5000', fmt='qcow', backing='plain-v3-64k.qcow2',
     backing_format='qcow2')

# ---- overlays ----

made('over-short.qcow2', '1M', 'write -P 1 300k 100', backing='short.dat', backing_format='raw')
made('over-short-512.qcow2', '1M', options='cluster_size=512', backing='short.dat',
     backing_format='raw')
made('over-long.qcow2', '1M', 'write -P 1 70k 100', backing=REF, backing_format='raw')
made('over-v1.qcow2', None, 'write -P 5 9999 9999', backing='v1-zlib.qcow', backing_format='qcow')
made('over-v1-longer.qcow2', '5M', 'write -P 5 4M 99', backing='v1-plain.qcow',
     backing_format='qcow')
made('over-v3-shorter.qcow2', '2000384', 'write -P 5 100k 99', backing='zstd-64k.qcow2',
     backing_format='qcow2')
made('chain-2.qcow2', None, 'write -P 2 3k 200k', 'write -z 1M 77k', backing='over-v1.qcow2',
     backing_format='qcow2')
made('chain-3.qcow2', None, 'write -P 3 150k 150k', options='compat=0.10,cluster_size=4k',
     backing='chain-2.qcow2', backing_format='qcow2')
made('chain-4.qcow2', '4M', 'discard 0 1M', options='extended_l2=on', backing='chain-3.qcow2',
     backing_format='qcow2')


def make_grown():
    create('grown.qcow2', '1M', backing=REF, backing_format='raw')
    run('qemu-img', 'resize', '-q', '-f', 'qcow2', 'grown.qcow2', '2M')


add('grown.qcow2', make_grown, exact=False)  # bytes beyond the old end stay zero

# ---- everything at once, by chance ----

for v, compat in (2, '0.10'), (3, '1.1'):
    for cs in 512, 4 * K, 64 * K:
        for backing in None, 'plain-v3-4k.qcow2', REF:
            kind = {None: 'alone', REF: 'on-raw'}.get(backing, 'on-v3')
            made(f'random-v{v}-{cs}-{kind}.qcow2', None if backing else SIZE,
                 *random_commands(SIZE, 25, cs, rng), f'write -c -P 3 2M {cs}',
                 options=f'compat={compat},cluster_size={cs}', backing=backing,
                 backing_format={None: None, REF: 'raw'}.get(backing, 'qcow2'),
                 ok=False)  # v2 cannot discard over a backing file
for i in range(4):
    made(f'random-extended-{i}.qcow2', None, *random_commands(SIZE, 25, 64 * K, rng),
         options='extended_l2=on', backing='zlib-v3-4k.qcow2', backing_format='qcow2')


# ---- what else may be in an image ----

def with_snapshots():
    convert(REF, 'snapshots.qcow2')
    for i, name in enumerate(('one', 'two')):
        run('qemu-img', 'snapshot', '-c', name, 'snapshots.qcow2')
        qio('snapshots.qcow2', f'write -P {i + 1} 3k 130k', f'write -z {i + 1}M 100k')


def with_bitmaps():
    convert(REF, 'bitmaps.qcow2')
    run('qemu-img', 'bitmap', '--add', '-g', '64k', 'bitmaps.qcow2', 'b0')
    qio('bitmaps.qcow2', 'write -P 1 0 1')


def with_dirty_bit():
    create('dirty.qcow2', '4M', options='lazy_refcounts=on')
    qio('dirty.qcow2', 'write -P 1 0 256k', 'flush', 'sigraise 9', ok=False)


def amended(name, *steps):
    def make():
        convert(REF, name)
        for step in steps:
            run('qemu-img', 'amend', '-f', 'qcow2', '-o', step, name)
    add(name, make)


add('snapshots.qcow2', with_snapshots)
add('bitmaps.qcow2', with_bitmaps)
add('dirty.qcow2', with_dirty_bit)
amended('amended-down.qcow2', 'compat=0.10')
amended('amended-up.qcow2', 'compat=0.10', 'compat=1.1', 'refcount_bits=64')


# ---- the test -----------------------------------------------------------------

def make_all():
    os.mkdir('src')
    os.chdir('src')
    Path(REF).write_bytes(noise(SIZE))
    Path('short.dat').write_bytes(b'x' * 100000)
    names = list(variants)
    # Overlays need their backing files.
    order = [[n for n in names if n.startswith(('plain', 'zlib', 'zstd', 'v1-plain', 'v1-zlib'))]]
    order.append([n for n in names if n not in order[0] and not n.startswith('chain')])
    order += [[n] for n in names if n.startswith('chain')]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for stage in order:
            list(pool.map(lambda n: variants[n][2](), stage))
    os.chdir('..')


def shown(name):
    return name.rsplit('.', 1)[0] + '.raw'


def oracle(name):
    fmt = variants[name][0]
    raw = f'oracle-{name}'
    # From their folder: QEMU looks for data files in the current one.
    run('qemu-img', 'convert', '-f', fmt, '-O', 'raw', name, f'../{raw}', cwd='src')
    return name, raw, json.loads(run('qemu-img', 'map', '-f', fmt, '--output=json', name,
                                     cwd='src'))


def intersect(ranges, start, end):
    return [(max(a, start), min(b, end)) for a, b in ranges if a < end and b > start]


def covers(ranges, start, end):
    for a, b in ranges:
        if a <= start < b:
            start = b
    return start >= end


def map_problem(name, data, size, want, content):
    """Where our holes are not those of QEMU."""
    exact = variants[name][1]
    at = 0
    for start, end in [*data, (size, size)]:
        if any(content[at:start]):
            return f'the hole {at}..{start} has data in it'
        at = end
    for e in want:
        start, end = e['start'], min(e['start'] + e['length'], size)
        if not e['zero'] and not covers(data, start, end):
            return f'{start}..{end} is data for QEMU'
        if exact and not e['data'] and intersect(data, start, end):
            return f'{start}..{end} is a hole for QEMU, not for us: {intersect(data, start, end)}'
    return None


def compare_whole(path, name, raw, want):
    content = Path(raw).read_bytes()
    with open(path, 'rb', buffering=0) as f:
        size = os.fstat(f.fileno()).st_size
        if size != len(content):
            return f'size {size} instead of {len(content)}'
        problem = map_problem(name, data_map(f.fileno(), size), size, want, content)
        at = 0
        while at < size:
            piece = os.pread(f.fileno(), M, at)
            if not piece or piece != content[at:at + len(piece)]:
                return f'other bytes in the megabyte at {at}'
            at += len(piece)
    return problem


def compare_odd_reads(path, raw):
    size = os.stat(raw).st_size
    with open(path, 'rb', buffering=0) as f, open(raw, 'rb', buffering=0) as g:
        for _ in range(12 if size else 0):
            n = rng.choice((1, 100, 4096, 70001, 200 * K))
            at = rng.randrange(max(1, min(size, 4 * M)))
            if os.pread(f.fileno(), n, at) != os.pread(g.fileno(), n, at):
                return f'other bytes at {at}, of {n}'
    return None


make_all()
print(f'# {len(variants)} images')
problems = []
with concurrent.futures.ThreadPoolExecutor(4) as pool:
    oracles = list(pool.map(oracle, variants))
with Mount('src') as m:
    check(sorted(os.listdir(m.where)) == sorted(map(shown, variants)), 'all images are shown')
    for name, raw, want in oracles:
        problem = compare_whole(m.path(shown(name)), name, raw, want)
        if problem:
            problems.append(f'{name}: {problem}')
with Mount('src', '-o', 'direct_io') as m:
    for name, raw, _ in oracles:
        problem = compare_odd_reads(m.path(shown(name)), raw)
        if problem:
            problems.append(f'{name}: {problem}')
    log = m.log()
for p in problems:
    print('# ' + p)
check(not problems, f'all {len(variants)} images are as QEMU sees them')
check('qcowfs:' not in log, f'nothing was logged: {log}')
