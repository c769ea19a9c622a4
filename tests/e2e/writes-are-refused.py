#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# On a read-only mount all that would change something fails with EROFS, or EPERM.  On another
# one the disks are written to, and all but that fails just so; setting the times does nothing,
# nor does setting the mode or the owner to what they are.
# The image stays bit for bit as it was.
import errno
import hashlib
from qcowtest import *

os.makedirs('src/lab')
create('src/disk.qcow2', '1M')
qio('src/disk.qcow2', 'write -P 1 0 1M')
create('src/other.qcow2', '1M')


def facts(name):
    st = os.stat(name)
    return (hashlib.sha256(Path(name).read_bytes()).hexdigest(), st.st_size, st.st_mtime_ns,
            st.st_mode, st.st_nlink)


def attempts(d):
    p = os.path.join(d, 'disk.raw')
    return {
        'open for writing': (os.open, p, os.O_WRONLY),
        'open for both': (os.open, p, os.O_RDWR),
        'open to append': (os.open, p, os.O_WRONLY | os.O_APPEND),
        'open to truncate': (os.open, p, os.O_WRONLY | os.O_TRUNC),
        'create': (os.open, os.path.join(d, 'new'), os.O_CREAT | os.O_WRONLY),
        'truncate': (os.truncate, p, 100),
        'truncate to more': (os.truncate, p, 2 * M),
        'truncate to the same': (os.truncate, p, M),
        'mkdir': (os.mkdir, os.path.join(d, 'new')),
        'mkdir below': (os.mkdir, os.path.join(d, 'lab', 'new')),
        'rmdir': (os.rmdir, os.path.join(d, 'lab')),
        'unlink': (os.unlink, p),
        'rename': (os.rename, p, os.path.join(d, 'new')),
        'rename over': (os.rename, p, os.path.join(d, 'other.raw')),
        'link': (os.link, p, os.path.join(d, 'new')),
        'symlink': (os.symlink, 'x', os.path.join(d, 'new')),
        'mknod': (os.mknod, os.path.join(d, 'new')),
        'mkfifo': (os.mkfifo, os.path.join(d, 'new')),
        'chmod': (os.chmod, p, 0o777),
        'chown': (os.chown, p, 1, 1),
        'chown the user': (os.chown, p, 1, -1),
        'chown the group': (os.chown, p, -1, 1),
    }


def as_they_are(path):
    st = os.stat(path)
    mode = st.st_mode & 0o7777
    return {
        'mode': (os.chmod, path, mode),
        'owner': (os.chown, path, st.st_uid, st.st_gid),
        'user': (os.chown, path, st.st_uid, -1),
        'group': (os.chown, path, -1, st.st_gid),
    }


before = facts('src/disk.qcow2')
for options in ['-o', 'ro'], ['-r'], ['-o', 'rw', '-o', 'ro']:
    with Mount('src', *options, ro=False) as m:
        for what, call in attempts(m.where).items():
            e = errno_of(*call)
            check(e in (errno.EROFS, errno.EPERM), f'{what} {options}: EROFS, not {e}')
        fd = os.open(m.path('disk.raw'), os.O_RDONLY)
        check(errno_of(os.posix_fallocate, fd, 0, 100) == errno.EBADF, 'no fallocate')
        check(errno_of(os.pwrite, fd, b'x', 0) == errno.EBADF, 'no write')
        os.fsync(fd)
        os.fdatasync(fd)
        os.close(fd)
        check(sorted(os.listdir(m.where)) == ['disk.raw', 'lab', 'other.raw'], 'all is there')
for options in [], ['-o', 'rw'], ['-o', 'ro', '-o', 'rw']:
    with Mount('src', *options, ro=False) as m:
        for what, call in attempts(m.where).items():
            if what.startswith(('open', 'truncate')):
                continue
            e = errno_of(*call)
            check(e in (errno.EROFS, errno.EPERM), f'{what} {options}: EPERM, not {e}')
        for how in {}, {'ns': (1, 2)}:
            e = errno_of(os.utime, m.path('disk.raw'), **how)
            check(e == 0, f'utime {how} {options}: {e}')
        for name in 'disk.raw', 'lab', '':
            for what, call in as_they_are(m.path(name)).items():
                e = errno_of(*call)
                check(e == 0, f'{what} of {name} set to what it is {options}: {e}')
        for flags in os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND:
            check(errno_of(os.open, m.path('disk.raw'), flags) == 0, f'{options}: it is opened')
check(facts('src/disk.qcow2') == before, 'the image is as it was')
