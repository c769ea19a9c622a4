#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# -o unallocated shows the bytes of an image file that no disk shows: clusters without a reference,
# slack, and what lies under zeros.  Named, unallocated, slack and holes are every byte once.
# sanitize: none
import hashlib
from rescued import *


def view(m, name):
    return Path(m.path(name)).read_bytes()


def report(m, name):
    return json.loads(Path(m.path(name)).read_text())


def host_data(name):
    with open(name, 'rb') as f:
        return data_map(f.fileno(), os.path.getsize(name))


def named(name):
    """A byte for each cluster: referenced, by qemu-img's own tables; an image without compression."""
    h, size = head(name), os.path.getsize(name)
    cs = h['cluster']
    used = bytearray(-(-size // cs))

    def use(off, n):
        for c in range(off // cs, -(-(off + n) // cs)):
            used[c] = 1

    use(0, cs)
    table = peek(name, h['reftable'], cs)
    use(h['reftable'], cs)
    for block in words(table):
        if block:
            use(block, cs)
    l1s = [(h['l1'], h['l1_entries'])]
    n, at = struct.unpack('>IQ', peek(name, 60, 12))
    start = at
    for _ in range(n):
        l1, entries, ids, names = struct.unpack('>QIHH', peek(name, at, 16))
        extra = struct.unpack('>I', peek(name, at + 36, 4))[0]
        l1s.append((l1, entries))
        end = at + 40 + extra + ids + names
        at = -(-end // 8) * 8
    if n:
        use(start, end - start)
    for l1, entries in l1s:
        use(l1, 8 * entries)
        for w in words(peek(name, l1, 8 * entries)):
            table = w & 0x00fffffffffffe00
            if table:
                use(table, cs)
                for e in words(peek(name, table, cs)):
                    if e & 0x00fffffffffffe00:
                        use(e & 0x00fffffffffffe00, cs)
    return used


# ---- an image with a history: a deleted snapshot that is not punched, zeros over data
create('v.qcow2', '16M', options='cluster_size=64k')
write_generation('v.qcow2', 1, 0, 4 * M)
run('qemu-img', 'snapshot', '-c', 'gone', 'v.qcow2')
write_generation('v.qcow2', 2, 0, 1 * M)
qio('v.qcow2', 'write -z 2M 256k', 'write -z 8M 64k')
write_generation('v.qcow2', 3, 12 * M, 64 * K)
# Delete it as a QEMU that does not punch: in a monitor would be the same; a file that cannot be punched.
argv = ['qemu-img', 'snapshot', '-d', 'gone', 'v.qcow2']
run('cp', '--sparse=never', 'v.qcow2', 'before.qcow2')
run(*argv)
run('cp', '--sparse=never', 'v.qcow2', 'after.qcow2')
# The bytes that the deletion punched come back, as on a file system without holes.
punched, n = bytearray(peek('after.qcow2', 0, os.path.getsize('after.qcow2'))), 0
old = peek('before.qcow2', 0, len(punched))
used = named('v.qcow2')
for c, u in enumerate(used):
    if not u:
        punched[c * 65536:(c + 1) * 65536] = old[c * 65536:(c + 1) * 65536]
Path('v.qcow2').write_bytes(punched)
size = os.path.getsize('v.qcow2')

tree_before = {p: (os.stat(p).st_mtime_ns, hashlib.sha256(Path(p).read_bytes()).hexdigest()) for p in ('v.qcow2',)}
with Mount('v.qcow2', '-o', 'forensic') as m:
    check({'v.unallocated.raw', 'v.unallocated.json', 'v.slack.raw', 'v.slack.json', 'v.zeroed.raw',
           'v.findings.json'} <= set(os.listdir(m.path())), 'forensic has all of it')
    lost, slack = view(m, 'v.unallocated.raw'), view(m, 'v.slack.raw')
    check(os.stat(m.path('v.unallocated.raw')).st_size == len(lost), 'the size is known then')
    runs, pieces = report(m, 'v.unallocated.json'), report(m, 'v.slack.json')
    zeroed = view(m, 'v.zeroed.raw')
    findings = report(m, 'v.findings.json')
    with open(m.path('v.zeroed.raw'), 'rb') as f:
        areas = data_map(f.fileno(), 16 * M)
check(runs['size'] == len(lost) and pieces['size'] == len(slack), 'the reports know the sizes')
whole = bytearray(size)  # how often each byte comes
image = Path('v.qcow2').read_bytes()
for part, rows in ((lost, runs['runs']), (slack, pieces['pieces'])):
    at = 0
    for r in rows:
        check(r['offset'] == at, 'rows follow each other')
        n, host = r['length'], r['image-offset']
        check(part[at:at + n] == image[host:host + n], f'the bytes are those of the image at {host:#x}')
        for i in range(-(-host // 512), (host + n) // 512):
            whole[i * 512] += 1
        at += n
    check(at == len(part), 'and are all of it')
used = named('v.qcow2')
slack_at = {i for r in pieces['pieces'] for i in range(-(-r['image-offset'] // 512), (r['image-offset'] + r['length']) // 512)}
holes = set(range(size // 512))
for a, b in host_data('v.qcow2'):
    holes -= set(range(a // 512, -(-b // 512)))
for i in range(size // 512):
    n = whole[i * 512] + (used[i * 512 // 65536] and i not in slack_at)
    check(n == 1 or (not n and i in holes), f'sector {i} comes once, not {n} times')
check(len(lost) >= 16 * 65536, f'the deleted snapshot is in it: {len(lost)}')
kinds = {r['kind'] for r in runs['runs']}
check('data' in kinds, f'kinds: {kinds}')
check(any(sector(1, 5) == lost[i:i + 512] for i in range(0, len(lost), 512)), 'with its sectors')
# zeroed
check(areas == [(2 * M, 2 * M + 256 * K)], f'under the zeros there are bytes: {areas}')
check(zeroed[2 * M:2 * M + 256 * K] == sectors(1, 4096, 512), 'the old ones')
check(not any(zeroed[:2 * M]) and not any(zeroed[2 * M + 256 * K:]), 'and else zeros')
codes = {f['code'] for f in findings['findings']}
check({'QCOW-ZEROED-WITH-DATA', 'QCOW-UNNAMED-DATA'} <= codes, f'both are found: {codes}')
check(not {f['priority'] for f in findings['findings']} & {'high'}, 'nothing is broken')
for f in findings['findings']:
    for e in f['evidence']:
        n = min(e['length'], 1 << 20)
        there = image[e['image-offset']:e['image-offset'] + n]
        check(e['sha256'] == hashlib.sha256(there).hexdigest(), f'{f["code"]}: the evidence is hashed')
now = {p: (os.stat(p).st_mtime_ns, hashlib.sha256(Path(p).read_bytes()).hexdigest()) for p in tree_before}
check(now == tree_before, 'and nothing has changed')

# ---- sound images have no finding
os.mkdir('sound')
for kind, options, extra, fmt in (
        ('64k', '', (), 'qcow2'), ('512', 'cluster_size=512', (), 'qcow2'), ('v2', 'compat=0.10', (), 'qcow2'),
        ('extended', 'extended_l2=on,cluster_size=16k', (), 'qcow2'), ('deflate', '', ('-c',), 'qcow2'),
        ('zstd', 'compression_type=zstd', ('-c',), 'qcow2'), ('v1', '', (), 'qcow'),
        ('rb1', 'refcount_bits=1', (), 'qcow2'), ('rb64', 'refcount_bits=64', (), 'qcow2'),
        ('falloc', 'preallocation=falloc', (), 'qcow2'), ('metadata', 'preallocation=metadata', (), 'qcow2')):
    make_full(f'sound/{kind}.qcow2', 1 * M, options, extra, fmt)
make_full('sound/snap.qcow2', 1 * M)
run('qemu-img', 'snapshot', '-c', 'one', 'sound/snap.qcow2')
write_generation('sound/snap.qcow2', 2, 64 * K, 64 * K)
run('qemu-img', 'bitmap', '--add', 'sound/64k.qcow2', 'b0')
with Mount('sound', '-o', 'unallocated') as m:
    for name in sorted(os.listdir('sound')):
        stem = name[:-6]
        found = report(m, f'{stem}.findings.json')
        check(found['findings'] == [], f'{stem} has no finding: {found["findings"]}')
        data = sum(b - a for a, b in host_data(f'sound/{name}'))
        extra = report(m, f'{stem}.unallocated.json')['size'] + report(m, f'{stem}.slack.json')['size']
        check(extra < data, f'{stem}: {extra} of {data}')
    facts = {f['code'] for f in report(m, 'snap.findings.json')['facts']}
    check(facts == {'QCOW-SNAPSHOTS'}, f'facts are told: {facts}')

# ---- each fault its finding
disk = make_full('a.qcow2', 8 * M)
tables = l2_tables('a.qcow2')
h = head('a.qcow2')
refblock = words(peek('a.qcow2', h['reftable'], 8))[0]
os.mkdir('faults')


def entry(i, word):
    return lambda n: poke(n, tables[0] + 8 * i, struct.pack('>Q', word))


def append(n):
    with open(n, 'ab') as f:
        f.write(b'secret' * 20)


def count(cluster, n):
    return lambda name: poke(name, refblock + 2 * cluster, struct.pack('>H', n))


data0 = words(peek('a.qcow2', tables[0], 8))[0] & 0x00fffffffffffe00
FAULTS = {
    'two-names': (lambda n: poke(n, tables[0] + 8, peek(n, tables[0], 8)), {'TWO-NAMES', 'COUNT-HIGH'}),
    'is-table': (entry(1, tables[1] | 1 << 63), {'TWO-NAMES', 'COUNT-HIGH'}),
    'impossible': (entry(1, 0x7f), {'ENTRY-IMPOSSIBLE', 'COUNT-HIGH'}),
    'behind-end': (entry(1, 1 << 40 | 1 << 63), {'ENTRY-BEHIND-END', 'COUNT-HIGH'}),
    'l2-zeros': (lambda n: poke(n, tables[0], bytes(4096)), {'COUNT-HIGH', 'LOST-MAPPING'}),
    'count-low': (count(data0 // 4096, 0), {'COUNT-LOW'}),
    'count-high': (count(data0 // 4096, 2), {'COUNT-HIGH'}),
    'copied': (entry(0, data0), {'COPIED-WRONG'}),
    'corrupt': (lambda n: poke(n, 79, b'\2'), {'CORRUPT-BIT'}),
    'dirty': (lambda n: poke(n, 79, b'\1'), {'DIRTY-BIT'}),
    'feature': (lambda n: poke(n, 87, b'\x80'), {'UNKNOWN-FEATURE'}),
    'autoclear': (lambda n: poke(n, 95, b'\1'), {'AUTOCLEAR-WITHOUT-EXTENSION'}),
    'header-slack': (lambda n: poke(n, 3000, b'hidden'), {'HEADER-SLACK'}),
    'longer': (append, {'FILE-LONGER'}),
}
for what, (change, _) in FAULTS.items():
    shutil.copy('a.qcow2', f'faults/{what}.qcow2')
    change(f'faults/{what}.qcow2')
with Mount('faults', '-o', 'unallocated') as m:
    for what, (_, wanted) in FAULTS.items():
        found = report(m, f'{what}.findings.json')['findings']
        codes = {f['code'][5:] for f in found}
        check(codes == wanted, f'{what}: {wanted}, and not {codes}')
    two = [f for f in report(m, 'two-names.findings.json')['findings'] if f['code'] == 'QCOW-TWO-NAMES']
    check(two[0]['guest-offsets'] == [0, 4096], f'both names are told: {two}')

# ---- a compressed cluster that cannot be decompressed
make_full('c.qcow2', 1 * M, '', ('-c',))
at = next(w for w in words(peek('c.qcow2', l2_tables('c.qcow2')[0], 80)) if w) & (1 << 54) - 1
poke('c.qcow2', at, b'\xff' * 64)
with Mount('c.qcow2', '-o', 'unallocated') as m:
    found = report(m, 'c.findings.json')['findings']
    check([(f['code'], f['guest-offset']) for f in found] == [('QCOW-PACKED-BROKEN', 0)], f'it is found: {found}')

# ---- ids that are missing
for name in ('1', '2', '3'):
    run('qemu-img', 'snapshot', '-c', name, 'a.qcow2')
run('qemu-img', 'snapshot', '-d', '2', 'a.qcow2')
with Mount('a.qcow2', '-o', 'unallocated') as m:
    codes = {f['code'] for f in report(m, 'a.findings.json')['findings']}
    check('QCOW-ID-GAP' in codes, f'a deleted snapshot leaves a gap: {codes}')
r = subprocess.run([QCOWFS, '-o', 'unallocated,rw', 'a.qcow2', 'mnt1'], capture_output=True, text=True)
check(r.returncode == 1 and 'unallocated' in r.stderr, f'it is for reading: {r.stderr}')
