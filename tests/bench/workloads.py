# SPDX-License-Identifier: MIT
"""What is measured: the workloads of fio, and those that it does not have.

A run is a dict: its figure as "value", what the daemons spent of processor seconds as "cpu",
the most memory they had as "peak", and, where it is known, how many "bytes" were moved.
"""
import contextlib
import json
import mmap
import os
import random
import time

import images
from images import DISK, FRESH_DISK, HUGE_DISK, need, warm
from system import WORK, Failed, command, quietly, spending, unmount

FIO = ('fio', '--ioengine=psync', '--thread', '--allow_file_create=0', '--create_on_open=0',
       '--group_reporting', '--output-format=json', '--randseed=7')
BOTH = ('qcowfs', 'qsd')
IMAGES = {'plain': 'plain.qcow2', 'zlib': 'zlib.qcow2', 'zstd': 'zstd.qcow2', 'luks': 'luks.qcow2',
          'chain': 'c7.qcow2'}
BLOCK = 4096


@contextlib.contextmanager
def shown(subject, files, kind):
    """The raw files of a subject, for as long as it serves them."""
    command('sync')
    disks = subject.start(files, kind)
    try:
        yield disks
    finally:
        subject.stop()


class Row:
    """A line of the page; each of its cases is measured for each of its subjects."""
    cases = ('',)
    rate = True  # more is better; else it is seconds
    unit = ''
    needs_root = False

    def takes(self, subject):
        return subject.name in BOTH

    def measure(self, subject, case, seconds):
        raise NotImplementedError


# ---- what fio measures ----------------------------------------------------------

class Fio(Row):
    def __init__(self, name, kind, arguments, wanted, writes=False, bounded=False):
        self.name = name
        self.kind = kind            # of image
        self.arguments = arguments.split()
        self.wanted = wanted        # at least so many times as fast as qsd, and as limit
        self.writes = writes
        self.bounded = bounded      # by its arguments, not by time
        self.random = '--rw=rand' in arguments
        self.unit = 'requests/s' if self.random else 'MB/s'

    def takes(self, subject):
        return self.kind in subject.kinds and (subject.can_write or not self.writes) and \
            subject.name != 'qemu-img'

    def measure(self, subject, case, seconds):
        image = self.image_to_write(subject) if self.writes else self.image_to_read(subject)
        with shown(subject, [image], self.kind) as disks:
            return self.run_fio(disks[0], seconds)

    def image_to_read(self, subject):
        if subject.format == 'raw':
            files = [need('base.raw')]
        elif self.kind == 'chain':
            files = [need(f'c{i}.qcow2') for i in range(8)]
        else:
            files = [need(IMAGES[self.kind])]
        for file in files:
            warm(file)
        return files[-1]

    def image_to_write(self, subject):
        if self.kind == 'fresh':
            return fresh(subject, DISK)
        name = 'base.raw' if subject.format == 'raw' else IMAGES[self.kind]
        image = WORK / f'image.{subject.format}'
        command('cp', '--sparse=always', need(name), image)
        return image

    def run_fio(self, disk, seconds):
        argv = [*FIO, '--name=x', f'--filename={disk}']
        if '--size' not in ' '.join(self.arguments):
            argv.append(f'--size={DISK}')
        if not self.bounded:
            argv += ['--time_based', f'--runtime={seconds}']
        if not self.writes:
            argv.append('--readonly')
        run = {}
        with spending(run):
            said = fio_says(*argv, *self.arguments)['write' if self.writes else 'read']
        run['value'] = said['iops'] if self.random else said['bw_bytes'] / 1e6
        run['bytes'] = said['io_bytes']
        return run


def fio_says(*argv):
    text = command(*argv)
    try:
        return json.loads(text[text.index('{'):])['jobs'][0]
    except (ValueError, LookupError) as e:
        raise Failed(f'fio: {text[-400:]}') from e


def fresh(subject, size):
    """An empty disk of this size, as the subject takes it."""
    image = WORK / f'image.{subject.format}'
    if subject.format == 'raw':
        command('truncate', '-s', size, image)
    else:
        images.create(image, size)
    return image


