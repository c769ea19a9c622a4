#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# -o damage=FILE and -o damage-dir=DIR: what ddrescue could not read of an image file is EIO, exactly
# there; tables there are damaged; what the disk needs of the file is told.
# sanitize: none
from rescued import *

ROOM = 2 * M
disk = make_full('a.qcow2', ROOM)
SIZE = os.path.getsize('a.qcow2')
h, tables = head('a.qcow2'), l2_tables('a.qcow2')
# The reference: guest sector -> host sector, and -> the host sectors of its table entries.
entries = [words(peek('a.qcow2', t, 4096)) for t in tables]
host = [(entries[g // 512][g % 512] & 0x00fffffffffffe00) // SECTOR + s
        for g in range(ROOM // 4096) for s in range(8)]


def mapfile(name, bad):
    """A mapfile in which the sectors @bad were not read, with other status than `+`."""
    lines = ['# Mapfile. Created by GNU ddrescue version 1.27', '0x00000000     ?               1']
    at = 0
    for s in [*sorted(bad), None]:
        end = SIZE if s is None else s * SECTOR
        if end > at:
            lines.append(f'0x{at:08X}  0x{end - at:08X}  +')
        if s is not None:
            lines.append(f'0x{end:08X}  0x{SECTOR:08X}  {rng.choice("?*/-")}')
            at = end + SECTOR
    Path(name).write_text('\n'.join(lines) + '\n')
    for s in bad:
        poke('copy.qcow2', s * SECTOR, bytes(SECTOR))  # as ddrescue leaves it


def lost_sectors(path):
    """The sectors that fail when they are read one by one."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECT)
    import mmap
    buf = mmap.mmap(-1, SECTOR)
    lost = set()
    for i in range(ROOM // SECTOR):
        try:
            check(os.preadv(fd, [buf], i * SECTOR) == SECTOR, 'it reads a sector')
            check(buf[:] == disk[i * SECTOR:(i + 1) * SECTOR], f'sector {i} is right')
        except OSError as e:
            check(e.errno == 5, 'EIO')
            lost.add(i)
    buf.close()
    os.close(fd)
    return lost


# ---- in data, in an L2 table, and both
in_data = {host[i] for i in rng.sample(range(len(host)), 20)}
in_table = {tables[0] // SECTOR + 3}
behind = set(range(3 * 64 * 8, 4 * 64 * 8))  # guest sectors that the fourth sector of a table maps
for bad, wanted in ((in_data, {i for i, s in enumerate(host) if s in in_data}), (in_table, behind),
                    (in_data | in_table, {i for i, s in enumerate(host) if s in in_data} | behind)):
    shutil.copy('a.qcow2', 'copy.qcow2')
    mapfile('copy.map', bad)
    with Mount('copy.qcow2', '-o', 'damage=copy.map') as m:
        found = lost_sectors(m.path('copy.raw'))
        if bad is in_data:
            check(found == wanted, f'exactly the bad sectors: {sorted(found ^ wanted)[:20]}')
        else:  # a table is read in pieces of 4 KiB
            check(wanted <= found, 'at least those of the sector of the table')
    with Mount('copy.qcow2', '-o', 'rescue,damage=copy.map') as m:
        check(lost_sectors(m.path('copy.raw')) >= wanted, 'with rescue as well')
    found = rescue('copy.qcow2', disk, '-o', 'damage=copy.map')
    check(found['/'] == len(wanted), f'the map has exactly these: {found}, {len(wanted)}')
    with Mount('copy.qcow2', '-o', 'damage=copy.map,lost=zeros') as m:
        raw = Path(m.path('copy.raw')).read_bytes()
        for i in range(len(host)):
            there = raw[i * SECTOR:(i + 1) * SECTOR]
            if i not in wanted and bad is in_data:
                check(there == disk[i * SECTOR:(i + 1) * SECTOR], f'sector {i} is right')
            elif i in wanted:
                check(there == bytes(SECTOR), f'sector {i} is zeros')

# ---- in the header: it cannot be opened
shutil.copy('a.qcow2', 'copy.qcow2')
mapfile('header.map', {0})
r = subprocess.run([QCOWFS, '-o', 'damage=header.map', 'copy.qcow2', 'mnt1'], capture_output=True, text=True)
check(r.returncode == 2, f'the header is needed: {r.stderr}')

# ---- what the disk needs
create('sparse.qcow2', '64M', options='cluster_size=4k')
for i in range(0, 64, 2):
    write_generation('sparse.qcow2', 1, i * M, 8192)
qio('sparse.qcow2', *[f'discard {i}M 8k' for i in range(0, 32, 4)])
truth = raw_of('sparse.qcow2')
with Mount('sparse.qcow2', '-o', 'rescue') as m:
    needed = read_map(Path(m.path('sparse.needed.map')).read_text())
    disk_map = Path(m.path('sparse.map')).read_text()
size = os.path.getsize('sparse.qcow2')
check(sum(n for _, n, _ in needed) == size, 'the map is as long as the file')
check({s for _, _, s in needed} == {'+', '?'}, 'some is needed, some is not')
with open('needed.qcow2', 'wb') as f:  # the needed bytes alone serve the same disk
    f.truncate(size)
    for start, n, status in needed:
        if status == '+':
            f.seek(start), f.write(peek('sparse.qcow2', start, n))
check(raw_of('needed.qcow2') == truth, 'the needed bytes are enough')

# ---- a folder: a mapfile for each image, by its name
os.makedirs('many/sub'), os.makedirs('maps/sub')
for name in ('many/one.qcow2', 'many/two.qcow2', 'many/sub/one.qcow2'):
    shutil.copy('a.qcow2', name)
for name, s in (('maps/one.qcow2.map', 0), ('maps/sub/one.qcow2.map', 8)):
    mapfile(name, {host[s]})
with Mount('many', '-o', 'damage-dir=maps') as m:
    check(lost_sectors(m.path('one.raw')) == {0}, 'the map of the name')
    check(lost_sectors(m.path('two.raw')) == set(), 'one without a map')
    check(lost_sectors(m.path('sub/one.raw')) == {8}, 'a folder below')
with Mount('many', '-o', 'damage-dir=maps') as m:
    os.remove('maps/one.qcow2.map')
    check(lost_sectors(m.path('one.raw')) == set(), 'a map is read when its image is opened')

# ---- bad input
Path('bad.map').write_text('0x0 +\n0x0 12 y\n')
for options, source, status, word in (
        ('damage=none.map', 'a.qcow2', 1, 'none.map'), ('damage=bad.map', 'a.qcow2', 2, 'line 2'),
        ('damage=copy.map', 'many', 1, 'damage-dir'), ('damage-dir=none', 'many', 1, 'damage-dir'),
        ('damage=copy.map,rw', 'a.qcow2', 1, 'rw')):
    r = subprocess.run([QCOWFS, '-o', options, source, 'mnt1'], capture_output=True, text=True)
    check(r.returncode == status and word in r.stderr, f'{options}: {r.returncode}: {r.stderr}')

# ---- ddrescue itself
if not shutil.which('ddrescue'):
    print('# without ddrescue')
    sys.exit(0)
shutil.copy('a.qcow2', 'copy.qcow2')
mapfile('copy.map', in_data)
with Mount('copy.qcow2', '-o', 'rescue,damage=copy.map') as m:
    run('ddrescue', '-q', '-c1', '-d', '-n', '-r1', m.path('copy.raw'), 'o.raw', 'o.map', ok=False)
    run('ddrescue', '-q', '-d', '-r1', m.path('copy.raw'), 'o.raw', 'o.map', ok=False)
    ours = read_map(Path(m.path('copy.map')).read_text())
    theirs = read_map(Path('o.map').read_text())
    bad = [{s // SECTOR for a, n, c in areas if c != '+' for s in range(a, a + n, SECTOR)}
           for areas in (ours, theirs)]
    check(bad[0] == bad[1], f'ddrescue finds the same: {sorted(bad[0] ^ bad[1])[:20]}')
    run('ddrescuelog', '-t', m.path('copy.map'))
    run('ddrescuelog', '-t', m.path('copy.needed.map'))
    run('ddrescue', '-q', '-m', m.path('copy.needed.map'), 'a.qcow2', 'second.qcow2', 'second.map')
check(raw_of('second.qcow2') == disk, 'a second pass of what is needed serves the disk')
