#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs bitmap` does what `qemu-img bitmap` does: the same actions give the same bitmaps.
from dirtybits import *


def ours(*argv, ok=True):
    return run(QCOWFS, 'bitmap', *argv, ok=ok)


def facts(image):
    info = json.loads(run('qemu-img', 'info', '--output=json', image))
    out = {}
    for b in info['format-specific']['data'].get('bitmaps', []):
        out[b['name']] = (sorted(b['flags']), b['granularity'], qemu_dirty(image, b['name']))
    return out


def both(*argv, write=()):
    """The same actions on two images."""
    for image, command in ('a.qcow2', (QCOWFS, 'bitmap')), ('b.qcow2', ('qemu-img', 'bitmap')):
        words = [image if w == 'IMAGE' else w for w in argv]
        run(*command, *words)
        if write:
            qio(image, *write)
        sound(image)
    a, b = facts('a.qcow2'), facts('b.qcow2')
    check(a == b, f'{argv}: {a} is {b}')
    return a


for options, size in ('', '64M'), ('cluster_size=4k,extended_l2=off', '3M'), \
        ('cluster_size=512', '1M'), ('extended_l2=on', '10G'):
    for image in 'a.qcow2', 'b.qcow2':
        create(image, size, options=options)
    both('--add', 'IMAGE', 'one', write=('write -P 1 100k 70k',))
    both('--add', '-g', '512', 'IMAGE', 'two', write=('write -P 1 200k 1k', 'discard 0 64k'))
    both('--add', '--disable', 'IMAGE', 'three', write=('write -P 2 700k 5k',))
    both('--disable', 'IMAGE', 'one', write=('write -P 3 0 1k',))
    both('--merge', 'one', 'IMAGE', 'three')
    both('--merge', 'two', '--merge', 'one', 'IMAGE', 'three')
    both('--merge', 'three', 'IMAGE', 'two')
    both('--enable', 'IMAGE', 'one', write=('write -P 4 900k 1k',))
    both('--clear', 'IMAGE', 'two', write=('write -P 5 10k 1k',))
    both('--clear', '--merge', 'one', '--disable', 'IMAGE', 'two')
    both('--remove', 'IMAGE', 'one')
    both('--remove', '--add', '--merge', 'two', 'IMAGE', 'three')
    both('--remove', 'IMAGE', 'two')
    check(not both('--remove', 'IMAGE', 'three'), 'none is left')
    both('--add', 'IMAGE', 'again')

# A bitmap of another image; and the name of a backing file makes room.
create('base.qcow2', '64M')
for image in 'a.qcow2', 'b.qcow2':
    create(image, backing='base.qcow2', backing_format='qcow2')
    for name in 'x', 'y' * 300, 'zäß':
        run(*((QCOWFS, 'bitmap') if image == 'a.qcow2' else ('qemu-img', 'bitmap')), '--add', image, name)
run('qemu-img', 'bitmap', '--add', 'base.qcow2', 'src')
qio('base.qcow2', 'write -P 1 5M 1M')
ours('--merge', 'src', '-b', 'base.qcow2', 'a.qcow2', 'x')
run('qemu-img', 'bitmap', '--merge', 'src', '-b', 'base.qcow2', '-F', 'qcow2', 'b.qcow2', 'x')
check(facts('a.qcow2') == facts('b.qcow2'), 'merged from another image')
sound('a.qcow2')
info = json.loads(run('qemu-img', 'info', '--output=json', 'a.qcow2'))
check(info['backing-filename'] == 'base.qcow2', 'the backing file has its name')
qio('a.qcow2', 'read -P 1 5M 1M')

# What cannot be done is one line, and nothing has changed.
create('old.qcow2', '1M', options='compat=0.10')
create('v1.qcow', '1M', fmt='qcow')
create('small.qcow2', '1M')
ours('--add', 'small.qcow2', 'other')
before = Path('a.qcow2').read_bytes()
for argv, word in [
        (('--add', 'a.qcow2', 'x'), 'there is a bitmap of this name'),
        (('--remove', 'a.qcow2', 'nope'), 'there is no such bitmap'),
        (('--merge', 'nope', 'a.qcow2', 'x'), 'there is no such bitmap'),
        (('--add', '-g', '1000', 'a.qcow2', 'new'), 'granularity'),
        (('--add', '-g', '256', 'a.qcow2', 'new'), 'granularity'),
        (('--add', '-g', '4G', 'a.qcow2', 'new'), 'granularity'),
        (('--add', 'a.qcow2', ''), 'the name is empty'),
        (('--add', 'a.qcow2', 'n' * 1024), 'longer than 1023 bytes'),
        (('--merge', 'other', '-b', 'small.qcow2', 'a.qcow2', 'x'), 'different sizes'),
        (('a.qcow2', 'x'), 'nothing to do'),
        (('--clear', '-g', '64k', 'a.qcow2', 'x'), '-g is only for --add'),
        (('--clear', '-b', 'b.qcow2', 'a.qcow2', 'x'), '-b is only for --merge'),
        (('--add', 'old.qcow2', 'x'), 'only version 3'),
        (('--add', 'v1.qcow', 'x'), 'only version 3')]:
    r = subprocess.run([QCOWFS, 'bitmap', *argv], capture_output=True, text=True)
    check(r.returncode == 1 and word in r.stderr and r.stderr.count('\n') == 1,
          f'{argv}: status {r.returncode}, {r.stderr!r}, with "{word}"')
    check(Path('a.qcow2').read_bytes() == before, f'{argv} changes nothing')

# Inconsistent ones can only be removed.
image = create('crashed.qcow2', '1M')
run('qemu-img', 'bitmap', '--add', image, 'lost')
subprocess.run(['qemu-io', '-c', 'write 0 64k', '-c', 'sigraise 9', image], capture_output=True)
check('in-use' in bitmap_info(image)['lost'], 'QEMU left it in use')
for action in '--clear', '--enable', '--disable':
    check(action == '--enable' or 'inconsistent' in ours(action, image, 'lost', ok=False), action)
ours('--add', image, 'next')
check(bitmap_info(image) == {'lost': ['in-use', 'auto'], 'next': ['auto']}, 'it stays as it is')
ours('--remove', image, 'lost')
check(bitmap_info(image) == {'next': ['auto']}, 'it can be removed')
sound(image)
