#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs key` adds passphrases that QEMU and cryptsetup open, and removes them, as
# `qemu-img amend` does; it refuses to remove the last one, and keeps its key material.
import shutil

from encrypted import *

Path('first').write_text(KEY)
Path('second').write_text('the second')
Path('third').write_bytes(b'third, with a newline\n')
Path('empty').write_text('')
ALL = [QCOWFS, 'key']


def key(*argv, old='first', ok=True):
    argv = [str(a) for a in argv]
    extra = [] if argv[0] == 'list' or not old else [f'--key-file={old}']
    r = subprocess.run([*ALL, *argv, *extra], stdin=subprocess.DEVNULL, capture_output=True,
                       text=True)
    if ok:
        check(r.returncode == 0 and not r.stderr, f'key {argv}: {r.returncode} {r.stderr}')
        return r.stdout
    check(r.returncode == 1 and not r.stdout and r.stderr.startswith('qcowfs: ') and
          r.stderr.count('\n') == 1, f'key {argv} is refused in one line: {r.stdout}{r.stderr}')
    return r.stderr


def add(image, new, *argv, **more):
    return key('add', '--iter-time=10', f'--new-key-file={new}', *argv, image, **more)


def qemu_opens(image, file):
    what = ['--object', f'secret,id=s,file={file}', '--image-opts']
    r = subprocess.run(['qemu-io', '-r', *what, '-c', 'read -P 5 0 64k',
                        f'driver=qcow2,file.filename={image},encrypt.key-secret=s'],
                       capture_output=True, text=True)
    check(r.returncode or 'Pattern' not in r.stdout, f'{image} with {file}: {r.stdout}')
    return not r.returncode


def slots_of_qemu(image):
    info = json.loads(run('qemu-img', 'info', '--output=json', image))
    return info['format-specific']['data']['encrypt']['slots']


def active(image):
    slots = json.loads(key('list', '--json', image))
    check(slots == slots_of_qemu(image), f'{image}: {slots} is the list of QEMU')
    return [i for i, s in enumerate(slots) if s['active']]


def material(image, slot):
    at = luks_at(image)
    offset = int.from_bytes(peek(image, at + 208 + 48 * slot + 40, 4), 'big') * 512
    bits = int.from_bytes(peek(image, at + 108, 4), 'big')
    return peek(image, at + offset, bits * 4000)


VARIANTS = [
    ('compat=1.1', ''), ('compat=0.10,cluster_size=512', ',encrypt.cipher-alg=aes-128'),
    ('cluster_size=16k,extended_l2=on', ',encrypt.cipher-alg=aes-256,encrypt.cipher-mode=cbc,'
     'encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256'),
    ('data_file=d.data,cluster_size=2M', ',encrypt.hash-alg=sha512'),
]
for n, (options, cipher) in enumerate(VARIANTS):
    image = f'{n}.qcow2'
    allow = ['--backing=any'] if 'data_file' in options else []
    encrypted(image, 'qcow2', f'{options},{LUKS}{cipher}', '1M', 'write -P 5 0 64k')
    check(active(image) == [0], f'{image} has one key')
    check(key('list', image).split('\n')[1].split()[:2] == ['0', 'active'], 'as people read it')

    check(add(image, 'second', *allow) == 'Key slot 1 added.\n', 'the first free slot')
    add(image, 'third', '--slot=6', *allow, old='second')
    check(active(image) == [0, 1, 6], f'{image}: {active(image)}')
    check(all(qemu_opens(image, f) for f in ('first', 'second', 'third')), 'QEMU opens all')

    # With the key that QEMU adds, too.
    if not n:
        for _ in range(20):
            r = subprocess.run(['qemu-img', 'amend', '--object', 'secret,id=s0,file=third',
                                '--object', 'secret,id=s1,data=fourth', '-o', 'encrypt.state=active,'
                                'encrypt.new-secret=s1,encrypt.keyslot=7,encrypt.iter-time=10',
                                '--image-opts', f'driver=qcow2,file.filename={image},'
                                'encrypt.key-secret=s0'], capture_output=True, text=True)
            if not r.returncode:
                break
        check(not r.returncode, f'qemu-img amend: {r.stderr}')
        Path('fourth').write_text('fourth')
        key('remove', image, old='fourth')
        check(active(image) == [0, 1, 6] and not qemu_opens(image, 'fourth'), 'it is gone')

    # A removed slot has nothing of its key left.
    before = material(image, 6)
    check(key('remove', '--slot=6', *allow, image) == 'Key slot 6 removed.\n', 'one slot')
    after = material(image, 6)
    same = sum(before[i:i + 16] == after[i:i + 16] for i in range(0, len(before), 16))
    check(not same, f'{image}: {same} blocks of the material are left')
    check(peek(image, luks_at(image) + 208 + 6 * 48 + 4, 36) == bytes(36), 'the salt is gone')
    check(not qemu_opens(image, 'third') and qemu_opens(image, 'second'), 'the others stay')

    # The passphrase says which, and all slots that it opens go.
    add(image, 'second', '--slot=3', *allow)
    check(active(image) == [0, 1, 3], f'{image}: {active(image)}')
    key('remove', *allow, image, old='second')
    check(active(image) == [0] and not qemu_opens(image, 'second'), 'both are gone')

    # The last one stays, unless forced.
    before = Path(image).read_bytes()
    key('remove', *allow, image, ok=False)
    key('remove', '--slot=0', *allow, image, ok=False)
    check(Path(image).read_bytes() == before, f'{image} is as it was')
    encrypted_sound(image)
    check(encrypted_raw(image)[:65536] == b'\5' * 65536, f'{image}: the bytes of the disk')
    if n == 1:
        key('remove', '--force', image)
        check(active(image) == [] and not qemu_opens(image, 'first'), 'no key opens it')

