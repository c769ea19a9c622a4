#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The mount can be exported by NFS: file handles, by which an NFS server knows files, stay valid when the
# kernel has dropped its caches, and when the daemon was started again.
# sanitize: none
import ctypes
import errno
from partitions import *
requires_root()

libc = ctypes.CDLL(None, use_errno=True)


class Handle(ctypes.Structure):
    _fields_ = [('bytes', ctypes.c_uint), ('type', ctypes.c_int), ('data', ctypes.c_ubyte * 128)]


def handle_of(path):
    h, mount = Handle(bytes=128), ctypes.c_int()
    if libc.name_to_handle_at(-100, path.encode(), ctypes.byref(h), ctypes.byref(mount), 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), path)
    return h


def open_handle(root, handle, flags=os.O_RDONLY):
    fd = libc.open_by_handle_at(root, ctypes.byref(handle), flags)
    if fd < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return fd


def drop_caches():
    Path('/proc/sys/vm/drop_caches').write_text('2')


os.makedirs('src/lab/deep')
filled('disk.raw', 8 * M)
poke('disk.raw', 0, record(entry(0x83, 2048, 512), entry(0x83, 4096, 512)))
for name in 'b.qcow2', 'lab/c.qcow2', 'lab/deep/d.qcow2':
    convert('disk.raw', f'src/{name}')
    poke('disk.raw', 5 * M, name.encode())
run('qemu-img', 'snapshot', '-c', 'one', 'src/lab/deep/d.qcow2')
OPTIONS = ['-o', 'snapshots,chain,info,partitions']


def all_paths(where):
    return sorted(os.path.join(d, n)[len(where):] for d, folders, files in os.walk(where) for n in folders + files)


def content(fd):
    return os.listdir(fd) if os.path.isdir(f'/proc/self/fd/{fd}') else os.pread(fd, 8 * M, 0)


def agree(m, handles, paths, what):
    root = os.open(m.where, os.O_RDONLY)
    for p in rng.sample(paths, len(paths)):
        fd = open_handle(root, handles[p])
        want = os.stat(m.path(p[1:]))
        check(os.fstat(fd).st_ino == want.st_ino, f'{what}: {p}: it is the file')
        if not p.endswith('.json'):  # which counts
            other = os.open(m.path(p[1:]), os.O_RDONLY)
            check(content(fd) == content(other), f'{what}: {p}: its content')
            os.close(other)
        os.close(fd)
    os.close(root)


with Mount('src', *OPTIONS) as m:
    paths = all_paths(m.where)
    try:
        handles = {p: handle_of(m.path(p[1:])) for p in paths}
    except OSError as e:
        skip(f'needs file handles of FUSE: {e}')
    check(len(paths) > 20, paths)
    agree(m, handles, paths, 'at once')
    for p in rng.sample(paths, 5):
        drop_caches()
        agree(m, handles, [p], 'dropped')
with Mount('src', *OPTIONS, where=m.where) as m:  # nothing was looked up yet
    agree(m, handles, paths, 'started again')
with Mount('src', *OPTIONS, where=m.where) as m:
    agree(m, handles, ['/lab/deep/d.snapshots/one/disk.raw'], 'started again, a snapshot first')
    # One that is gone, and one that never was.
    root = os.open(m.where, os.O_RDONLY)
    os.unlink('src/b.qcow2')
    os.listdir(m.where)
    time.sleep(1.1)  # names are cached for a second
    drop_caches()
    check(errno_of(open_handle, root, handles['/b.raw']) == errno.ESTALE, 'gone')
    wrong = Handle(bytes=handles['/lab/c.raw'].bytes, type=handles['/lab/c.raw'].type)
    for i in range(wrong.bytes):
        wrong.data[i] = handles['/lab/c.raw'].data[i] ^ (0x55 if i < 8 else 0)
    check(errno_of(open_handle, root, wrong) == errno.ESTALE, 'one that never was')
    os.close(root)
    os.stat(m.path('lab/c.raw'))

# Written by its handle.
with Mount('src', where=m.where, ro=False) as m:
    root = os.open(m.where, os.O_RDONLY)
    fd = open_handle(root, handles['/lab/deep/d.raw'], os.O_RDWR)
    os.pwrite(fd, b'by its handle', M)
    os.fsync(fd)
    os.close(fd)
    os.close(root)
check(raw_of('src/lab/deep/d.qcow2')[M:M + 13] == b'by its handle', 'QEMU reads it')
