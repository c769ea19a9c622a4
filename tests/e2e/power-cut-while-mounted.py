#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# The power is cut at any moment while a mounted image is written: there is no corruption, data that
# an fsync covered is there, unwritten data is unchanged, and all other data is old or new.  The
# system calls of the program are recorded.  CRASH_IMAGES=2000 for that many images of each
# scenario, CRASH_ONLY=NAME for some scenarios, CRASH_KEEP=FOLDER to keep bad images.
from powercut import *

SIZE = M
ROUNDS = 1 + IMAGES // 60


def place(size, most, grain=SECTOR):
    off = rng.randrange(size // grain) * grain
    return off, SECTOR * rng.randint(1, min(most, size - off) // SECTOR)


def writes(d):
    """Of all sizes, some over each other."""
    for i in range(24 * ROUNDS):
        d.write(*place(d.size, 12 * K if i % 5 else 100 * K))
        if i % 4 == 3:
            d.fsync(os.fdatasync if i % 8 == 3 else os.fsync)


def reuse(d):
    """Freed clusters are allocated again."""
    for i in range(20 * ROUNDS):
        off, length = place(d.size, 150 * K if i % 3 == 0 else 40 * K, 4 * K)
        (d.zero if i % 5 == 4 else d.punch)(off, length)
        d.write(*place(d.size, 30 * K))
        if i % 3 == 2:
            d.fsync()


def resize(d):
    size = d.size
    for _ in range(ROUNDS):
        d.write(size - 8 * K, 8 * K)
        d.resize(size + 300 * K)
        d.write(size - K, 20 * K)
        d.fsync()
        d.resize(size - 70 * K - SECTOR * rng.randrange(20))
        d.write(3 * K, 50 * K)
        d.resize(size // 2)
        d.write(size // 2 - 9 * K, 9 * K)
        d.resize(size)
        d.write(size // 2 - 2 * K, 6 * K)
        d.fsync()


def threads(d):
    """Writers and syncs run at once; they share clusters, but no sectors."""
    def writer(number):
        r = random.Random(f'{SEED}-{number}')
        for i in range(12 * ROUNDS):
            d.write((r.randrange(d.size // 1536) * 3 + number) * SECTOR, SECTOR)
            if i % 3 == number:
                d.fsync()
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(writer, range(3)))


def streams(d):
    """Clusters are written in parts, and compressed."""
    for i in range(6 * ROUNDS):
        at = rng.randrange(d.size // (64 * K)) * 64 * K
        for part in range(rng.randrange(1, 9)):
            if at + 24 * K > d.size:
                break
            d.write(at, 24 * K)
            at += 24 * K + rng.choice([0, 0, 0, 4 * K])
        d.write(*place(d.size, 3 * K))
        if i % 3 == 1:
            d.fsync()


def filled(fmt, options):
    create('img', SIZE, fmt, options)
    tagged('fill', SIZE // 2)
    qio('img', f'write -q -s fill 0 {SIZE // 2}', fmt=fmt)


def tagged(name, size):
    Path(name).write_bytes(b''.join(
        struct.pack('<QQ', s, 0) * (SECTOR // 16) for s in range(size // SECTOR)))


def empty(fmt, options):
    create('img', SIZE, fmt, options)


def backed(fmt, options):
    """Its backing file is a bit shorter."""
    tagged('base.raw', SIZE - 5 * K)
    create('img', SIZE, fmt, options, 'base.raw', 'raw')


def snapshot(fmt, options):
    filled(fmt, options)
    run('qemu-img', 'snapshot', '-c', 'one', 'img')


def packed(fmt, options):
    tagged('fill', SIZE)
    convert('fill', 'img', 'raw', fmt, options, ('-c',))


DATA_FILE = 'cluster_size=4k,data_file=d.data'
SCENARIOS = [
    ('first', empty, 'qcow2', 'cluster_size=4k', writes),
    ('first-v2', empty, 'qcow2', 'compat=0.10,cluster_size=512', writes),
    ('first-v1', empty, 'qcow', '', writes),
    ('backed', backed, 'qcow2', '', writes),
    ('backed-extended', backed, 'qcow2', 'cluster_size=16k,extended_l2=on', reuse),
    ('snapshot', snapshot, 'qcow2', 'cluster_size=4k', writes),
    ('reuse', filled, 'qcow2', 'cluster_size=4k', reuse),
    ('reuse-packed', packed, 'qcow2', 'cluster_size=16k', reuse),
    ('resize', filled, 'qcow2', 'cluster_size=512', resize),
    ('threads', filled, 'qcow2', 'cluster_size=512,refcount_bits=64', threads),
    ('compressed', empty, 'qcow2', '', streams),
    ('compressed-4k', packed, 'qcow2', 'cluster_size=4k,compression_type=zstd', streams),
    ('data-file', filled, 'qcow2', DATA_FILE, reuse),
]


def scenario(name, make, fmt, options, steps):
    began = time.monotonic()
    make(fmt, options)
    external = 'data_file' in options
    before = {f: f.read_bytes() for f in Path('.').glob('base*')}
    d = Recorded(name, fmt, ['data-file=d.data'] if external else ['compress'] if steps is streams else [],
                 ('img', 'd.data') if external else ('img',),
                 raw_of('img', fmt) if make is snapshot else None)
    steps(d)
    operations = d.end()
    for file, content in before.items():
        check(file.read_bytes() == content, f'{file} is as it was')
    cutter = Cutter(d, operations)
    cutter.run()
    syncs = sum(what == SYNC for what, _ in operations)
    print(f'# {name}: {len(operations) // 2} calls, {syncs} syncs, {cutter.made} different images, '
          f'{time.monotonic() - began:.1f} s', flush=True)


for number, args in enumerate(SCENARIOS):
    if os.environ.get('CRASH_ONLY', '') in args[0]:
        os.mkdir(args[0])
        os.chdir(args[0])
        scenario(*args)
        os.chdir('..')
        shutil.rmtree(args[0])
