#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With cow=FILE writes go to FILE, which QEMU can open, and which a later mount continues.
from qcowtest import *
import errno

SIZE = 8 * M


def sound(name):
    run('qemu-img', 'check', '-q', name)


def refused(status, word, *argv):
    r = subprocess.run([QCOWFS, *argv, 'mnt'], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(r.returncode == status and word in r.stderr and r.stderr.count('\n') == 1,
          f'{argv}: {status} and "{word}": {r.returncode} {r.stderr}')


def story(image, fmt, content):
    """Written here, by QEMU, and here again."""
    before = Path(image).read_bytes(), os.stat(image).st_mtime_ns
    model = bytearray(content)
    name = os.path.basename(image).split('.')[0] + '.raw'
    over = f'{image}.over'
    with Mount(image, '-o', f'cow={over}', ro=False) as m:
        check(os.path.exists(over), 'it is made at once')
        with open(m.path(name), 'r+b') as f:
            f.write(b'first')
            f.seek(5 * M)
            f.write(b'\0' * M)
        model[:5] = b'first'
        model[5 * M:6 * M] = bytes(M)
        check(Path(m.path(name)).read_bytes() == model, 'it is read again')
    sound(over)
    info = json.loads(run('qemu-img', 'info', '--output=json', over))
    check(info['full-backing-filename'] == os.path.abspath(image), f'it names the image: {info}')
    check(info['backing-filename-format'] == fmt, f'and its format: {info}')
    check(raw_of(over) == bytes(model), 'QEMU reads what was written')
    qio(over, 'write -P 7 1M 64k')
    model[M:M + 64 * K] = b'\7' * (64 * K)
    with Mount(image, '-o', f'cow={over}', ro=False) as m:
        check(Path(m.path(name)).read_bytes() == model, 'what QEMU wrote is there')
        os.truncate(m.path(name), SIZE + M)
        with open(m.path(name), 'r+b') as f:
            f.seek(SIZE)
            f.write(b'behind')
        model[SIZE:] = b'behind'.ljust(M, b'\0')
        # While nobody has it open, QEMU may write to it.
        until(10, lambda: 'rror' not in qio(over, 'write -P 8 2M 64k', ok=False), 'QEMU may write')
        model[2 * M:2 * M + 64 * K] = b'\10' * (64 * K)
        check(Path(m.path(name)).read_bytes() == model, 'it is read anew')
        fd = os.open(m.path(name), os.O_RDWR)
        check('lock' in qio(over, 'write 0 512', ok=False), 'it is locked while it is open')
        check('lock' in qio(image, 'write 0 512', fmt=fmt, ok=False), 'and so is the image')
        os.close(fd)
    sound(over)
    check(raw_of(over) == bytes(model), 'QEMU reads the larger disk')
    check((Path(image).read_bytes(), os.stat(image).st_mtime_ns) == before, 'the image is as it was')


os.makedirs('src')
os.mkdir('mnt')
content = noise(SIZE)
Path('flat').write_bytes(content)
convert('flat', 'src/v1.qcow', fmt='qcow')
convert('flat', 'src/v2.qcow2', options='compat=0.10')
convert('flat', 'src/v3.qcow2')
convert('flat', 'src/base.qcow2', extra=('-c',))
create('src/top.qcow2', backing='base.qcow2', backing_format='qcow2')
for image, fmt in (('src/v1.qcow', 'qcow'), ('src/v2.qcow2', 'qcow2'), ('src/v3.qcow2', 'qcow2'),
                   ('src/top.qcow2', 'qcow2')):
    story(image, fmt, content)

# QEMU's own overlay, with a relative name, is as good.
create('src/theirs.over', backing='v3.qcow2', backing_format='qcow2')
with Mount('src/v3.qcow2', '-o', 'cow=src/theirs.over', ro=False) as m:
    Path(m.path('v3.raw')).open('r+b').write(b'here')
check(raw_of('src/theirs.over')[:4] == b'here', 'it has what was written')

# Over the image itself: the mount is where FILE says that the image is.
with open('src/v3.qcow2', 'rb') as f:
    real = f.read()
m = Mount('src/v3.qcow2', '-o', 'cow=src/own.over', where='src/v3.qcow2', ro=False)
for i in range(3):
    with open('src/v3.qcow2', 'r+b') as f:
        f.seek(i * M)
        f.write(b'through')
check(Path('src/v3.qcow2').read_bytes()[M:M + 7] == b'through', 'the disk is where the image was')
check(m.unmount() == 0, 'it ends')
check(Path('src/v3.qcow2').read_bytes() == real, 'the image is as it was')
check(raw_of('src/own.over')[2 * M:2 * M + 7] == b'through', 'FILE has it')

# Overlays of other images.
refused(2, 'src/v3.qcow2.over is an overlay of another image', '-o', 'cow=src/v3.qcow2.over', 'src/v2.qcow2')
refused(2, 'not an overlay', '-o', 'cow=src/v3.qcow2', 'src/v3.qcow2')
refused(2, 'is an overlay of another image', '-o', 'cow=src/top.qcow2', 'src/top.qcow2')
refused(2, 'is not an image', '-o', 'cow=flat', 'src/v3.qcow2')
refused(2, 'not a regular file', '-o', 'cow=/dev/null', 'src/v3.qcow2')
refused(2, 'not a regular file', '-o', 'cow=src', 'src/v3.qcow2')
create('src/raw.over', size=SIZE, backing='v3.qcow2', backing_format='raw', unsafe=True)
refused(2, 'another format', '-o', 'cow=src/raw.over', 'src/v3.qcow2')
refused(1, 'No such file', '-o', 'cow=nowhere/over', 'src/v3.qcow2')
refused(1, 'is a folder', '-o', 'cow=over', 'src')
refused(1, 'not together with ro', '-r', '-o', 'cow', 'src/v3.qcow2')
refused(1, 'not together with locking=share', '-o', 'cow,locking=share', 'src/v3.qcow2')
refused(2, 'not a QCOW', '-o', 'cow=new.over', 'flat')
check(not os.path.exists('new.over') and not os.path.exists('over'), 'and nothing is made for that')

# In use by QEMU.
holder = hold('src/v3.qcow2.over')
refused(3, 'v3.qcow2.over: locked', '-o', 'cow=src/v3.qcow2.over', 'src/v3.qcow2')
with Mount('src/v3.qcow2', '-o', 'cow', ro=False) as m:  # which QEMU only reads
    Path(m.path('v3.raw')).open('r+b').write(b'meanwhile')
let_go(holder)

# Given to another image while it is mounted: no byte of that is taken for this one.
with Mount('src/v3.qcow2', '-o', 'cow=src/own.over', ro=False) as m:
    Path(m.path('v3.raw')).read_bytes()
    until(10, lambda: 'rror' not in qio('src/own.over', 'write 0 512', ok=False), 'it is closed')
    run('qemu-img', 'rebase', '-u', '-b', 'v2.qcow2', '-F', 'qcow2', 'src/own.over')
    check(errno_of(os.open, m.path('v3.raw'), os.O_RDONLY) == errno.EIO, 'it is refused')
    check('was made an overlay of another image' in m.log(), 'and why')
