#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# With -o chain each file of an image's chain has two names: the disk as seen from there down, of its
# own size, and the data that this file alone holds.  A write to the image shows in the first at once.
from views import *

os.mkdir('src')
Path('src/.base').write_bytes(noise(2 * M))
create('src/mid%1.qcow', backing='.base', backing_format='raw', fmt='qcow')
qio('src/mid%1.qcow', 'write -P 1 100k 300k', fmt='qcow')
create('src/top.qcow2', '3M', backing='mid%1.qcow', backing_format='qcow')
qio('src/top.qcow2', 'write -P 2 50k 200k', 'write -P 3 2500k 64k')
create('src/alone.qcow2', '1M')
Path('src/bad.qcow2').write_bytes(b'QFI\xfb' + bytes(1000))
want = {
    '0-top.qcow2.raw': raw_of('src/top.qcow2'),
    '1-mid%251.qcow.raw': raw_of('src/mid%1.qcow', 'qcow'),
    '2-%2Ebase.raw': Path('src/.base').read_bytes(),
}
top = bytearray(3 * M)
top[0:256 * K] = want['0-top.qcow2.raw'][0:256 * K]
top[2496 * K:2624 * K] = want['0-top.qcow2.raw'][2496 * K:2624 * K]
mid = bytearray(2 * M)
mid[100 * K:400 * K] = want['1-mid%251.qcow.raw'][100 * K:400 * K]
own = {'0-top.qcow2.own.raw': top, '1-mid%251.qcow.own.raw': mid,
       '2-%2Ebase.own.raw': want['2-%2Ebase.raw']}
with Mount('src', '-o', 'chain') as m:
    check(sorted(os.listdir(m.path('top.chain'))) == sorted([*want, *own]), 'three files, twice')
    check(sorted(os.listdir(m.path('alone.chain'))) == ['0-alone.qcow2.own.raw', '0-alone.qcow2.raw'],
          'one is its own chain')
    for n, data in own.items():
        same_bytes(Path(m.path('top.chain/' + n)).read_bytes(), data, n)
    fd = os.open(m.path('top.chain/0-top.qcow2.own.raw'), os.O_RDONLY)
    check(data_map(fd, 3 * M) == [(0, 256 * K), (2496 * K, 2624 * K)], f'{data_map(fd, 3 * M)}')
    os.close(fd)
    refuses(errno.EROFS, os.open, m.path('top.chain/0-top.qcow2.own.raw'), os.O_RDWR)
    for n, data in want.items():
        p = m.path('top.chain/' + n)
        st = os.stat(p)
        check(st.st_size == len(data), f'{n}: {len(data)} bytes, not {st.st_size}')
        check(st.st_mode & 0o7777 == 0o444, f'{n}: it is read-only')
        same_bytes(Path(p).read_bytes(), data, n)
        refuses(errno.EROFS, os.open, p, os.O_RDWR)
    check(len({os.stat(m.path(f'top.chain/{n}')).st_ino for n in want}) == 3, 'three numbers')
    refuses(errno.EROFS, os.mkdir, m.path('top.chain/new'))
    refuses(errno.ENOENT, os.stat, m.path('top.chain/3-x.raw'))
    refuses(errno.EIO, os.listdir, m.path('bad.chain'))

with Mount('src/top.qcow2', '-o', 'chain,rw', ro=False) as m:
    first = open(m.path('top.chain/0-top.qcow2.raw'), 'rb')
    check(first.read(8) == want['0-top.qcow2.raw'][:8], 'it is read once')
    with open(m.path('top.raw'), 'r+b', buffering=0) as f:
        for text in b'one word', b'and more':
            os.pwrite(f.fileno(), text, 0)
            check(os.pread(first.fileno(), 8, 0) == text, 'the first file follows the disk')
            check(Path(m.path('top.chain/0-top.qcow2.raw')).read_bytes()[:8] == text, 'anew, too')
    refuses(errno.EROFS, os.open, m.path('top.chain/0-top.qcow2.raw'), os.O_RDWR)
    refuses(errno.EROFS, os.mkdir, m.path('top.chain/new'))
    first.close()
    same_bytes(Path(m.path('top.chain/1-mid%251.qcow.raw')).read_bytes(),
               want['1-mid%251.qcow.raw'], 'the middle')

# A chain that gets another file below it.
with Mount('src', '-o', 'chain') as m:
    os.listdir(m.path('top.chain'))
    run('qemu-img', 'rebase', '-u', '-f', 'qcow2', '-b', '', 'src/top.qcow2')
    until(4, lambda: sorted(os.listdir(m.path('top.chain'))) ==
          ['0-top.qcow2.own.raw', '0-top.qcow2.raw'], 'one is left')
    check(errno_of(os.open, m.path('top.chain/1-mid%251.qcow.raw'), os.O_RDONLY) == errno.ENOENT,
          'the others are gone')
