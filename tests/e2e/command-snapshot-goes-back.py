#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs snapshot -a` makes of the disk what `qemu-img snapshot -a` makes of it.
# sanitize: none
from variants import *


def snapshot(action, name, image, *options, ok=True):
    r = subprocess.run([QCOWFS, 'snapshot', action, name, *options, image], capture_output=True,
                       stdin=subprocess.DEVNULL, text=True)
    if ok:
        check(r.returncode == 0 and not r.stderr and not r.stdout, f'{action} {name} {image}: {r}')
    else:
        check(r.returncode == 1 and not r.stdout and r.stderr.count('\n') == 1 and
              r.stderr.startswith(f'qcowfs: {image}: '), f'{action} {name} {image}: {r}')
    return r.stderr


def theirs(v, action, name, image):
    run('qemu-img', 'snapshot', action, name, *v.qemu_args(image)[0 if v.crypt else 2:])


def names(v, image):
    info = json.loads(run('qemu-img', 'info', '--output=json', image))
    return [(s['id'], s['name'], s['vm-state-size']) for s in info.get('snapshots', [])]


def sound(v, image):
    r = json.loads(run('qemu-img', 'check', '--output=json', *v.qemu_args(image)))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')


for v in variants():
    if v.old or v.data:
        snapshot('-a', 'one', v.name, *v.our_args(), ok=False)
        continue
    if v.options.startswith(('refcount_bits=1,', 'refcount_bits=2,')): # it cannot share so often
        continue
    for n, name in enumerate(('one', 'two')):
        if n:
            theirs(v, '-c', name, v.name)
        else:
            snapshot('-c', name, v.name, *v.our_args())
        v.io(f'write -P {40 + n} {n * 777}k 500k', f'write -z 3M {n + 1}00k', 'discard 2M 512k')
    listed = names(v, v.name)
    for name in ('2', 'one'):
        theirs(v, '-a', name, v.copy('theirs.qcow2'))
        snapshot('-a', name, v.copy('ours.qcow2'), *v.our_args())
        check(v.raw('ours.qcow2') == v.raw('theirs.qcow2'), f'{v.name}: the disk of {name}')
        check(names(v, 'ours.qcow2') == listed, f'{v.name}: all snapshots are there')
        os.rename('ours.qcow2', v.name)
        v.io('write -P 77 100k 1M') # it can be written again
        sound(v, v.name)
    snapshot('-a', 'none', v.name, *v.our_args(), ok=False)

# The size goes back, too; in version 2 it cannot.
for name, options in ('grown.qcow2', ''), ('grown-2.qcow2', 'compat=0.10'):
    v = Variant(name.partition('.')[0], options).make()
    snapshot('-c', 'small', name)
    before = v.raw()
    if options:
        run('qemu-img', 'snapshot', '-c', 'other', name)
        with open(name, 'r+b') as f: # QEMU itself refuses to make such an image
            f.seek(24), f.write((8 << 20).to_bytes(8, 'big'))
        check('another size' in snapshot('-a', 'small', name, ok=False), 'the reason is named')
        continue
    run('qemu-img', 'resize', '-q', name, '8M')
    v.io('write -P 9 3M 5M')
    snapshot('-c', 'large', name)
    after = v.raw()
    for wanted, content in ('small', before), ('large', after), ('small', before):
        snapshot('-a', wanted, name)
        check(v.raw() == content, f'size and bytes of {wanted}')
        sound(v, name)

# Nothing is lost where it cannot be done.
v = Variant('used').make()
snapshot('-c', 'one', v.name)
v.io('write -P 8 0 4M')
content = Path(v.name).read_bytes()
user = subprocess.Popen(['qemu-io', v.name], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
snapshot('-a', 'one', v.name, ok=False)
user.stdin.close(), user.wait()
check(Path(v.name).read_bytes() == content, 'an image in use stays as it is')
