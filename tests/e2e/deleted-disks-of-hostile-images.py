#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Images that are full of false tables, tables in a circle, and images that are stored in a guest:
# the search ends, in bounded memory, and what a guest has stored is not taken for tables.
# FAKES=N: so many false tables instead of 20,000.
from rescued import *

FAKES = int(os.environ.get('FAKES', 20000))


def use(name, options=''):
    """Lists and reads all that is deleted; the names, and the most memory."""
    with Mount(name, '-o', 'unallocated,lost=zeros' + options) as m:
        stem = m.path(name[:-6])
        start = time.monotonic()
        names = sorted(os.listdir(stem + '.deleted'))
        took = time.monotonic() - start
        for n in names[:3] + names[-3:]:
            path = f'{stem}.deleted/{n}'
            for p in ([path] if n.endswith('.raw') else [path + '/disk.raw', path + '/disk.map']):
                with open(p, 'rb') as f:
                    for _ in range(8):
                        f.read(M)
        found = json.loads(Path(stem + '.findings.json').read_text())
        print(f'# {name}: {len(names)} names, {took:.2f} s, {m.rss() >> 20} MiB')
        return names, found, m.rss()


def fake(name, count, cluster, word):
    """Appends clusters whose first word is word(i, offset); nothing references them."""
    create(name, '4M', options=f'cluster_size={cluster}')
    end = -(-os.path.getsize(name) // cluster) * cluster
    with open(name, 'r+b') as f:
        f.seek(end)
        for i in range(count):
            f.write(struct.pack('>Q', word(i, end)).ljust(cluster, b'\0'))


# Each is an L2 table, or an L1 table of the next one: a circle.
fake('ring.qcow2', FAKES, 512, lambda i, end: end + (i + 1) % FAKES * 512)
names, found, most = use('ring.qcow2')
check(len(names) <= 65536 and found['left-out'] >= 0, 'it ends')
check(most < 600 * M, f'in bounded memory: {most}')

# L2 tables with one cluster of data, which is between them.
fake('many.qcow2', FAKES, 512, lambda i, end: end + (i + 1) * 512 if i % 2 == 0 else 0x4747474747474747)
names, found, most = use('many.qcow2')
check(len(names) == min(65536, FAKES // 2), f'half of them are tables: {len(names)}')
check(most < 600 * M, f'in bounded memory: {most}')

# One table that names itself, and an L1 table of 64 entries with one table.
fake('self.qcow2', 4, 512, lambda i, end: end + i * 512)
use('self.qcow2')

# A snapshot table whose entries all have the largest L1 table.
create('long.qcow2', '4M', options='cluster_size=64k')
with open('long.qcow2', 'r+b') as f:
    f.truncate(40 * M)
    f.seek(36 * M)
    for i in range(1000):
        f.write(struct.pack('>QIHHIIQIIQQ', 65536 * (1 + i % 8), 4096 * 1024 - 1, 4, 4, i, 0, 0, 0, 16, 0,
                            4 * M) + b'%04dname' % i)
use('long.qcow2')

# A guest that stores images: their tables are data of its disk.
create('inner.qcow2', '8M', options='cluster_size=4k')
qio('inner.qcow2', 'write -P 1 0 2M', 'write -P 2 4M 2M')
run('qemu-img', 'snapshot', '-c', 'inner', 'inner.qcow2')
qio('inner.qcow2', 'write -P 3 0 1M')
inner = Path('inner.qcow2').read_bytes()
inner += bytes(-len(inner) % 65536)
create('outer.qcow2', '16M', options='cluster_size=4k')
Path('part.raw').write_bytes(inner)
outer_opts = 'driver=qcow2,file.driver=file,file.filename=outer.qcow2,discard=unmap,file.discard=ignore'
qio('outer.qcow2', f'write -s part.raw 4M {len(inner)}', 'write -P 9 0 1M')
run('qemu-img', 'snapshot', '-c', 'outer', 'outer.qcow2')
qio('outer.qcow2', f'write -P 8 4M {len(inner)}')
run('qemu-img', 'snapshot', '-d', 'outer', '--image-opts', outer_opts)
names, found, _ = use('outer.qcow2')
check(names == ['outer@1'], f'only the disk of the guest is found: {names}')
with Mount('outer.qcow2', '-o', 'unallocated') as m:
    check(Path(m.path('outer.deleted/outer@1/disk.raw')).read_bytes()[4 * M:4 * M + len(inner)] == inner,
          'with the image that it stored')
