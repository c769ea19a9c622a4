#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# MOUNTPOINT may be /dev/fd/N, a descriptor of /dev/fuse that is mounted already: by mount.fuse3
# with drop_privileges, or by any program that starts this one.
import ctypes
import shutil
from qcowtest import *
requires_root()

create('disk.qcow2', '1M')
qio('disk.qcow2', 'write -P 1 0 1M')
os.mkdir('mnt')
libc = ctypes.CDLL(None, use_errno=True)


def mount_descriptor():
    fd = os.open('/dev/fuse', os.O_RDWR)
    data = f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
    if libc.mount(b'disk', b'mnt', b'fuse.qcowfs', 6, data):
        skip(f'needs mount(2): {os.strerror(ctypes.get_errno())}')
    return fd


def serve(*options):
    """Mounts, hands the descriptor over, and closes its own."""
    fd = mount_descriptor()
    p = subprocess.Popen([QCOWFS, '-f', *options, 'disk.qcow2', f'/dev/fd/{fd}'], pass_fds=[fd],
                         stderr=subprocess.PIPE, text=True)
    os.close(fd)
    atexit.register(p.kill)
    return p


for options in ['-r'], ['-r', '-s'], ['-o', 'rw,info,snapshots'], ['-o', 'sandbox=off,pid-file=pid'], \
        ['-r', '-o', 'pid-file=pid,fsname=a,subtype=b']:
    p = serve(*options)
    check(Path('mnt/disk.raw').read_bytes() == b'\1' * (1 << 20), f'{options}: it serves')
    if 'rw,info,snapshots' in options:
        with open('mnt/disk.raw', 'r+b') as f:
            f.write(b'\1' * 4096)
        check(sorted(os.listdir('mnt')) == ['disk.json', 'disk.map', 'disk.raw', 'disk.snapshots'], 'a folder')
    run('umount', 'mnt')
    check(p.wait(PATIENCE) == 0, f'{options}: it ends when it is unmounted: {p.stderr.read()}')
    check(not p.stderr.read() and not os.path.exists('pid'), f'{options}: in order')

# A signal ends it; the mount is that of the other program.
p = serve('-r')
os.listdir('mnt')
p.send_signal(signal.SIGTERM)
check(p.wait(PATIENCE) == 0, 'SIGTERM ends it')
check(errno_of(os.listdir, 'mnt') and is_mounted('mnt'), 'which unmounts itself')
run('umount', 'mnt')

# In the background, where the parent ends.
fd = mount_descriptor()
r = subprocess.run([QCOWFS, '-r', 'disk.qcow2', f'/dev/fd/{fd}'], pass_fds=[fd])
os.close(fd)
check(r.returncode == 0 and os.listdir('mnt') == ['disk.raw'], 'in the background')
run('umount', 'mnt')

# What is none is refused.
for where, words in ('/dev/fd/99', 'no such descriptor'), ('/dev/fd/0', 'not of /dev/fuse'):
    r = subprocess.run([QCOWFS, '-r', 'disk.qcow2', where], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True)
    check(r.returncode == 5 and f'mountpoint {where}: ' in r.stderr and words in r.stderr, f'{where}: {r}')

if shutil.which('mount.fuse3'):
    os.mkdir('bin')
    shutil.copy(QCOWFS, 'bin/qcowfs')
    os.environ['PATH'] = f'{os.getcwd()}/bin:{os.environ["PATH"]}'
    run('mount.fuse3', f'qcowfs#{os.getcwd()}/disk.qcow2', f'{os.getcwd()}/mnt', '-o', 'ro,drop_privileges')
    check(Path('mnt/disk.raw').read_bytes()[:1] == b'\1', 'mount.fuse3 -o drop_privileges')
    run('umount', 'mnt')
