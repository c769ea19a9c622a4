#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
"""On a terminal one is asked for the passphrase, three times, and does not see it."""
import pty
import termios
from qcowtest import *
from encrypted import *

encrypted('disk.qcow2', 'qcow2', LUKS, '1M', 'write -P 7 0 1M')
encrypted('old.qcow', 'qcow', 'encrypt.format=aes', '1M', 'write -P 7 0 1M')
create('top.qcow2', '1M')
run('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-b', 'disk.qcow2', '-F', 'qcow2', 'top.qcow2')
create('plain.qcow2', '1M')
os.mkdir('mnt')


class Terminal:
    """Runs it on a terminal of its own."""

    def __init__(self, *argv):
        self.said = b''
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.execv(QCOWFS, [QCOWFS, *argv])

    def until(self, text):
        deadline = time.monotonic() + PATIENCE
        while text not in self.said:
            if time.monotonic() > deadline:
                fail(f'it says {text}, and not {self.said}')
            try:
                self.said += os.read(self.fd, 1000)
            except OSError:
                fail(f'it says {text}, and not {self.said}')
        self.said = self.said.split(text, 1)[1]

    def silent(self):
        return not termios.tcgetattr(self.fd)[3] & termios.ECHO

    def say(self, text):
        until(10, self.silent, 'it does not echo')
        os.write(self.fd, text)

    def end(self):
        """Its exit status, and its last output."""
        out = self.said
        while True:
            try:
                part = os.read(self.fd, 1000)
            except OSError:
                break
            if not part:
                break
            out += part
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status), out.decode()


def first_byte(name):
    with open(f'mnt/{name}', 'rb') as f:
        return f.read(1)[0]


def unmount():
    for _ in range(100):
        if not subprocess.run(['fusermount3', '-u', 'mnt'], capture_output=True).returncode:
            return
        time.sleep(0.05)
    fail('it can be unmounted')


# at once
t = Terminal('disk.qcow2', 'mnt')
t.until(b'passphrase of disk.qcow2: ')
t.say(KEY.encode() + b'\n')
status, out = t.end()
check(status == 0 and KEY not in out, f'it mounts, and does not echo: {status} {out}')
for _ in range(3):  # who opens it later is not asked
    check(first_byte('disk.raw') == 7, 'it reads')
unmount()

# at the third try
t = Terminal('-o', 'ro', 'disk.qcow2', 'mnt')
for _ in range(2):
    t.until(b'passphrase of disk.qcow2: ')
    t.say(b'wrong\n')
    t.until(b'does not fit')
t.until(b'passphrase of disk.qcow2: ')
t.say(KEY.encode() + b'\n')
check(t.end()[0] == 0, 'it mounts')
check(first_byte('disk.raw') == 7, 'it reads')
unmount()

# never
t = Terminal('disk.qcow2', 'mnt')
for _ in range(3):
    t.until(b'passphrase of disk.qcow2: ')
    t.say(b'wrong\n')
status, out = t.end()
check(status == 4 and 'the key does not fit' in out, f'it gives up: {status} {out}')
check(not is_mounted('mnt'), 'it is not mounted')

# a signal, and the terminal as it was
t = Terminal('disk.qcow2', 'mnt')
t.until(b'passphrase of disk.qcow2: ')
until(10, t.silent, 'it does not echo')
os.write(t.fd, b'\x03')
until(10, lambda: not t.silent(), 'it echoes again')
status, _ = t.end()
check(status == -signal.SIGINT, f'it ends by the signal, not with {status}')

# the end of the input
t = Terminal('disk.qcow2', 'mnt')
t.until(b'passphrase of disk.qcow2: ')
t.say(b'\x04')
check(t.end()[0] == 4, 'there is no key')

# for a layer further down, by its name; and where any passphrase fits, once
t = Terminal('-o', 'ro', 'top.qcow2', 'mnt')
t.until(b'passphrase of disk.qcow2: ')
t.say(KEY.encode() + b'\n')
check(t.end()[0] == 0 and first_byte('top.raw') == 7, 'it mounts, and reads')
unmount()
t = Terminal('-o', 'ro', 'old.qcow', 'mnt')
t.until(b'passphrase of old.qcow: ')
t.say(KEY.encode() + b'\n')
check(t.end()[0] == 0 and first_byte('old.raw') == 7, 'it mounts, and reads')
unmount()

# no need to ask
t = Terminal('-o', 'ro', 'plain.qcow2', 'mnt')
status, out = t.end()
check(status == 0 and 'passphrase' not in out, 'nobody is asked')
unmount()
Path('key').write_text('wrong')
t = Terminal('-o', 'key-file=key', 'disk.qcow2', 'mnt')
status, out = t.end()
check(status == 4 and 'passphrase' not in out, f'with a key file nobody is asked: {status} {out}')
os.mkdir('src')
os.rename('disk.qcow2', 'src/disk.qcow2')
t = Terminal('-o', 'ro', 'src', 'mnt')
status, out = t.end()
check(status == 0 and 'passphrase' not in out, 'for a folder nobody is asked')
check(errno_of(open, 'mnt/disk.raw') == 13, 'it is refused')
unmount()
