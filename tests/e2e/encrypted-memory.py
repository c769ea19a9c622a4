#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
"""A passphrase is not in the memory of the daemon, nor where others may look, once it was used."""
import pty
import re
import resource
from qcowtest import *
from encrypted import *

requires_root()
os.mkdir('mnt')
encrypted('luks.qcow2', 'qcow2', LUKS, '1M', 'write -P 7 0 1M')
encrypted('aes.qcow', 'qcow', 'encrypt.format=aes', '1M', 'write -P 7 0 1M')
Path('key').write_text(KEY)
os.mkdir('keys')
Path('keys/luks.qcow2.key').write_text(KEY)
# Part of it tells as much as all; the method without a check uses its first 16 bytes as the key, and
# has those in memory for as long as it is open.
PARTS = [KEY[:9].encode(), KEY[-9:].encode()]


def daemon(name):
    """Its process, found by its mountpoint."""
    for p in Path('/proc').glob('[0-9]*'):
        try:
            argv = (p / 'cmdline').read_bytes().split(b'\0')
        except OSError:
            continue
        if argv[0] == QCOWFS.encode() and os.path.abspath('mnt').encode() in argv:
            return int(p.name)
    fail(f'there is a daemon for {name}')


def memory(pid):
    """All of it that can be read."""
    total = 0
    with open(f'/proc/{pid}/maps') as maps, open(f'/proc/{pid}/mem', 'rb', 0) as mem:
        for line in maps:
            m = re.match(r'([0-9a-f]+)-([0-9a-f]+) r', line)
            if not m or '[vsyscall]' in line or '[vvar]' in line:
                continue
            at, end = int(m[1], 16), int(m[2], 16)
            while at < end:
                n = min(end - at, 16 * M)
                try:
                    mem.seek(at)
                    part = mem.read(n)
                except (OSError, OverflowError):
                    break
                total += len(part)
                yield part
                at += n
    check(total > M, f'its memory is read: {total} bytes')


def is_nowhere(pid, what, parts=PARTS):
    for where in 'cmdline', 'environ':
        data = Path(f'/proc/{pid}/{where}').read_bytes()
        check(not any(p in data for p in parts), f'{what}: it is not in {where}')
    for part in memory(pid):
        for p in parts:
            at = part.find(p)
            check(at < 0, f'{what}: it is not in memory: {part[max(at - 60, 0):at + 60]}')


def has_no_core(pid):
    check(resource.prlimit(pid, resource.RLIMIT_CORE) == (0, 0), 'it dumps no core')
    status = Path(f'/proc/{pid}/status').read_text()
    check('CoreDumping:\t0' in status, 'nor does it now')


def locked(pid):
    return int(re.search(r'^VmLck:\s+(\d+)', Path(f'/proc/{pid}/status').read_text(), re.M)[1])


def is_running(pid):
    try:
        return bool(Path(f'/proc/{pid}/cmdline').read_bytes())  # none: nobody has waited for it
    except OSError:
        return False


def unmount():
    pid = daemon('the mount')
    for _ in range(100):
        if not subprocess.run(['fusermount3', '-u', 'mnt'], capture_output=True).returncode:
            break
        time.sleep(0.05)
    until(20, lambda: not is_running(pid), 'it ends')


def read(name):
    with open(f'mnt/{name}', 'rb') as f:
        check(f.read() == b'\7' * M, 'it is read')


def examine(what, names, parts=PARTS):
    pid = daemon(what)
    is_nowhere(pid, f'{what}, before it is opened again', parts)
    for name in names:
        read(name)
    with open(f'mnt/{names[0]}', 'rb') as f:
        f.read(1)
        is_nowhere(pid, f'{what}, open', parts)
        check(locked(pid) > 0, 'some of its memory is locked')
    is_nowhere(pid, f'{what}, closed', parts)
    has_no_core(pid)
    unmount()


def mount(*argv, **kwargs):
    run(QCOWFS, '-o', 'ro', *argv, os.path.abspath('mnt'), **kwargs)


# The search finds other strings, so it works.
mount('-o', 'key-file=key', 'luks.qcow2')
pid = daemon('it')
check(any(b'luks.qcow2' in part for part in memory(pid)), 'the search finds what is there')
unmount()

mount('-o', 'key-file=key', 'luks.qcow2')
examine('key-file', ['luks.raw'])
fd = os.open('key', os.O_RDONLY)
mount('-o', f'key-fd={fd}', 'luks.qcow2', pass_fds=[fd])
examine('key-fd', ['luks.raw'])
run('sh', '-c', f'"{QCOWFS}" -o ro,key-file=/dev/stdin luks.qcow2 "$PWD/mnt" <key')
examine('key-file that is a pipe', ['luks.raw'])
os.mkdir('src')
os.rename('luks.qcow2', 'src/luks.qcow2')
mount('-o', 'key-dir=keys', 'src')
examine('key-dir', ['luks.raw'])
Path('keys/luks.qcow2.key').write_text(KEY + '\n')  # one that does not fit
mount('-o', 'key-dir=keys', 'src')
check(errno_of(open, 'mnt/luks.raw') == 13, 'it is refused')
is_nowhere(daemon('wrong'), 'a passphrase that does not fit')
unmount()
os.rename('src/luks.qcow2', 'luks.qcow2')
# Of this one only the part after the key.
mount('-o', 'key-file=key', 'aes.qcow')
examine('AES', ['aes.raw'], PARTS[1:])

pid, fd = pty.fork()
if not pid:
    os.execv(QCOWFS, [QCOWFS, '-o', 'ro', 'luks.qcow2', os.path.abspath('mnt')])
said = b''
while b'passphrase' not in said:
    said += os.read(fd, 1000)
os.write(fd, KEY.encode() + b'\n')
os.waitpid(pid, 0)
examine('the terminal', ['luks.raw'])
os.close(fd)
