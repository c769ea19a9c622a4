#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With -o create a symbolic link makes an overlay, and images and folders are renamed and removed;
# an image that others build upon stays.
import errno
import stat

from qcowtest import *


def at(m, name):
    return Path(m.path(name))


def fails(m, error, line, call, *argv):
    before = m.log()
    got = errno_of(call, *argv)
    check(got == error, f'{call.__name__}{argv} fails with {errno.errorcode[error]}, not {got}')
    said = m.log()[len(before):]
    check(line is None or (line in said and said.count('\n') == 1), f'{call.__name__}{argv}: a line with "{line}": {said}')


def info(path):
    return json.loads(run('qemu-img', 'info', '--output=json', path))


def names(m, where=''):
    return sorted(os.listdir(m.path(where)))


def is_locked_by(pid):
    """Whether the process has QEMU's locks of a writer."""
    try:
        return any(' 203 203' in p.read_text() for p in Path(f'/proc/{pid}/fdinfo').iterdir())
    except FileNotFoundError:  # it has just closed one
        return False


def sound(path):
    run('qemu-img', 'check', '-q', path)


os.makedirs('src/lab')
data = noise(2 * M)
Path('base.raw').write_bytes(data)
convert('base.raw', 'src/base.qcow2')
os.chmod('src/base.qcow2', 0o444)
convert('base.raw', 'src/old.img', fmt='qcow')
Path('src/readme.txt').write_text('text')
m = Mount('src', '-o', 'create', ro=False)
with m:
    # An overlay, at once, also while its base is read.
    with open(m.path('base.raw'), 'rb') as reading:
        reading.read(1)
        os.symlink('base.raw', m.path('new.raw'))
        st = os.lstat(m.path('new.raw'))
        check(stat.S_ISREG(st.st_mode) and st.st_size == len(data), 'a file of the size of the base')
        check(at(m, 'new.raw').read_bytes() == data, 'its bytes')
    check(names(m) == ['base.raw', 'lab', 'new.raw', 'old.raw'], names(m))
    i = info('src/new.qcow2')
    check(i['backing-filename'] == 'base.qcow2' and i['backing-filename-format'] == 'qcow2', f'the name of the base: {i}')
    with open(m.path('new.raw'), 'r+b') as f:
        f.write(b'new')
    check(at(m, 'new.raw').read_bytes() == b'new' + data[3:], 'written')
    check(at(m, 'base.raw').read_bytes() == data, 'the base stays')
    sound('src/new.qcow2')
    os.symlink(m.path('old.raw'), m.path('of-old.raw'))
    check(info('src/of-old.qcow2')['backing-filename-format'] == 'qcow', 'of version 1, by an absolute path')
    check(at(m, 'of-old.raw').read_bytes() == data, 'its bytes')
    os.symlink('./lab/../new.raw', m.path('third.raw'))
    check(at(m, 'third.raw').read_bytes()[:3] == b'new', 'of an overlay')

    # The base is read-only now, and the overlay cannot be made while it is written.
    fails(m, errno.EROFS, 'backing file of', open, m.path('base.raw'), 'r+b')
    at(m, 'busy.raw').write_bytes(b'x' * 512)
    with open(m.path('busy.raw'), 'r+b'):
        fails(m, errno.EBUSY, 'open for writing here', os.symlink, 'busy.raw', m.path('no.raw'))
    os.symlink('busy.raw', m.path('yes.raw'))
    fails(m, errno.EPERM, 'does not lead to an image', os.symlink, 'nothing.raw', m.path('no.raw'))
    fails(m, errno.EPERM, 'does not lead to an image', os.symlink, '/etc/passwd', m.path('no.raw'))
    fails(m, errno.EPERM, 'does not lead to an image', os.symlink, 'lab', m.path('no.raw'))
    fails(m, errno.EPERM, 'backing=any', os.symlink, '../base.raw', m.path('lab/no.raw'))
    fails(m, errno.EPERM, 'does not end in .raw', os.symlink, 'base.raw', m.path('no'))
    check(names(m) == ['base.raw', 'busy.raw', 'lab', 'new.raw', 'of-old.raw', 'old.raw', 'third.raw', 'yes.raw'] and
          names(m, 'lab') == [], 'nothing half made')

    # Images that others need stay.
    fails(m, errno.EBUSY, 'backing file or data file of new.qcow2', os.unlink, m.path('base.raw'))
    fails(m, errno.EBUSY, 'backing file or data file of third.qcow2', os.rename, m.path('new.raw'), m.path('x.raw'))
    fails(m, errno.EBUSY, 'backing file or data file of of-old.qcow2', os.rename, m.path('third.raw'), m.path('old.raw'))
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', '../yes.qcow2', '-F', 'qcow2', 'src/lab/by-qemu.qcow2')
    fails(m, errno.EBUSY, 'of lab/by-qemu.qcow2', os.unlink, m.path('yes.raw'))
    os.unlink('src/lab/by-qemu.qcow2')
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'data_file=plain.img', 'src/data.qcow2', '1M')
    convert('base.raw', 'plain.img')
    os.rename('plain.img', 'src/plain.img')
    fails(m, errno.EBUSY, 'of data.qcow2', os.unlink, m.path('plain.raw'))
    os.unlink('src/data.qcow2')
    os.unlink(m.path('plain.raw'))

    # So do those that are open, here or elsewhere.
    with open(m.path('third.raw'), 'rb') as f:
        fails(m, errno.EBUSY, 'open here', os.unlink, m.path('third.raw'))
        os.rename(m.path('third.raw'), m.path('moved.raw'))
        check(f.read(3) == b'new', 'renamed while it is read')
        os.rename(m.path('moved.raw'), m.path('third.raw'))
        fails(m, errno.EBUSY, 'open here', os.rename, m.path('yes.raw'), m.path('third.raw'))
    holder = subprocess.Popen(['qemu-io', '-f', 'qcow2', '-c', 'sleep 600000', 'src/third.qcow2'],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    until(10, lambda: is_locked_by(holder.pid), 'qemu-io has locked it')
    fails(m, errno.EBUSY, 'cannot remove it', os.unlink, m.path('third.raw'))
    holder.kill()
    holder.wait()
    os.unlink(m.path('third.raw'))
    check(not os.path.exists('src/third.qcow2') and not os.path.exists(m.path('third.raw')), 'removed')

    # Renamed, with its own ending; over others.
    os.rename(m.path('yes.raw'), m.path('lab.raw'))
    check(os.path.exists('src/lab.qcow2') and 'yes.raw' not in names(m), 'renamed')
    at(m, 'a.raw').write_bytes(b'a' * 512)
    at(m, 'b.raw').write_bytes(b'b' * 512)
    os.rename(m.path('a.raw'), m.path('b.raw'))
    check(at(m, 'b.raw').read_bytes() == b'a' * 512 and not os.path.exists('src/a.qcow2'), 'over another')
    os.unlink(m.path('b.raw'))
    convert('base.raw', 'src/e.IMG')
    os.rename(m.path('e.raw'), m.path('c.raw'))
    check(os.path.exists('src/c.IMG'), 'it keeps its ending')
    at(m, 'd.raw').write_bytes(b'd' * 512)
    os.rename(m.path('d.raw'), m.path('c.raw'))
    check(os.path.exists('src/c.qcow2') and not os.path.exists('src/c.IMG') and
          at(m, 'c.raw').read_bytes() == b'd' * 512, 'over one of another ending')
    os.rename(m.path('c.raw'), m.path('lab/c.raw'))
    check(names(m, 'lab') == ['c.raw'] and os.path.exists('src/lab/c.qcow2'), 'to a folder')
    fails(m, errno.EPERM, 'from this one', os.rename, m.path('new.raw'), m.path('lab/new.raw'))
    fails(m, errno.EPERM, 'does not end in .raw', os.rename, m.path('lab/c.raw'), m.path('lab/c'))
    fails(m, errno.EPERM, 'it is a folder', os.rename, m.path('lab'), m.path('lab2'))

    # A name is free again, and each time for another file.
    for i in range(10):
        at(m, 'again.raw').write_bytes(bytes([i]) * 1024)
        check(at(m, 'again.raw').read_bytes() == bytes([i]) * 1024, f'again {i}')
        os.unlink(m.path('again.raw'))

    # Folders.
    os.umask(0o027)
    os.mkdir(m.path('lab/deep'))
    check(stat.S_IMODE(os.stat('src/lab/deep').st_mode) == 0o750 and names(m, 'lab/deep') == [], 'made')
    at(m, 'lab/deep/x.raw').write_bytes(data)
    os.symlink('deep/x.raw', m.path('lab/of-x.raw'))
    check(info('src/lab/of-x.qcow2')['backing-filename'] == 'deep/x.qcow2', 'a base in a folder')
    check(at(m, 'lab/of-x.raw').read_bytes() == data, 'its bytes')
    fails(m, errno.ENOTEMPTY, None, os.rmdir, m.path('lab/deep'))
    os.unlink(m.path('lab/of-x.raw'))
    os.unlink(m.path('lab/deep/x.raw'))
    Path('src/lab/deep/hidden').touch()
    fails(m, errno.ENOTEMPTY, None, os.rmdir, m.path('lab/deep'))
    os.unlink('src/lab/deep/hidden')
    os.rmdir(m.path('lab/deep'))
    check(not os.path.exists('src/lab/deep') and names(m, 'lab') == ['c.raw'], 'removed')
    os.mkdir(m.path('lab/deep'))
    check(names(m, 'lab') == ['c.raw', 'deep'], 'made again')
    fails(m, errno.EPERM, 'another kind', os.mkdir, m.path('readme.txt'))
    check(Path('src/readme.txt').read_text() == 'text', 'other files stay')
    fails(m, errno.EEXIST, None, os.mkdir, m.path('lab'))
check(not [n for n in os.listdir('src') if n.endswith('.raw')], 'no link, no other file')

# Many clones: a thousand in a second.
os.mkdir('many')
convert('base.raw', 'many/base.qcow2')
with Mount('many', '-o', 'create', ro=False) as m:
    before = m.cpu()
    for i in range(300):
        os.symlink('base.raw', m.path(f'{i}.raw'))
    took = m.cpu() - before
    print(f'# 300 clones: {took:.2f} s of a processor')
    check(SANITIZER or took < 1.5, f'300 clones take {took:.2f} s of a processor')

# Names that are no images; no option.
with Mount('src', '-o', 'create,info,snapshots', ro=False) as m:
    fails(m, errno.EPERM, None, os.unlink, m.path('base.json'))
    fails(m, errno.EPERM, None, os.rmdir, m.path('base.snapshots'))
    os.mkdir(m.path('new.snapshots/one'))
    fails(m, errno.EPERM, None, os.rename, m.path('new.snapshots/one'), m.path('lab/one'))
    os.rename(m.path('new.raw'), m.path('newer.raw'))
    check(names(m, 'newer.snapshots') == ['one'] and not os.path.exists(m.path('new.snapshots')), 'views follow')
with Mount('src', ro=False) as m:
    for call, argv in [(os.unlink, ['newer.raw']), (os.rename, ['newer.raw', 'x.raw']), (os.mkdir, ['x']),
                       (os.rmdir, ['lab']), (os.symlink, ['newer.raw', 'x.raw'])]:
        argv = [a if call == os.symlink and a == 'newer.raw' else m.path(a) for a in argv]
        fails(m, errno.EROFS, None, call, *argv)

# With write-base all bases are written, and still not removed.
with Mount('src', '-o', 'create,write-base', ro=False) as m:
    fails(m, errno.EBUSY, 'newer.qcow2', os.unlink, m.path('base.raw'))

# Over an encrypted base: with its key.
Path('key').write_text('secret')
run('qemu-img', 'create', '-q', '-f', 'qcow2', '--object', 'secret,id=s,file=key',
    '-o', 'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', 'src/crypt.qcow2', '1M')
with Mount('src', '-o', 'create', ro=False) as m:
    fails(m, errno.EACCES, 'key-file', os.symlink, 'crypt.raw', m.path('no.raw'))
with Mount('src', '-o', 'create,key-file=key', ro=False) as m:
    os.symlink('crypt.raw', m.path('plain.raw'))
    check('not encrypted itself' in m.log(), 'a warning')
    check(at(m, 'plain.raw').read_bytes() == bytes(M), 'its bytes')
with Mount('src', '-o', 'create=encrypt.format=luks:encrypt.iter-time=10,key-file=key', ro=False) as m:
    os.symlink('crypt.raw', m.path('secret.raw'))
    at(m, 'secret.raw').write_bytes(b'clear text')
check(info('src/secret.qcow2')['encrypted'] and b'clear text' not in Path('src/secret.qcow2').read_bytes(), 'encrypted')
