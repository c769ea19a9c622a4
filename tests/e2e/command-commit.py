#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs commit` leaves the backing file and the overlay as `qemu-img commit` does.
from qcowtest import *

SECRET = ['--object', 'secret,id=s,data=letmein']


def commit(*argv, ok=True):
    r = subprocess.run([QCOWFS, 'commit', *argv], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True)
    if ok:
        check(r.returncode == 0 and not r.stderr, f'commit {argv}: {r.returncode} {r.stderr}')
        check(r.stdout == ('' if '-q' in argv else 'Image committed.\n'), f'commit {argv}: {r.stdout}')
    else:
        check(r.returncode == 1 and not r.stdout and r.stderr.count('\n') == 1 and
              r.stderr.startswith('qcowfs: '), f'commit {argv}: {r.returncode} {r.stderr}')
    return r.stderr


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')
    return r


def fresh(*names):
    """Copies of the files into the folders ours and theirs."""
    for folder in ('ours', 'theirs'):
        run('rm', '-rf', folder), os.mkdir(folder)
        for name in names:
            run('cp', '--sparse=always', name, folder)


def qemu(*argv):
    run('qemu-img', 'commit', '-q', *argv, cwd='theirs')


def same(name, fmt):
    a, b = raw_of(f'ours/{name}', fmt), raw_of(f'theirs/{name}', fmt)
    check(a == b, f'{name}: the disk that qemu-img leaves')
    if fmt == 'qcow2':
        sound(f'ours/{name}')
    return a


# Bases of all formats, shorter and longer than the overlay; overlays of all kinds.
bases = [('qcow2', '', '2M'), ('qcow2', 'compat=0.10', '5M'), ('qcow2', 'cluster_size=512', '2M'),
         ('qcow2', 'extended_l2=on', '4M'), ('raw', '', '2M'), ('raw', '', '5M'), ('qcow', '', '3M')]
overs = [('qcow2', ''), ('qcow2', 'compat=0.10'), ('qcow2', 'cluster_size=2M'),
         ('qcow2', 'extended_l2=on'), ('qcow2', 'cluster_size=512'), ('qcow', '')]
for i, (base_format, base_options, size) in enumerate(bases):
    create('base', size, fmt=base_format, options=base_options)
    qio('base', 'write -P 1 0 1M', 'write -P 2 1500k 64k', fmt=base_format)
    for j, (fmt, options) in enumerate(overs):
        if (i + j) % 2 and base_format == 'qcow2':
            continue
        create('over', '3M', fmt=fmt, options=options, backing='base', backing_format=base_format)
        qio('over', 'write -P 3 64k 70k', 'write -P 4 2900k 100k', 'write -P 0 800k 64k', fmt=fmt)
        if fmt == 'qcow2' and 'compat' not in options:
            qio('over', 'write -z 256k 256k', fmt=fmt)
        where = f'{fmt} {options} over {base_format} {base_options} {size}'
        before = raw_of('over', fmt)
        fresh('base', 'over')
        commit('ours/over'), qemu('-f', fmt, 'over')
        check(same('over', fmt) == before, f'{where}: the disk of the overlay')
        same('base', base_format)
        if fmt == 'qcow2':
            check(not sound('ours/over').get('allocated-clusters'), f'{where}: it is empty')
            check(os.path.getsize('ours/over') <= os.path.getsize('over'), f'{where}: no longer')
        else:
            check(os.path.getsize('ours/over') < 10000, f'{where}: it is short')
        fresh('base', 'over')
        commit('-d', '-q', 'ours/over'), qemu('-d', '-f', fmt, 'over')
        check(same('over', fmt) == before, f'{where}: -d')
        check(Path('ours/base').read_bytes() == Path('theirs/base').read_bytes() or
              base_format != 'raw', f'{where}: -d: base')

# An overlay whose snapshot keeps its clusters, and one with an external data file.
create('base', '3M')
create('over', '3M', backing='base', backing_format='qcow2')
qio('over', 'write -P 3 0 200k')
run('qemu-img', 'snapshot', '-c', 's', 'over')
qio('over', 'write -P 4 100k 200k')
fresh('base', 'over')
commit('ours/over'), qemu('over')
same('over', 'qcow2'), same('base', 'qcow2')
run('qemu-img', 'snapshot', '-a', 's', 'ours/over')
check(raw_of('ours/over')[:200 * 1024] == b'\3' * 200 * 1024, 'the snapshot has its bytes')
create('over', '3M', options='data_file=d.data', backing='base', backing_format='qcow2')
qio('over', 'write -P 3 0 200k')
before = raw_of('over')
commit('--backing=any', 'over')
check(raw_of('over') == before == raw_of('base'), 'an external data file')

# To a file further down: the overlay keeps its data.
create('base', '3M')
qio('base', 'write -P 1 0 3M')
create('mid', '3M', backing='base', backing_format='qcow2')
qio('mid', 'write -P 2 100k 200k')
create('over', '3M', backing='mid', backing_format='qcow2')
qio('over', 'write -P 3 200k 200k', 'write -z 1M 128k')
before = raw_of('over')
for name in ('base', 'ours/base', 'mid'):
    fresh('base', 'mid', 'over')
    commit('-b', name, 'ours/over')
    qemu('-b', os.path.basename(name), 'over')
    check(same('over', 'qcow2') == before, f'-b {name}: the disk of the overlay')
    same('base', 'qcow2')
fresh('base', 'mid', 'over')
commit('-b', 'base', 'ours/over')
check(raw_of('ours/base') == before, '-b base: it has all')

# An encrypted overlay of a plain base.
Path('key').write_text('letmein')
run('qemu-img', 'create', '-q', *SECRET, '-f', 'qcow2', '-b', 'base', '-F', 'qcow2', '-o',
    'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', 'luks', '3M')
opened = [*SECRET, '--image-opts', 'driver=qcow2,file.filename=luks,encrypt.key-secret=s']
run('qemu-io', *SECRET, '-c', 'write -P 9 64k 70k', *opened[2:])
run('qemu-img', 'convert', *opened, '-O', 'raw', 'before.raw')
commit('luks', ok=False)
commit('--key-file=key', 'luks')
check(raw_of('base') == Path('before.raw').read_bytes(), 'an encrypted overlay')

# The impossible changes nothing.
create('alone', '3M')
before = {n: Path(n).read_bytes() for n in ('base', 'mid', 'over', 'alone')}
user = subprocess.Popen(['qemu-io', '-r', 'base'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
for argv in (['alone'], ['-b', 'alone', 'over'], ['-b', 'missing', 'over'], ['missing'], [],
             ['over', 'over'], ['-b', 'over', 'over'], ['mid'], ['-b', 'base', 'over']):
    commit(*argv, ok=False)
    for name, content in before.items():
        check(Path(name).read_bytes() == content, f'commit {argv}: {name} is as it was')
user.stdin.close(), user.wait()
commit('mid')
