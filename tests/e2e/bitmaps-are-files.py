#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# NAME.bitmaps/B.raw: data is the dirty areas, with the bytes of the disk, also while it is written.
# mkdir, rmdir and rename change bitmaps, also under load, and JSON tells the dirty bytes.
import threading
from dirtybits import *

SIZE = 8 * M
os.mkdir('src')
image = create('src/vm.qcow2', SIZE)
model = {'b0': add_bitmap(image, 'b0', 65536), 'fine': add_bitmap(image, 'fine', 512),
         'off': add_bitmap(image, 'off', 4096, enabled=False)}
qio(image, 'write -P 7 100k 30k', 'write -z 3M 64k', 'write -P 8 8191k 1k')
for m in model.values():
    for off, n in (100 * K, 30 * K), (3 * M, 64 * K), (8191 * K, K):
        m.mark(off, n)


def dirty_bytes(m, where='vm'):
    page = json.loads(Path(m.path(f'{where}.json')).read_text())
    return {b['name']: b.get('dirty-bytes') for b in page['qcowfs']['bitmaps']}


def agrees_with_files(m, disk, names=None):
    names = model if names is None else names
    check(sorted(os.listdir(m.path('vm.bitmaps'))) == sorted(f'{n}.raw' for n in names), 'listed')
    for name in names:
        want = model[name].ranges(SIZE)
        path = m.path(f'vm.bitmaps/{name}.raw')
        fd = os.open(path, os.O_RDONLY)
        check(os.fstat(fd).st_size == SIZE, 'it has the size of the disk')
        same_dirty(data_map(fd, SIZE), want, name)
        bytes_wanted = bytearray(SIZE)
        for a, b in want:
            bytes_wanted[a:b] = disk[a:b]
        pages_of(fd)
        same_bytes(os.pread(fd, SIZE, 0), bytes_wanted, name)
        os.close(fd)
        check(errno_of(os.open, path, os.O_RDWR) in (errno.EACCES, errno.EROFS, errno.EPERM), 'read-only')


# Read-only mounts show them, and change nothing.
before = Path(image).read_bytes()
with Mount('src', '-o', 'ro,bitmaps,info', ro=False) as m:
    agrees_with_files(m, raw_of(image))
    check(dirty_bytes(m) == {n: sum(b - a for a, b in model[n].ranges(SIZE)) for n in model}, 'JSON')
    for n in model:
        blocks = os.stat(m.path(f'vm.bitmaps/{n}.raw')).st_blocks * 512
        check(blocks == sum(b - a for a, b in model[n].ranges(SIZE)), f'blocks of {n}: {blocks}')
    check(errno_of(os.mkdir, m.path('vm.bitmaps/new')) == errno.EROFS, 'not in a read-only mount')
check(Path(image).read_bytes() == before, 'reading changes nothing')
with Mount('src', '-o', 'forensic', ro=False) as m:
    check(len(os.listdir(m.path('vm.bitmaps'))) == 3, 'part of forensic')

# They follow writes.
disk = bytearray(raw_of(image))
m = Mount('src', '-o', 'rw,bitmaps,info', ro=False)
fd = os.open(m.path('vm.raw'), os.O_RDWR)
view = os.open(m.path('vm.bitmaps/fine.raw'), os.O_RDONLY)
for _ in range(30):
    off, n = rng.randrange(SIZE - 70000), rng.choice([1, 600, 70000])
    data = rng.randbytes(n)
    os.pwrite(fd, data, off)
    disk[off:off + n] = data
    for b in model.values():
        b.mark(off, n)
    same_dirty(data_map(view, SIZE), model['fine'].ranges(SIZE), 'at once')
agrees_with_files(m, disk)
check(errno_of(os.rmdir, m.path('vm.bitmaps/fine')) == errno.EBUSY, 'it is open')
os.close(view)
time.sleep(1.1)  # the kernel and we cache attributes for a second
check(dirty_bytes(m) == {n: sum(b - a for a, b in model[n].ranges(SIZE)) for n in model}, 'JSON')

