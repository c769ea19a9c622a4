#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With -o create a new NAME.raw is a new image: it grows until it is closed, and is a disk then.
import errno
import stat
import threading

from qcowtest import *


def fails(error, call, *argv):
    got = errno_of(call, *argv)
    check(got == error, f'{call.__name__}{argv} fails with {errno.errorcode[error]}, not {got}')


def at(m, name):
    return Path(m.path(name))


def info(path):
    return json.loads(run('qemu-img', 'info', '--output=json', path))


def sound(path):
    run('qemu-img', 'check', '-q', path)


def becomes(m, name, data):
    """The image has these bytes, up to a whole sector, as we and QEMU see it."""
    data += bytes(-len(data) % 512)
    check(at(m, f'{name}.raw').stat().st_size == len(data), f'{name}: whole sectors')
    check(at(m, f'{name}.raw').read_bytes() == data, f'{name}: its bytes')
    sound(f'src/{name}.qcow2')
    check(raw_of(f'src/{name}.qcow2') == data, f'{name}: its bytes, as QEMU reads them')


os.mkdir('src')
os.mkdir('src/lab')
Path('src/notes.qcow2').write_text('no image')
data = noise(3 * M + 777)
with Mount('src', '-o', 'create', ro=False) as m:
    # The bytes of a program are the disk, with the mode that it asked for.
    os.umask(0o027)
    with open(at(m, 'a.raw'), 'xb') as f:
        check(at(m, 'a.raw').stat().st_size == 0, 'empty at first')
        f.write(data[:1000000])
        f.flush()
        check(at(m, 'a.raw').stat().st_size == 1000000, 'as long as what was written')
        f.write(data[1000000:])
        f.flush()
        check(at(m, 'a.raw').read_bytes() == data, 'read by another while it grows')
    becomes(m, 'a', data)
    check(stat.S_IMODE(os.stat('src/a.qcow2').st_mode) == 0o640, 'mode less umask')
    check(stat.S_IMODE(at(m, 'a.raw').stat().st_mode) == 0o640, 'the same in the mount')
    check(sorted(os.listdir(m.where)) == ['a.raw', 'lab'], 'names in the mount')
    with open(at(m, 'lab/read-only.raw'), 'wb', opener=lambda p, fl: os.open(p, fl, 0o444)) as f:
        f.write(b'x' * 1000)
    check(stat.S_IMODE(os.stat('src/lab/read-only.qcow2').st_mode) == 0o440, 'a mode without w')

    # From then on it is a disk.
    with open(at(m, 'a.raw'), 'r+b', buffering=0) as f:
        f.seek(0, os.SEEK_END)
        fails(errno.ENOSPC, f.write, b'x')
        f.seek(0)
        f.write(b'changed')
    check(raw_of('src/a.qcow2')[:8] == b'changed' + data[7:8], 'written as a disk')

    # Truncated, with holes, cut and grown again, and by fallocate.
    with open(at(m, 'b.raw'), 'wb') as f:
        f.truncate(20 * M)
        f.seek(5 * M + 1)
        f.write(b'five')
        f.truncate(5 * M + 3)
        f.truncate(6 * M)
    becomes(m, 'b', bytes(5 * M + 1) + b'fi' + bytes(M - 3))
    with open(at(m, 'c.raw'), 'wb', buffering=0) as f:
        os.posix_fallocate(f.fileno(), 0, 300000)
        check(os.fstat(f.fileno()).st_size == 300000, 'fallocate makes it longer')
        f.write(b'c')
    becomes(m, 'c', b'c' + bytes(299999))
    run('truncate', '-s', '20G', at(m, 'd.raw'))
    check(info('src/d.qcow2')['virtual-size'] == 20 * G and os.stat('src/d.qcow2').st_size < 2 * M,
          'truncate -s 20G takes no space')

    # Both ends of one file, and an append.
    with open(at(m, 'e.raw'), 'wb', buffering=0) as f, open(at(m, 'e.raw'), 'ab', buffering=0) as g:
        f.write(b'one')
        g.write(b'two')
    becomes(m, 'e', b'onetwo')

    # A file of 0 bytes is no disk yet.
    at(m, 'f.raw').touch()
    check(info('src/f.qcow2')['virtual-size'] == 0, 'an image of 0 bytes')
    at(m, 'f.raw').write_bytes(data[:5000])
    becomes(m, 'f', data[:5000])

    # Two who make one name.
    for i in range(20):
        won = []

        def make():
            try:
                os.close(os.open(at(m, f'race-{i}.raw'), os.O_CREAT | os.O_EXCL | os.O_WRONLY))
                won.append(1)
            except FileExistsError:
                pass
        threads = [threading.Thread(target=make) for _ in range(4)]
        for t in threads:
            t.start()
        for t in threads:
            t.join()
        check(len(won) == 1, f'one of four makes it: {len(won)}')
        sound(f'src/race-{i}.qcow2')

    # A writer that is killed leaves its bytes.
    writer = subprocess.Popen([sys.executable, '-c', 'import sys, time; f = open(sys.argv[1], "wb", 0)\n'
                               'f.write(b"k" * 5000); print(flush=True); time.sleep(1000)', at(m, 'k.raw')],
                              stdout=subprocess.PIPE)
    writer.stdout.readline()
    writer.kill()
    writer.wait()
    becomes(m, 'k', b'k' * 5000)

    # Names that cannot become images.
    for name in 'plain', 'x.qcow2', '.raw', 'notes.raw':
        fails(errno.EPERM, open, at(m, name), 'w')
    fails(errno.ENAMETOOLONG, open, at(m, 'n' * 250 + '.raw'), 'w')
    check(m.log().count('\n') >= 4 and 'notes.qcow2: cannot make the image' in m.log() and
          'plain: cannot become an image' in m.log(), 'a line for each')
    check(Path('src/notes.qcow2').read_text() == 'no image', 'no other file is touched')
    fails(errno.EPERM, os.link, at(m, 'a.raw'), at(m, 'hard.raw'))

    # Owner and mode can be set.
    os.chmod(at(m, 'a.raw'), 0o600)
    check(stat.S_IMODE(os.stat('src/a.qcow2').st_mode) == 0o600, 'chmod')
