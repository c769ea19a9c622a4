#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Beside each image are its partitions, with the numbers that they have, and their bytes.
from partitions import *

MBR = '''label: dos
start=2048,size=20480,type=83,bootable
start=22528,size=9999,type=7
start=34816,size=40960,type=5
start=77777,size=1,type=da
'''
os.mkdir('src')
disk('mbr.raw', 48 * M, MBR)
sfdisk('mbr.raw', 'start=36864,size=4096,type=83\nstart=43009,size=8191,type=82\n'
       'start=53248,size=100,type=83\n', '--append', '--wipe=never', '--wipe-partitions=never')
disk('gpt.raw', 48 * M, 'label: gpt\n1: start=2048,size=5M\n2: start=20480,size=3M\n'
     '9: start=40960,size=1\n128: start=50000,size=4M\n')
filled('gpt4k.raw', 48 * M)
for at, data in gpt(48 * M, [(256, 1500), (2560, 2560)], sector=4096).items():
    poke('gpt4k.raw', at, data)
shutil.copy('gpt.raw', 'hybrid.raw')
poke('hybrid.raw', 0, record(entry(0xee, 1, 2047), entry(0x83, 2048, 10240)))
disk('only-logical.raw', 4 * M, 'label: dos\nstart=2048,size=6000,type=f\n')
sfdisk('only-logical.raw', 'start=4096,size=10,type=83\n', '--append', '--wipe=never')
filled('none.raw', 3 * M)
Path('small.raw').write_bytes(bytes(SECTOR))
want = {name: table(f'{name}.raw') for name in ('mbr', 'gpt', 'only-logical')}
want['gpt4k'] = {1: (M, 1245 * 4096), 2: (10 * M, 4096)}
want['hybrid'] = want['gpt']
want['none'] = want['small'] = {}
check(sorted(want['mbr']) == [1, 2, 4, 5, 6, 7] and sorted(want['gpt']) == [1, 2, 9, 128] and
      sorted(want['only-logical']) == [5], f'these: {want}')
for name in want:
    convert(f'{name}.raw', f'src/{name}.qcow2')
convert('mbr.raw', 'src/old.qcow', fmt='qcow')
create('src/over.qcow2', backing='mbr.qcow2', backing_format='qcow2')
convert('mbr.raw', 'src/packed.qcow2', extra=('-c',))
for name in 'old', 'over', 'packed':
    want[name] = want['mbr']


def look(m, name, parts, model):
    check(shown(m.where, name) == sorted(parts), f'{name}: {sorted(parts)}, not {shown(m.where, name)}')
    whole = os.stat(m.path(f'{name}.raw'))
    for number, (start, length) in parts.items():
        path = part(m, name, number)
        same_bytes(read_all(path, length), model[start:start + length], path)
        st = os.stat(path)
        check((st.st_size, st.st_mode, st.st_uid, st.st_mtime_ns) ==
              (length, whole.st_mode, whole.st_uid, whole.st_mtime_ns), f'{path}: {st}')
        check(st.st_blocks * 512 <= -(-length // 512) * 512, 'no more than all of it')


def names_before_listing(m):
    """They are found by name, too; and nothing else is."""
    for name, number in ('mbr', 5), ('gpt', 128), ('over', 2):
        check(os.stat(part(m, name, number)).st_size == want[name][number][1], 'found')
    for name in ('mbr.p3.raw', 'mbr.p8.raw', 'mbr.p05.raw', 'mbr.p5', 'mbr.p.raw', 'nobody.p1.raw',
                 'mbr.p99999999999999999999.raw', '.p1.raw', 'mbr.p1.p1.raw', 'mbr.raw.p1.raw'):
        check(not os.path.exists(m.path(name)), f'there is no {name}')


for ro in True, False:
    with Mount('src', '-o', 'partitions', ro=ro) as m:
        names_before_listing(m)
        for name in want:
            base = 'mbr' if name in ('old', 'over', 'packed') else name
            look(m, name, want[name], Path(f'{base}.raw').read_bytes())
        inode = os.stat(part(m, 'mbr', 5)).st_ino
        os.listdir(m.where)
        check(os.stat(part(m, 'mbr', 5)).st_ino == inode, 'it keeps its number')
        if ro:
            refuse = errno_of(os.open, part(m, 'mbr', 1), os.O_RDWR)
            check(refuse == errno.EROFS, f'EROFS, not {refuse}')
            check(not os.stat(part(m, 'mbr', 1)).st_mode & 0o222, 'and its mode says so')
# One image, on a folder; and with all other views, in which there are none.
run('qemu-img', 'snapshot', '-c', 'one', 'src/mbr.qcow2')
with Mount('src/mbr.qcow2', '-o', 'partitions,snapshots,chain,info') as m:
    look(m, 'mbr', want['mbr'], Path('mbr.raw').read_bytes())
    check(os.listdir(m.path('mbr.snapshots/one')) == ['disk.raw'], 'a snapshot shows none')
# Without the option there are none.
with Mount('src') as m:
    check(shown(m.where, 'mbr') == [] and not os.path.exists(part(m, 'mbr', 1)), 'none')
