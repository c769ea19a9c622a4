#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# mkdir takes a snapshot, rmdir deletes it, rename renames it; the mount and QEMU show that at once,
# with the image open or closed.
from views import *

name = create('disk.qcow2', '2M')
copy = 'copy.qcow2'


with Mount(name, '-o', 'snapshots,rw', ro=False) as m:
    folder = m.path('disk.snapshots')
    disk = m.path('disk.raw')
    check(os.stat(folder).st_mode & 0o7777 == 0o755, 'snapshots may be made in it')
    model = {}

    # The image is closed.
    os.mkdir(folder + '/empty')
    model['empty'] = bytes(2 * M)
    check(os.listdir(folder) == ['empty'], 'it is there')
    check(os.listdir(folder + '/empty') == ['disk.raw'], 'with a disk')
    sound(name)
    check(listed(name) == [('1', 'empty')], 'QEMU has it')

    # While it is written.
    fd = os.open(disk, os.O_RDWR)
    live = bytearray(2 * M)
    for i in range(5):
        data = noise(300 * K)
        at = rng.randrange(0, M)
        os.pwrite(fd, data, at)
        live[at:at + len(data)] = data
        os.mkdir(f'{folder}/s{i}')
        model[f's{i}'] = bytes(live)
        check(f's{i}' in os.listdir(folder), f's{i} is listed at once')
    os.pwrite(fd, b'x' * M, M // 2)
    live[M // 2:M // 2 + M] = b'x' * M
    for s, want in model.items():
        same_bytes(Path(folder, s, 'disk.raw').read_bytes(), want, s)
    before = os.stat(folder + '/s1')
    os.rename(folder + '/s1', folder + '/renamed one')
    model['renamed one'] = model.pop('s1')
    after = os.stat(folder + '/renamed one')
    check((before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns), 'it is the same')
    refuses(errno.ENOENT, os.stat, folder + '/s1')
    os.rmdir(folder + '/s2')
    del model['s2']
    refuses(errno.ENOENT, os.stat, folder + '/s2')
    refuses(errno.ENOENT, os.stat, folder + '/s2/disk.raw')
    check(sorted(os.listdir(folder)) == sorted(model), 'as many are left')
    for s, want in model.items():
        same_bytes(Path(folder, s, 'disk.raw').read_bytes(), want, s)
    same_bytes(read_all(disk, 2 * M), live, 'the live disk')

    # One that is open.
    held = open(folder + '/s3/disk.raw', 'rb')
    refuses(errno.EBUSY, os.rmdir, folder + '/s3')
    refuses(errno.EBUSY, os.rename, folder + '/s3', folder + '/three')
    same_bytes(held.read(), model['s3'], 'what is open')
    held.close()
    until(5, lambda: not errno_of(os.rename, folder + '/s3', folder + '/three'), 'it is renamed then')
    model['three'] = model.pop('s3')
    until(5, lambda: not errno_of(os.rmdir, folder + '/three'), 'it can be deleted then')
    del model['three']

    # The same name, another snapshot.
    os.rmdir(folder + '/s4')
    os.pwrite(fd, b'anew', 0)
    live[:4] = b'anew'
    os.mkdir(folder + '/s4')
    model['s4'] = bytes(live)
    same_bytes(Path(folder, 's4/disk.raw').read_bytes(), model['s4'], 's4, taken anew')

    # What cannot be.
    refuses(errno.EEXIST, os.mkdir, folder + '/s4')
    refuses(errno.EEXIST, os.rename, folder + '/s4', folder + '/s0')
    refuses(errno.ENOENT, os.rmdir, folder + '/none')
    refuses(errno.ENOENT, os.rename, folder + '/none', folder + '/x')
    for bad in '%', '%zz', '%2f', '.dot', 'a%', '%~0123456789abcdef', 'a\nb':
        refuses(errno.EINVAL, os.mkdir, f'{folder}/{bad}')
        refuses(errno.EINVAL, os.rename, folder + '/s4', f'{folder}/{bad}')
    refuses(errno.ENAMETOOLONG, os.mkdir, folder + '/' + 'x' * 256)
    refuses(errno.ENAMETOOLONG, os.mkdir, folder + '/' + '%2F' * 86)
    refuses(errno.ENAMETOOLONG, os.rename, folder + '/s4', folder + '/' + '%2F' * 86)
    refuses(errno.EPERM, os.rename, folder + '/s4', m.path('s4'))
    refuses(errno.EROFS, os.mkdir, m.path('new'))
    refuses(errno.EROFS, os.mkdir, folder + '/s4/new')
    refuses(errno.EROFS, os.rmdir, folder)
    refuses(errno.EROFS, os.rename, folder, m.path('else'))
    refuses(errno.EROFS, os.unlink, folder + '/s4/disk.raw')
    refuses(errno.EROFS, os.open, folder + '/s4/new', os.O_CREAT | os.O_WRONLY)
    refuses(errno.EROFS, os.open, folder + '/s4/disk.raw', os.O_RDWR)
    libc = ctypes.CDLL(None, use_errno=True)
    check(libc.renameat2(-100, (folder + '/s4').encode(), -100, (folder + '/s0').encode(), 2) == -1 and
          ctypes.get_errno() == errno.EINVAL, 'two do not change places')

    # Names that are shown otherwise.
    for shown, real in ('%2Edot', '.dot'), ('a%2Fb', 'a/b'), ('100%25', '100%'), \
            ('é ü', 'é ü'), ('y' * 255, 'y' * 255):
        os.mkdir(f'{folder}/{shown}')
        model[shown] = bytes(live)
        check(shown in os.listdir(folder), f'{shown} is shown so')
        same_bytes(Path(folder, shown, 'disk.raw').read_bytes(), live, shown)
    os.rename(folder + '/a%2Fb', folder + '/c%2Fd')
    model['c%2Fd'] = model.pop('a%2Fb')
    os.close(fd)
    for s, want in model.items():
        same_bytes(Path(folder, s, 'disk.raw').read_bytes(), want, s)

sound(name)
real = {'%2Edot': '.dot', 'c%2Fd': 'c/d', '100%25': '100%'}
check(sorted(n for _, n in listed(name)) == sorted(real.get(s, s) for s in model), 'QEMU has them')
same_bytes(raw_of(name), live, 'the live disk, by QEMU')
for s, want in model.items():
    same_bytes(snapshot_raw(name, real.get(s, s)), want, f'{s}, by QEMU')
    Path(copy).write_bytes(Path(name).read_bytes())
    snap(copy, '-a', real.get(s, s))
    same_bytes(raw_of(copy), want, f'{s}, gone back to by QEMU')
    sound(copy)

# And those that QEMU made are deleted.
snap(name, '-c', 'qemu')
with Mount(name, '-o', 'snapshots', ro=False) as m:
    for s in os.listdir(m.path('disk.snapshots')):
        os.rmdir(m.path('disk.snapshots/' + s))
    check(os.listdir(m.path('disk.snapshots')) == [], 'none is left')
sound(name)
same_bytes(raw_of(name), live, 'the live disk, without snapshots')
check(listed(name) == [], 'QEMU sees none')
