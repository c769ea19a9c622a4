#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs snapshot` lists as qemu-img does, takes and deletes snapshots that QEMU reads, and goes back to
# them.
from qcowtest import *


def snapshot(*argv, ok=True):
    r = subprocess.run([QCOWFS, 'snapshot', *argv], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True)
    if ok:
        check(r.returncode == 0 and not r.stderr, f'snapshot {argv}: {r.stderr}')
        return r.stdout
    check(r.returncode == 1 and not r.stdout and r.stderr.count('\n') == 1 and
          r.stderr.startswith('qcowfs: '), f'snapshot {argv}: one line, status 1: {r.stderr}')
    return r.stderr


def names(image):
    info = json.loads(run('qemu-img', 'info', '--output=json', image))
    return [s['name'] for s in info.get('snapshots', [])]


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound')


def same_list(image):
    theirs = as_of_7_2(run('qemu-img', 'snapshot', '-l', image))
    for argv in ([image], ['-l', image]):
        ours = snapshot(*argv)
        check(ours == theirs, f'{image}: the list is\n{ours}, not\n{theirs}')


def as_of_snapshot(image, name):
    run('qemu-img', 'convert', '-l', f'snapshot.name={name}', '-O', 'raw', image, 'of.raw')
    return Path('of.raw').read_bytes()


# What is taken here is what the disk was, for QEMU, too; and the other way round.
for i, options in enumerate(('', 'compat=0.10', 'cluster_size=512', 'extended_l2=on',
                             'cluster_size=2M', 'refcount_bits=64')):
    image = create(f'{i}.qcow2', '4M', options=options)
    same_list(image)
    wanted = {}
    for n, name in enumerate(('one', '2', 'a name that is longer than the column of names', 'é')):
        qio(image, f'write -P {n + 1} {n * 300}k 400k')
        wanted[name] = raw_of(image)
        if n % 2:
            run('qemu-img', 'snapshot', '-c', name, image)
        else:
            check(snapshot('-c', name, image) == '', 'nothing is printed')
        same_list(image)
    check(names(image) == list(wanted), f'{image} has {names(image)}')
    for name, content in wanted.items():
        check(as_of_snapshot(image, name) == content, f'{image}: bytes of {name}')
    sound(image)
    now = raw_of(image)
    snapshot('-c', 'now', image), snapshot('-a', 'one', image)
    check(raw_of(image) == wanted['one'], f'{image} goes back')
    snapshot('-a', 'now', image), snapshot('-d', 'now', image)

    # A name comes before an ID: '2' is the name of the second, '3' is the ID of the third.
    snapshot('-d', '2', image)
    check(names(image) == ['one', list(wanted)[2], 'é'], f'{image}: {names(image)}')
    snapshot('-d', '3', image)
    check(names(image) == ['one', 'é'], f'{image}: {names(image)}')
    same_list(image)
    sound(image)
    check(as_of_snapshot(image, 'one') == wanted['one'], 'the first is as it was')
    check(as_of_snapshot(image, 'é') == wanted['é'], 'the last is as it was')
    snapshot('-d', 'one', image), snapshot('-d', 'é', image)
    check(names(image) == [] and raw_of(image) == now, f'{image}: the disk is as it was')
    same_list(image)
    sound(image)

# Of several with one name the first goes, as in QEMU.
for image in 'ours.qcow2', 'theirs.qcow2':
    create(image, '1M')
    for name in ('same', 'other', 'same'):
        run('qemu-img', 'snapshot', '-c', name, image)
snapshot('-d', 'same', 'ours.qcow2')
run('qemu-img', 'snapshot', '-d', 'same', 'theirs.qcow2')
ids = [[s['id'] for s in json.loads(run('qemu-img', 'info', '--output=json', i))['snapshots']]
       for i in ('ours.qcow2', 'theirs.qcow2')]
check(ids[0] == ids[1] == ['2', '3'], f'the first goes: {ids}')

# A name with control bytes does not reach the terminal.
create('bell.qcow2', '1M')
snapshot('-c', 'ding\a', 'bell.qcow2')
check('ding%07' in snapshot('-l', 'bell.qcow2'), 'control bytes are %XX')

# Version 1 has none; QEMU lists nothing.
create('v1.qcow', '1M', fmt='qcow')
same_list('v1.qcow')

# The impossible is one line, and leaves the image as it is.
create('data.qcow2', '1M', options='data_file=d.data')
create('full.qcow2', '1M', options='refcount_bits=1')
qio('full.qcow2', 'write 0 64k')
Path('text').write_text('no image\n' * 100)
before = {p: Path(p).read_bytes() for p in ('ours.qcow2', 'v1.qcow', 'data.qcow2', 'text')}
full = Path('full.qcow2').read_bytes()
for argv in (['-c', 'other', 'ours.qcow2'], ['-d', 'none', 'ours.qcow2'],
             ['-a', 'none', 'ours.qcow2'], ['-a', 'x', 'v1.qcow'], ['-a', 'x', 'text'], ['-c', '', 'ours.qcow2'],
             ['-c', 'x' * 256, 'ours.qcow2'], ['-c', 'x', 'v1.qcow'], ['-d', 'x', 'v1.qcow'],
             ['-c', 'x', 'data.qcow2'], ['-c', 'x', 'full.qcow2'], ['-c', 'x', 'text'],
             ['-l', 'text'], ['-l', 'missing'], [],
             ['-l', '-c', 'x', 'ours.qcow2'], ['-c', 'x', '-d', 'other', 'ours.qcow2'], ['-c', 'x'],
             ['-a', 'other', '-d', 'other', 'ours.qcow2'],
             ['-l', 'ours.qcow2', 'v1.qcow'], ['-c']):
    snapshot(*argv, ok=False)
for path, content in before.items():
    check(Path(path).read_bytes() == content, f'{path} is as it was')
check(Path('full.qcow2').read_bytes().startswith(full), 'at most free clusters are behind it')
sound('full.qcow2')

# An image that QEMU writes is left alone; with -U it is listed.
user = subprocess.Popen(['qemu-io', 'ours.qcow2'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
for argv in (['-c', 'x'], ['-a', 'other'], ['-d', 'other'], ['-l']):
    snapshot(*argv, 'ours.qcow2', ok=False)
check('other' in snapshot('-l', '-U', 'ours.qcow2'), '-U lists it')
user.stdin.close(), user.wait()
check(names('ours.qcow2') == ['other', 'same'], 'its snapshots are as they were')
