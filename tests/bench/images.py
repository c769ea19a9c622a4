# SPDX-License-Identifier: MIT
"""The images that are measured on, each made once in BENCH_DIR.

A file there is complete: it is made under another name and then renamed.  The disks of the
workloads have 2 GiB, with an ext4 full of real files.
"""
import itertools
import os
import shutil
import sys
import tarfile
from pathlib import Path

from system import BENCH_DIR, HALF, WORK, command, remove

GIB = 1 << 30
DISK = 2 * GIB
FRESH_DISK = 4 * GIB
HUGE_DISK = 64 << 40
CLUSTER = 65536
SPREAD = 512  # clusters of the working set of a disk, all over it
PATTERN = 7     # the byte that fills them
SPARSE_DISK = 200 * GIB
SPARSE_AREAS, SPARSE_AREA = 2000, 256 << 10
SNAPSHOTS = 300
EIGHT = 8
EIGHT_DISK = 256 << 20
NEEDS = 15 * GIB  # of all images, and the copies that are written to
FILES_FROM = ('/usr/share', '/usr/include', '/usr/lib')
BASE_BYTES = 900 << 20
TREE_BYTES, TREE_FILES = 400 << 20, 20000
LARGEST_FILE = 1 << 20
SOURCES = {'limit': Path(__file__).with_name('limit.c')}  # is made again when this is newer
SECRET = 'secret,id=s,data=secret'


def at(name):
    return BENCH_DIR / name


# ---- files that every system has ------------------------------------------------

def files_below(folder):
    for where, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(where, name)
            if path.is_file() and not path.is_symlink() and os.access(path, os.R_OK):
                yield path


def some_files(size, count=0):
    """Until there are so many bytes, and so many files."""
    taken = files = 0
    for path in itertools.chain.from_iterable(files_below(f) for f in FILES_FROM):
        length = path.stat().st_size
        if length > LARGEST_FILE:
            continue
        yield path
        taken += length
        files += 1
        if taken >= size and files >= count:
            return


# ---- how each is made ---------------------------------------------------------------

def make_base(to):
    tree = WORK / 'tree'
    for path in some_files(BASE_BYTES):
        copy = tree / path.relative_to('/')
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, copy)
    command('truncate', '-s', DISK, to)
    command('mkfs.ext4', '-q', '-F', '-d', tree, to)


def make_tree(to):
    with tarfile.open(to, 'w') as tar:
        for path in some_files(TREE_BYTES, TREE_FILES):
            tar.add(path)


def converter(*options):
    def make(to):
        command('qemu-img', 'convert', '-f', 'raw', '-O', 'qcow2', *options,
                need('base.raw'), to)
    return make


def make_luks(to):
    command('qemu-img', 'create', '-q', '-f', 'qcow2', '--object', SECRET, '-o',
            'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', to, DISK)
    command('qemu-img', 'convert', '-n', '--object', SECRET, '--target-image-opts', '-f', 'raw',
            need('base.raw'), f'driver=qcow2,file.filename={to},encrypt.key-secret=s')


def make_bottom(to):
    shutil.copyfile(need('plain.qcow2'), to)


def link_maker(number):
    """An overlay over the one below it, which has 32 MiB of its own."""
    def make(to):
        below = need(f'c{number - 1}.qcow2').name
        command('qemu-img', 'create', '-q', '-f', 'qcow2', '-F', 'qcow2', '-b', below, to)
        write_with_qemu(to, [f'write -P {number} {(k * 64 + number * 7) % 2048}M 1M'
                             for k in range(32)])
    return make


def write_with_qemu(image, commands):
    command('qemu-io', '-f', 'qcow2', image, stdin='\n'.join(commands) + '\n')


def create(image, size):
    command('qemu-img', 'create', '-q', '-f', 'qcow2', image, size)


def places(size):
    """Where the clusters of a working set are on a disk of this size."""
    return [k * (size // SPREAD) for k in range(SPREAD)]


def spread_maker(size):
    def make(to):
        create(to, size)
        write_with_qemu(to, [f'write -P {PATTERN} {place} {CLUSTER}' for place in places(size)])
    return make


def make_tables(to):
    """A disk of 1 TiB with all its L2 tables, in a sparse file."""
    command('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'preallocation=metadata', to, '1T')


def make_sparse(to):
    create(to, SPARSE_DISK)
    step = SPARSE_DISK // SPARSE_AREAS // CLUSTER * CLUSTER
    write_with_qemu(to, [f'write -P {k % 250 + 1} {k * step} {SPARSE_AREA}'
                         for k in range(SPARSE_AREAS)])


def make_snapshots(to):
    shutil.copyfile(need('spread.qcow2'), to)
    for number in range(SNAPSHOTS):
        command('qemu-img', 'snapshot', '-c', f's{number}', to)


def make_eight(to):
    to.mkdir()
    for number in range(EIGHT):
        create(to / f'{number}.qcow2', EIGHT_DISK)
        write_with_qemu(to / f'{number}.qcow2', [f'write -P {number + 1} 0 {EIGHT_DISK}'])


def make_pass(to):
    to.write_text('secret')


def make_limit(to):
    flags = command('pkg-config', '--cflags', '--libs', 'fuse3').split()
    command('cc', '-O2', SOURCES['limit'], '-o', to, *flags)


MAKERS = {
    'base.raw': make_base,
    'plain.qcow2': converter(),
    'zlib.qcow2': converter('-c'),
    'zstd.qcow2': converter('-c', '-o', 'compression_type=zstd'),
    'pass': make_pass,
    'luks.qcow2': make_luks,
    'c0.qcow2': make_bottom,
    **{f'c{i}.qcow2': link_maker(i) for i in range(1, 8)},
    'limit': make_limit,
    'tree.tar': make_tree,
    'spread.qcow2': spread_maker(DISK),
    'huge.qcow2': spread_maker(HUGE_DISK),
    'sparse.qcow2': make_sparse,
    'snapshots.qcow2': make_snapshots,
    'tables.qcow2': make_tables,
    'eight': make_eight,
}


# ---- what is there -------------------------------------------------------------------

def need_room():
    there = sum(p.stat().st_blocks * 512 for p in BENCH_DIR.rglob('*') if p.is_file())
    if shutil.disk_usage(BENCH_DIR).free < NEEDS - there:
        raise SystemExit(f'bench: {BENCH_DIR} needs {(NEEDS - there) / GIB:.0f} GiB more; '
                         'BENCH_DIR=FOLDER is another place')


def need(name):
    """The path of an image, which is made first if it is not there."""
    path, source = at(name), SOURCES.get(name)
    if path.exists() and source and source.stat().st_mtime > path.stat().st_mtime:
        remove(path)
    if not path.exists():
        print(f'making {path}', file=sys.stderr, flush=True)
        half = at(HALF + name)
        MAKERS[name](half)
        half.rename(path)
    return path


def warm(path):
    """Into the page cache, so that no disk is measured; but not its holes."""
    with open(path, 'rb', buffering=0) as f:
        end = 0
        while end < path.stat().st_size:
            try:
                place = os.lseek(f.fileno(), end, os.SEEK_DATA)
            except OSError:  # there is no more data
                break
            end = os.lseek(f.fileno(), place, os.SEEK_HOLE)
            for at in range(place, end, 1 << 20):
                os.pread(f.fileno(), min(1 << 20, end - at), at)
