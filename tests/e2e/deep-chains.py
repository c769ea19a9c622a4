#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A chain of 200 images is read; one of 300 is refused at once.
import struct
from qcowtest import *

CLUSTER = 4 * K
LAYERS = 300


def make_layers():
    """Layer i is over layer i - 1, and has one cluster of its own, the i-th."""
    create('layer000.qcow2', LAYERS * CLUSTER, options=f'cluster_size={CLUSTER}')
    run('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-o', f'cluster_size={CLUSTER}', '-b',
        'layerNNN.qcow2', '-F', 'qcow2', 'model', LAYERS * CLUSTER)
    run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', f'cluster_size={CLUSTER}',
        'layerNNN.qcow2', LAYERS * CLUSTER)
    qio('model', f'write -P 0xee 0 {CLUSTER}')
    model = Path('model').read_bytes()
    l1 = struct.unpack_from('>Q', model, 40)[0]
    l2 = struct.unpack_from('>Q', model, l1)[0] & ~(1 << 63)
    entry = struct.unpack_from('>Q', model, l2)[0]
    data = entry & ~(1 << 63)
    for i in range(1, LAYERS):
        image = bytearray(model.replace(b'layerNNN', b'layer%03d' % (i - 1)))
        struct.pack_into('>Q', image, l2, 0)
        struct.pack_into('>Q', image, l2 + 8 * i, entry)
        image[data:data + CLUSTER] = bytes([i % 255 + 1]) * CLUSTER
        Path(f'layer{i:03}.qcow2').write_bytes(image)


def expected(layers):
    return b''.join(bytes([i % 255 + 1 if 1 <= i < layers else 0]) * CLUSTER
                    for i in range(LAYERS))


make_layers()
check(raw_of('layer009.qcow2') == expected(10), 'QEMU reads the first ten')
with Mount('layer199.qcow2') as m:
    check(Path(m.path('layer199.raw')).read_bytes() == expected(200), 'all 200 are read')
os.mkdir('mnt')
began = os.times()
r = subprocess.run([QCOWFS, '-o', 'ro', 'layer299.qcow2', 'mnt'], capture_output=True, text=True)
print('# ' + r.stderr)
check(r.returncode == 2 and 'chain' in r.stderr, f'300 are refused, not {r.returncode}')
took = os.times().children_user + os.times().children_system - began.children_user - began.children_system
check(took < 5, f'that is quick: {took:.1f} s of a processor')
