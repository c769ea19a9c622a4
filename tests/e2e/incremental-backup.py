#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# The incremental backup of the manual, as it is printed: a full one and five increments of a disk
# with a file system that is written, restored and compared with each snapshot.
import re
import textwrap
import threading
from qcowtest import *

requires_root()
MANUAL = Path(os.environ.get('TEST_TOP', LIB.parent.parent)) / 'man' / 'qcowfs.1'
section = MANUAL.read_text().split('.Ss Incremental backup')[1].split('.Sh ')[0]
script, full, increment, restore, offline_full, offline_increment = [
    textwrap.dedent(b).replace('\\e', '\\') for b in
    re.findall(r'^\.Bd -literal.*?\n(.*?)^\.Ed', section, re.M | re.S)]
Path('areas.py').write_text(script)
increments, restores = increment.splitlines(), restore.splitlines()
readme = (MANUAL.parent.parent / 'README.md').read_text()
for line in (full + increment + restore).splitlines():
    check(re.search(rf'^{re.escape(line)}( +#.*)?$', readme, re.M), f'README.md has: {line}')
check(len(increments) == 5 and len(restores) == 2, 'the manual has these steps')


def step(line):
    print(f'# {line}', flush=True)
    run('sh', '-c', line)


def numbered(line, n):
    names = {'b0': f'b{n - 1}', 'b1': f'b{n}', 's1': f's{n}', 'inc1': f'inc{n}'}
    return re.sub(r'\b(b0|b1|s1|inc1)\b', lambda m: names[m[1]], line)


os.mkdir('images')
run('qemu-img', 'create', '-q', '-f', 'qcow2', 'images/vm.qcow2', '96M')
m = Mount('images', '-o', 'bitmaps,snapshots', where='mnt', ro=False)
loop = run('losetup', '-f', '--show', 'mnt/vm.raw').strip()
stop, writers = threading.Event(), []
try:
    run('mkfs.ext4', '-q', '-F', loop)
    os.mkdir('guest')
    run('mount', loop, 'guest')

    def write_files(me):
        r = random.Random(SEED + me)
        while not stop.is_set():
            path = f'guest/{me}-{r.randrange(12)}'
            with open(path, 'wb') as f:
                f.write(r.randbytes(r.randrange(1, 300000)))
                f.flush()
                os.fsync(f.fileno())
            if r.randrange(4) == 0:
                os.unlink(path)

    writers += [threading.Thread(target=write_files, args=(i,), daemon=True) for i in range(2)]
    for t in writers:
        t.start()
    for line in full.splitlines():
        if line.startswith('rmdir'):
            run('cmp', 'mnt/vm.snapshots/s0/disk.raw', 'full.raw')
        step(line)
    step(restores[0])
    sizes = []
    for n in range(1, 6):
        for line in increments:
            if line.startswith('rmdir mnt/vm.snapshots'):
                step(numbered(restores[1], n))
                run('cmp', f'mnt/vm.snapshots/s{n}/disk.raw', 'restored.raw')
            step(numbered(line, n))
        sizes.append(os.stat(f'inc{n}.raw').st_blocks * 512)
    check(0 < min(sizes) and max(sizes) < 90 * M, f'increments are smaller than the disk: {sizes}')
finally:
    stop.set()
    for t in writers:
        t.join()
    subprocess.run(['umount', 'guest'])
    run('losetup', '-d', loop)
check(os.listdir('mnt/vm.bitmaps') == ['b5.raw'], 'one bitmap is left')
m.unmount()
run('qemu-img', 'check', '-q', 'images/vm.qcow2')
run('e2fsck', '-fy', 'restored.raw', ok=False)  # replays the journal
run('e2fsck', '-fn', 'restored.raw')

# The same without a mount.
os.mkdir('offline')
os.chdir('offline')
os.symlink(QCOWFS, 'qcowfs')
os.environ['PATH'] = f'{os.getcwd()}:{os.environ["PATH"]}'
run('qemu-img', 'create', '-q', '-f', 'qcow2', 'vm.qcow2', '64M')
qio('vm.qcow2', 'write -P 1 0 5M', 'write -P 2 40M 300k')
for line in offline_full.splitlines():
    step(line)
for n in range(1, 6):
    for _ in range(4):
        qio('vm.qcow2', f'write -P {n} {rng.randrange(64 * M // 512 - 600) * 512} {rng.randrange(1, 600) * 512}',
            f'write -z {rng.randrange(60)}M 64k')
    for line in offline_increment.splitlines():
        line = line.replace('inc1', f'inc{n}')
        step(line.replace('full', f'inc{n - 1}') if n > 1 else line)
    run('qemu-img', 'compare', '-q', 'vm.qcow2', f'inc{n}.qcow2')
    run('qemu-img', 'check', '-q', f'inc{n}.qcow2')
    check(os.stat(f'inc{n}.qcow2').st_blocks < os.stat('full.qcow2').st_blocks, 'an increment is small')
