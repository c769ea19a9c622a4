#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A snapshot that holds the state of a virtual machine has it as a file of its exact length.
from views import *

SIZE, STATE = 512 * M, 3 * M + 12345
create('vm.qcow2', '1G')
qio('vm.qcow2', 'write -P 0x11 0 1M', 'write -P 0x77 512M 2M', f'write -P 0x78 {SIZE + 2 * M} 2M')
poke('vm.qcow2', 24, struct.pack('>Q', SIZE))
snap('vm.qcow2', '-c', 'vm')
qio('vm.qcow2', 'write -P 0x22 0 1M')
snap('vm.qcow2', '-c', 'disk')
at, rows = table('vm.qcow2')
rows[0]['state'] = STATE
rows[0]['extra'] = struct.pack('>Q', STATE) + rows[0]['extra'][8:]
set_table('vm.qcow2', rows)
want = b'\x77' * (2 * M) + b'\x78' * (STATE - 2 * M)
with Mount('vm.qcow2', '-o', 'snapshots') as m:
    folder = m.path('vm.snapshots')
    check(sorted(os.listdir(folder + '/vm')) == ['disk.raw', 'vmstate'], 'this one has a state')
    check(os.listdir(folder + '/disk') == ['disk.raw'], 'this one has none')
    check(os.stat(folder + '/vm/vmstate').st_size == STATE, 'it has its size')
    same_bytes(Path(folder, 'vm/vmstate').read_bytes(), want, 'the state')
    with open(folder + '/vm/disk.raw', 'rb') as f:
        check(os.fstat(f.fileno()).st_size == SIZE, 'the disk ends before it')
        check(f.read(4096) == b'\x11' * 4096, 'the disk is that of the snapshot')
        check(os.pread(f.fileno(), 100, SIZE) == b'', 'and has an end')
    check(len({os.stat(folder + p).st_ino for p in ('/vm', '/vm/vmstate', '/vm/disk.raw')}) == 3,
          'all have numbers of their own')
    refuses(errno.EROFS, os.open, folder + '/vm/vmstate', os.O_RDWR)
