#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs measure` gives the numbers of `qemu-img measure`.
from qcowtest import *


def measure(program, *argv):
    r = subprocess.run([*program, 'measure', *argv], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True)
    return r.returncode, r.stdout, r.stderr


def same(*argv):
    theirs = measure(['qemu-img'], '--output=json', *argv)
    ours = measure([QCOWFS], '--json', *argv)
    check(theirs[0] == 0 and ours[0] == 0, f'measure {argv}: {theirs[2]}{ours[2]}')
    check(json.loads(theirs[1]) == json.loads(ours[1]), f'measure {argv}: {theirs[1]} and {ours[1]}')
    check(measure(['qemu-img'], *argv)[1] == measure([QCOWFS], *argv)[1], f'measure {argv}, as text')


for size in ('0', '1000', '64k', '1M', '3147264', '1G', '5T'):
    same('--size', size, '-O', 'raw')
    for options in ('cluster_size=64k', 'cluster_size=2M', 'compat=0.10', 'refcount_bits=1',
                    'cluster_size=64k,refcount_bits=64', 'extended_l2=on', 'preallocation=metadata',
                    'preallocation=falloc', 'preallocation=full,cluster_size=4k',
                    'compression_type=zstd'):
        same('--size', size, '-O', 'qcow2', '-o', options)
same('--size', '1G', '-O', 'qcow2', '-o', 'cluster_size=512')

run('qemu-img', 'create', '-q', '-f', 'qcow2', 'base.qcow2', '64M')
run('qemu-io', '-c', 'write 1M 3M', '-c', 'write -c 8M 64k', '-c', 'write -z 16M 1M',
    '-c', 'write 20000k 5k', 'base.qcow2')
run('qemu-img', 'create', '-q', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2', 'over.qcow2')
run('qemu-io', '-c', 'write 2M 3M', '-c', 'write -z 8M 64k', 'over.qcow2')
run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'compat=0.10,cluster_size=4k', 'old.qcow2', '5M')
run('qemu-io', '-c', 'write 100k 3k', 'old.qcow2')
run('qemu-img', 'create', '-q', '-f', 'qcow', 'v1.qcow', '5M')
run('qemu-io', '-f', 'qcow', '-c', 'write 100k 3k', 'v1.qcow')
run('qemu-img', 'create', '-q', '-f', 'qcow2', 'marked.qcow2', '1G')
for name, granularity in ('a', '64k'), ('longer name', '512'), ('b', '2M'):
    run('qemu-img', 'bitmap', '--add', '-g', granularity, 'marked.qcow2', name)
with open('raw', 'wb') as f:
    f.write(b'x' * 100000), f.seek(3 << 20), f.write(b'y' * 5000), f.truncate(10 << 20)
for source in 'base.qcow2', 'over.qcow2', 'old.qcow2', 'v1.qcow', 'marked.qcow2', 'raw':
    for options in ('cluster_size=64k', 'cluster_size=512', 'cluster_size=2M', 'preallocation=full'):
        same('-O', 'qcow2', '-o', options, source)
    same('-O', 'raw', source)
for argv in ([], ['--size=1G', 'base.qcow2'], ['missing'], ['--size=x'], ['-O', 'vmdk', 'raw'],
             ['-O', 'qcow2', '-o', 'cluster_size=3', 'raw'], ['.']):
    status, out, err = measure([QCOWFS], *argv)
    check(status == 1 and not out and err.count('\n') == 1 and err.startswith('qcowfs: '),
          f'measure {argv}: one line, status 1: {err}')
