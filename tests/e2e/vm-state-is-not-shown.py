#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# What lies behind the end of the disk, as the state of a virtual machine does, is not shown.
import struct
from qcowtest import *

create('vm.qcow2', '1G')
qio('vm.qcow2', 'write -P 0x11 0 1M', 'write -P 0x77 512M 1M')
poke('vm.qcow2', 24, struct.pack('>Q', 512 * M))
run('qemu-img', 'snapshot', '-c', 'vm', 'vm.qcow2')
at = struct.unpack('>Q', peek('vm.qcow2', 64, 8))[0]
poke('vm.qcow2', at + 32, struct.pack('>I', M))
poke('vm.qcow2', at + 40, struct.pack('>Q', M))
check(b'1 MiB' in run('qemu-img', 'snapshot', '-l', 'vm.qcow2').encode(), 'QEMU sees the state')
with Mount('vm.qcow2') as m, open(m.path('vm.raw'), 'rb') as f:
    check(os.fstat(f.fileno()).st_size == 512 * M, 'the disk ends before it')
    check(data_map(f.fileno(), 512 * M) == [(0, M)], 'it is not data, either')
    check(os.pread(f.fileno(), 100, 512 * M) == b'', 'there is nothing to read behind the end')
    check(os.pread(f.fileno(), 2 * M, 512 * M - 512) == bytes(512), 'a read ends there')
