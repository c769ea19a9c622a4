#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs amend` makes of an image what `qemu-img amend` makes of it, for all kinds of images, and
# refuses what version 2 cannot hold.
import itertools
import shutil

from encrypted import *


def amend(options, image, *more, ok=True):
    r = subprocess.run([QCOWFS, 'amend', '-o', options, *more, image], stdin=subprocess.DEVNULL,
                       text=True, capture_output=True)
    if ok:
        check(not r.returncode and not r.stderr and not r.stdout, f'amend {options} {image}: {r}')
    else:
        check(r.returncode == 1 and not r.stdout and r.stderr.startswith('qcowfs: ') and
              r.stderr.count('\n') == 1, f'amend {options} {image} is refused in one line: {r}')
    return r.stderr


def facts(image):
    info = json.loads(run('qemu-img', 'info', '--output=json', image))
    data = info['format-specific']['data']
    return {'size': info['virtual-size'], 'backing': info.get('backing-filename'),
            'backing-format': info.get('backing-filename-format'),
            'snapshots': [(s['name'], s['id']) for s in info.get('snapshots', [])],
            **{k: v for k, v in data.items() if k != 'encrypt'},
            'encrypt': data.get('encrypt', {}).get('uuid')}


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')
    ours = subprocess.run([QCOWFS, 'check', '-q', image], capture_output=True, text=True)
    check(not ours.returncode, f'{image} is sound to us: {ours}')


def of_snapshot(image, name):
    run('qemu-img', 'convert', '-l', f'snapshot.name={name}', '-O', 'raw', image, 'of.raw')
    return Path('of.raw').read_bytes()


def contents(image):
    return [raw_of(image), *(of_snapshot(image, s) for s, _ in facts(image)['snapshots'])]


def same_as_qemu(source, options):
    """Both from the same image, which stays."""
    ours, theirs = 'ours.qcow2', 'theirs.qcow2'
    before = contents(source)
    shutil.copy(source, ours), shutil.copy(source, theirs)
    run('qemu-img', 'amend', '-o', options, theirs)
    amend(options, ours)
    check(facts(ours) == facts(theirs), f'{source} {options}: {facts(ours)} not {facts(theirs)}')
    check(contents(ours) == before, f'{source} {options}: the bytes of the disks')
    sound(ours)
    qio(ours, 'write -P 77 3k 130k')  # and QEMU goes on with it
    sound(ours)
    return shutil.copy(ours, 'done.qcow2')


create('base.qcow2', '6M')
qio('base.qcow2', 'write -P 9 0 6M')
VARIANTS = {'plain': '', 'small': 'cluster_size=512', 'large': 'cluster_size=256k',
            'lazy': 'lazy_refcounts=on', 'wide': 'refcount_bits=64,cluster_size=4k',
            'old': 'compat=0.10,cluster_size=4k'}
for name, options in VARIANTS.items():
    for backed in (False, True) if name in ('plain', 'old') else (name == 'small',):
        image = create(f'{name}-{backed}.qcow2', '4M', options=options,
                       **({'backing': 'base.qcow2', 'backing_format': 'qcow2'} if backed else {}))
        qio(image, 'write -P 1 0 300k', 'write -z 100k 64k', 'write -c -P 3 1M 256k'
            if name == 'large' else 'write -c -P 3 1M 64k')
        if name != 'old' or not backed:
            qio(image, 'write -zu 2500k 200k')
        run('qemu-img', 'snapshot', '-c', 'one', image)
        qio(image, 'write -P 4 50k 100k', 'write -z 150k 100k')
        run('qemu-img', 'snapshot', '-c', 'two', image)
        qio(image, 'write -P 5 3M 10k', 'write -z 0 10k')

        was = facts(image)
        v2 = '0.10' if was['refcount-bits'] == 16 else '0.10,refcount_bits=16'
        done = same_as_qemu(image, f'compat={v2}')
        check(facts(done)['compat'] == '0.10', 'it is version 2')
        same_as_qemu(done, 'compat=1.1')
        same_as_qemu(image, 'compat=1.1')
        bits = '' if name == 'large' else ',refcount_bits=8' # QEMU takes minutes for large clusters
        done = same_as_qemu(image, 'compat=1.1,lazy_refcounts=on' + bits)
        same_as_qemu(done, 'lazy_refcounts=off')
        if name == 'small' or name == 'plain' and not backed:
            shutil.copy(image, 'step.qcow2')
            for bits in (8, 64, 32, 2 if name == 'plain' else 16):
                amend(f'refcount_bits={bits}', 'step.qcow2')
                check(facts('step.qcow2')['refcount-bits'] == bits, f'{bits} bits')
                sound('step.qcow2')
                check(contents('step.qcow2') == contents(image), f'{bits} bits: the disks')
        before = Path(image).read_bytes()
        check('references' in amend('compat=1.1,refcount_bits=1', image, ok=False), 'three share')
        if was['compat'] == '1.1':
            check(Path(image).read_bytes() == before, f'{image} is as it was')

# Without snapshots one bit is enough; a table of many blocks, and of many clusters.
create('one.qcow2', '20M', options='cluster_size=512')
qio('one.qcow2', 'write -P 1 0 20M')
for bits in (1, 64, 16):
    amend(f'refcount_bits={bits}', 'one.qcow2')
    check(facts('one.qcow2')['refcount-bits'] == bits and raw_of('one.qcow2') == b'\1' * 20 * M,
          f'{bits} bits')
    sound('one.qcow2')

