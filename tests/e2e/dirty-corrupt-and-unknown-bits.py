#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A dirty image is repaired when it is first opened for writing; one that is marked as corrupt is
# read, but not written; unknown autoclear bits are cleared by the first write.
from writing import *


def bits(name, at):
    return int.from_bytes(peek(name, at, 8), 'big')


def make_dirty(name, options):
    create(name, '64M', options='lazy_refcounts=on,' + options)
    p = hold(name, 'write -P 5 1M 9M', 'write -P 6 50M 64k', 'discard 2M 1M', 'flush')
    until(10, lambda: 'failed' not in run('qemu-io', '-r', '-U', '-f', 'qcow2', '-c', 'read -P 5 1M 1M',
                                          '-c', 'read -P 5 3M 7M', '-c', 'read -P 0 2M 1M', '-c',
                                          'read -P 6 50M 64k', name, ok=False), 'all is in the file')
    check(bits(name, 72) & 1, 'it is dirty')
    let_go(p)
    model = bytearray(64 * M)
    model[M:10 * M] = b'\5' * (9 * M)
    model[2 * M:3 * M] = bytes(M)
    model[50 * M:50 * M + 64 * K] = b'\6' * (64 * K)
    return model


for options in 'cluster_size=64k', 'cluster_size=4k,refcount_bits=1', 'extended_l2=on':
    name = 'dirty.qcow2'
    model = make_dirty(name, options)
    with Mount(name, ro=False) as m:
        same_bytes(read_all(m.path('dirty.raw'), 64 * M), model, 'read as it is')
        check(bits(name, 72) & 1, 'it is dirty, still')
    with Disk(name, model) as d:
        check(not bits(name, 72) & 1, 'it is not dirty')
        d.compare()
        d.write(20 * M - 5, b'x' * M)
    os.unlink(name)

create('corrupt.qcow2', '1M')
qio('corrupt.qcow2', 'write -P 8 0 1M')
poke('corrupt.qcow2', 79, b'\2')
with Mount('corrupt.qcow2', ro=False) as m:
    path = m.path('corrupt.raw')
    check(errno_of(os.open, path, os.O_RDWR) == errno.EROFS, 'it is not opened for writing')
    check('corrupt' in m.log(), 'the log says why')
    check(errno_of(os.truncate, path, 2 * M) == errno.EROFS, 'nor resized')
    same_bytes(read_all(path, M), b'\x08' * M, 'corrupt, read')
check(bits('corrupt.qcow2', 72) == 2, 'it is marked as corrupt, still')

for how in 'write', 'punch', 'truncate':
    image = f'{how}.qcow2'
    create(image, '1M')
    qio(image, 'write -P 8 0 512k')
    run('qemu-img', 'bitmap', '--add', image, 'one')
    poke(image, 90, b'\4')
    before = bits(image, 88)
    d = Disk(image, b'\x08' * 512 * K + bytes(512 * K))
    os.fsync(d.fd)
    check(bits(image, 88) == before, 'opened for writing, its bits are as they were')
    if how == 'write':
        d.write(1000, b'x')
    elif how == 'punch':
        d.punch(5, 100000)
    else:
        d.resize(2 * M)
    check(bits(image, 88) == 1, f'{how}: those that are not known are cleared')
    os.close(d.fd)
    d.mount.unmount()
    run('qemu-img', 'check', '-q', image)
    agrees(image, d.model)
