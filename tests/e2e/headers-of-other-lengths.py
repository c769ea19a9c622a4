#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Headers of 104 bytes, as of old, and longer ones with unknown fields and extensions, are read.
import struct
from qcowtest import *


def extension(magic, data):
    return struct.pack('>II', magic, len(data)) + data + bytes(-len(data) % 8)


def with_header(name, length, tail, extensions):
    """An overlay whose first cluster is laid out anew."""
    create(name, backing='base.dat', backing_format='raw')
    qio(name, 'write -P 5 70000 70000')
    raw = raw_of(name)
    cluster = bytearray(64 * K)
    cluster[:104] = peek(name, 0, 104)
    cluster[104:104 + len(tail)] = tail
    struct.pack_into('>I', cluster, 100, length)
    at = length
    for e in extensions:
        cluster[at:at + len(e)] = e
        at += len(e)
    at += 8
    backing = b'base.dat'
    cluster[at:at + len(backing)] = backing
    struct.pack_into('>QI', cluster, 8, at, len(backing))
    poke(name, 0, cluster)
    return raw


os.mkdir('src')
os.chdir('src')
Path('base.dat').write_bytes(noise(1000000))
raw_format = extension(0xe2792aca, b'raw')
want = {
    'short': with_header('short.qcow2', 104, b'', [raw_format]),
    'long': with_header('long.qcow2', 128, bytes(8) + b'from the future!',
                        [extension(0x12345678, b'what is this'), raw_format,
                         extension(0xcafebabe, bytes(1000))]),
    'many': with_header('many.qcow2', 112, bytes(8),
                        [*[extension(0x10000 + i, b'x' * 333) for i in range(60)], raw_format]),
}
os.chdir('..')
with Mount('src') as m:
    for name, raw in want.items():
        check(Path(m.path(name + '.raw')).read_bytes() == raw, f'{name}.raw is as before')
