#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The repair of a dirty image is logged when it begins and when it ends; only a terminal
# also shows its progress.
import pty
import re
from qcowtest import *


def make():
    create('disk.qcow2', '256M', options='cluster_size=4k')
    qio('disk.qcow2', *[f'write -P 7 {at}M 4k' for at in range(0, 256, 2)])
    poke('disk.qcow2', 79, b'\1')


def log_lines(text):
    lines = text.splitlines()
    check(len(lines) == 2, f'two lines: {text!r}')
    check(lines[0].endswith('disk.qcow2: not closed in order: rebuilding refcounts'),
          lines[0])
    check(re.search(r'disk\.qcow2: \d+ refcounts repaired in \d+\.\d s$', lines[1]), lines[1])


make()
with Mount('disk.qcow2', ro=False) as m:
    os.close(os.open(m.path('disk.raw'), os.O_RDWR))
    check('%' not in m.log() and '\r' not in m.log(), 'a file sees no progress')
    log_lines(m.log())
run('qemu-img', 'check', '-q', 'disk.qcow2')

make()
os.mkdir('mnt')
terminal, other = pty.openpty()
p = subprocess.Popen([QCOWFS, '-f', 'disk.qcow2', 'mnt'], stdin=subprocess.DEVNULL, stderr=other)
os.close(other)
until(20, lambda: is_mounted('mnt'), 'it is mounted')
os.close(os.open('mnt/disk.raw', os.O_RDWR))
run('fusermount3', '-u', 'mnt')
check(p.wait(PATIENCE) == 0, 'it ends in order')
text = b''
while True:
    try:
        more = os.read(terminal, 65536)
    except OSError:  # nobody has the other end
        break
    if not more:
        break
    text += more
text = text.decode()
percents = [int(x) for x in re.findall(r'\rqcowfs: [^\r]*disk\.qcow2: repairing: (\d+) %', text)]
check(len(percents) > 20 and percents == sorted(set(percents)) and 90 < percents[-1] < 100,
      f'percents that grow: {percents}')
check('\r\033[K' in text, f'the line is rubbed out: {text!r}')
log_lines(re.sub(r'\r[^\n\r]*%|\r\033\[K', '', text))
