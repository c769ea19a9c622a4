#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A file that is no image is opened when it is first seen, and then only if it has changed.
import ctypes
import struct
from qcowtest import *

libc = ctypes.CDLL(None, use_errno=True)
IN_OPEN = 0x20


class Opens:
    """Counts who opens files of a folder."""
    def __init__(self, folder):
        self.fd = libc.inotify_init1(os.O_NONBLOCK)
        if self.fd < 0 or libc.inotify_add_watch(self.fd, folder.encode(), IN_OPEN) < 0:
            skip('needs inotify')

    def names(self):
        data, found = b'', []
        try:
            while True:
                data += os.read(self.fd, 1 << 16)
        except BlockingIOError:
            pass
        while data:
            _, _, _, n = struct.unpack('iIII', data[:16])
            name = data[16:16 + n].rstrip(b'\0').decode()
            if name:
                found.append(name)
            data = data[16 + n:]
        return found


os.mkdir('src')
for i in range(300):
    Path(f'src/file{i}').write_text('no image')
create('src/disk.qcow2', '1M')
create('image.qcow2', '2M')
time.sleep(1)  # their times are of a while ago
opens = Opens('src')
with Mount('src') as m:
    check(os.listdir(m.where) == ['disk.raw'], 'one image')
    first = opens.names()
    check(len([n for n in first if n.startswith('file')]) == 300, f'each was opened once: {len(first)}')
    for i in range(3):
        check(os.listdir(m.where) == ['disk.raw'], 'the same again')
        check(not os.path.exists(m.path('nothing')), 'by name, too')
    again = [n for n in opens.names() if n.startswith('file')]
    check(not again, f'none is opened again: {again[:5]}')
    # What changes is looked at: written in place, replaced, with its times set back.
    Path('src/file1').write_bytes(Path('image.qcow2').read_bytes())
    os.rename('image.qcow2', 'src/file2')
    st = os.stat('src/file3')
    create('src/file3', '4M')
    os.utime('src/file3', ns=(st.st_atime_ns, st.st_mtime_ns))
    until(3, lambda: sorted(os.listdir(m.where)) == ['disk.raw', 'file1.raw', 'file2.raw', 'file3.raw'],
          'three more are images')
    # Written twice in one tick of the clock.
    for i in range(20):
        Path(f'src/quick{i}').write_text('no image')
        os.listdir(m.where)
        Path(f'src/quick{i}').write_bytes(Path('src/file1').read_bytes())
    until(3, lambda: len(os.listdir(m.where)) == 24, f'all are seen: {len(os.listdir(m.where))}')
