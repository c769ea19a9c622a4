#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# An image whose first cluster is lost is found by its content, with its snapshots, and proved by its
# refcounts; without that it is refused.
# sanitize: none
from encrypted import *
from rescued import *

KINDS = [('64k', 'cluster_size=64k', (), 8 * M), ('512', 'cluster_size=512', (), 1 * M),
         ('4k', 'cluster_size=4k', (), 8 * M), ('2m', 'cluster_size=2M', (), 16 * M),
         ('extended', 'extended_l2=on,cluster_size=16k', (), 4 * M), ('deflate', 'cluster_size=4k', ('-c',), 4 * M),
         ('zstd', 'compression_type=zstd,cluster_size=64k', ('-c',), 4 * M),
         ('version-2', 'compat=0.10,cluster_size=4k', (), 2 * M),
         ('refcount-64', 'refcount_bits=64,cluster_size=4k', (), 2 * M),
         ('refcount-1', 'refcount_bits=1,cluster_size=4k', (), 2 * M)]


os.mkdir('mnt1')


def lose_header(name):
    n = head(name)['cluster']
    poke(name, 0, bytes(n))


def look(name, disk, *options):
    """Mounts and judges it; the sectors by status, the report, and the raw bytes."""
    stem = name.rsplit('.', 1)[0]
    with Mount(name, '-o', 'rescue,lost=mark', *options) as m:
        with open(m.path(f'{stem}.raw'), 'rb') as f:  # the disk may seem to be larger
            raw = f.read(len(disk))
        text = Path(m.path(f'{stem}.map')).read_text()
        found = json.loads(Path(m.path(f'{stem}.rescue.json')).read_text())
    at = 0
    for start, n, status in read_map(text):
        for at in range(start, min(start + n, len(disk)), SECTOR):
            if status == '+':
                check(raw[at:at + SECTOR] == disk[at:at + SECTOR], f'{name}: the good sector at {at:#x} is right')
    return read_map(text), found, raw


for kind, options, extra, size in KINDS:
    name = f'{kind}.qcow2'
    disk = make_full(name, size, options, extra)
    was = head(name)
    lose_header(name)
    r = subprocess.run([QCOWFS, '-o', 'ro', name, 'mnt1'], capture_output=True, text=True)
    check(r.returncode == 2, f'{kind}: without rescue it is refused')
    areas, report, raw = look(name, disk)
    check(raw == disk, f'{kind}: all bytes are right')
    check(sum(n for a, n, s in areas if s == '+') == size, f'{kind}: and all that were written are good: {areas[:4]}')
    check(report['proof']['level'] == 'proved' and report['found']['header'] == 'scan', f'{kind}: {report}')
    check(report['found']['cluster-size']['value'] == was['cluster'] and
          report['found']['l1']['offset'] == was['l1'], f'{kind}: as before: {report["found"]}')

# ---- absent clusters are zeros, and not called good: there may have been a backing file
create('sparse.qcow2', '64M', options='cluster_size=4k')
for i in (0, 5, 40):
    write_generation('sparse.qcow2', 1, i * M, 64 * K)
truth = raw_of('sparse.qcow2')
lose_header('sparse.qcow2')
areas, report, raw = look('sparse.qcow2', truth)
check(raw == truth[:len(raw)], 'all bytes are right')
check({s for _, _, s in areas} == {'+', '?'}, f'what is absent is doubtful: {areas[:5]}')

# ---- snapshots, and a guest that holds an image
make_full('inner.qcow2', 1 * M, 'cluster_size=4k')
inner = Path('inner.qcow2').read_bytes()
inner += bytes(-len(inner) % 65536)
one = full_disk(4 * M)[:1 * M] + inner + full_disk(4 * M)[1 * M + len(inner):]
Path('full.raw').write_bytes(one)
convert('full.raw', 's.qcow2', options='cluster_size=4k')
run('qemu-img', 'snapshot', '-c', 'one', 's.qcow2')
write_generation('s.qcow2', 2, 3 * M, 256 * K)
run('qemu-img', 'snapshot', '-c', 'two', 's.qcow2')
write_generation('s.qcow2', 3, 2 * M, 64 * K)
live = raw_of('s.qcow2')
lose_header('s.qcow2')
areas, report, raw = look('s.qcow2', live)
check(raw[:len(live)] == live, 'the live disk is right')
check(report['found']['snapshots'] == 2 and report['proof']['level'] == 'proved', f'with snapshots: {report}')
with Mount('s.qcow2', '-o', 'rescue,snapshots') as m:
    check(sorted(os.listdir(m.path('s.snapshots'))) == ['one', 'two'], 'by their names')
    with open(m.path('s.snapshots/one/disk.raw'), 'rb') as f:
        check(f.read() == one, 'and with their bytes')

# ---- snapshots that hold more clusters than the disk
create('old.qcow2', '1M', options='cluster_size=4k')
for generation in range(1, 5):
    write_generation('old.qcow2', generation, 0, 1 * M)
    run('qemu-img', 'snapshot', '-c', f'at-{generation}', 'old.qcow2')
write_generation('old.qcow2', 5, 0, 1 * M)
live = raw_of('old.qcow2')
lose_header('old.qcow2')
areas, report, raw = look('old.qcow2', live)
check(raw[:len(live)] == live, 'the disk of the latest generation is right')
check(report['found']['snapshots'] == 4 and report['proof']['level'] == 'proved', f'with all snapshots: {report}')

# ---- other faults of a header
good = make_full('h.qcow2', 2 * M)
for what, at, data in (('magic', 0, b'QFI\0'), ('size', 24, b'\xff' * 8), ('l1-entries', 36, bytes(4)),
                       ('cluster-bits', 20, bytes(4)), ('reftable', 48, b'\x77' * 8), ('length', 100, b'\xff' * 4)):
    shutil.copy('h.qcow2', f'{what}.qcow2')
    poke(f'{what}.qcow2', at, data)
    areas, report, raw = look(f'{what}.qcow2', good)
    check(raw == good and report['found']['header'] == 'scan', f'{what}: found by content')

# ---- encrypted: the tables are clear
encrypted('luks.qcow2', 'qcow2', f'cluster_size=64k,{LUKS}', '4M', 'write -P 7 0 2M')
Path('key').write_text(KEY)
truth = encrypted_raw('luks.qcow2', 'qcow2')
lose_header('luks.qcow2')
areas, report, raw = look('luks.qcow2', truth[:2 * M], '-o', 'key-file=key')
check(raw == truth[:2 * M], 'an encrypted disk is right')

# ---- nothing is chosen without proof
make_full('n.qcow2', 2 * M)
reftable = head('n.qcow2')['reftable']
lose_header('n.qcow2')
poke('n.qcow2', reftable, bytes(4096))
r = subprocess.run([QCOWFS, '-o', 'rescue', 'n.qcow2', 'mnt1'], capture_output=True, text=True)
check(r.returncode == 2 and 'header is lost' in r.stderr, f'without refcounts it is refused: {r.stderr}')
Path('noise').write_bytes(rng.randbytes(4 * M))
r = subprocess.run([QCOWFS, '-o', 'rescue', 'noise', 'mnt1'], capture_output=True, text=True)
check(r.returncode == 2, f'noise is refused: {r.stderr}')
# Hostile: each sector looks like a table.
Path('fake').write_bytes(struct.pack('>64Q', *[(i + 1) * 512 for i in range(64)]) * 8192)
r = subprocess.run([QCOWFS, '-o', 'rescue', 'fake', 'mnt1'], capture_output=True, text=True, timeout=PATIENCE)
check(r.returncode == 2, f'and so are fakes: {r.stderr}')
