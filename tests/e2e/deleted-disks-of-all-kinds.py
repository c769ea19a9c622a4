#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Deleted snapshots of encrypted images, of overlays and with VM state are shown, and several of one
# image; and what is left in images of version 1 and with an external data file.
# sanitize: none
from rescued import *
from encrypted import KEY, LUKS, SECRET, encrypted, encrypted_io
from v1image import V1


def keep(name, *args, more=''):
    """Changes snapshots, and punches nothing."""
    run('qemu-img', 'snapshot', *(SECRET if more else []), *args, '--image-opts',
        f'driver=qcow2,file.driver=file,file.filename={name},file.discard=ignore{more}')


def read(*path):
    return Path(*path).read_bytes()


SECRET_KEY = ',encrypt.format=luks,encrypt.key-secret=s'

# ---- encrypted: the tables are clear, and the data is deciphered
Path('key').write_text(KEY)
encrypted('luks.qcow2', 'qcow2', 'cluster_size=4k,' + LUKS, '4M', 'write -P 1 0 1M')
keep('luks.qcow2', '-c', 'one', more=SECRET_KEY)
encrypted_io('luks.qcow2', 'qcow2', 'write -P 2 0 512k')
keep('luks.qcow2', '-d', 'one', more=SECRET_KEY)
with Mount('luks.qcow2', '-o', 'unallocated,key-file=key') as m:
    raw = read(m.path('luks.deleted/one@1/disk.raw'))
    check(raw == b'\1' * M + bytes(3 * M), 'an encrypted snapshot is deciphered')

