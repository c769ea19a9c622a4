#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With any partition table, the shown partitions lie on the disk, and cost little time and memory.
from partitions import *

SIZE = 64 * M
SECTORS = SIZE // SECTOR
cases = {}  # name: ({offset: bytes}, [numbers] or None)


def ebr_chain(base, n, last):
    """n records in a row, each with a partition, and the link of the last one."""
    out = {}
    for i in range(n):
        link = entry(5, i + 1, 1) if i < n - 1 else last
        out[(base + i) * SECTOR] = record(entry(0x83, 1, 1), link)
    return out


cases['beyond'] = {0: record(entry(0x83, SECTORS, 8), entry(0x83, 0xffffffff, 0xffffffff),
                             entry(0x83, SECTORS - 1, 8), entry(0x83, 8, 0xffffffff))}, [3, 4]
cases['empty'] = {0: record(entry(0x83, 8, 0), entry(0x83, 0, 0), entry(0x83, 16, 8))}, [3]
cases['overlap'] = {0: record(entry(0x83, 8, 800), entry(0x83, 400, 800), entry(0x83, 8, 800))}, [1, 2, 3]
cases['all'] = {0: record(entry(0x83, 0, SECTORS))}, None
cases['itself'] = {0: record(entry(5, 2048, 4096)), **ebr_chain(2048, 1, entry(5, 0, 1))}, [5]
cases['one-back'] = {0: record(entry(5, 2048, 4096)), **ebr_chain(2048, 3, entry(5, 1, 1))}, None
cases['onto-itself'] = {0: record(entry(5, 2048, 4096)), **ebr_chain(2048, 3, entry(5, 2, 1))}, None
cases['to-the-mbr'] = {0: record(entry(5, 2048, 4096), entry(0x83, 8, 8)),
                       **ebr_chain(2048, 3, entry(5, 0xffffffff - 2047, 1))}, None
cases['mbr-is-one'] = {0: record(entry(5, 0, 4096), entry(0x83, 8, 8))}, None
cases['two-links'] = {0: record(entry(5, 2048, 4096)),
                      2048 * SECTOR: record(entry(5, 0, 1), entry(5, 0, 9), entry(5, 1, 1), entry(0xf, 1, 1)),
                      2049 * SECTOR: record(entry(5, 1, 1), entry(5, 0, 4), entry(0x83, 1, 1))}, None
cases['four-extended'] = {0: record(*[entry(5, 2048, 4096)] * 4), **ebr_chain(2048, 9, entry(5, 3, 1))}, None
cases['long'] = {0: record(entry(5, 2048, 40960)), **ebr_chain(2048, 20000, entry(5, 0, 1))}, None
cases['off-the-end'] = {0: record(entry(5, SECTORS - 2, 4096)),
                        **ebr_chain(SECTORS - 2, 2, entry(5, 1, 1))}, None
cases['gpt-good'] = gpt(SIZE, [(40, 99), (200, 299)]), [1, 2]
cases['gpt-beyond'] = gpt(SIZE, [(40, 99), (SECTORS, SECTORS + 9), (1 << 60, (1 << 61)), (99, 40)]), None
cases['gpt-more'] = gpt(SIZE, [(40 + i, 40 + i) for i in range(1000)]), None
cases['gpt-huge'] = gpt(SIZE, [(40, 99)], count=0x1ffffff), None
cases['gpt-most'] = gpt(SIZE, [(40, 99)], count=0xffffffff), None
cases['gpt-odd'] = gpt(SIZE, [(40, 99)], size=256), None
cases['gpt-far'] = gpt(SIZE, [(40, 99)], at=(1 << 64) - 1, entries_at=5), None
cases['gpt-there'] = gpt(SIZE, [(40, 99)], at=60000), [1]
cases['gpt-last'] = {**gpt(SIZE, [(40, 99)], at=60000, where=SECTORS - 1), 0: record(entry(0xee, 1, 0xffffffff))}, None
cases['nested'] = {0: record(entry(0xa5, 0xfffffff0, 9), entry(0xa5, 2048, 9), entry(0x81, 1, 9),
                             entry(0x63, 64, 10))}, None
for i in range(24):
    junk = bytearray(rng.randbytes(64 * K))
    for at in 0, *(rng.randrange(128) * SECTOR for _ in range(60)):
        table_of = [entry(rng.choice([5, 0xf, 0x83, 0xa5, 0]), rng.randrange(128), rng.randrange(1, 200))
                    for _ in range(4)]
        junk[at:at + SECTOR] = record(*table_of)
    cases[f'junk{i}'] = {0: bytes(junk)}, None

os.mkdir('src')
for name, (parts, _) in cases.items():
    with open('disk.raw', 'wb') as f:
        f.truncate(SIZE)
        for at, data in parts.items():
            f.seek(at)
            f.write(data)
        f.truncate(SIZE)
    convert('disk.raw', f'src/{name}.qcow2')
create('src/huge.qcow2', 1 << 56, options='cluster_size=2M')
qio('src/huge.qcow2', 'write -P 0x55 0 4k')
for name, count in ('vast-gpt', 0x1ffffff), ('vast-gpt-small', 1):
    create(f'src/{name}.qcow2', 8 * T)
    with Mount(f'src/{name}.qcow2', ro=False) as m, open(m.path(f'{name}.raw'), 'r+b') as f:
        for at, data in gpt(8 * T, [(40, 99)], count=count).items():
            f.seek(at)
            f.write(data)
for size in 1, 2, 3, 511:
    create(f'src/tiny{size}.qcow2', size * 512)

with Mount('src', '-o', 'partitions', ro=False) as m:
    began = m.cpu()
    os.listdir(m.where)
    took = m.cpu() - began
    print(f'# {len(cases)} tables in {took:.2f} s of a processor, {m.rss() // M} MiB')
    check(took < (60 if SANITIZER else 10), f'a moment: {took} s')
    check(SANITIZER or m.rss() < 200 * M, f'little memory: {m.rss()}')
    for name, (_, numbers) in cases.items():
        got = shown(m.where, name)
        print(f'# {name}: {got}')
        check(numbers is None or got == numbers, f'{name}: {numbers}, not {got}')
        check(len(got) <= 255 and got == sorted(set(got)), 'as the kernel numbers them')
        for n in got:
            path = part(m, name, n)
            size = os.stat(path).st_size
            check(0 < size <= SIZE, f'{path} is no larger than the disk')
        if got:
            with open(path, 'rb') as f:
                check(len(f.read()) == size, 'and can be read')
    check(shown(m.where, 'vast-gpt-small') == [1], 'a large disk')
    check(shown(m.where, 'vast-gpt') == [], 'not with so many entries')
    sizes = [os.stat(part(m, 'beyond', n)).st_size for n in (3, 4)]
    check(sizes == [SECTOR, SIZE - 8 * SECTOR], f'what is beyond the end is cut off: {sizes}')
