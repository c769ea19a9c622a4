# SPDX-License-Identifier: MIT
"""The library of the tests of writing: a disk, its flat model, and their comparison."""
import ctypes
import errno
import re
from qcowtest import *

LONG = os.environ.get('LONG') == '1'
KEEP_SIZE, PUNCH_HOLE, ZERO_RANGE = 1, 2, 16
VERSIONS = {'v1': ('qcow', ''), 'v2': ('qcow2', 'compat=0.10'), 'v3': ('qcow2', 'compat=1.1')}

_libc = ctypes.CDLL(None, use_errno=True)
_libc.fallocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]


def fallocate(fd, mode, off, length):
    if _libc.fallocate(fd, mode, off, length):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def punch(fd, off, length):
    fallocate(fd, PUNCH_HOLE | KEEP_SIZE, off, length)


def zero_range(fd, off, length):
    fallocate(fd, ZERO_RANGE | KEEP_SIZE, off, length)


def pages_of(fd):
    """Drops it from the page cache, so that reads come from the daemon."""
    os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)


def read_all(path, size):
    """All of it, past the kernel's pages; and that it ends there."""
    fd = os.open(path, os.O_RDONLY)
    try:
        pages_of(fd)
        out = bytearray()
        while True:
            part = os.pread(fd, M, len(out))
            if not part:
                break
            out += part
    finally:
        os.close(fd)
    check(len(out) == size, f'{path} has {size} bytes, not {len(out)}')
    return bytes(out)


def same_bytes(got, want, what):
    if bytes(got) == bytes(want):
        return
    check(len(got) == len(want), f'{what}: {len(want)} bytes, not {len(got)}')
    at = next(i for i in range(len(want)) if got[i] != want[i])
    wrong = sum(a != b for a, b in zip(got, want))
    fail(f'{what}: byte {at} (0x{at:x}) is {want[at]:#x}, not {got[at]:#x}; {wrong} differ')


def is_free(image, fmt='qcow2'):
    """Whether nobody has it open for writing."""
    return 'lock' not in run('qemu-img', 'info', '-f', fmt, image, ok=False)


def sound(image, fmt='qcow2', leaks=False):
    """No corruption, and no leak (unless they are allowed)."""
    until(10, lambda: is_free(image, fmt), f'{image} is free')
    if fmt != 'qcow2':
        return
    r = subprocess.run(['qemu-img', 'check', '-f', fmt, image], capture_output=True, text=True)
    check(r.returncode == 0 or leaks and r.returncode == 3,
          f'qemu-img check {image}: status {r.returncode}: {r.stdout[-1500:]}{r.stderr[-500:]}')


def agrees(image, model, fmt='qcow2'):
    """It is sound, and QEMU reads the model's bytes from it."""
    sound(image, fmt)
    same_bytes(raw_of(image, fmt), model, f'{image}, by QEMU')


class Disk:
    """An image mounted for writing, open at .fd; .model has the wanted bytes.

    with Disk('x.qcow2', model) as d: d.write(5, b'...')
    In the end we and QEMU must read the bytes of the model.
    """

    def __init__(self, image, model, *options, fmt='qcow2', flags=0):
        self.image, self.fmt, self.model = image, fmt, bytearray(model)
        self.mount = Mount(image, '-o', ','.join(('rw', *options)), ro=False)
        self.path = self.mount.path(next(n for n in os.listdir(self.mount.where) if n.endswith('.raw')))
        self.fd = os.open(self.path, os.O_RDWR | flags)

    def write(self, off, data, fd=None):
        n = os.pwrite(self.fd if fd is None else fd, data, off)
        check(n == len(data), f'{n} of {len(data)} bytes are written at {off}')
        self.model[off:off + n] = data

    def punch(self, off, length):
        punch(self.fd, off, length)
        self.clear(off, length)

    def zero(self, off, length):
        zero_range(self.fd, off, length)
        self.clear(off, length)

    def clear(self, off, length):
        end = min(off + length, len(self.model))
        self.model[off:end] = bytes(max(end - off, 0))

    def resize(self, size):
        os.ftruncate(self.fd, size)
        del self.model[size:]
        self.model.extend(bytes(size - len(self.model)))

    def compare(self):
        same_bytes(read_all(self.path, len(self.model)), self.model, self.image)

    def blocks(self):
        """The space of the image on the host's disk, in bytes."""
        return os.stat(self.image).st_blocks * 512

    def end(self):
        self.compare()
        os.close(self.fd)
        status = self.mount.unmount()
        check(status == 0, f'it ends with status 0, not {status}: {self.mount.log()}')
        agrees(self.image, self.model, self.fmt)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print('# log: ' + self.mount.log().replace('\n', '\n# log: '), flush=True)
            os.close(self.fd)
            self.mount.stop()
        else:
            self.end()