# ---- an overlay: unallocated clusters come from the backing file of today, and are doubtful
Path('base.raw').write_bytes(full_disk(4 * M, 7))
create('over.qcow2', None, options='cluster_size=4k', backing='base.raw', backing_format='raw')
write_generation('over.qcow2', 1, 0, M)
run('qemu-img', 'snapshot', '-c', 'one', 'over.qcow2')
write_generation('over.qcow2', 2, 0, M // 2)
keep('over.qcow2', '-d', 'one')
with Mount('over.qcow2', '-o', 'unallocated') as m:
    folder = m.path('over.deleted/one@1')
    found = judge(read(folder, 'disk.raw'), Path(folder, 'disk.map').read_text(),
                  full_disk(M, 1) + full_disk(4 * M, 7)[M:], 'overlay')
    check(found == {'+': 1024, '?': 7168}, f'the base of then is not known: {found}')
    check(read(folder, 'disk.raw')[M:] == full_disk(4 * M, 7)[M:], 'but it is shown')
    codes = {f['code'] for f in json.loads(Path(m.path('over.findings.json')).read_text())['findings']}
    check({'QCOW-BASE-THEN-UNKNOWN', 'QCOW-DELETED-SNAPSHOT'} <= codes, f'and said: {codes}')

# ---- a VM state: behind the disk
create('vm.qcow2', '8M', options='cluster_size=4k')
qio('vm.qcow2', 'write -P 0x11 0 1M', 'write -P 0x77 4M 1M')
poke('vm.qcow2', 24, struct.pack('>Q', 4 * M))
run('qemu-img', 'snapshot', '-c', 'vm', 'vm.qcow2')
at = struct.unpack('>Q', peek('vm.qcow2', 64, 8))[0]
poke('vm.qcow2', at + 40, struct.pack('>Q', M - 5))
qio('vm.qcow2', 'write -P 0x22 0 1M')
keep('vm.qcow2', '-d', 'vm')
with Mount('vm.qcow2', '-o', 'unallocated') as m:
    folder = m.path('vm.deleted/vm@1')
    check(sorted(os.listdir(folder)) == ['disk.map', 'disk.raw', 'vmstate'], f'{os.listdir(folder)}')
    check(read(folder, 'vmstate') == b'\x77' * (M - 5), 'the state is there')
    check(read(folder, 'disk.raw') == b'\x11' * M + bytes(3 * M), 'and the disk')

# ---- several of one image, some with one name; deleted in any order, with writes in between
rng = random.Random(SEED)
create('many.qcow2', '4M', options='cluster_size=512')
disk, disks, live, taken = bytearray(4 * M), {}, {}, 0
for step in range(8):
    at, n = rng.randrange(0, 60) * 64 * K, rng.randrange(1, 4) * 64 * K
    write_generation('many.qcow2', step + 1, at, n)
    disk[at:at + n] = sectors(step + 1, at // SECTOR, n // SECTOR)
    name = rng.choice('abcdef')
    if name not in live:
        run('qemu-img', 'snapshot', '-c', name, 'many.qcow2')
        listed = json.loads(run('qemu-img', 'info', '--output=json', 'many.qcow2'))['snapshots']
        live[name] = next(s['id'] for s in listed if s['name'] == name)
        disks.setdefault(f'{name}@{live[name]}', []).append(bytes(disk))
for step, name in enumerate(rng.sample(sorted(live), len(live))):
    keep('many.qcow2', '-d', name)
    if step == len(live) // 2:
        write_generation('many.qcow2', 20, rng.randrange(0, 63) * 64 * K, 16 * K)
        run('qemu-img', 'snapshot', '-c', 'late', 'many.qcow2')
        write_generation('many.qcow2', 21, rng.randrange(0, 63) * 64 * K, 16 * K)
seen = 0
with Mount('many.qcow2', '-o', 'unallocated,lost=mark') as m:
    names = sorted(os.listdir(m.path('many.deleted')))
    print(f'# {names}')
    for n in names:
        folder = m.path(f'many.deleted/{n}')
        if not os.path.isdir(folder) or n.startswith(('l1@', 'late@')):
            continue
        candidates = disks['@'.join(n.split('@')[:2])]
        raw, text = read(folder, 'disk.raw'), Path(folder, 'disk.map').read_text()
        good = sum(k for _, k, c in read_map(text) if c == '+')
        # With the same name and id, one of them.
        right = [d for d in candidates if all(raw[a:a + k] == d[a:a + k] for a, k, c in read_map(text) if c == '+')]
        check(right, f'{n}: what is good is right')
        seen += 1
        print(f'# {n}: {good} bytes are good')
check(seen, 'some are left')

# ---- version 1 has no snapshots; a table that nothing references is shown
v = V1(4 * M)
disk = full_disk(4 * M)
for i in range(1024):
    v.plain(i, disk[i * 4096:i * 4096 + 4096], 4096, l2_align=4096)
v.write('one.qcow')
l1, second = words(peek('one.qcow', v.l1_at, 16))
poke('one.qcow', v.l1_at + 8, bytes(8))
with Mount('one.qcow', '-o', 'unallocated') as m:
    names = os.listdir(m.path('one.deleted'))
    check(names == [f'l2@{second:#x}.raw'], f'version 1: {names}')
    check(read(m.path(f'one.deleted/{names[0]}')) == disk[2 * M:], 'it is what the table maps')
    facts = [f['note'] for f in json.loads(Path(m.path('one.findings.json')).read_text())['facts']]
    check(any('no snapshots' in n for n in facts), f'and said what there is not: {facts}')

# ---- with an external data file guest offsets are offsets there: nothing is left but an old L1 table
create('data.qcow2', '2M', options='data_file=data.bin,cluster_size=512')
write_generation('data.qcow2', 1, 0, M)
old = head('data.qcow2')['l1']
run('qemu-img', 'resize', '-q', '--image-opts',
    'driver=qcow2,file.driver=file,file.filename=data.qcow2,file.discard=ignore', '64M')
check(head('data.qcow2')['l1'] != old, 'the table has moved')
with Mount('data.qcow2', '-o', 'unallocated,backing=any') as m:
    names = os.listdir(m.path('data.deleted'))
    check(names == [f'l1@{old:#x}'], f'data file: {names}')
    folder = m.path('data.deleted/' + names[0])
    check(read(folder, 'disk.raw')[:M] == full_disk(M), 'it reads from the data file')
    check('+' not in {c for a, _, c in read_map(Path(folder, 'disk.map').read_text()) if a < M}, 'as it is today')
    facts = [f['note'] for f in json.loads(Path(m.path('data.findings.json')).read_text())['facts']]
    check(any('deleted disk' in n for n in facts), f'and said so: {facts}')
