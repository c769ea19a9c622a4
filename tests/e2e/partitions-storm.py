#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# While tables change all the time others list, open, read and write partitions: each open one is a
# place on the disk that some table named, to its end.
from partitions import *
from storm import *

SECONDS = 4 if not LONG else 60
TABLES = [[entry(0x83, 2048 + 512 * i, 512 * (1 + i % 3)) for i in range(n)] for n in (0, 1, 2, 4)]
TABLES.append([entry(5, 4096, 4096), entry(0x83, 2048, 512)])
filled('disk.raw', 8 * M)
poke('disk.raw', 4096 * SECTOR, record(entry(0x83, 1, 600), entry(5, 1024, 600)))
poke('disk.raw', 5120 * SECTOR, record(entry(0x83, 1, 500)))
os.mkdir('src')
for i in range(3):
    convert('disk.raw', f'src/vm{i}.qcow2')
opened = [0]


def change_table(r):
    with open(m.path(f'vm{r.randrange(3)}.raw'), 'r+b') as f:
        f.write(record(*r.choice(TABLES)))
    time.sleep(r.random() / 50)


def look(r):
    names = os.listdir(m.where)
    if {f'vm{i}.raw' for i in range(3)} - set(names):
        failed.append(f'disks are missing: {names}')
    os.path.exists(m.path(f'vm{r.randrange(3)}.p{r.randrange(1, 8)}.raw'))


def use(r):
    try:
        fd = os.open(m.path(f'vm{r.randrange(3)}.p{r.randrange(1, 7)}.raw'), os.O_RDWR)
    except OSError as e:
        if e.errno not in (errno.ENOENT, errno.ESTALE):
            raise
        return
    opened[0] += 1
    size = os.fstat(fd).st_size
    got = os.pread(fd, 512, 0)
    at = struct.unpack('<Q', got[:8])[0]
    if got != struct.pack('<Q', at) * 64 or at % SECTOR or len(os.pread(fd, M, 0)) != size:
        failed.append(f'from {at}: {size}')
    os.pwrite(fd, got, 0)
    os.close(fd)


with Mount('src', '-o', 'partitions', ro=False) as m:
    storm([change_table, change_table, look, look, use, use, use], SECONDS,
          lambda: opened[0] > 3, 'some partitions were opened')
    print(f'# opened {opened[0]}')
for i in range(3):
    run('qemu-img', 'check', '-q', f'src/vm{i}.qcow2')
