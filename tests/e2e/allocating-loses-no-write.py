#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# Space is allocated with fallocate while another writes there, through another name of the image:
# no written data is lost.
from writing import *

SIZE = 8 * M


def allocate_meanwhile(path):
    pid = os.fork()
    if pid:
        return pid
    try:
        fd = os.open(path, os.O_RDWR)
        for at in range(0, SIZE, 64 * K):
            fallocate(fd, 0, at, 64 * K)
        os._exit(0)
    finally:
        os._exit(1)


def story(turn):
    create('src/over.qcow2', backing='../packed.qcow2', backing_format='qcow2')
    os.link('src/over.qcow2', 'src/other.qcow2')
    model = bytearray(content)
    with Mount('src', '-o', 'rw,backing=any', ro=False) as m:
        fd = os.open(m.path('over.raw'), os.O_RDWR)
        pid = allocate_meanwhile(m.path('other.raw'))
        ended = 0
        while not ended:
            at, data = rng.randrange(SIZE - 600), rng.randbytes(rng.randrange(1, 600))
            os.pwrite(fd, data, at)
            model[at:at + len(data)] = data
            ended, status = os.waitpid(pid, os.WNOHANG)
        check(status == 0, 'it is allocated')
        os.close(fd)
    agrees('src/over.qcow2', model)
    os.unlink('src/over.qcow2')
    os.unlink('src/other.qcow2')


os.mkdir('src')
content = noise(SIZE)
Path('content').write_bytes(content)
convert('content', 'packed.qcow2', extra=('-c',))
for i in range(50 if LONG else 8):
    story(i)
