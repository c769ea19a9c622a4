#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# NAME.json is a regular file of its stated size, for every image, also a damaged one.
from views import *

os.mkdir('src')
create('src/disk.qcow2', '1M')
Path('src/bad.qcow2').write_bytes(b'QFI\xfb' + bytes(1000))
with Mount('src', '-o', 'info') as m:
    for n in 'disk.json', 'bad.json':
        p = m.path(n)
        text = Path(p).read_bytes()
        json.loads(text)
        check(os.stat(p).st_size == len(text), f'{n}: its size')
        check(os.stat(p).st_mode == 0o100444, f'{n}: its mode')
        check(run('cat', p).encode() == text, 'cat')
        check(run('wc', '-c', p).split()[0] == str(len(text)), 'wc')
        run('cp', '--remove-destination', p, 'copy')
        check(Path('copy').read_bytes() == text, 'cp')
        check(os.stat('copy').st_size == len(text), 'it is all')
        with open(p, 'rb') as f:
            check(f.seek(0, os.SEEK_END) == len(text), 'its end')
            check(os.pread(f.fileno(), 100, len(text)) == b'', 'nothing is behind it')
            check(os.pread(f.fileno(), 100, len(text) - 1) == text[-1:], 'its last byte')
            check(os.lseek(f.fileno(), 0, os.SEEK_HOLE) == len(text), 'it has no holes')
            os.fsync(f.fileno())
        refuses(errno.EROFS, os.open, p, os.O_WRONLY)
        refuses(errno.EROFS, os.unlink, p)
    check(m.log() == '' or 'bad' in m.log(), 'nothing is wrong with the good one')
