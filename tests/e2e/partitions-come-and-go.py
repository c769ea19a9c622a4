#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Partitions are those of the table as it is now: one that sfdisk writes through the mount, one that
# others wrote, or another image's.  An open descriptor keeps its range.
from partitions import *

os.mkdir('src')
create('src/vm.qcow2', 64 * M)
create('src/vm.p7.qcow2', M)


def numbers_are(m, name, want):
    got = shown(m.where, name)
    check(got == want, f'{name}: {want}, not {got}')
    for number in want:
        os.stat(part(m, name, number))


def by_sfdisk(m):
    numbers_are(m, 'vm', [7])
    sfdisk(m.path('vm.raw'), 'label: dos\nstart=2048,size=2048,type=83\n')
    check(os.stat(part(m, 'vm', 1)).st_size == M, 'it is found by its name at once')
    numbers_are(m, 'vm', [1, 7])
    first = os.stat(part(m, 'vm', 1)).st_ino
    sfdisk(m.path('vm.raw'), 'start=8192,size=4096,type=5\nstart=10240,size=100,type=83\n', '--append')
    numbers_are(m, 'vm', [1, 5, 7])
    check(os.stat(part(m, 'vm', 1)).st_ino == first, 'the first is the same still')


def open_ones_stay(m):
    fd = os.open(part(m, 'vm', 1), os.O_RDWR)
    os.pwrite(fd, b'first', 0)
    sfdisk(m.path('vm.raw'), 'label: gpt\n1: start=20480,size=4M\n7: start=40960,size=2M\n')
    check(os.pread(fd, 5, 0) == b'first', 'the old place')
    os.pwrite(fd, b'again', 0)
    with open(m.path('vm.raw'), 'rb') as f:
        check(os.pread(f.fileno(), 5, M) == b'again', 'is written to')
    check(os.fstat(fd).st_size == M, 'and has its size')
    until(3, lambda: os.stat(part(m, 'vm', 1)).st_size == 4 * M, 'the new one is found')
    with open(part(m, 'vm', 1), 'rb') as f:
        check(f.read(5) == bytes(5), 'and is elsewhere')
    # Image vm.p7 had the name before.
    got = sorted(n for n in os.listdir(m.where) if n.startswith('vm.p'))
    check(got == ['vm.p1.raw', 'vm.p7.raw', 'vm.p7.raw.p7.raw'], f'{got}')
    check(os.stat(m.path('vm.p7.raw')).st_size == M, 'that is the image')
    check(os.stat(m.path('vm.p7.raw.p7.raw')).st_size == 2 * M, 'and this the partition')
    os.close(fd)


def a_later_image_has_another_name(m):
    create('src/vm.p1.qcow2', 3 * M)
    os.listdir(m.where)
    check(os.stat(m.path('vm.p1.qcow2.raw')).st_size == 3 * M, 'its long name')
    check(os.stat(part(m, 'vm', 1)).st_size == 4 * M, 'the partition keeps its')
    os.unlink('src/vm.p1.qcow2')


def they_go(m):
    with open(m.path('vm.raw'), 'r+b') as f:
        f.write(bytes(M))
        f.seek(-M, 2)
        f.write(bytes(M))
    until(3, lambda: not os.path.exists(part(m, 'vm', 1)), 'it goes')
    numbers_are(m, 'vm', [7])
    check(not os.path.exists(m.path('vm.p7.raw.p7.raw')), 'and that, too')


def by_others(m):
    """A new image is found by a partition's name; then another takes its place."""
    for size, number in (5 * M, 1), (7 * M, 2):
        disk('disk.raw', 32 * M, f'label: gpt\n{number}: start=2048,size={size // 512}\n')
        convert('disk.raw', 'src/.new')
        os.rename('src/.new', 'src/late.qcow2')
        check(os.stat(part(m, 'late', number)).st_size == size, 'it is found')
        numbers_are(m, 'late', [number])
    held = os.open(part(m, 'late', 2), os.O_RDONLY)
    os.unlink('src/late.qcow2')
    until(3, lambda: not os.path.exists(part(m, 'late', 2)), 'they go with their image')
    check(os.pread(held, 8, 0) == struct.pack('<Q', M), 'but for those who have it')
    os.close(held)


def in_use_by_another(m):
    disk('disk.raw', 32 * M, 'label: gpt\n1: start=2048,size=1M\n')
    convert('disk.raw', 'src/used.qcow2')
    numbers_are(m, 'used', [1])
    time.sleep(0.3)  # from then on the file's times tell
    numbers_are(m, 'used', [1])
    before, written = m.log(), os.stat('src/used.qcow2').st_mtime_ns
    other = hold('src/used.qcow2', 'write 4M 4k')
    until(10, lambda: os.stat('src/used.qcow2').st_mtime_ns != written, 'it writes')
    until(10, lambda: shown(m.where, 'used') == [], 'who writes it hides them')
    os.stat(m.path('used.raw'))
    let_go(other)
    until(10, lambda: shown(m.where, 'used') == [1], 'and they come back')
    check(m.log() == before, f'nobody asked for it: {m.log()}')


with Mount('src', '-o', 'partitions', ro=False) as m:
    by_sfdisk(m)
    open_ones_stay(m)
    a_later_image_has_another_name(m)
    they_go(m)
    by_others(m)
    in_use_by_another(m)
run('qemu-img', 'check', '-q', 'src/vm.qcow2')
