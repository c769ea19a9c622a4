#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 400
# sanitize: none
# Every program that copies a file onto a raw file leaves the bytes of the file there, or ends with
# an error.  Behind a shorter file the disk reads as zeros, or as before where the program was told
# to keep that.  Each target is tried with a third of the programs, by the seed; LONG=1: with all.
import shutil
from encrypted import *
from writing import *

SIZE = M
OLD = b'\x5a' * SIZE
START = 192 * K + 1536  # of the partition


# ---- sources ------------------------------------------------------------------

def sparse(name, size, *data):
    """A file of holes, with data at some offsets."""
    with open(name, 'wb') as f:
        for at, n in data:
            f.seek(at)
            f.write(rng.randbytes(n))
        f.truncate(size)
    return name


def dense(name, size):
    Path(name).write_bytes(rng.randbytes(size))
    return name


def sources():
    return {
        'sparse': sparse('sparse.src', SIZE, (0, 2), (128 * K, 70000), (SIZE - 100 * K, 4096)),
        'only holes': sparse('holes.src', SIZE),
        'dense': dense('dense.src', SIZE),
        'smaller': dense('smaller.src', SIZE // 2),
        'smaller, sparse': sparse('smaller-sparse.src', SIZE // 2, (64 * K, 3000)),
        'of odd size': sparse('odd.src', SIZE // 2 + 777, (5000, 70000), (SIZE // 2, 700)),
        'larger': dense('larger.src', SIZE + 128 * K),
        'larger, sparse': sparse('larger-sparse.src', SIZE + 128 * K, (4096, 8192), (SIZE, 512)),
        'larger, ends in a hole': sparse('larger-hole.src', SIZE + 128 * K, (4096, 8192)),
    }


# ---- programs -------------------------------------------------------------------

def tar_of(source, name, *options):
    run('tar', '-cf', 'a.tar', *options, f'--transform=s,.*,{name},', source)


def extract(*options, sparse=False):
    def argv(source, target):
        tar_of(source, os.path.basename(target), *(['-S'] if sparse else []))
        return ['tar', '-xf', 'a.tar', *options, '-C', os.path.dirname(target)]
    return argv


def cpio(source, target):
    os.makedirs('cpio', exist_ok=True)
    os.link(source, f'cpio/{os.path.basename(target)}')
    with open('a.cpio', 'wb') as out:
        subprocess.run(['cpio', '-o', '--quiet'], cwd='cpio', stdout=out, check=True,
                       input=os.path.basename(target).encode())
    shutil.rmtree('cpio')
    return ['sh', '-c', f'cd "{os.path.dirname(target)}" && cpio -i -u --quiet <"$1"', 'sh',
            os.path.abspath('a.cpio')]


def mcopy(source, target):
    Path('a.fat').write_bytes(b'')
    os.truncate('a.fat', 8 * M)
    run('mformat', '-i', 'a.fat', '::')
    run('mcopy', '-i', 'a.fat', source, '::f')
    return ['mcopy', '-n', '-o', '-i', 'a.fat', '::f', target]


def plain(*argv):
    """SRC and DST in the arguments stand for the files."""
    return lambda source, target: [a.replace('SRC', source).replace('DST', target) for a in argv]


def with_shell(command):
    return lambda source, target: ['sh', '-c', command, 'sh', source, target]


def with_python(code):
    return lambda source, target: [sys.executable, '-c',
                                   f'import shutil, sys; {code}(sys.argv[1], sys.argv[2])',
                                   source, target]


# (program, what it does, how it is started, must it be able to)
WORKS, MAY_FAIL = True, False
TOOLS = [
    ('cp', 'sparse=auto', plain('cp', '--sparse=auto', 'SRC', 'DST'), WORKS),
    ('cp', 'sparse=always', plain('cp', '--sparse=always', 'SRC', 'DST'), WORKS),
    ('cp', 'sparse=never', plain('cp', '--sparse=never', 'SRC', 'DST'), WORKS),
    ('cp', 'reflink=never', plain('cp', '--reflink=never', 'SRC', 'DST'), WORKS),
    ('cp', 'with mode, owner and times', plain('cp', '-p', 'SRC', 'DST'), WORKS),
    ('install', 'a new file', plain('install', 'SRC', 'DST'), MAY_FAIL),
    ('cat', 'to a redirection', with_shell('cat "$1" >"$2"'), WORKS),
    ('dd', 'plain', plain('dd', 'if=SRC', 'of=DST', 'bs=64k', 'status=none'), WORKS),
    ('dd', 'sparse', plain('dd', 'if=SRC', 'of=DST', 'bs=4k', 'conv=sparse', 'status=none'), WORKS),
    ('dd', 'direct', plain('dd', 'if=SRC', 'of=DST', 'bs=64k', 'oflag=direct', 'status=none'), MAY_FAIL),
    ('dd', 'notrunc', plain('dd', 'if=SRC', 'of=DST', 'bs=64k', 'conv=notrunc', 'status=none'), WORKS),
    ('tar', 'remove and make', extract(), MAY_FAIL),
    ('tar', 'overwrite', extract('--overwrite'), WORKS),
    ('tar', 'overwrite, sparse', extract('--overwrite', sparse=True), WORKS),
    ('rsync', 'rename', plain('rsync', '-I', 'SRC', 'DST'), MAY_FAIL),
    ('rsync', 'in place', plain('rsync', '-I', '--inplace', 'SRC', 'DST'), WORKS),
    ('rsync', 'in place, whole', plain('rsync', '-IW', '--inplace', 'SRC', 'DST'), WORKS),
    ('rsync', 'in place, sparse', plain('rsync', '-IS', '--inplace', 'SRC', 'DST'), WORKS),
    ('rsync', 'in place, as an archive', plain('rsync', '-aIS', '--inplace', 'SRC', 'DST'), WORKS),
    ('cpio', 'extract', cpio, MAY_FAIL),
    ('ddrescue', 'plain', plain('ddrescue', '-f', 'SRC', 'DST'), WORKS),
    ('ddrescue', 'truncate, sparse', plain('ddrescue', '-f', '-t', '-S', 'SRC', 'DST'), WORKS),
    ('qemu-img', 'convert', plain('qemu-img', 'convert', '-f', 'raw', '-O', 'raw', 'SRC', 'DST'), WORKS),
    ('qemu-img', 'convert, uncached',
     plain('qemu-img', 'convert', '-t', 'none', '-f', 'raw', '-O', 'raw', 'SRC', 'DST'), WORKS),
    ('qemu-img', 'convert -n',
     plain('qemu-img', 'convert', '-n', '-f', 'raw', '-O', 'raw', 'SRC', 'DST'), WORKS),
    ('qemu-img', 'convert an overlay, as virt-sparsify does', with_shell(
        'qemu-img create -q -f qcow2 -F raw -b "$1" over.tmp && '
        'qemu-img convert -f qcow2 -O raw over.tmp "$2"'), WORKS),
    ('python3', 'shutil.copyfile', with_python('shutil.copyfile'), WORKS),
    ('busybox', 'cp', plain('busybox', 'cp', 'SRC', 'DST'), WORKS),
    ('busybox', 'dd', plain('busybox', 'dd', 'if=SRC', 'of=DST', 'bs=64k'), WORKS),
    ('mcopy', 'from a FAT', mcopy, MAY_FAIL),
]
KEEP_THE_REST = {('dd', 'notrunc'), ('rsync', 'in place'), ('rsync', 'in place, whole'),
                 ('ddrescue', 'plain'), ('qemu-img', 'convert -n')}
NO_STATUS = {'cpio', 'mcopy', 'tar'}  # on any file system: some errors are a line, and the status is 0


# ---- targets ----------------------------------------------------------------------

class Target:
    """An image, and the file of its mount that is copied onto."""

    def __init__(self, what, image, *options, name=None, fmt='qcow2', key=False, resizes=True,
                 stays=False):
        self.what, self.image, self.options, self.fmt, self.key = what, image, options, fmt, key
        self.name = name or image.rsplit('.', 1)[0] + '.raw'
        self.resizes = resizes
        self.stays = Path(image).read_bytes() if stays else None

    def raw(self):
        return encrypted_raw(self.image, self.fmt) if self.key else raw_of(self.image, self.fmt)


def version(n, *options, **kwargs):
    fmt = 'qcow' if n == 1 else 'qcow2'
    name = f'v{n}{len(kwargs)}{len(options)}.img'
    create(name, SIZE, fmt=fmt, options=','.join(options), **kwargs)
    return name, fmt


def targets():
    Path('key').write_bytes(KEY.encode())
    Path('base.raw').write_bytes(b'\xbb' * (SIZE // 2))
    over = {'backing': 'base.raw', 'backing_format': 'raw'}
    for n, options in (1, ()), (2, ('compat=0.10',)), (3, ('compat=1.1',)):
        name, fmt = version(n, *options)
        yield Target(f'version {n}', name, fmt=fmt)
        name, fmt = version(n, *options, **over)
        yield Target(f'version {n} over a base', name, '-o', 'backing=any', fmt=fmt)
    create('sub.qcow2', SIZE, options='extended_l2=on,cluster_size=16k', **over)
    yield Target('subclusters over a base', 'sub.qcow2')
    create('snap.qcow2', SIZE, options='compat=0.10')
    qio('snap.qcow2', f'write -P 7 0 {SIZE}')
    run('qemu-img', 'snapshot', '-c', 's', 'snap.qcow2')
    yield Target('version 2 with a snapshot', 'snap.qcow2', resizes=False)
    create('data.qcow2', SIZE, options='data_file=data.bin,data_file_raw=on')
    yield Target('external data', 'data.qcow2', '-o', 'backing=any')
    encrypted('luks.qcow2', 'qcow2', LUKS, str(SIZE))
    yield Target('encrypted', 'luks.qcow2', '-o', 'key-file=key', key=True)
    create('cow.qcow2', SIZE, **over)
    qio('cow.qcow2', 'write -P 3 64k 128k')
    yield Target('copy on write', 'cow.qcow2', '-o', 'cow', stays=True)
    create('direct.qcow2', SIZE)
    yield Target('direct I/O', 'direct.qcow2', '-o', 'direct_io')


def partition():
    """A partition of which neither end is at a cluster."""
    os.environ['PATH'] += ':/usr/sbin:/sbin'
    if shutil.which('sfdisk') is None or 'libblkid none' in run(QCOWFS, '--version'):
        print('# no partitions: needs sfdisk, and a build with libblkid')
        return
    create('base.qcow2', 2 * M)
    qio('base.qcow2', 'write -P 0xbb 0 2M')
    run('qemu-img', 'convert', '-O', 'raw', 'base.qcow2', 'part.raw')
    subprocess.run(['sfdisk', '-q', '--wipe=never', 'part.raw'], text=True, check=True,
                   input=f'label: dos\nstart={START // 512},size={SIZE // 512},type=83\n')
    convert('part.raw', 'part.qcow2')
    yield Target('a partition', 'part.qcow2', '-o', 'partitions', name='part.p1.raw', resizes=False)


# ---- the trial of one program ------------------------------------------------------

def fill(path, resizes):
    """The disk as it was before, with old bytes all over."""
    if resizes and os.stat(path).st_size != SIZE:
        os.truncate(path, SIZE)
    fd = os.open(path, os.O_WRONLY)
    check(os.pwrite(fd, OLD, 0) == SIZE, 'it is filled')
    os.close(fd)


def rest_is_right(rest, tool):
    """What lies behind a shorter source: all of one kind, but for the end of its last sector."""
    if not any(rest):
        return True
    pad = len(rest) % 512
    return tool[:2] in KEEP_THE_REST and rest[pad:] == OLD[:len(rest) - pad] and \
        rest[:pad] in (bytes(pad), OLD[:pad])


def trial(target, path, tool, source, content):
    """True if it copied."""
    what = f'{tool[0]} ({tool[1]}), onto {target.what}, a source that is {source}'
    size = len(content)
    fill(path, target.resizes)
    r = subprocess.run(tool[2](os.path.abspath(names[source]), path), stdin=subprocess.DEVNULL,
                       capture_output=True, text=True, timeout=PATIENCE)
    now = os.stat(path).st_size
    check(now == SIZE or target.resizes, f'{what}: it keeps its size')
    if r.returncode or (tool[0] in NO_STATUS and r.stderr):
        check(r.stderr or r.stdout, f'{what}: status {r.returncode} with a reason')
        check(tool[3] == MAY_FAIL or size > SIZE or cuts_what_cannot_be_cut(target, tool, size),
              f'{what}: it works: {r.stderr}{r.stdout}')
        return
    got = read_all(path, now)
    check(now >= size or got == content, f'{what}: it has {now} bytes')
    same_bytes(got[:size], content[:now] if now < size else content, what)
    check(now >= size, f'{what}: all of it is there')
    check(rest_is_right(got[size:], tool), f'{what}: what lies behind is zeros')


def cuts_what_cannot_be_cut(target, tool, size):
    """rsync in place cuts a disk to the size of the source, if that can be."""
    return tool[0] == 'rsync' and size < SIZE and (not target.resizes or size % 512)


def all_trials(target):
    with Mount(target.image, *target.options, ro=False) as m:
        path = m.path(target.name)
        for tool in TOOLS if os.environ.get('LONG') else TOOLS[rng.randrange(3)::3]:
            if shutil.which(tool[0]) is None:
                continue
            for source, content in contents.items():
                trial(target, path, tool, source, content)
        fill(path, target.resizes)
        run('cp', '--sparse=always', names['sparse'], path)
        want = read_all(path, SIZE)
        whole = read_all(m.path('part.raw'), 2 * M) if 'part' in target.name else want
    same_bytes(want, contents['sparse'], target.what)
    if target.stays is not None:
        check(Path(target.image).read_bytes() == target.stays, 'the image is as it was')
        return
    same_bytes(target.raw(), whole, f'{target.what}, by QEMU')
    if 'part' in target.name:
        check(whole[:512][:440] + whole[512:START] == b'\xbb' * (START - 72), 'nothing before it')
        check(whole[START + SIZE:] == b'\xbb' * (M - START), 'nor behind')
    if not target.key:
        sound(target.image, target.fmt)


os.umask(0o022)  # so that sources and images have one mode
names = sources()
contents = {what: Path(name).read_bytes() for what, name in names.items()}
for missing in sorted({t[0] for t in TOOLS if shutil.which(t[0]) is None}):
    print(f'# {missing} is not installed')
for t in (*targets(), *partition()):
    begun = time.monotonic()
    all_trials(t)
    print(f'# {t.what}: {time.monotonic() - begun:.1f} s', flush=True)