SEQUENTIAL = '--bs=1M --numjobs=1'
ONE = '--bs=4k --direct=1 --numjobs=1'
FIO_ROWS = [
    Fio('seqread-1M', 'plain', f'--rw=read --direct=1 {SEQUENTIAL}', (1.8, 0.95)),
    Fio('seqread-buf', 'plain', f'--rw=read --direct=0 {SEQUENTIAL}', (1.5, 1.0)),
    Fio('randread-4k', 'plain', f'--rw=randread {ONE}', (1.3, 0.95)),
    Fio('randread-4k-j4', 'plain', '--rw=randread --bs=4k --direct=1 --numjobs=4', (2.0, 0.95)),
    Fio('randread-4k-d32', 'plain', '--rw=randread --bs=4k --direct=1 --numjobs=1 '
        '--ioengine=libaio --iodepth=32', (1.3, 0.95)),
    Fio('chain8-4k', 'chain', f'--rw=randread {ONE}', (1.4, None)),
    Fio('zlib-seq', 'zlib', f'--rw=read --direct=0 {SEQUENTIAL}', (4, None)),
    Fio('zlib-rand64k', 'zlib', '--rw=randread --bs=64k --direct=1 --numjobs=2', (2.5, None)),
    Fio('zstd-seq', 'zstd', f'--rw=read --direct=0 {SEQUENTIAL}', (2.5, None)),
    Fio('luks-seq', 'luks', f'--rw=read --direct=0 {SEQUENTIAL}', (5, None)),
    Fio('luks-randwrite', 'luks', f'--rw=randwrite {ONE}', (4, None), writes=True),
    Fio('seqwrite-over', 'plain', f'--rw=write --direct=1 {SEQUENTIAL}', (2.5, 0.9), writes=True),
    Fio('randwrite-4k', 'plain', f'--rw=randwrite {ONE}', (1.7, 0.9), writes=True),
    Fio('randwrite-4k-j4', 'plain', '--rw=randwrite --bs=4k --direct=1 --numjobs=4', (2.0, 1.0),
        writes=True),
    Fio('alloc-seq-1M', 'fresh', f'--rw=write --direct=1 {SEQUENTIAL} --size=1G --end_fsync=1',
        (2, 0.85), writes=True, bounded=True),
    Fio('alloc-rand-4k', 'fresh', f'--rw=randwrite {ONE} --io_size=64M', (1.3, 1.0), writes=True,
        bounded=True),
]


# ---- many files, unpacked ----------------------------------------------------------

class Unpack(Row):
    name = 'unpack'
    unit = 's'
    rate = False
    needs_root = True

    def takes(self, subject):
        return subject.name in (*BOTH, 'limit')

    def measure(self, subject, case, seconds):
        tree = need('tree.tar')
        warm(tree)
        with shown(subject, [fresh(subject, FRESH_DISK)], 'fresh') as disks:
            with file_system_on(disks[0]) as root:
                run = {}
                with spending(run):
                    run['value'] = seconds_of(('tar', '-xf', tree, '-C', root),
                                              ('sync', '-f', root))
                return run


@contextlib.contextmanager
def file_system_on(disk):
    """A new one, through a loop device; none of it is left to be written later."""
    loop = command('losetup', '--find', '--show', disk).strip()
    try:
        command('mkfs.ext4', '-q', '-E', 'lazy_itable_init=0,lazy_journal_init=0', loop)
        root = WORK / 'root'
        root.mkdir()
        command('mount', loop, root)
        try:
            yield root
        finally:
            unmount(root)
    finally:
        quietly('losetup', '-d', loop)


def seconds_of(*commands):
    began = time.monotonic()
    for argv in commands:
        command(*argv)
    return time.monotonic() - began


# ---- a sparse disk, copied ----------------------------------------------------------

class SparseCopy(Row):
    name = 'sparse-copy'
    unit = 's'
    rate = False

    def measure(self, subject, case, seconds):
        image = need('sparse.qcow2')
        warm(image)
        with shown(subject, [image], 'plain') as disks:
            run = {'bytes': images.SPARSE_AREAS * images.SPARSE_AREA}
            with spending(run):
                run['value'] = seconds_of(('cp', '--sparse=auto', disks[0], WORK / 'copy.raw'))
            return run


# ---- files that were removed ----------------------------------------------------------

class Trim(Row):
    name = 'fstrim'
    unit = 's'
    rate = False
    needs_root = True
    files, bytes_of_each = 1500, 300_000

    def measure(self, subject, case, seconds):
        with shown(subject, [fresh(subject, FRESH_DISK)], 'fresh') as disks:
            with file_system_on(disks[0]) as root:
                data = random.Random(7).randbytes(self.bytes_of_each)
                for number in range(self.files):
                    (root / str(number)).write_bytes(data)
                command('fstrim', root)  # the space that mkfs has left
                command('sync', '-f', root)
                for number in range(0, self.files, 2):
                    (root / str(number)).unlink()
                command('sync', '-f', root)
                run = {}
                with spending(run):
                    run['value'] = seconds_of(('fstrim', root), ('sync', '-f', root))
                return run


# ---- a compressed image, converted ----------------------------------------------------

