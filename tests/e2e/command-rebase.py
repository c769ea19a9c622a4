#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# `qcowfs rebase` changes the backing file as `qemu-img rebase` does, and the disk stays as it is.
from qcowtest import *

SECRET = ['--object', 'secret,id=s,data=letmein']


def rebase(*argv, ok=True):
    r = subprocess.run([QCOWFS, 'rebase', *argv], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True)
    if ok:
        check(r.returncode == 0 and not r.stderr, f'rebase {argv}: {r.returncode} {r.stderr}')
    else:
        check(r.returncode == 1 and r.stderr.count('\n') == 1 and r.stderr.startswith('qcowfs: '),
              f'rebase {argv}: one line, status 1: {r.returncode} {r.stderr}')
    return r.stderr


def info(path):
    return json.loads(run('qemu-img', 'info', '-U', '--output=json', path))


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')


def names(path):
    i = info(path)
    return i.get('backing-filename'), i.get('backing-filename-format')


def copy(source, target):
    Path(target).write_bytes(Path(source).read_bytes())
    return target


# Three versions of a base: b1 and b2 differ, b3 is an overlay of b1, and flat is raw.
create('b1.qcow2', '3M')
qio('b1.qcow2', 'write -P 1 0 1M', 'write -P 2 2M 300k')
create('b2.qcow2', '2M')
qio('b2.qcow2', 'write -P 1 0 512k', 'write -P 5 600k 100k', 'write -P 6 1500k 64k')
create('b3.qcow2', '4M', backing='b1.qcow2', backing_format='qcow2')
qio('b3.qcow2', 'write -P 7 128k 64k', 'write -z 2M 64k')
convert('b2.qcow2', 'flat.raw', 'qcow2', 'raw')
create('fine.qcow2', '3M', options='cluster_size=512')
qio('fine.qcow2', 'write -P 1 0 512k', 'write -P 5 1111k 3k', 'write -P 6 2000k 1k')
create('b1.qcow', '3M', fmt='qcow')
qio('b1.qcow', 'write -P 1 0 1M', fmt='qcow')
long = 'd' * 200 + '/' + 'e' * 200 + '/b2.qcow2'
os.makedirs(os.path.dirname(long))
copy('b2.qcow2', long)

targets = [('b2.qcow2', 'qcow2'), ('b3.qcow2', 'qcow2'), ('flat.raw', 'raw'), ('fine.qcow2', 'qcow2'), ('', None),
           (long, 'qcow2'), ('b1.qcow', 'qcow'), ('b1.qcow2', 'qcow2')]
for options in ('', 'compat=0.10', 'cluster_size=512', 'cluster_size=4k', 'cluster_size=2M',
                'extended_l2=on', 'data_file=d.data'):
    more = ['--backing=any'] if 'data' in options else []
    create('over.qcow2', '3584k', options=options, backing='b1.qcow2', backing_format='qcow2')
    qio('over.qcow2', 'write -P 9 100k 40k', 'write -P 8 1000k 100k', 'write -P 4 3M 4k')
    if 'compat' not in options:
        qio('over.qcow2', 'write -z 256k 128k')
    wanted = raw_of('over.qcow2')
    for name, fmt in targets:
        ours = copy('over.qcow2', 'ours.qcow2') if not more else 'over.qcow2'
        if options == 'cluster_size=512' and name == long:
            rebase('-b', name, '-F', fmt, ours, ok=False)
            check(names(ours) == ('b1.qcow2', 'qcow2') and raw_of(ours) == wanted, 'as it was')
            continue
        rebase(*more, '-b', name, *(['-F', fmt] if fmt else []), ours)
        check(raw_of(ours) == wanted, f'{options} onto {name}: the disk is as it was')
        check(names(ours) == (name or None, fmt), f'{options} onto {name}: {names(ours)}')
        sound(ours)
        if not more:
            theirs = copy('over.qcow2', 'theirs.qcow2')
            run('qemu-img', 'rebase', '-b', name, *(['-F', fmt] if fmt else []), theirs)
            check(os.path.getsize(ours) <= os.path.getsize(theirs) + 3 * 65536, 'no larger than QEMU\'s')

