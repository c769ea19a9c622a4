#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Once the mount stands, and not before, a line goes to the descriptor of -o ready-fd, and
# READY=1 to the service manager; STOPPING=1 when it ends.  Without a mount neither is told.
import socket
from qcowtest import *

create('disk.qcow2', '1M')
os.mkdir('mnt')


def listener(name):
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind('\0' + name[1:] if name.startswith('@') else name)
    s.settimeout(20)
    return s


def start(*options, foreground=True, env=None, fds=(), source='disk.qcow2'):
    argv = [QCOWFS, *(['-f'] if foreground else []), *options, source, 'mnt']
    return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                            pass_fds=fds, env=dict(os.environ, **(env or {})))


def unmount(process):
    run('fusermount3', '-u', 'mnt')
    error = process.communicate(timeout=PATIENCE)[1]
    check(process.returncode == 0 and not error, f'it ends in order: {error}')


# A descriptor, in both ways to run; to its end there is nothing else.
for foreground in True, False:
    end, other = os.pipe()
    p = start('-o', f'ro,ready-fd={other}', fds=[other], foreground=foreground)
    os.close(other)
    with os.fdopen(end, 'rb') as f:
        check(f.read() == b'ready\n', 'a line, and then its end')
    check(is_mounted('mnt'), 'the mount stands')
    check(len(Path('mnt/disk.raw').read_bytes()) == 1 << 20, 'and can be read')
    unmount(p)

# No line where there is no mount.
end, other = os.pipe()
p = start('-o', f'ro,ready-fd={other}', fds=[other], source='none.qcow2')
os.close(other)
with os.fdopen(end, 'rb') as f:
    check(f.read() == b'', 'nothing is ready')
check(p.wait(PATIENCE) == 2, 'the status is that of the image')
p.communicate()

# Descriptors that are none.
reading = os.open('disk.qcow2', os.O_RDONLY)
for number, fds, why in (77, [], 'no such descriptor'), (reading, [reading], 'not open for writing'):
    p = start('-o', f'ro,ready-fd={number}', fds=fds)
    error = p.communicate(timeout=PATIENCE)[1]
    check(p.returncode == 1 and error.startswith(f'qcowfs: ready-fd: {number}: ') and
          why in error and error.count('\n') == 1, f'ready-fd={number}: {p.returncode} {error}')
    check(not is_mounted('mnt'), 'nothing is mounted')

# One whose reader has gone is no reason not to serve.
end, other = os.pipe()
os.close(end)
p = start('-o', f'ro,ready-fd={other}', fds=[other])
os.close(other)
until(20, lambda: is_mounted('mnt'), 'it is mounted')
error = p.stderr.readline()  # before it is asked to leave
run('fusermount3', '-u', 'mnt')
error += p.communicate(timeout=PATIENCE)[1]
check(p.returncode == 0 and 'ready-fd: cannot notify it' in error, f'it goes on: {error}')

# The service manager: paths and abstract names.
for name in os.path.abspath('notify'), f'@qcowfs-test-{os.getpid()}':
    with listener(name) as s:
        for foreground in True, False:
            p = start('-o', 'ro', env={'NOTIFY_SOCKET': name}, foreground=foreground)
            said = s.recv(1000).decode().splitlines()
            check('READY=1' in said, f'it is ready: {said}')
            check(is_mounted('mnt'), 'the mount stands')
            pid = int(dict(line.split('=') for line in said)['MAINPID'])
            check(Path(f'/proc/{pid}/comm').read_text() == 'qcowfs\n', 'it tells who serves')
            check((pid == p.pid) == foreground, 'the process, or its child')
            unmount(p)
            check(s.recv(1000) == b'STOPPING=1\n', 'it is stopping')
        p = start('-o', 'ro', env={'NOTIFY_SOCKET': name}, source='none.qcow2')
        p.communicate(timeout=PATIENCE)
        s.settimeout(0.1)
        try:
            fail(f'nothing is told: {s.recv(1000)}')
        except TimeoutError:
            pass

# A manager that is not there does not keep it from serving.
for name in os.path.abspath('none'), 'strange', '/' + 'x' * 200:
    p = start('-o', 'ro', env={'NOTIFY_SOCKET': name})
    until(20, lambda: is_mounted('mnt'), 'it is mounted')
    run('fusermount3', '-u', 'mnt')
    error = p.communicate(timeout=PATIENCE)[1]
    check(p.returncode == 0 and error.startswith(f'qcowfs: NOTIFY_SOCKET {name}: ') and
          error.count('\n') == 1, f'one line: {error}')
