#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With cow, written data lasts as long as the mount, in each image of a folder, and no byte and no
# time of the folder changes.
from qcowtest import *
import errno
import hashlib

SIZE = 3 * M + 512


def state(top):
    """All that stat and read say of the files, but access times."""
    out = {}
    for p in sorted(Path(top).rglob('*')):
        s = p.stat()
        data = hashlib.sha256(p.read_bytes()).hexdigest() if p.is_file() else ''
        out[str(p)] = (s.st_size, s.st_mtime_ns, s.st_ctime_ns, s.st_mode, data)
    return out


def make_images():
    os.makedirs('src/sub')
    content = noise(SIZE)
    Path('flat').write_bytes(content)
    for name, fmt, options, extra in [('v1.qcow', 'qcow', '', ()), ('v2.qcow2', 'qcow2', 'compat=0.10', ()),
                                      ('v3.qcow2', 'qcow2', '', ()), ('packed.qcow2', 'qcow2', '', ('-c',)),
                                      ('sub/small.qcow2', 'qcow2', 'cluster_size=512', ())]:
        convert('flat', f'src/{name}', fmt=fmt, options=options, extra=extra)
    create('src/top.qcow2', backing='v3.qcow2', backing_format='qcow2')
    run('qemu-img', 'snapshot', '-c', 'before', 'src/v2.qcow2')
    for p in Path('src').rglob('*.q*'):
        p.chmod(0o444)
    return content


def write_some(fd, model, n):
    for _ in range(n):
        length = rng.choice((1, 512, 4096, rng.randrange(200000)))
        at = rng.randrange(len(model) - length)
        data = rng.randbytes(length)
        kind = rng.randrange(4)
        if kind:
            check(os.pwrite(fd, data, at) == length, 'all is written')
        else:
            run('fallocate', '-p', '-o', at, '-l', max(length, 1), f'/proc/{os.getpid()}/fd/{fd}')
            data = bytes(length)
        model[at:at + length] = data


def same(path, model, text):
    check(Path(path).read_bytes() == bytes(model), f'{path} is {text}')


content = make_images()
names = {'v1.raw': 1, 'v2.raw': 2, 'v3.raw': 3, 'packed.raw': 4, 'sub/small.raw': 5, 'top.raw': 6}
before = state('src')
views = 'cow,snapshots,chain,info'
with Mount('src', '-o', views, ro=False) as m:
    for name in names:
        check(os.stat(m.path(name)).st_mode & 0o777 == 0o644, f'{name} can be opened for writing')
        check(os.stat(m.path(name)).st_size == SIZE, f'{name} has its size')
    reader = os.open(m.path('v3.raw'), os.O_RDONLY)
    models = {name: bytearray(content) for name in names}
    for times in range(3):  # and opened again each time
        for name, model in models.items():
            same(m.path(name), model, 'as it was left')
            fd = os.open(m.path(name), os.O_RDWR)
            write_some(fd, model, 30)
            if times == 1:
                os.fsync(fd)
            os.close(fd)
    for name, model in models.items():
        same(m.path(name), model, 'what was written')
    check(os.pread(reader, SIZE, 0) == bytes(models['v3.raw']), 'who opened it before sees it, too')
    os.close(reader)
    for name, size in (('v1.raw', 5 * M), ('top.raw', M), ('v2.raw', 4 * M + 512)):
        os.truncate(m.path(name), size)
        model = models[name]
        model[:] = model[:size].ljust(size, b'\0')
        check(os.stat(m.path(name)).st_size == size, f'{name} has its new size')
        same(m.path(name), model, 'cut off, or longer')
    time.sleep(1.1)  # as long as the kernel keeps sizes
    check(os.stat(m.path('v1.raw')).st_size == 5 * M, 'the new size stays')

    # The files beside them show the images.
    same(m.path('v2.snapshots/before/disk.raw'), content, 'the snapshot')
    same(m.path('top.chain/0-top.qcow2.raw'), content, 'the image as it is')
    check(json.loads(Path(m.path('v3.json')).read_text())['virtual-size'] == SIZE, 'NAME.json')
    for call, *args in ((os.mkdir, 'v2.snapshots/new'), (os.rmdir, 'v2.snapshots/before'),
                        (os.rename, 'v2.snapshots/before', 'v2.snapshots/after'),
                        (os.remove, 'v2.raw'), (os.mkdir, 'new')):
        e = errno_of(call, *[m.path(a) for a in args])
        check(e == errno.EROFS, f'{call.__name__} {args}: EROFS: {os.strerror(e)}')
    same(m.path('v2.raw'), models['v2.raw'], 'still what was written')
check(state('src') == before, 'nothing in the folder has changed')
with Mount('src', '-o', 'cow', ro=False) as m:
    for name in names:
        same(m.path(name), content, 'as it was at first')

# For evidence, too: access times as well.
atimes = {p: p.stat().st_atime_ns for p in Path('src').rglob('*')}
with Mount('src', '-o', 'forensic,cow', ro=False) as m:
    os.truncate(m.path('v3.raw'), 4 * M)
    Path(m.path('v2.raw')).open('r+b').write(b'changed')
    check(Path(m.path('v2.raw')).read_bytes()[:7] == b'changed', 'evidence can be written')
    check(os.listdir(m.path('v2.snapshots')) == ['before'], 'snapshots are shown')
check({p: p.stat().st_atime_ns for p in Path('src').rglob('*')} == atimes, 'no access time has changed')
check(state('src') == before, 'the evidence is as it was')
