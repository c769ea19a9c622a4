#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: thread
# Many threads take, rename, delete, list and read the snapshots of one image while others write to
# it, and the kernel drops its cache of them.  No snapshot changes its content.
import hashlib
import threading
from views import *

SECONDS = 6
name = create('disk.qcow2', '4M')
qio(name, 'write -P 1 0 4M')
stop = time.monotonic() + SECONDS
wrong, kept, counts = [], {}, {}
lock = threading.Lock()
PASSING = (errno.ENOENT, errno.EBUSY, errno.ESTALE, errno.EEXIST)


def count(what):
    with lock:
        counts[what] = counts.get(what, 0) + 1


def allowed(call, *args):
    """Whether it is done; what others may be in the way of is no mistake."""
    try:
        call(*args)
        return True
    except OSError as e:
        if e.errno not in PASSING:
            raise
        return False


def digest(path):
    with open(path, 'rb') as f:
        return hashlib.sha256(f.read()).hexdigest()


def owner(folder, me, r):
    """Takes snapshots, and knows their content."""
    mine, n = {}, 0
    while time.monotonic() < stop:
        n += 1
        s = f'{folder}/t{me}-{n}'
        os.mkdir(s)
        count('taken')
        mine[s] = digest(s + '/disk.raw')
        if r.random() < 0.4:
            old = r.choice(list(mine))
            if allowed(os.rename, old, old + 'r'):
                mine[old + 'r'] = mine.pop(old)
                count('renamed')
        if len(mine) > 4:
            old = r.choice(list(mine))
            check(digest(old + '/disk.raw') == mine[old], f'{old} is as it was')
            if allowed(os.rmdir, old):
                del mine[old]
                count('deleted')
    with lock:
        kept.update(mine)


def looker(folder, me, r):
    """Looks at all that is there."""
    while time.monotonic() < stop:
        for s in os.listdir(folder):
            def look():
                os.stat(f'{folder}/{s}')
                os.listdir(f'{folder}/{s}')
                with open(f'{folder}/{s}/disk.raw', 'rb') as f:
                    f.seek(r.randrange(0, 4 * M, 4096))
                    f.read(r.randrange(1, 100000))
                    os.fstat(f.fileno())
            if allowed(look):
                count('looked at')


def writer(disk, me, r):
    fd = os.open(disk, os.O_RDWR)
    while time.monotonic() < stop:
        os.pwrite(fd, r.randbytes(r.randrange(1, 100000)), r.randrange(0, 3 * M))
        if r.random() < 0.1:
            os.fsync(fd)
        count('written')
    os.close(fd)


def opener(disk, me, r):
    """Now and then nobody else has it open."""
    while time.monotonic() < stop:
        time.sleep(0.05)
        with open(disk, 'r+b', buffering=0) as f:
            f.seek(3 * M)
            f.write(b'opened')
        if not os.geteuid():
            Path('/proc/sys/vm/drop_caches').write_text('2')


def guarded(call, *args):
    try:
        call(*args)
    except (OSError, SystemExit) as e:
        wrong.append(f'{call.__name__}: {e}')


with Mount(name, '-o', 'snapshots,rw,chain,info', ro=False) as m:
    work = [(owner, m.path('disk.snapshots'))] * 3 + [(looker, m.path('disk.snapshots'))] * 2 + \
        [(writer, m.path('disk.raw')), (opener, m.path('disk.raw'))]
    threads = [threading.Thread(target=guarded, args=(call, p, i, random.Random(f'{SEED} {i}')))
               for i, (call, p) in enumerate(work)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    print(f'# {counts}')
    check(not wrong, f'nothing fails: {wrong}')
    check(sorted(os.listdir(m.path('disk.snapshots'))) == sorted(os.path.basename(s) for s in kept),
          'those are left that were not deleted')
    for s, want in kept.items():
        check(digest(s + '/disk.raw') == want, f'{s} is as it was')
    check(m.log() == '', f'the log is empty: {m.log()}')
sound(name)
for s, want in kept.items():
    got = hashlib.sha256(snapshot_raw(name, os.path.basename(s))).hexdigest()
    check(got == want, f'{s}, by QEMU, is the same')