# The header: long names, the smallest cluster, bytes of other programs.
for cs, length in itertools.product((512, 1024, 4096, 65536), (10, 200, 370, 1000)):
    name = './' + 'x/' * ((length - 12) // 2) + 'base.qcow2'
    Path('x').mkdir(exist_ok=True)
    try_it = subprocess.run(['qemu-img', 'create', '-q', '-u', '-f', 'qcow2', '-o', 'compat=0.10,cluster_size='
                             f'{cs}', '-b', name, '-F', 'qcow2', 'h.qcow2', '4M'], capture_output=True)
    if try_it.returncode:
        continue
    r = subprocess.run([QCOWFS, 'amend', '-o', 'compat=1.1', 'h.qcow2'], capture_output=True, text=True)
    check(not r.returncode or 'too long' in r.stderr, f'{cs} {length}: {r.stderr}')
    if cs == 65536 or length < 300:
        check(not r.returncode, f'a name of {length} bytes, cluster size {cs}')
    now = json.loads(run('qemu-img', 'info', '--output=json', 'h.qcow2'))
    check(now['backing-filename'] == name and now['backing-filename-format'] == 'qcow2', 'the name')
    check(now['format-specific']['data']['compat'] == ('0.10' if r.returncode else '1.1'), 'version')
    if not r.returncode:
        amend('compat=0.10', 'h.qcow2')
        now = json.loads(run('qemu-img', 'info', '--output=json', 'h.qcow2'))
        check(now['backing-filename'] == name and now['backing-filename-format'] == 'qcow2', 'again')

# Encrypted images: new zero clusters are encrypted, too.
encrypted('luks.qcow2', 'qcow2', f'{LUKS},cluster_size=4k', '1M', 'write -P 5 0 64k', 'write -z 8k 8k')
run('qemu-img', 'rebase', '-u', '-b', 'base.qcow2', '-F', 'qcow2', *opened('luks.qcow2'))
encrypted_io('luks.qcow2', 'qcow2', 'write -P 6 100k 10k', 'write -z 200k 30k')
Path('key').write_text(KEY)
want = encrypted_raw('luks.qcow2')
for options in ('compat=0.10', 'compat=1.1', 'refcount_bits=4'):
    amend(options, 'luks.qcow2', '--key-file=key')
    check(encrypted_raw('luks.qcow2') == want, f'{options}: bytes of an encrypted image')
    encrypted_sound('luks.qcow2')

# External data files, sizes, backing files.
create('data.qcow2', '1M', options='data_file=d.data,data_file_raw=on')
qio('data.qcow2', 'write -P 3 0 1M')
for options in ('data_file_raw=on', 'data_file_raw=off', 'refcount_bits=2', 'lazy_refcounts=on'):
    amend(options, 'data.qcow2', '--backing=any')
check(facts('data.qcow2')['data-file-raw'] is False, 'no longer raw')
amend('data_file_raw=on', 'data.qcow2', '--backing=any', ok=False)
amend('compat=0.10,refcount_bits=16', 'data.qcow2', '--backing=any', ok=False)
shutil.copy('d.data', 'other.data')
amend('data_file=other.data', 'data.qcow2', '--backing=any')
check(facts('data.qcow2')['data-file'] == 'other.data', 'another data file')
sound('data.qcow2')
check(raw_of('data.qcow2') == b'\3' * M, 'its bytes')
create('size.qcow2', '1M', backing='base.qcow2', backing_format='qcow2')
same_as_qemu_size = 'size=3M,compat=0.10,backing_file=base.qcow2,backing_fmt=qcow2'
amend(same_as_qemu_size, 'size.qcow2')
check(raw_of('size.qcow2') == b'\x09' * M + bytes(2 * M), 'what it gains is zeros')
sound('size.qcow2')

# The impossible changes nothing.
create('ext.qcow2', '1M', options='extended_l2=on')
create('zstd.qcow2', '1M', options='compression_type=zstd')
create('v1.qcow', '1M', fmt='qcow')
create('bits.qcow2', '1M', options='refcount_bits=8')
create('v2.qcow2', '1M', options='compat=0.10')
create('bm.qcow2', '1M')
run('qemu-img', 'bitmap', '--add', 'bm.qcow2', 'b0')
create('snap.qcow2', '1M')
run('qemu-img', 'snapshot', '-c', 's', 'snap.qcow2')
run('qemu-img', 'resize', '-q', 'snap.qcow2', '2M')
REFUSED = [('ext.qcow2', 'compat=0.10'), ('zstd.qcow2', 'compat=0.10'), ('v1.qcow', 'compat=1.1'),
           ('bits.qcow2', 'compat=0.10'), ('v2.qcow2', 'refcount_bits=8'), ('bm.qcow2', 'compat=0.10'),
           ('v2.qcow2', 'lazy_refcounts=on'), ('snap.qcow2', 'compat=0.10'),
           ('v2.qcow2', 'backing_file=x'), ('bits.qcow2', 'refcount_bits=7'),
           ('bits.qcow2', 'refcount_bits=128'), ('bits.qcow2', 'cluster_size=4k'),
           ('bits.qcow2', 'compat=1.2'), ('bits.qcow2', 'lazy_refcounts=maybe'),
           ('bits.qcow2', 'data_file=x'), ('bits.qcow2', 'data_file_raw=on'), ('bits.qcow2', 'x=y'),
           ('bits.qcow2', 'encrypt.state=active'), ('bits.qcow2', 'refcount_bits'), ('bits.qcow2', '')]
for image, options in REFUSED:
    before = Path(image).read_bytes()
    amend(options, image, ok=False)
    check(Path(image).read_bytes() == before, f'{image} {options}: it is as it was')
amend('refcount_bits=1', 'bm.qcow2')
check([b['name'] for b in facts('bm.qcow2')['bitmaps']] == ['b0'], 'bitmaps stay')
sound('bm.qcow2')