check(not [n for n in os.listdir('src') if n.endswith('.raw')], 'only images')
for path in Path('src').rglob('*.qcow2'):
    if path.name != 'notes.qcow2':
        sound(path)

# A kill of the daemon while a disk grows.
m = Mount('src', '-o', 'create', ro=False)
with open(at(m, 'killed.raw'), 'wb', buffering=0) as f:
    f.write(data[:M])
    os.fsync(f.fileno())
    f.write(data[M:])
    m.process.kill()
    m.process.wait()
    try:
        f.close()
    except OSError:
        pass
m.stop()
run('qemu-img', 'check', '-q', 'src/killed.qcow2', ok=False)
check(raw_of('src/killed.qcow2')[:M] == data[:M], 'bytes before an fsync are there')

# Options of new images.
for options, keys in [('compat=0.10', {'compat': '0.10'}), ('cluster_size=2M:extended_l2=on', {'extended-l2': True}),
                      ('cluster_size=512:refcount_bits=1', {'refcount-bits': 1}),
                      ('compression_type=zstd:lazy_refcounts=on', {'compression-type': 'zstd'})]:
    os.mkdir('opt') if not os.path.exists('opt') else None
    with Mount('opt', '-o', 'create=' + options, ro=False) as m:
        at(m, 'new.raw').write_bytes(data)
        check(at(m, 'new.raw').read_bytes() == data + bytes(-len(data) % 512), options)
    got = info('opt/new.qcow2')
    check(all(got['format-specific']['data'][k] == v for k, v in keys.items()), f'{options}: {got}')
    sound('opt/new.qcow2')
    os.unlink('opt/new.qcow2')
for options in 'size=1G', 'data_file=x', 'backing_file=x', 'preallocation=full', 'cluster_size=3', \
        'compat=0.10:extended_l2=on', 'nothing=1', 'encrypt.format=luks':
    out = run(QCOWFS, '-o', 'create=' + options, 'src', m.where, ok=False)
    check(out.startswith('qcowfs: ') and out.count('\n') == 1, f'create={options} is refused: {out}')
for other in 'ro', 'cow', 'forensic', 'locking=share':
    out = run(QCOWFS, '-o', f'create,{other}', 'src', m.where, ok=False)
    check(out == f'qcowfs: create: not together with {other}\n', out)
check('no folder' in run(QCOWFS, '-o', 'create', 'src/a.qcow2', m.where, ok=False), 'one image')

# Encrypted ones.
Path('key').write_text('secret')
with Mount('opt', '-o', 'create=encrypt.format=luks:encrypt.iter-time=10,key-file=key', ro=False) as m:
    at(m, 'e.raw').write_bytes(b'clear text ' * 9000)
secret = ['--object', 'secret,id=s,file=key', '--image-opts',
          'driver=qcow2,encrypt.key-secret=s,file.filename=opt/e.qcow2']
check(info('opt/e.qcow2')['encrypted'], 'encrypted')
run('qemu-img', 'convert', '-O', 'raw', *secret, 'e.out')
check(Path('e.out').read_bytes()[:99000] == b'clear text ' * 9000, 'QEMU reads it with the key')
check(b'clear text' not in Path('opt/e.qcow2').read_bytes(), 'no clear text')

# Without the option all is as before.
with Mount('src', ro=False) as m:
    fails(errno.EROFS, open, at(m, 'new.raw'), 'x')