# From one base to the next and back, by names of all lengths, with all that the header can hold.
for options in ('', 'compression_type=zstd', 'compat=0.10', 'cluster_size=1k'):
    create('over.qcow2', '3M', options=options, backing='b1.qcow2', backing_format='qcow2')
    qio('over.qcow2', 'write -P 9 100k 40k')
    wanted = raw_of('over.qcow2')
    for n in (1, 100, 201, 250, 3, 255):
        link = 'l' * n
        if not os.path.exists(link):
            os.symlink('b2.qcow2', link)
        rebase('-b', link, '-F', 'qcow2', 'over.qcow2')
        check(names('over.qcow2') == (link, 'qcow2'), f'{options}: {names("over.qcow2")}')
        rebase('-b', '', 'over.qcow2')
        check(names('over.qcow2') == (None, None), f'{options}: {names("over.qcow2")}')
        check(raw_of('over.qcow2') == wanted, f'{options} {n}: the disk is as it was')
        sound('over.qcow2')

# -u changes the name only, whether the old file or the new one is there or not.
create('over.qcow2', '3M', backing='b1.qcow2', backing_format='qcow2')
rebase('-u', '-b', 'gone.qcow2', '-F', 'qcow2', 'over.qcow2')
check(names('over.qcow2') == ('gone.qcow2', 'qcow2'), '-u: to a file that is not there')
rebase('-b', 'b2.qcow2', 'over.qcow2', ok=False)
rebase('-u', '-b', 'flat.raw', '-F', 'raw', 'over.qcow2')
check(raw_of('over.qcow2')[:2 * M] == Path('flat.raw').read_bytes(), '-u: the disk of the new file')
rebase('-u', '-b', 'b2.qcow2', 'over.qcow2')
check(names('over.qcow2') == ('b2.qcow2', None), '-u: without a format')
rebase('-u', '-b', '', 'over.qcow2')
check(names('over.qcow2') == (None, None), '-u: none')

# Version 1: its name may have to go behind the tables.
create('over.qcow', '3M', fmt='qcow', backing='b1.qcow2', backing_format='qcow2')
qio('over.qcow', 'write -P 9 100k 40k', fmt='qcow')
wanted = raw_of('over.qcow', 'qcow')
for name in ('b2.qcow2', 'l' * 255, long, 'b1.qcow2', ''):
    rebase('-b', name, 'over.qcow')
    check(info('over.qcow').get('backing-filename') == (name or None), f'version 1: {name}')
    check(raw_of('over.qcow', 'qcow') == wanted, f'version 1 onto {name}: the disk')

# An encrypted overlay of a plain base.
Path('key').write_text('letmein')
run('qemu-img', 'create', '-q', *SECRET, '-f', 'qcow2', '-b', 'b1.qcow2', '-F', 'qcow2', '-o',
    'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', 'luks.qcow2', '3M')
opened = [*SECRET, '--image-opts', 'driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s']
run('qemu-io', *SECRET, '-c', 'write -P 3 64k 70k', *opened[2:])
run('qemu-img', 'convert', *opened, '-O', 'raw', 'before.raw')
for name, fmt in targets[:4]:
    rebase('--key-file=key', '-b', name, *(['-F', fmt] if fmt else []), 'luks.qcow2')
    run('qemu-img', 'convert', *opened, '-O', 'raw', 'after.raw')
    check(Path('before.raw').read_bytes() == Path('after.raw').read_bytes(), f'LUKS onto {name}')

# The impossible changes nothing.
create('over.qcow2', '3M', backing='b1.qcow2', backing_format='qcow2')
create('loop.qcow2', '3M', backing='over.qcow2', backing_format='qcow2')
before = Path('over.qcow2').read_bytes()
for argv in (['over.qcow2'], ['-b', 'missing', 'over.qcow2'], ['-b', 'flat.raw', 'over.qcow2'],
             ['-b', 'over.qcow2', 'over.qcow2'], ['-b', 'loop.qcow2', 'over.qcow2'],
             ['-b', 'b2.qcow2', '-F', 'vmdk', 'over.qcow2'], ['-b', 'b2.qcow2', 'missing'],
             ['-b', 'b2.qcow', 'flat.raw'], ['-u', '-b', 'x' * 1100, 'over.qcow2'],
             ['-b', 'b2.qcow2', '-F', 'qcow', 'over.qcow2']):
    rebase(*argv, ok=False)
    check(Path('over.qcow2').read_bytes() == before, f'rebase {argv}: nothing has changed')
user = subprocess.Popen(['qemu-io', 'over.qcow2'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
rebase('-b', 'b2.qcow2', 'over.qcow2', ok=False)
rebase('-u', '-b', 'b2.qcow2', 'over.qcow2', ok=False)
user.stdin.close(), user.wait()
check(Path('over.qcow2').read_bytes() == before, 'an image in use is left alone')
