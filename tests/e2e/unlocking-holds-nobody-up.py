#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
"""While several images are unlocked, each for seconds and by many openers, others are opened, read
and listed."""
import shutil
from qcowtest import *
from encrypted import *

IMAGES, OPENERS = 3, 5
SCRIPT = """
import sys
with open(sys.argv[1], 'rb') as f:
    sys.exit(f.read(1) != b'\\7')
"""
encrypted('disk.qcow2', 'qcow2', LUKS, '1M', 'write -P 7 0 1M')
os.mkdir('src')
for name in 'plain', 'other':
    create(f'src/{name}.qcow2', '64M')
    qio(f'src/{name}.qcow2', 'write -P 2 0 64M')
for i in range(IMAGES):
    name = f'src/slow{i}.qcow2'
    shutil.copy('disk.qcow2', name)
    slow_slots(name, 1_500_000, 1)
    poke(name, luks_at(name) + 168, b'%d' % i)  # to us, another key
Path('key').write_text(KEY)


def use(m, turn):
    fd = os.open(m.path('plain.raw' if turn % 2 else 'other.raw'), os.O_RDONLY)
    check(os.pread(fd, 4096, turn * 128 * K % (60 * M)) == b'\2' * 4096, 'it reads')
    os.close(fd)
    os.stat(m.path('slow0.raw'))
    os.listdir(m.path())


with Mount('src', '-o', 'key-file=key') as m:
    openers = [subprocess.Popen([sys.executable, '-c', SCRIPT, m.path(f'slow{i}.raw')])
               for i in range(IMAGES) for _ in range(OPENERS)]
    began, times = time.monotonic(), []
    while any(p.poll() is None for p in openers):
        at = time.monotonic()
        use(m, len(times))
        times.append(time.monotonic() - at)
        time.sleep(0.02)
    total = time.monotonic() - began
    print(f'# {total:.1f} s to unlock all, others took {1000 * sorted(times)[len(times) // 2]:.1f} ms, '
          f'and {1000 * max(times):.0f} ms at most', flush=True)
    check(all(p.returncode == 0 for p in openers), 'all are opened, and read')
    # If others had to wait, they would have a turn only between two images.
    check(len(times) > 20, f'others go on meanwhile: {len(times)} times')
