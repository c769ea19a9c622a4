#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs resize` leaves the disk that `qemu-img resize` leaves, and refuses what that refuses.
import resource

from qcowtest import *


def resize(*argv, ok=True, **kwargs):
    r = subprocess.run([QCOWFS, 'resize', *argv], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True, **kwargs)
    if ok:
        check(r.returncode == 0 and not r.stderr, f'resize {argv}: {r.stderr}')
        wanted = '' if '-q' in argv else 'Image resized.\n'
        check(r.stdout == wanted, f'resize {argv}: {r.stdout}')
    else:
        check(r.returncode == 1 and not r.stdout and r.stderr.startswith('qcowfs: '),
              f'resize {argv} is refused: {r.returncode} {r.stdout}{r.stderr}')
    return r.stderr


def refused(*argv):
    err = resize(*argv, ok=False)
    check(err.count('\n') == 1, f'resize {argv}: one line: {err}')


def size_of(image):
    return json.loads(run('qemu-img', 'info', '--output=json', image))['virtual-size']


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')
    return r


def copy(source, target):
    Path(target).write_bytes(Path(source).read_bytes())
    return target


def same_as_qemu(source, *argv):
    ours, theirs = copy(source, 'ours.qcow2'), copy(source, 'theirs.qcow2')
    options, size = [a for a in argv if a.startswith('--')], argv[-1]
    run('qemu-img', 'resize', '-q', *options, theirs, size)
    resize(*options, ours, size)
    check(size_of(ours) == size_of(theirs), f'{source} {argv}: {size_of(ours)} bytes')
    check(raw_of(ours) == raw_of(theirs), f'{source} {argv}: the bytes of the disk')
    sound(ours)
    return ours


create('base.qcow2', '9M')
qio('base.qcow2', 'write -P 7 0 9M')
for options in ('', 'compat=0.10', 'cluster_size=512', 'extended_l2=on', 'cluster_size=2M'):
    image = create('disk.qcow2', '5M', options=options)
    qio(image, 'write -P 1 0 100k', 'write -P 2 3000k 100k', 'write -P 3 5000k 120k')
    for size in ('6M', '+1536', '+300M' if options == 'cluster_size=2M' else '+30M', '+0', '5M'):
        same_as_qemu(image, size)
    for size in ('-1M', '3050k', '512', '-512'):
        same_as_qemu(image, '--shrink', size)
    for how in ('off', 'metadata', 'falloc', 'full'):
        same_as_qemu(image, f'--preallocation={how}', '+2M')
    if options == 'compat=0.10':
        continue
    # Bytes of a longer backing file do not show in the range that the disk gains.
    image = create('over.qcow2', '5M', options=options, backing='base.qcow2',
                   backing_format='qcow2')
    qio(image, 'write -P 1 4M 900k')
    for size in ('6M', '+512', '20M'):
        same_as_qemu(image, size)
    same_as_qemu(image, '--shrink', '1M')
    same_as_qemu(image, '--preallocation=metadata', '+2M')

# All clusters that the disk gains are allocated, and no more.
for how in ('metadata', 'falloc', 'full'):
    create('empty.qcow2', '1M')
    resize('-q', f'--preallocation={how}', 'empty.qcow2', '5M')
    check(sound('empty.qcow2')['allocated-clusters'] == 64, f'{how}: 4 MiB are allocated')
    blocks = os.stat('empty.qcow2').st_blocks * 512
    check((blocks >= 4 * M) if how != 'metadata' else True, f'{how}: there is space: {blocks}')

# Version 1, and a disk with an external data file.
image = create('v1.qcow', '1M', fmt='qcow')
qio(image, 'write -P 1 0 1M', fmt='qcow')
resize(image, '3M')
check(raw_of(image, 'qcow') == b'\1' * M + bytes(2 * M), 'version 1 grows')
resize('--shrink', image, '-2560k')
check(raw_of(image, 'qcow') == b'\1' * (M // 2), 'version 1 shrinks')
create('data.qcow2', '1M', options='data_file=d.data')
refused('data.qcow2', '2M')
resize('--backing=any', 'data.qcow2', '2M')
check(os.path.getsize('d.data') == 2 * M and size_of('data.qcow2') == 2 * M, 'its file grows, too')

# In version 3 a snapshot keeps the size that it has.
create('snap.qcow2', '2M')
qio('snap.qcow2', 'write -P 5 1M 1M')
run('qemu-img', 'snapshot', '-c', 's', 'snap.qcow2')
resize('--shrink', 'snap.qcow2', '1M')
sound('snap.qcow2')
run('qemu-img', 'snapshot', '-a', 's', 'snap.qcow2')
check(raw_of('snap.qcow2') == bytes(M) + b'\5' * M, 'the snapshot has all its bytes')

# The impossible changes nothing.
image = create('disk.qcow2', '5M')
create('old.qcow2', '5M', options='compat=0.10')
run('qemu-img', 'snapshot', '-c', 's', 'old.qcow2')
Path('text').write_text('no image\n' * 100)
before = {p: Path(p).read_bytes() for p in (image, 'old.qcow2', 'text')}
for argv in ([image, '1M'], [image, '-1M'], ['--shrink', image, '0'], ['--shrink', image, '-5M'],
             ['--shrink', image, '-1T'], [image, '5242881'], [image, '+1'], [image, 'x'],
             [image, ''], [image, '+'], [image, '--', '--1M'], [image, '1Z'], [image, '16E'], [image, '+8E'],
             [image, '7E'], ['--preallocation=some', image, '6M'],
             ['--preallocation=full', '--shrink', image, '1M'], [image], ['6M'], [],
             [image, image, '6M'], ['old.qcow2', '6M'], ['text', '6M'], ['missing', '6M']):
    refused(*argv)
for path, content in before.items():
    check(Path(path).read_bytes() == content, f'{path} is as it was')

# Where not all clusters can be allocated, the disk keeps its size.
qio(image, 'write -P 9 0 1M')
content = raw_of(image)


def limit():
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2 * M, 2 * M))


for how in ('metadata', 'falloc', 'full'):
    resize(f'--preallocation={how}', image, '50M', ok=False, preexec_fn=limit,
           restore_signals=False)
    check(size_of(image) == 5 * M and raw_of(image) == content, f'{how}: the disk is as it was')
    sound(image)

# An image that QEMU writes is left alone.
user = subprocess.Popen(['qemu-io', image], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
refused(image, '6M')
user.stdin.close(), user.wait()
check(size_of(image) == 5 * M, 'it has its size')
