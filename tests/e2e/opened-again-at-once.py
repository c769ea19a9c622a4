#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# A file that was just closed is opened again at once, in any way, by one thread or by many:
# the work of the last close makes no open fail.
import threading
from writing import *

FLAGS = [os.O_RDONLY, os.O_WRONLY, os.O_RDWR]


def again(path, count, flags, failed, byte=None):
    for i in range(count):
        try:
            fd = os.open(path, flags[i % len(flags)])
            if byte is not None and flags[i % len(flags)] != os.O_RDONLY:
                os.pwrite(fd, bytes([byte]), 70000 * byte)
            os.close(fd)
        except OSError as e:
            failed.append((i, flags[i % len(flags)], e))


create('disk.qcow2', M)
model = bytearray(M)
failed = []
with Mount('disk.qcow2', ro=False) as m:
    path = m.path('disk.raw')
    again(path, 300, FLAGS[1:], failed, 1)
    check(not failed, f'for writing: {len(failed)}, such as {failed[:3]}: {m.log()[-300:]}')
    again(path, 300, FLAGS, failed, 1)
    check(not failed, f'for reading, too: {len(failed)}, such as {failed[:3]}: {m.log()[-300:]}')
    threads = [threading.Thread(target=again, args=(path, 200, FLAGS, failed, i))
               for i in range(2, 8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    check(not failed, f'by many: {len(failed)}, such as {failed[:3]}: {m.log()[-300:]}')
for i in range(1, 8):
    model[70000 * i] = i
agrees('disk.qcow2', model)