# All slots, and none left; what the user got wrong changes nothing.
image = '0.qcow2'
for i in range(1, 8):
    add(image, 'second')
check(active(image) == list(range(8)), 'all are used')
create('plain.qcow2', '1M')
encrypted('aes.qcow2', 'qcow2', 'encrypt.format=aes', '1M')
files = {p: Path(p).read_bytes() for p in (image, 'plain.qcow2', 'aes.qcow2')}
check('no key slot is free' in add(image, 'third', ok=False), 'the reason')
check('in use' in add(image, 'third', '--slot=2', ok=False), 'the reason')
for wrong in (['add', '--slot=8', '--new-key-file=third', image], ['remove', '--slot=8', image],
              ['add', '--slot=x', '--new-key-file=third', image], ['add', image],
              ['add', '--new-key-file=empty', image], ['add', '--new-key-file=none', image],
              ['add', '--new-key-file=third', '--iter-time=0', image], ['grow', image],
              ['remove', 'plain.qcow2'], ['add', '--new-key-file=third', 'plain.qcow2'],
              ['add', '--new-key-file=third', 'aes.qcow2'], ['remove'], [image]):
    key(*wrong, ok=False)
key('list', 'plain.qcow2', ok=False)
check('does not fit' in key('remove', image, old='third', ok=False), 'a wrong passphrase')
for path, content in files.items():
    check(Path(path).read_bytes() == content, f'{path} is as it was')
key('remove', '--slot=4', image)
check('not in use' in key('remove', '--slot=4', image, ok=False), 'the reason')

# Another program has it open; its backing file has another passphrase.
with subprocess.Popen(['qemu-io', *SECRET, '--image-opts', opened(image)[-1], '-c', 'sleep 600000'],
                      stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL) as other:
    until(20, lambda: other.poll() is not None or
          subprocess.run(['qemu-img', 'info', image], capture_output=True).returncode, 'QEMU has it')
    before = Path(image).read_bytes()
    check('lock' in add(image, 'third', ok=False), 'QEMU has locked it')
    check('lock' in key('remove', '--slot=3', image, ok=False), 'QEMU has locked it')
    check(Path(image).read_bytes() == before, f'{image} is as it was')
    other.kill()
shutil.copy(image, 'base.qcow2')
over = 'over.qcow2'
run('qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-b', 'base.qcow2', '-F', 'qcow2',
    '--object', 'secret,id=s,file=second', '-o', f'{LUKS},encrypt.key-secret=s', over, '1M')
add(over, 'third', old='second')
check(active(over) == [0, 1], 'its backing file is not opened')

# cryptsetup opens the header with the new key, and its own keys open the image.
if shutil.which('cryptsetup'):
    info = json.loads(run('qemu-img', 'info', '--output=json', over))
    at = luks_at(over)
    Path('header').write_bytes(peek(over, at, os.path.getsize(over) - at)[:4 * M].ljust(4 * M, b'\0'))
    run('cryptsetup', 'open', '--test-passphrase', '--type', 'luks1', '--key-file', 'third',
        '--key-slot', '1', 'header')
    run('cryptsetup', 'luksAddKey', '--type', 'luks1', '-q', '--iter-time', '10', '--key-file', 'third',
        'header', 'first')
    with open(over, 'r+b') as f:
        f.seek(at)
        f.write(Path('header').read_bytes()[:int.from_bytes(Path('header').read_bytes()[104:108], 'big')
                                           * 512])
    check(active(over) == [0, 1, 2], 'the slot of cryptsetup')
    key('remove', '--slot=1', over, old='first')
    check(active(over) == [0, 2], 'its passphrase opens the image')
