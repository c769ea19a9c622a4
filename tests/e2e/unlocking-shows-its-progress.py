#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
"""If it takes seconds to derive a key from a passphrase, a terminal shows the progress; a file does
not, and neither does an open that is quick."""
import hashlib
import pty
import re
import select
import shutil
from qcowtest import *
from encrypted import *

encrypted('disk.qcow2', 'qcow2', LUKS, '1M', 'write -P 7 0 1M')
shutil.copy('disk.qcow2', 'slow.qcow2')


def rounds_per_second():
    best = 0
    for _ in range(3):
        began = time.process_time()
        hashlib.pbkdf2_hmac('sha256', b'x', bytes(32), 1 << 17, 32)
        best = max(best, (1 << 17) / (time.process_time() - began))
    return best


slow_slots('slow.qcow2', int(rounds_per_second() / 1.5))  # three slots, two rounds each: some four seconds
Path('key').write_text(KEY)
os.mkdir('src')
os.mkdir('mnt')


def on_a_terminal(*argv, act=lambda: None):
    """Its exit status, and the output on the terminal."""
    terminal, other = pty.openpty()
    p = subprocess.Popen([QCOWFS, *argv], stdin=subprocess.DEVNULL, stderr=other)
    os.close(other)
    text = b''
    act()
    p.wait(PATIENCE)
    while select.select([terminal], [], [], 0.5)[0]:
        try:
            text += os.read(terminal, 65536)
        except OSError:  # nobody has the other end
            break
    os.close(terminal)
    return p.returncode, text.decode()


def shows_percents(text, path, log=''):
    percents = [int(x) for x in re.findall(r'\rqcowfs: ' + path + r': unlocking: (\d+) %', text)]
    # The slots before the one that fits take the same time each, and that takes little.
    steps = [(0, 0), (30, 33), (60, 66), (90, 99)]
    check(len(percents) == 4 and all(a <= p <= b for p, (a, b) in zip(percents, steps)),
          f'a percentage for each slot that is tried: {text!r}')
    check(text.endswith('\r\033[K' + log), f'the line is rubbed out: {text!r}')


def first_byte(name):
    with open(f'mnt/{name}', 'rb') as f:
        return f.read(1)[0]


def unmount():
    until(20, lambda: not subprocess.run(['fusermount3', '-u', 'mnt'],
                                         capture_output=True).returncode, 'it can be unmounted')


# before it goes to the background, and afterwards not
status, text = on_a_terminal('-o', 'ro,key-file=key', 'slow.qcow2', 'mnt')
check(status == 0, f'it mounts: {text}')
shows_percents(text, r'/\S*/slow\.qcow2')
check(first_byte('slow.raw') == 7, 'it reads')
unmount()

# in the foreground, whenever an image is opened
shutil.copy('slow.qcow2', 'src/slow.qcow2')
shutil.copy('disk.qcow2', 'src/disk.qcow2')


def open_both():
    until(20, lambda: is_mounted('mnt'), 'it is mounted')
    check(first_byte('disk.raw') == 7 and first_byte('slow.raw') == 7, 'they are read')
    check(first_byte('slow.raw') == 7, 'it is read again, at once')
    unmount()


status, text = on_a_terminal('-f', '-o', 'ro,key-file=key', 'src', 'mnt', act=open_both)
check(status == 0 and 'disk' not in text, f'of the one that opens at once nothing is shown: {text!r}')
shows_percents(text, r'/\S*/slow\.qcow2')

# a passphrase that does not fit; its line is where the percentage was
Path('wrong').write_text('wrong')
status, text = on_a_terminal('-o', 'ro,key-file=wrong', 'slow.qcow2', 'mnt')
check(status == 4, f'it is refused: {status}')
shows_percents(text, r'/\S*/slow\.qcow2', 'qcowfs: slow.qcow2: encrypted (LUKS), and the key does not fit\r\n')

# an open that takes no time, and no terminal
status, text = on_a_terminal('-o', 'ro,key-file=key', 'disk.qcow2', 'mnt')
check(status == 0 and not text, f'nothing is shown: {text!r}')
unmount()
with Mount('slow.qcow2', '-o', 'key-file=key') as m:
    check(not m.log(), f'a file sees nothing: {m.log()!r}')