class Convert(Row):
    name = 'convert'
    unit = 's'
    rate = False

    def takes(self, subject):
        return subject.name in (*BOTH, 'qemu-img')

    def measure(self, subject, case, seconds):
        image = need('zlib.qcow2')
        warm(image)
        with shown(subject, [image], 'zlib') as disks:
            source = 'qcow2' if disks == [image] else 'raw'
            run = {'bytes': DISK}
            with spending(run):
                run['value'] = seconds_of(('qemu-img', 'convert', '-f', source, '-O', 'raw',
                                           disks[0], WORK / 'copy.raw'))
            return run


# ---- the command, beside that of QEMU ---------------------------------------------------

class Commands(Row):
    """The commands of qcowfs and those of qemu-img; nothing is mounted."""
    name = 'commands'
    unit = 's'
    rate = False
    cases = {
        'qcow2 to raw': ('plain.qcow2', 'convert', '-O', 'raw'),
        'deflate to raw': ('zlib.qcow2', 'convert', '-O', 'raw'),
        'raw to qcow2': ('base.raw', 'convert', '-O', 'qcow2'),
        'raw to deflate': ('base.raw', 'convert', '-c', '-O', 'qcow2'),
        'check of 1 TiB': ('tables.qcow2', 'check', '-q'),
    }

    def takes(self, subject):
        return subject.name in ('qcowfs', 'qemu-img')

    def measure(self, subject, case, seconds):
        name, *options = self.cases[case]
        source, copy = need(name), WORK / 'copy'
        warm(source)
        began = os.times()
        spent = seconds_of((getattr(subject, 'program', 'qemu-img'), *options, source,
                            *([copy] if options[0] == 'convert' else [])))
        ended = os.times()
        run = {'value': spent,
               'cpu': (ended.children_user + ended.children_system -
                       began.children_user - began.children_system)}
        if options[0] == 'convert':
            run.update(bytes=DISK, size=copy.stat().st_size)
        return run


# ---- the size of a disk, and its snapshots --------------------------------------------

class Spread(Row):
    """Reads of 4 KiB in the same number of clusters, all over two disks."""
    unit = 'requests/s'

    def __init__(self, name, disks):
        self.name = name
        self.disks = disks  # case: (image, size)
        self.cases = tuple(disks)

    def measure(self, subject, case, seconds):
        name, size = self.disks[case]
        image = need(name)
        warm(image)
        with shown(subject, [image], 'spread') as disks:
            run = {}
            with spending(run):
                requests = read_at_random(disks[0], images.places(size), seconds)
            return {**run, 'value': requests / seconds, 'bytes': requests * BLOCK}


def read_at_random(disk, places, seconds):
    """How many blocks were read, past the page cache."""
    chance = random.Random(7)
    blocks = images.CLUSTER // BLOCK
    buffer = mmap.mmap(-1, BLOCK)  # O_DIRECT wants it aligned
    count = 0
    fd = os.open(disk, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    try:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            where = chance.choice(places) + chance.randrange(blocks) * BLOCK
            if os.preadv(fd, [buffer], where) != BLOCK or buffer[0] != images.PATTERN:
                raise Failed(f'{disk}: not what was written at {where}')
            count += 1
    finally:
        os.close(fd)
    return count


# ---- eight images ---------------------------------------------------------------------

class Eight(Row):
    """As many readers as images, in one mount."""
    name = 'eight'
    unit = 'requests/s'
    cases = ('1 reader of 1 image', '8 readers of 8 images')

    def measure(self, subject, case, seconds):
        folder = need('eight')
        files = sorted(folder.glob('*.qcow2'))
        for file in files:
            warm(file)
        with shown(subject, files, 'plain') as disks:
            return self.run_fio(disks if case == self.cases[1] else disks[:1], seconds)

    @staticmethod
    def run_fio(disks, seconds):
        argv = [*FIO, '--readonly', '--rw=randread', *ONE.split(), '--time_based',
                f'--runtime={seconds}', f'--size={images.EIGHT_DISK}']
        for i, disk in enumerate(disks):
            argv += [f'--name=x{i}', f'--filename={disk}']
        run = {}
        with spending(run):
            said = fio_says(*argv)['read']
        run['value'] = said['iops']
        run['bytes'] = said['io_bytes']
        return run


FURTHER_ROWS = [
    Unpack(),
    SparseCopy(),
    Trim(),
    Convert(),
    Commands(),
    Spread('size', {'2 GiB': ('spread.qcow2', DISK), '64 TiB': ('huge.qcow2', HUGE_DISK)}),
    Spread('snapshots', {'none': ('spread.qcow2', DISK), '300': ('snapshots.qcow2', DISK)}),
    Eight(),
]
ROWS = [*FIO_ROWS, *FURTHER_ROWS]
