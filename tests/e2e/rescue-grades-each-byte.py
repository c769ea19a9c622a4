#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# -o rescue serves what a damaged image holds, and NAME.map tells how far that can be trusted: a
# byte that the map calls good is right.
# sanitize: none
from rescued import *

KINDS = [('64k', 'cluster_size=64k', (), 'qcow2'), ('512', 'cluster_size=512', (), 'qcow2'),
         ('extended', 'extended_l2=on,cluster_size=16k', (), 'qcow2'),
         ('deflate', 'cluster_size=4k', ('-c',), 'qcow2'),
         ('zstd', 'compression_type=zstd,cluster_size=4k', ('-c',), 'qcow2'),
         ('version-2', 'compat=0.10,cluster_size=4k', (), 'qcow2'),
         ('refcount-1', 'refcount_bits=1,cluster_size=4k', (), 'qcow2'),
         ('refcount-64', 'refcount_bits=64,cluster_size=4k', (), 'qcow2'),
         ('version-1', '', (), 'qcow')]

# ---- sound images are good as a whole
os.mkdir('sound')
sound = {}
for kind, options, extra, fmt in KINDS:
    sound[kind] = make_full(f'sound/{kind}.qcow2', 1 * M, options, extra, fmt)
with Mount('sound', '-o', 'rescue,lost=mark') as m:
    for kind, disk in sound.items():
        data, text = Path(m.path(f'{kind}.raw')).read_bytes(), Path(m.path(f'{kind}.map')).read_text()
        found = judge(data, text, disk, kind)
        check(found == {'+': len(disk) // SECTOR}, f'{kind}: all of it is good: {found}')
        report = json.loads(Path(m.path(f'{kind}.rescue.json')).read_text())
        level = 'none' if kind == 'version-1' else 'proved'
        check(report['proof']['level'] == level, f'{kind}: {report["proof"]}')
        check(report['bytes']['good'] == len(disk), f'{kind}: {report["bytes"]}')
    check(oct(os.stat(m.path('64k.map')).st_mode & 0o777) == '0o444', 'a map is for reading')

# ---- one fault each
disk = make_full('a.qcow2', 8 * M)
tables = l2_tables('a.qcow2')
reftable = head('a.qcow2')['reftable']
refblock = words(peek('a.qcow2', reftable, 8))[0]
ALL, TABLE = 16384, 4096  # sectors
os.mkdir('faults')


def impossible(n):
    """Noise of which each word has a reserved bit, and is not compressed."""
    return struct.pack(f'>{n // 8}Q', *[(rng.getrandbits(64) | 2) & ~(1 << 62) for _ in range(n // 8)])


def two_entries(name):
    poke(name, tables[0] + 16, peek(name, tables[0] + 8, 8))


def entry_of(target):
    return lambda name: poke(name, tables[0] + 24, struct.pack('>Q', target | 1 << 63))


FAULTS = {
    'l2-zeros': (lambda n: poke(n, tables[0], bytes(4096)), {'?': TABLE, '+': ALL - TABLE}),
    'l2-noise': (lambda n: poke(n, tables[0], impossible(4096)), {'-': TABLE, '+': ALL - TABLE}),
    'l2-refblock': (lambda n: poke(n, tables[0], peek(n, refblock, 4096)), {'+': ALL - TABLE}),
    'l2-part-noise': (lambda n: poke(n, tables[0], b'\x7f' * 512),
                      {'-': 512, '?': TABLE - 512, '+': ALL - TABLE}),
    'cut': (lambda n: os.truncate(n, os.path.getsize(n) // 2), None),
    'two-entries': (two_entries, {'?': 16, '+': ALL - 16}),
    'entry-is-table': (entry_of(tables[1]), {'-': 8}),
    'entry-is-header': (entry_of(reftable), {'-': 8, '+': ALL - 8}),
    'entry-behind-end': (entry_of(1 << 40), {'-': 8, '+': ALL - 8}),
    'reftable-zeros': (lambda n: poke(n, reftable, bytes(4096)), {'?': ALL}),
    'corrupt-bit': (lambda n: poke(n, 79, b'\2'), {'+': ALL}),
}
for what, (change, _) in FAULTS.items():
    shutil.copy('a.qcow2', f'faults/{what}.qcow2')
    change(f'faults/{what}.qcow2')
with Mount('faults', '-o', 'rescue,lost=mark') as m:
    for what, (_, wanted) in FAULTS.items():
        raw = Path(m.path(f'{what}.raw')).read_bytes()
        found = judge(raw, Path(m.path(f'{what}.map')).read_text(), disk, what)
        for status, n in (wanted or {}).items():
            check(found.get(status) == n, f'{what}: {n} sectors {status}: {found}')
    found = json.loads(Path(m.path('l2-zeros.rescue.json')).read_text())
    check(found['proof']['level'] == '512-missing', f'what is missing is counted: {found["proof"]}')
    check(found['reasons'], 'reasons are told')

# ---- what is lost fails, unless the user wants something else; so does what is doubtful
with Mount('faults', '-o', 'rescue') as m, open(m.path('l2-noise.raw'), 'rb') as f:
    check(errno_of(f.read, 4096) == 5, 'a lost sector gives EIO')
    f.seek(4 * M)
    check(f.read(4096) == disk[4 * M:4 * M + 4096], 'the next one does not')
    with open(m.path('l2-zeros.raw'), 'rb') as z:
        check(z.read(4096) == bytes(4096), 'doubtful zeros are served')
with Mount('faults', '-o', 'doubtful=lost') as m, open(m.path('l2-zeros.raw'), 'rb') as f:
    check(errno_of(f.read, 4096) == 5, 'with doubtful=lost they are not')
with Mount('faults', '-o', 'lost=zeros') as m:
    raw = Path(m.path('entry-behind-end.raw')).read_bytes()
    check(raw[:0x3000] == disk[:0x3000] and raw[0x3000:0x4000] == bytes(0x1000) and
          raw[0x4000:] == disk[0x4000:], 'lost=zeros fills exactly the lost bytes, also without rescue')
    check(not os.path.exists(m.path('cut.map')), 'without rescue there is no map')
with Mount('faults', '-o', 'rescue,lost=mark') as m, open(m.path('l2-noise.raw'), 'rb') as f:
    line = f.read(512)
    check(line.startswith(b'qcowfs: lost 0x000000000000 impossible L2 entry ') and line.endswith(b' \n'),
          f'a mark has the offset and the reason: {line!r}')

# ---- cut at each sector: what is before the cut is right
os.mkdir('cuts')
small = make_full('small.qcow2', 32 * K, 'cluster_size=1k')
for n in range(4096, os.path.getsize('small.qcow2'), 512):
    shutil.copy('small.qcow2', f'cuts/{n}.qcow2')
    os.truncate(f'cuts/{n}.qcow2', n)
with Mount('cuts', '-o', 'rescue,lost=mark') as m:
    seen = 0
    for name in os.listdir('cuts'):
        n = name[:-6]
        raw = Path(m.path(f'{n}.raw')).read_bytes()
        found = judge(raw, Path(m.path(f'{n}.map')).read_text(), small, f'cut at {n}')
        seen += found.get('+', 0)
        check(sum(found.values()) - found.get('+', 0) > 0, f'{n}: not all of it is good')
    check(seen, 'something is good')

# ---- overlays without their backing file
base = make_full('base.qcow2', 4 * M)
create('over.qcow2', backing='base.qcow2', backing_format='qcow2', options='cluster_size=64k')
write_generation('over.qcow2', 2, 1 * M, 64 * K)
qio('over.qcow2', 'write -z 2M 64k')
both = base[:M] + sectors(2, 2048, 128) + base[M + 64 * K:2 * M] + bytes(64 * K) + base[2 * M + 64 * K:]
found = rescue('over.qcow2', both)
check(found == {'+': 8192}, f'with the backing file all is good: {found}')
os.rename('base.qcow2', 'away')
check(errno_of(os.stat, 'base.qcow2') == 2, 'the base is gone')
r = subprocess.run([QCOWFS, '-o', 'ro', 'over.qcow2', 'mnt1'], capture_output=True)
check(r.returncode == 2, 'without rescue it is refused')
found = rescue('over.qcow2', both)
check(found == {'+': 256, '*': 8192 - 256}, f'its own clusters are good: {found}')
with Mount('over.qcow2', '-o', 'rescue,backing=none,lost=zeros') as m:
    raw = Path(m.path('over.raw')).read_bytes()
    check(raw[:M] == bytes(M) and raw[M:M + 64 * K] == both[M:M + 64 * K], 'the rest can be zeros')
with Mount('over.qcow2', '-o', 'rescue,cow,lost=zeros', ro=False) as m:
    with open(m.path('over.raw'), 'r+b') as f:
        f.write(b'x' * 4096)
    check(Path(m.path('over.raw')).read_bytes()[:4096] == b'x' * 4096, 'an overlay goes on top')

# ---- a header that lost the name of its backing file
shutil.copy('over.qcow2', 'nameless.qcow2')
poke('nameless.qcow2', 8, bytes(12))
found = rescue('nameless.qcow2', both)
check(found == {'+': 256, '*': 8192 - 256}, f'it is missed all the same: {found}')

# ---- snapshots are graded, too
one = make_full('s.qcow2', 2 * M)
run('qemu-img', 'snapshot', '-c', 'one', 's.qcow2')
write_generation('s.qcow2', 2, M, 64 * K)
live = one[:M] + sectors(2, 2048, 128) + one[M + 64 * K:]
check(rescue('s.qcow2', live) == {'+': 4096}, 'an image with a snapshot is good')
with Mount('s.qcow2', '-o', 'rescue,snapshots') as m:
    check(Path(m.path('s.snapshots/one/disk.raw')).read_bytes() == one, 'and so is the snapshot')
table = l2_tables('s.qcow2')[0]
poke('s.qcow2', table, impossible(4096))
check(rescue('s.qcow2', live) == {'-': 4096}, 'a lost table is that of the disk')
with Mount('s.qcow2', '-o', 'rescue,snapshots') as m:
    check(Path(m.path('s.snapshots/one/disk.raw')).read_bytes() == one, 'the snapshot has its own')

# ---- usage
for options, word in (('rescue,rw', 'rw'), ('lost=none', 'lost'), ('doubtful=1', 'doubtful')):
    r = subprocess.run([QCOWFS, '-o', options, 's.qcow2', 'mnt1'], capture_output=True, text=True)
    check(r.returncode == 1 and word in r.stderr, f'{options}: {r.stderr}')
