#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Truncating a raw file to 0, also by O_TRUNC, empties the disk: it reads as zeros, and keeps its
# size.  What the kernel has of the old bytes, in pages and in maps, is gone.  An open file that
# emptied the disk does not shrink it, and one that cut it grows it again.
import mmap
import threading
from writing import *

OLD = b'\x5a' * M


def emptied_by_open(path, flags=os.O_WRONLY):
    return os.open(path, flags | os.O_TRUNC)


def emptied_by_ftruncate(path):
    fd = os.open(path, os.O_WRONLY)
    os.ftruncate(fd, 0)
    return fd


def emptied_by_name(path):
    os.truncate(path, 0)
    return os.open(path, os.O_WRONLY)


def read_only_open(path):
    return emptied_by_open(path, os.O_RDONLY)


WAYS = emptied_by_open, emptied_by_ftruncate, emptied_by_name, read_only_open


def refill(path, size=M):
    fd = os.open(path, os.O_WRONLY)
    check(os.pwrite(fd, OLD[:size], 0) == size, 'it is filled')
    os.close(fd)


def is_empty(path, reader, what, size=M):
    check(os.fstat(reader).st_size == size, f'{what}: another open file has the size')
    check(os.stat(path).st_size == size, f'{what}: stat says the size')
    same_bytes(os.pread(reader, size + 1, 0), bytes(size), f'{what}, through a file open before')
    same_bytes(read_all(path, size), bytes(size), f'{what}, in the image')


def every_way_empties(image, fmt, size, *options):
    with Mount(image, *options, ro=False) as m:
        path = m.path(os.listdir(m.where)[0])
        for way in WAYS:
            what = f'{image}: {way.__name__}'
            refill(path, size)
            reader = os.open(path, os.O_RDONLY)
            check(os.pread(reader, size, 0) == OLD[:size], 'its pages are in the kernel')
            fd = way(path)
            check(os.pread(reader, size + 1, 0) == bytes(size), f'{what}: the first read')
            is_empty(path, reader, what, size)
            os.close(fd)
            is_empty(path, reader, f'{what}, after close', size)
            os.close(reader)
        if fmt == 'qcow2' and image != 'v2-over.img':
            with open(path, 'rb') as f:
                check(data_map(f.fileno(), size) == [], 'all is a hole')
    agrees(image, bytes(size), fmt)


def images():
    Path('base.raw').write_bytes(b'\xbb' * 3 * M)
    for version, (fmt, options) in VERSIONS.items():
        yield create(f'{version}.img', M, fmt=fmt, options=options), fmt, M
        yield create(f'{version}-over.img', M, fmt=fmt, options=options, backing='base.raw',
                     backing_format='raw'), fmt, M
    yield create('small.qcow2', 64 * K + 512, options='cluster_size=512'), 'qcow2', 64 * K + 512
    create('snapshot.qcow2', M, options='compat=0.10')
    run('qemu-img', 'snapshot', '-c', 's', 'snapshot.qcow2')
    yield 'snapshot.qcow2', 'qcow2', M


