#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# When an unmount returns, all written data is in the image: a copy made at once is sound, complete,
# and equal to the image later.  The image is unlocked at once, or in a moment.
import ctypes
import shutil
from qcowtest import *

ROUNDS = 25 if os.environ.get('LONG') else 4 if SANITIZER else 8
SIZE = 8 * M
libc = ctypes.CDLL(None, use_errno=True)
libc.mmap.restype = ctypes.c_void_p
libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                      ctypes.c_long]
libc.munmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t]


def by_write(path, data):
    with open(path, 'r+b', buffering=0) as f:
        f.write(data)


def by_dd(path, data):
    Path('data').write_bytes(data)
    run('dd', 'if=data', f'of={path}', 'bs=1M', 'conv=notrunc', 'status=none')


def by_map(path, data, close_first=False):
    """Python's own maps keep a descriptor."""
    fd = os.open(path, os.O_RDWR)
    at = libc.mmap(None, len(data), 3, 1, fd, 0)
    check(at != ctypes.c_void_p(-1).value, 'it can be mapped')
    if close_first:
        os.close(fd)
    ctypes.memmove(at, data, len(data))
    check(libc.munmap(at, len(data)) == 0, 'munmap')
    if not close_first:
        os.close(fd)


def by_map_after_close(path, data):
    by_map(path, data, close_first=True)


def unmount():
    argv = ['umount', 'mnt'] if os.geteuid() == 0 and rng.randrange(2) else \
        ['fusermount3', '-u', 'mnt']
    for _ in range(50):  # a release is on its way, perhaps
        if subprocess.run(argv, capture_output=True).returncode == 0:
            return
        time.sleep(0.02)
    fail(f'{argv} unmounts')


def is_free():
    return subprocess.run(['qemu-img', 'check', '-q', 'disk.qcow2'],
                          capture_output=True).returncode == 0


os.mkdir('mnt')
for i in range(ROUNDS):
    for how in by_write, by_dd, by_map, by_map_after_close:
        data = rng.randbytes(SIZE)
        create('disk.qcow2', '16M', options=f'cluster_size={rng.choice(["4k", "64k", "2M"])}')
        run(QCOWFS, '-o', f'pid-file={os.getcwd()}/pid', 'disk.qcow2', 'mnt')
        how('mnt/disk.raw', data)
        unmount()
        shutil.copyfile('disk.qcow2', 'copy.qcow2')
        until(5, is_free, f'{how.__name__}: the image is free, and sound')
        until(20, lambda: not os.path.exists('pid'), 'the daemon ends')
        check(Path('disk.qcow2').read_bytes() == Path('copy.qcow2').read_bytes(),
              f'{how.__name__}, round {i}: nothing was written after the unmount')
        run('qemu-img', 'check', '-q', 'copy.qcow2')
        check(raw_of('copy.qcow2')[:SIZE] == data, f'{how.__name__}: the bytes are there')

# Much data that was written in place is not synced while the image is still locked.
create('disk.qcow2', '256M', options='preallocation=falloc')
run('sync', 'disk.qcow2')
for i in range(3):
    run(QCOWFS, '-o', f'pid-file={os.getcwd()}/pid', 'disk.qcow2', 'mnt')
    run('dd', 'if=/dev/zero', 'of=mnt/disk.raw', 'bs=1M', 'count=256', 'conv=notrunc', 'status=none')
    unmount()
    until(5, is_free, 'the image is free')
    until(20, lambda: not os.path.exists('pid'), 'the daemon ends')
