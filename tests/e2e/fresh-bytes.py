#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# When an image was changed between two opens, the second reads the new bytes, though the
# kernel has pages of the old ones.
import shutil
import time
from qcowtest import *

os.mkdir('src')
os.chdir('src')
for name in 'disk', 'base', 'lone':
    create(f'{name}.qcow2', '2M', options='cluster_size=4k')
    qio(f'{name}.qcow2', 'write -P 1 0 2M')
create('over.qcow2', backing='base.qcow2', backing_format='qcow2')
qio('over.qcow2', 'write -P 7 1M 4k')
os.chdir('..')


def old(name, seconds=100):
    """As if nobody had touched it for long."""
    t = time.time() - seconds
    os.utime(name, (t, t))


def expect(path, byte, text):
    data = Path(path).read_bytes()
    check(data[:4096] == bytes([byte]) * 4096, f'{text}: {byte} at the start, not {data[0]}')


def change_and_read(m, name, source, byte, how):
    path = m.path(name + '.raw')
    Path(path).read_bytes()
    how()
    expect(path, byte, f'{name}, {source}: {how.__name__}')
    if not name.startswith('over'):
        check(Path(path).read_bytes() == raw_of(f'src/{name}.qcow2'), f'{name}: all of it')


def steps(m, name):
    image = f'src/{name}.qcow2'
    counter = iter(range(10, 100))

    def new(byte, same_length=True):
        shutil.copy('model.qcow2', 'new.qcow2')
        qio('new.qcow2', f'write -P {byte} 0 2M')

    def written_in_place():
        qio(image, f'write -P {byte} 0 4k')

    def replaced_by_rename():
        new(byte)
        os.rename('new.qcow2', image)

    def copied_over():
        new(byte)
        shutil.copyfile('new.qcow2', image)

    def copied_over_with_old_times():
        new(byte)
        st = os.stat(image)
        shutil.copyfile('new.qcow2', image)
        os.utime(image, ns=(st.st_atime_ns, st.st_mtime_ns))

    def zeroed():
        qio(image, 'write -z 0 4k')

    for how in (written_in_place, replaced_by_rename, copied_over, copied_over_with_old_times,
                written_in_place, copied_over, replaced_by_rename):
        byte = next(counter)
        change_and_read(m, name, m.where, byte, how)
    byte = 0
    change_and_read(m, name, m.where, 0, zeroed)


shutil.copy('src/disk.qcow2', 'model.qcow2')
with Mount('src') as m:
    steps(m, 'disk')
    # A backing file changes.
    for byte in 50, 51:
        Path(m.path('over.raw')).read_bytes()
        qio('src/base.qcow2', f'write -P {byte} 0 2M')
        expect(m.path('over.raw'), byte, 'over, its base written')
    shutil.copy('model.qcow2', 'new.qcow2')
    os.rename('new.qcow2', 'src/base.qcow2')
    expect(m.path('over.raw'), 1, 'over, its base replaced')
    check(Path(m.path('over.raw')).read_bytes() == raw_of('src/over.qcow2'), 'over: all of it')
with Mount('src/lone.qcow2') as m:
    steps(m, 'lone')

# Long unchanged, so that pages are kept from open to open; then changed in secret.
with Mount('src') as m:
    path, image = m.path('disk.raw'), 'src/disk.qcow2'
    time.sleep(2.5)  # as long as it takes to trust a file's times
    for _ in range(3):
        Path(path).read_bytes()
    st = os.stat(image)
    shutil.copy('model.qcow2', 'new.qcow2')
    qio('new.qcow2', 'write -P 99 0 2M')
    check(os.stat('new.qcow2').st_size == st.st_size, 'the new one is as long')
    shutil.copyfile('new.qcow2', image)
    os.utime(image, ns=(st.st_atime_ns, st.st_mtime_ns))
    expect(path, 99, 'changed with its size and mtime kept')

# Larger or smaller, after at most the second for which attributes are cached.
with Mount('src') as m:
    path = m.path('disk.raw')
    Path(path).read_bytes()
    for size in 3 * M, M:
        run('qemu-img', 'resize', '-q', '--shrink', '-f', 'qcow2', 'src/disk.qcow2', size)
        until(3, lambda: os.stat(path).st_size == size, f'its size is {size}')
        check(Path(path).read_bytes() == raw_of('src/disk.qcow2'), f'all of {size} bytes')