def only_the_way_it_was_emptied_keeps_the_size(image, fmt, resizes):
    with Mount(image, ro=False) as m:
        path = m.path(os.listdir(m.where)[0])
        for way in emptied_by_open, emptied_by_ftruncate:
            fd = way(path)
            for size in M // 2, 1000, M:
                os.ftruncate(fd, size)
                check(os.fstat(fd).st_size == M, f'{way.__name__}: {size} does not shrink it')
            os.close(fd)
        fd = emptied_by_name(path)
        os.ftruncate(fd, M)
        os.truncate(path, M)
        got = errno_of(os.ftruncate, fd, M // 2)
        check(got == (0 if resizes else errno.EOPNOTSUPP), f'{image}: another shrinks it: {got}')
        os.close(fd)
        if resizes:
            check(os.stat(path).st_size == M // 2, f'{image}: it is shrunk')
            fd = emptied_by_open(path)
            os.ftruncate(fd, M)
            check(os.fstat(fd).st_size == M, f'{image}: to more, it grows')
            os.close(fd)


def a_write_behind_a_cut_grows_it_again(image, fmt):
    """As dd seek= does without conv=notrunc."""
    with Mount(image, ro=False) as m:
        path = m.path(os.listdir(m.where)[0])
        refill(path)
        fd = os.open(path, os.O_RDWR)
        other = os.open(path, os.O_RDWR)
        os.ftruncate(fd, M // 2)
        os.ftruncate(fd, M // 4)
        check(errno_of(os.pwrite, other, b'x', M // 2) == errno.ENOSPC, 'not through another')
        check(os.pwrite(fd, b'new' * 1000, M // 4) == 3000, 'it is written')
        check(os.fstat(fd).st_size == M, f'{os.fstat(fd).st_size} bytes, as before')
        want = OLD[:M // 4] + b'new' * 1000
        same_bytes(read_all(path, M), want.ljust(M, b'\0'), 'what was cut is zeros')
        check(errno_of(os.pwrite, fd, b'x', M) == errno.ENOSPC, 'and no further')
        os.ftruncate(fd, M // 2)
        check(os.pwrite(fd, b'y' * 1000, M - 500) == 500, 'a write ends at the old end')
        os.close(fd)
        os.close(other)
        model = want.ljust(M - 500, b'\0') + b'y' * 500
        same_bytes(read_all(path, M), model, 'once more')
    agrees(image, model, fmt)


def maps_do_not_keep_old_bytes():
    """Neither those that are only read, nor what was written into one and not sent yet."""
    create('map.qcow2', M)
    with Mount('map.qcow2', ro=False) as m:
        path = m.path('map.raw')
        for way in WAYS:
            refill(path)
            fd = os.open(path, os.O_RDWR)
            with mmap.mmap(fd, M) as shared:
                check(shared[M - 1] == 0x5a, 'it is mapped')
                shared[:8192] = b'd' * 8192
                os.close(way(path))
                check(os.fstat(fd).st_size == M, 'the kernel knows its size')
                same_bytes(shared[:], bytes(M), f'{way.__name__}: the map')
                shared[5000:5003] = b'new'
            os.close(fd)
            want = bytes(5000) + b'new' + bytes(M - 5003)
            same_bytes(read_all(path, M), want, f'{way.__name__}: the file')
    agrees('map.qcow2', want)


def attributes_of_others_do_no_harm():
    """While others ask for them all the time, the file never seems to be empty to its writer."""
    create('storm.qcow2', 64 * K)
    stop = threading.Event()

    def stats(path):
        while not stop.is_set():
            os.stat(path)

    with Mount('storm.qcow2', ro=False) as m:
        path = m.path('storm.raw')
        threads = [threading.Thread(target=stats, args=(path,)) for _ in range(3)]
        for t in threads:
            t.start()
        try:
            deadline = time.monotonic() + 3
            while time.monotonic() < deadline:
                fd = emptied_by_open(path, os.O_RDWR)
                got = os.pread(fd, 64 * K, 0)
                size = os.fstat(fd).st_size
                os.close(fd)
                check(got == bytes(64 * K) and size == 64 * K, f'{len(got)} bytes of {size}')
        finally:
            stop.set()
            for t in threads:
                t.join()


def what_cannot_be_written_stays():
    create('ro.qcow2', M)
    qio('ro.qcow2', 'write -P 0x5a 0 1M')
    run('qemu-img', 'snapshot', '-c', 's', 'ro.qcow2')
    before = Path('ro.qcow2').read_bytes()
    for options, names in (['-o', 'ro,info'], ['ro.raw', 'ro.json']), \
            (['-o', 'snapshots,chain,info'], ['ro.snapshots/s/disk.raw', 'ro.chain/0-ro.qcow2.raw',
                                              'ro.json']):
        with Mount('ro.qcow2', *options, ro=False) as m:
            for name in names:
                for way in emptied_by_open, emptied_by_name, read_only_open:
                    got = errno_of(way, m.path(name))
                    check(got in (errno.EROFS, errno.EACCES), f'{name}: {way.__name__}: {got}')
            same_bytes(read_all(m.path(names[0]), M), OLD, 'it is as it was')
    check(Path('ro.qcow2').read_bytes() == before, 'and so is the image')


for image_file, image_fmt, image_size in images():
    every_way_empties(image_file, image_fmt, image_size)
every_way_empties('v3.img', 'qcow2', M, '-o', 'direct_io')
for v, (f, _) in VERSIONS.items():
    only_the_way_it_was_emptied_keeps_the_size(f'{v}.img', f, True)
    a_write_behind_a_cut_grows_it_again(f'{v}.img', f)
only_the_way_it_was_emptied_keeps_the_size('snapshot.qcow2', 'qcow2', False)
maps_do_not_keep_old_bytes()
attributes_of_others_do_no_harm()
what_cannot_be_written_stays()
