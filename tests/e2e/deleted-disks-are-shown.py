#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# NAME.deleted shows what is left of deleted snapshots, of old L1 tables, of tables without a place
# and of compressed clusters that were replaced.  A `+` of disk.map is right, always.
# sanitize: none
import errno
import hashlib
from rescued import *


def opts(name, more=''):
    """For --image-opts: nothing is punched, as on a file system that cannot."""
    return f'driver=qcow2,file.driver=file,file.filename={name},discard=unmap,file.discard=ignore{more}'


def io(name, *commands):
    run('qemu-io', '--image-opts', *(x for c in commands for x in ('-c', c)), opts(name))


def write(name, generation, at, n):
    Path('part.raw').write_bytes(sectors(generation, at // SECTOR, n // SECTOR))
    io(name, f'write -s part.raw {at} {n}')


def drop(name, snapshot):
    run('qemu-img', 'snapshot', '-d', snapshot, '--image-opts', opts(name))


def deleted(m, name):
    stem = name.rsplit('.', 1)[0]
    return m.path(f'{stem}.deleted')


def read(*path):
    return Path(*path).read_bytes()


def judge_disk(folder, disk, what):
    """Judges a disk.raw that was read with lost=mark; the sectors by status."""
    return judge(read(folder, 'disk.raw'), Path(folder, 'disk.map').read_text(), disk, what)


# ---- a deleted snapshot is there, whole, and decays as the disk is written
VARIANTS = {
    '512': 'cluster_size=512', '4k': 'cluster_size=4k', '64k': '', '2m': 'cluster_size=2M',
    'v2': 'compat=0.10,cluster_size=4k', 'extended': 'extended_l2=on,cluster_size=16k',
    'rb1': 'refcount_bits=1', 'rb64': 'refcount_bits=64,cluster_size=16k',
}
os.mkdir('src')
olds = {}
for kind, options in VARIANTS.items():
    name = f'src/{kind}.qcow2'
    size = 16 * M if kind == '2m' else 4 * M
    create(name, str(size), options=options)
    write(name, 1, 0, size // 2)
    if kind == 'rb1':
        continue
    run('qemu-img', 'snapshot', '-c', 'before/update', name)
    write(name, 2, 0, size // 8)
    olds[kind] = sectors(1, 0, size // 2 // SECTOR) + bytes(size // 2)
    drop(name, 'before/update')
with Mount('src', '-o', 'unallocated,lost=mark') as m:
    check(os.listdir(m.path('rb1.deleted')) == [], 'an image without snapshots has nothing')
    for kind, old in olds.items():
        folder = m.path(f'{kind}.deleted')
        check(os.listdir(folder) == ['before%2Fupdate@1'], f'{kind}: {os.listdir(folder)}')
        folder += '/before%2Fupdate@1'
        check(sorted(os.listdir(folder)) == ['disk.map', 'disk.raw'], f'{kind}: {os.listdir(folder)}')
        check(hashlib.sha256(read(folder, 'disk.raw')).digest() == hashlib.sha256(old).digest(),
              f'{kind}: it reads as before')
        found = judge_disk(folder, old, kind)
        check(found.get('+', 0) >= len(old) // 8 // SECTOR and not found.get('-'), f'{kind}: {found}')
        st = os.stat(folder)
        check(abs(st.st_mtime - time.time()) < 600 and st.st_mtime != os.stat(f'src/{kind}.qcow2').st_mtime,
              f'{kind}: its time is that of the snapshot')
        refuses = errno_of(os.open, folder + '/disk.raw', os.O_RDWR)
        check(refuses == errno.EROFS, f'{kind}: it is for reading: {refuses}')
for n in 1, 3, 5:
    lost = {}
    for kind, old in olds.items():
        write(f'src/{kind}.qcow2', 2 + n, len(old) // 2, n * len(old) // 16)
    with Mount('src', '-o', 'unallocated,lost=mark') as m:
        for kind, old in olds.items():
            folder = m.path(f'{kind}.deleted/before%2Fupdate@1')
            if os.path.exists(folder):
                lost[kind] = judge_disk(folder, old, f'{kind} after {n}').get('-', 0)
    print(f'# after {n}/16: {lost}')
check(any(lost.values()), f'what is reused is lost: {lost}')

# ---- with punching nothing is left, and the findings say so
create('p.qcow2', '16M')
write_generation('p.qcow2', 1, 0, 4 * M)
run('qemu-img', 'snapshot', '-c', 'one', 'p.qcow2')
run('qemu-img', 'snapshot', '-c', 'two', 'p.qcow2')
write_generation('p.qcow2', 2, 0, M)
run('qemu-img', 'snapshot', '-d', 'one', 'p.qcow2')
with Mount('p.qcow2', '-o', 'unallocated') as m:
    check(os.listdir(deleted(m, 'p.qcow2')) == [], 'nothing is left')
    codes = {f['code'] for f in json.loads(Path(m.path('p.findings.json')).read_text())['findings']}
    check(codes == {'QCOW-PUNCHED', 'QCOW-ID-GAP'}, f'and the findings say so: {codes}')

# ---- a resize moves the L1 table
create('r.qcow2', '2M', options='cluster_size=512')
write('r.qcow2', 1, 0, 2 * M)
with open('r.qcow2', 'rb') as f:
    at = head('r.qcow2')['l1']
run('qemu-img', 'resize', '-q', '--image-opts', opts('r.qcow2'), '64M')
check(head('r.qcow2')['l1'] != at, 'it has moved')
with Mount('r.qcow2', '-o', 'unallocated,lost=mark') as m:
    check(os.listdir(deleted(m, 'r.qcow2')) == [f'l1@{at:#x}'], f'{os.listdir(deleted(m, "r.qcow2"))}')
    found = judge_disk(deleted(m, 'r.qcow2') + f'/l1@{at:#x}', sectors(1, 0, 2 * M // SECTOR), 'resized')
    check(set(found) == {'?'}, f'the disk has all of it, still: {found}')
    codes = [f['code'] for f in json.loads(Path(m.path('r.findings.json')).read_text())['findings']]
    check('QCOW-OLD-L1' in codes, f'it is found: {codes}')

# ---- compressed clusters that were replaced
for kind in 'zlib', 'zstd':
    disk = make_full('c.qcow2', 2 * M, f'cluster_size=64k,compression_type={kind}', ('-c',))
    write('c.qcow2', 9, 0, M)
    with Mount('c.qcow2', '-o', 'unallocated') as m:
        names = os.listdir(deleted(m, 'c.qcow2'))
        left = {read(deleted(m, 'c.qcow2'), n) for n in names if n.startswith('packed@')}
    wanted = {disk[i:i + 65536] for i in range(0, M, 65536)}
    check(left == wanted, f'{kind}: {len(left & wanted)} of {len(wanted)}, and {len(left - wanted)} others')

# ---- a table without an L1 table
disk = make_full('t.qcow2', 4 * M)
tables = l2_tables('t.qcow2')
shutil.copy('t.qcow2', 't2.qcow2')
refblock = words(peek('t2.qcow2', head('t2.qcow2')['reftable'], 8))[0]
poke('t2.qcow2', head('t2.qcow2')['l1'] + 8, bytes(8))
poke('t2.qcow2', refblock + 2 * (tables[1] // 4096), bytes(2))
for w in words(peek('t2.qcow2', tables[1], 4096)):
    poke('t2.qcow2', refblock + 2 * ((w & 0x00fffffffffffe00) // 4096), bytes(2))
with Mount('t2.qcow2', '-o', 'unallocated') as m:
    check(os.listdir(deleted(m, 't2.qcow2')) == [f'l2@{tables[1]:#x}.raw'], f'{os.listdir(deleted(m, "t2.qcow2"))}')
    part = read(deleted(m, 't2.qcow2'), f'l2@{tables[1]:#x}.raw')
    check(part == disk[2 * M:4 * M], 'it is what the table maps')