# Changes.
os.mkdir(m.path('vm.bitmaps/new'))
model['new'] = Bits(65536)
check(errno_of(os.mkdir, m.path('vm.bitmaps/new')) == errno.EEXIST, 'a name is taken once')
os.pwrite(fd, b'x', 5 * M)
disk[5 * M:5 * M + 1] = b'x'
for b in model.values():
    b.mark(5 * M, 1)
agrees_with_files(m, disk)
os.rename(m.path('vm.bitmaps/new'), m.path('vm.bitmaps/newer'))
model['newer'] = model.pop('new')
agrees_with_files(m, disk)
os.rename(m.path('vm.bitmaps/off.raw'), m.path('vm.bitmaps/still off.raw'))
model['still off'] = model.pop('off')
os.rmdir(m.path('vm.bitmaps/b0'))
model.pop('b0')
agrees_with_files(m, disk)
check(errno_of(os.rmdir, m.path('vm.bitmaps/b0')) == errno.ENOENT, 'it is gone')
for name, e in ('a' * 252, errno.ENAMETOOLONG), ('fine.raw', errno.EEXIST), ('%2F', 0), ('%zz', errno.EINVAL):
    got = errno_of(os.mkdir, m.path(f'vm.bitmaps/{name}'))
    check(got == e, f'mkdir {name}: {os.strerror(got)}')
    if not e:
        model['/' if name == '%2F' else name] = Bits(65536)
os.close(fd)
m.unmount()
qemu_agrees(image, model, SIZE)

# Under load: each write is in all bitmaps that there were before it.
for name in list(model):
    run(QCOWFS, 'bitmap', '--remove', image, name)
m = Mount('src', '-o', 'rw,bitmaps', ro=False)
fd = os.open(m.path('vm.raw'), os.O_RDWR)
os.mkdir(m.path('vm.bitmaps/all'))
stop = False
written = [[] for _ in range(3)]


def write_on(mine):
    r = random.Random(SEED + id(mine) % 1000)
    while not stop:
        off = r.randrange(SIZE // 4096) * 4096
        os.pwrite(fd, r.randbytes(512), off)
        mine.append((off, 512))


threads = [threading.Thread(target=write_on, args=(w,), daemon=True) for w in written]
for t in threads:
    t.start()
since = []
for i in range(12 if SANITIZER else 25):
    marks = [len(w) for w in written]
    os.mkdir(m.path(f'vm.bitmaps/t{i}'))
    after = [len(w) for w in written]
    since.append((i, marks, after))
    if i % 3 == 1:
        os.rename(m.path(f'vm.bitmaps/t{i}'), m.path(f'vm.bitmaps/r{i}'))
    if i % 3 == 2:
        os.rmdir(m.path(f'vm.bitmaps/t{i}'))
        since.pop()
stop = True
for t in threads:
    t.join()
for i, marks, after in since:
    name = f'{"r" if i % 3 == 1 else "t"}{i}'
    must, may = Bits(65536), Bits(65536)
    for w, a, b in zip(written, marks, after):
        for off, n in w[b + 1:]:
            must.mark(off, n)
        for off, n in w[max(a - 1, 0):]:
            may.mark(off, n)
    with open(m.path(f'vm.bitmaps/{name}.raw'), 'rb') as f:
        got = {d for a, b in data_map(f.fileno(), SIZE) for d in range(a // 65536, -(-b // 65536))}
    check(must.dirty <= got <= may.dirty, f'{name}: {len(must.dirty)} <= {len(got)} <= {len(may.dirty)}')
os.close(fd)
m.unmount()
flags = bitmap_info(image)
check(len(flags) == len(since) + 1 and all(f == ['auto'] for f in flags.values()), f'stored: {flags}')
sound(image)
