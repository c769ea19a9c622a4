#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# No name in the mount is longer than 255 bytes: longer ones are cut, stay unique, and can be used.
from partitions import *

os.mkdir('src')
filled('disk.raw', 8 * M)
poke('disk.raw', 0, record(entry(0x83, 2048, 512)))
convert('disk.raw', 'disk.qcow2')
run('qemu-img', 'snapshot', '-c', 'one', 'disk.qcow2')
FILES = ['x' * 255, 'x' * 254 + 'y', 'x' * 252, 'y' * 251, 'z' * 250 + '.img', 'w' * 249 + '.qcow2', 'ü' * 127, 'short']
for f in FILES:
    Path('src', f).write_bytes(Path('disk.qcow2').read_bytes())
disk = Path('disk.raw').read_bytes()
with Mount('src', '-o', 'snapshots,chain,info,partitions') as m:
    names = os.listdir(m.where)
    check(max(len(os.fsencode(n)) for n in names) <= 255, 'none is longer')
    check(len(names) == len(set(names)) == 6 * len(FILES), f'{len(names)} names')
    for n in names:
        n.encode()  # a character was not cut in two
    for ending, count in (('.snapshots', 8), ('.chain', 8), ('.json', 8), ('.map', 8), ('.p1.raw', 8), ('.raw', 16)):
        check(sum(n.endswith(ending) for n in names) == count, f'{count} end in {ending}')
    check('y' * 251 + '.raw' in names and 'w' * 249 + '.raw' in names, 'what fits is not cut')
    check('z' * 250 + '.raw' in names and 'short.raw' in names, 'an ending that goes makes room')
    check(('x' * 252)[:233] + '%~' in {n[:235] for n in names if n.endswith('.raw')}, 'a mark says it was cut')
    for n in names:
        path = m.path(n)
        if n.endswith('.p1.raw'):
            same_bytes(Path(path).read_bytes(), disk[M:M + 512 * SECTOR], n)
        elif n.endswith('.raw'):
            same_bytes(Path(path).read_bytes(), disk, n)
        elif n.endswith('.json'):
            check(json.loads(Path(path).read_text())['virtual-size'] == 8 * M, n)
        elif n.endswith('.map'):
            check(json.loads(Path(path).read_text())[0]['start'] == 0, n)
        elif n.endswith('.snapshots'):
            check(os.listdir(path) == ['one'], n)
        else:
            inner = os.listdir(path)
            check(len(inner) == 2 and max(len(os.fsencode(i)) for i in inner) <= 255, n)
    partitions = sorted(n for n in names if n.endswith('.p1.raw'))
# A cut name of a partition is found without a listing.
with Mount('src', '-o', 'partitions') as m:
    for n in partitions:
        check(os.stat(m.path(n)).st_size == 512 * SECTOR, n)
