#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Under a limit of file sizes (ulimit -f) the kernel sends SIGXFSZ: the writer gets EFBIG, the
# daemon lives on, and the image is sound.
import errno
import resource
from qcowtest import *

LIMIT = 2 << 20
create('disk.qcow2', '16M')
qio('disk.qcow2', 'write -P 90 0 64k')


class Limited(Mount):
    def __init__(self, *args, **kwargs):
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (LIMIT, hard))
        try:
            super().__init__(*args, **kwargs)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


with Limited('disk.qcow2', ro=False) as m:
    fd = os.open(m.path('disk.raw'), os.O_RDWR)
    error = written = 0
    while written < 4 << 20 and not error:
        error = errno_of(os.pwrite, fd, b'x' * 65536, 65536 + written)
        error = error or errno_of(os.fsync, fd)
        written += 65536
    check(error == errno.EFBIG, f'the writer gets EFBIG, not {errno.errorcode.get(error)}')
    check(os.pread(fd, 65536, 0) == b'Z' * 65536, 'and the daemon serves on')
    check(os.pread(fd, 65536, 65536) == b'x' * 65536, 'what was written before is there')
    check(os.stat('disk.qcow2').st_size <= LIMIT, 'the file is no larger')
    errno_of(os.close, fd)
run('qemu-img', 'check', 'disk.qcow2')
check(raw_of('disk.qcow2')[:131072] == b'Z' * 65536 + b'x' * 65536, 'as QEMU reads it')

# A command does not die either.
r = subprocess.run(['sh', '-c', 'ulimit -f 0; exec "$1" info --json disk.qcow2 >out', 'sh', QCOWFS],
                   capture_output=True, text=True)
check(r.returncode == 1 and 'File too large' in r.stderr, f'a command: {r}')
