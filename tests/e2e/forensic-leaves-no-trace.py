#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With -o forensic everything in SOURCE can be read in all ways, and is then as it was, to the byte
# and to the access time: files, folders and links.
import hashlib
from views import *


def sums(top):
    return {os.path.join(d, n): hashlib.sha256(Path(d, n).read_bytes()).hexdigest()
            for d, _, files in os.walk(top) for n in files}


def read_everything(top):
    count = 0
    for d, dirs, files in os.walk(top):
        for n in files:
            p = os.path.join(d, n)
            os.stat(p)
            os.statvfs(p)
            try:
                with open(p, 'rb') as f:
                    while f.read(M):
                        pass
                    data_map(f.fileno(), os.fstat(f.fileno()).st_size)
                    os.fsync(f.fileno())
                count += 1
            except OSError as e:
                check(e.errno == errno.EIO, f'{p}: {e}')
            for mode in os.O_WRONLY, os.O_RDWR:
                refuses(errno.EROFS, os.open, p, mode)
        for n in dirs:
            refuses(errno.EROFS, os.rmdir, os.path.join(d, n))
        refuses(errno.EROFS, os.mkdir, d + '/new')
    return count


os.mkdir('src')
if not os.geteuid() and not subprocess.run(['mount', '-t', 'tmpfs', '-o', 'strictatime', 'none',
                                            'src'], stderr=subprocess.DEVNULL).returncode:
    atexit.register(subprocess.run, ['umount', os.path.abspath('src')])
os.makedirs('src/lab/deep')
base = noise(M)
Path('src/lab/base.raw').write_bytes(base)
create('src/over.qcow2', backing='lab/base.raw', backing_format='raw')
qio('src/over.qcow2', 'write -P 1 5k 100k')
snap('src/over.qcow2', '-c', 'one')
qio('src/over.qcow2', 'write -P 2 5k 100k')
snap('src/over.qcow2', '-c', 'two')
create('src/gone.qcow2', '1M', options='cluster_size=4k')
qio('src/gone.qcow2', 'write -P 6 0 100k', 'write -c -P 7 200k 4k')
snap('src/gone.qcow2', '-c', 'one')
qio('src/gone.qcow2', 'write -P 5 0 50k', 'write -P 8 200k 4k')
run('qemu-img', 'snapshot', '-d', 'one', '--image-opts',
    'driver=qcow2,file.driver=file,file.filename=src/gone.qcow2,file.discard=ignore')
create('src/data.qcow2', '1M', options='data_file=disk.data')
qio('src/data.qcow2', 'write -P 3 0 1M')
create('src/lab/v1.qcow', '1M', fmt='qcow')
create('src/lab/bits.qcow2', '1M')
run('qemu-img', 'bitmap', '--add', 'src/lab/bits.qcow2', 'one')
poke('src/lab/bits.qcow2', 90, b'\4')
create('src/corrupt.qcow2', '1M')
poke('src/corrupt.qcow2', 79, b'\2')
Path('src/bad.qcow2').write_bytes(b'QFI\xfb' + bytes(1000))
Path('src/notes.txt').write_text('not an image')
os.symlink('over.qcow2', 'src/link.qcow2')
create('src/dirty.qcow2', '4M', options='lazy_refcounts=on')
p = subprocess.Popen(['qemu-io', '-f', 'qcow2', '-c', 'write -P 5 1M 1M', '-c', 'sleep 600000',
                      'src/dirty.qcow2'], stdout=subprocess.DEVNULL)
until(10, lambda: peek('src/dirty.qcow2', 79, 1) == b'\1', 'it is dirty')

# A live one is refused, and read with locking=share.
with Mount('src', '-o', 'forensic', ro=False) as m:
    refuses(errno.EBUSY, os.open, m.path('dirty.raw'), os.O_RDONLY)
with Mount('src', '-o', 'forensic,locking=share', ro=False) as m:
    with open(m.path('dirty.raw'), 'rb') as f:
        check(os.pread(f.fileno(), 4, M) == b'\5' * 4, 'a live one')
p.kill()
p.wait()

bytes_before = sums('src')

def old_times():
    """All get times that whatever reads them will change; their facts then."""
    paths = ['src', *(os.path.join(d, n) for d, dirs, files in os.walk('src') for n in dirs + files)]
    for path in paths:
        os.utime(path, (1000000000, 1100000000), follow_symlinks=False)
    return {path: os.lstat(path) for path in paths}


for source in 'src', 'src/over.qcow2', 'src/lab/v1.qcow':
    reference = old_times()
    with Mount(source, '-o', 'forensic', ro=False) as m:
        count = read_everything(m.where)
        print(f'# {source}: {count} files read')
        check(count >= (16 if source == 'src' else 3), 'there was something to read')
        if source == 'src':
            check('link.raw' not in os.listdir(m.where), 'a link is not shown')
            same_bytes(Path(m.path('over.chain/1-base.raw.raw')).read_bytes(), base, 'the base')
            with open(m.path('gone.deleted/one@1/disk.raw'), 'rb') as f:
                check(f.read(4) == b'\6' * 4, 'a deleted snapshot is read')
            with open(m.path('dirty.raw'), 'rb') as f:
                f.seek(M)
                check(f.read(4) == b'\5' * 4, 'a dirty image is read')
    for path, was in reference.items():
        now = os.lstat(path)
        for what in 'st_atime_ns', 'st_mtime_ns', 'st_ctime_ns', 'st_size', 'st_mode', 'st_blocks':
            check(getattr(now, what) == getattr(was, what), f'{path}: {what} is as it was')
    check('access time' not in m.log(), f'nothing is said of access times: {m.log()}')

# Without it, times do change, where this is noted at all.
Path('src/probe').write_text('x')
reference = old_times()
noted = Path('src/probe').read_text() and os.stat('src/probe').st_atime != 1000000000
os.unlink('src/probe')
print(f'# access times are noted here: {noted}')
with Mount('src', '-o', 'ro,snapshots,chain') as m:
    read_everything(m.where)
for path in ('src', 'src/lab', 'src/over.qcow2', 'src/lab/base.raw') if noted else ():
    check(os.lstat(path).st_atime != 1000000000, f'{path}: its access time tells that it was read')
check(sums('src') == bytes_before, 'no byte is another')
check(peek('src/dirty.qcow2', 79, 1) == b'\1', 'it is dirty, still')
