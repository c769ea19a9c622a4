#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With keep-bitmaps=off the first write removes all bitmaps: `qemu-img check` finds neither corruption
# nor leak, and reading removes nothing.
from qcowtest import *

DATA = b'\7' * 65536


def bitmaps_of(path):
    info = json.loads(run('qemu-img', 'info', '--output=json', path))
    return [b['name'] for b in info['format-specific']['data'].get('bitmaps', [])]


def check_sound(path):
    report = json.loads(run('qemu-img', 'check', '--output=json', path))
    check(not report.get('leaks') and not report.get('corruptions'), f'{path} is sound: {report}')


def make(path, size, bitmaps, options, dirty):
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', options, path, size)
    for name, granularity in bitmaps:
        run('qemu-img', 'bitmap', '--add', '-g', granularity, path, name)
    if dirty:  # so that the bitmaps have tables with data
        run('qemu-io', '-c', 'write -P 1 1M 64k', path)
    check_sound(path)


for number, (size, bitmaps, options, dirty) in enumerate([
        ('16M', [('b0', '64k')], 'compat=1.1', False),
        ('16M', [('b0', '512'), ('b1', '2M'), ('ünï', '64k')], 'compat=1.1', True),
        ('64M', [(f'n{i}', '512') for i in range(20)], 'cluster_size=4k', True),
        ('16M', [('b0', '64k')], 'extended_l2=on', True),
        ('16M', [('b0', '64k')], 'cluster_size=512,refcount_bits=64', True)]):
    path = f'i{number}.qcow2'
    make(path, size, bitmaps, options, dirty)
    before = Path(path).read_bytes()
    m = Mount(path, '-o', 'keep-bitmaps=off', ro=False)
    check(len(Path(m.path(f'i{number}.raw')).read_bytes()) > 0, 'it can be read')
    m.unmount()
    check(Path(path).read_bytes() == before, 'a read changes nothing')
    m = Mount(path, '-o', 'keep-bitmaps=off', ro=False)
    with open(m.path(f'i{number}.raw'), 'r+b') as f:
        f.seek(3 << 20)
        f.write(DATA)
    m.unmount()
    check('bitmaps are removed' in m.log(), f'the log names them: {m.log()}')
    check(not bitmaps_of(path), 'the bitmaps are gone')
    check_sound(path)
    run('qemu-io', '-c', 'read -P 7 3M 64k', path)
    run('qemu-img', 'bitmap', '--add', path, 'again')
    check(bitmaps_of(path) == ['again'], 'QEMU adds another')
    check_sound(path)
