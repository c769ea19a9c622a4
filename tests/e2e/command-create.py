#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs create` makes what `qemu-img create` makes, and refuses the impossible without a trace.
from qcowtest import *

KEYS = ['virtual-size', 'cluster-size', 'format', 'backing-filename', 'backing-filename-format',
        'encrypted']


def make(*argv, ok=True, stdin=None):
    r = subprocess.run([QCOWFS, 'create', *map(str, argv)], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True)
    if ok:
        check(r.returncode == 0 and not r.stderr, f'create {argv}: {r.stderr}')
    else:
        check(r.returncode == 1 and r.stderr.count('\n') == 1 and
              r.stderr.startswith('qcowfs: '), f'create {argv}: one line, status 1: {r.stderr}')
    return r.stderr


def info(path):
    return json.loads(run('qemu-img', 'info', '--output=json', path))


def same_as_qemu(ours, theirs):
    a, b = info(ours), info(theirs)
    for key in KEYS:
        check(a.get(key) == b.get(key), f'{ours}: {key} is {b.get(key)}, not {a.get(key)}')
    ad, bd = (i.get('format-specific', {}).get('data', {}) for i in (a, b))
    ad.pop('encrypt', None), bd.pop('encrypt', None)
    check(ad == bd, f'{ours}: {bd}, not {ad}')


Path('base.raw').write_bytes(b'base' * 65536)
run('qemu-img', 'create', '-q', '-f', 'qcow2', 'base.qcow2', '3M')
run('qemu-img', 'create', '-q', '-f', 'qcow', 'base.qcow', '2M')
cases = [
    (['IMG', '64M'], None),
    (['-o', 'compat=0.10', 'IMG', '64M'], None),
    (['-o', 'cluster_size=2M,refcount_bits=1', 'IMG', '1T'], None),
    (['-o', 'cluster_size=512,refcount_bits=64', 'IMG', '8G'], None),
    (['-o', 'extended_l2=on,lazy_refcounts=on', 'IMG', '1.5G'], None),
    (['-o', 'compression_type=zstd', 'IMG', '10k'], None),
    (['-f', 'qcow', 'IMG', '64M'], None),
    (['-b', 'base.qcow2', '-F', 'qcow2', 'IMG'], None),
    (['-b', 'base.qcow', '-F', 'qcow', 'IMG', '5M'], None),
    (['-b', 'base.raw', '-F', 'raw', 'IMG'], None),
    (['-b', 'json:{"driver":"qcow2","file":{"driver":"file",,"filename":"base.qcow2"}}'.replace(',,', ','),
      '-F', 'qcow2', 'IMG'], None),
    (['-f', 'qcow', '-b', 'base.raw', '-F', 'raw', 'IMG'], None),
    (['-u', '-b', 'none.qcow2', '-F', 'qcow2', 'IMG', '5M'], None),
    (['-o', 'preallocation=metadata', 'IMG', '8M'], 'full'),
    (['-o', 'preallocation=falloc,cluster_size=4k', 'IMG', '8M'], 'full'),
    (['-o', 'preallocation=full,compat=0.10', 'IMG', '8M'], 'full'),
]
for i, (argv, kind) in enumerate(cases):
    ours, theirs = f'ours-{i}.img', f'theirs-{i}.img'
    make('-q', *[ours if a == 'IMG' else a for a in argv])
    fmt = [] if '-f' in argv else ['-f', 'qcow2']
    run('qemu-img', 'create', '-q', *fmt, *[theirs if a == 'IMG' else a for a in argv])
    same_as_qemu(ours, theirs)
    version1 = info(ours)['format'] == 'qcow'
    if not version1 and '-u' not in argv:
        report = json.loads(run('qemu-img', 'check', '--output=json', ours))
        check(not report.get('leaks') and not report.get('corruptions'), f'{ours} is sound')
        if kind == 'full':
            check(report['allocated-clusters'] == report['total-clusters'], f'{ours} is allocated')
    if '-u' not in argv and info(ours)['virtual-size'] < 1 << 27:
        for path in ours, theirs:
            run('qemu-img', 'convert', '-O', 'raw', path, f'{path}.raw')
        check(Path(f'{ours}.raw').read_bytes() == Path(f'{theirs}.raw').read_bytes(), f'{ours}: bytes')

# Clusters that are allocated, and never written, take no space.
for argv in (['-o', 'preallocation=metadata'], ['-o', 'preallocation=metadata,cluster_size=1M'],
             ['-o', 'data_file=sparse.data,data_file_raw=on']):
    make('-q', *argv, 'sparse.qcow2', '300M')
    for path in 'sparse.qcow2', 'sparse.data':
        check(not os.path.exists(path) or os.stat(path).st_blocks * 512 < 8 << 20, f'{argv}: {path} is sparse')
    run('qemu-img', 'check', 'sparse.qcow2')
    mapped = json.loads(run('qemu-img', 'map', '--output=json', 'sparse.qcow2'))
    check(all(m['present'] and 'offset' in m for m in mapped), f'{argv}: all clusters are allocated')

# An external data file is made, and found again.
make('-o', 'data_file=d.data,data_file_raw=on', 'data.qcow2', '4M')
check(os.path.getsize('d.data') == 4 << 20, 'the data file has the size of the disk')
run('qemu-img', 'check', 'data.qcow2')
run('qemu-io', '-c', 'write -P 7 1M 64k', 'data.qcow2')
check(Path('d.data').read_bytes()[1 << 20] == 7, 'it is the disk')

# Encrypted.
Path('key').write_bytes(b'secret')
make('--key-file=key', '-o', 'encrypt.format=luks,encrypt.iter-time=10', 'luks.qcow2', '4M')
run('qemu-img', 'check', '--object', 'secret,id=s,file=key', '--image-opts',
    'driver=qcow2,file.filename=luks.qcow2,encrypt.key-secret=s')
check(info('luks.qcow2')['encrypted'], 'it is encrypted')
make('-o', 'encrypt.format=luks', 'nokey.qcow2', '1M', ok=False)

# What cannot be is one line, and leaves no file, or the file that was there.
Path('old').write_bytes(b'precious')
for argv in (['no-size'], ['-b', 'missing.qcow2', 'x'], ['-b', 'base.raw', 'x'],
             ['-b', 'base.raw', '-F', 'vmdk', 'x'], ['-o', 'cluster_size=3', 'old', '1M'],
             ['-o', 'nonsense=1', 'old', '1M'], ['-o', 'compat=2', 'old', '1M'],
             ['old', '1Z'], ['old', '-5'], ['-f', 'vmdk', 'old', '1M'], ['missing/x', '1M'],
             ['-o', 'compat=0.10,refcount_bits=1', 'old', '1M'],
             ['-b', 'base.qcow2', '-o', 'preallocation=full', 'old'], ['.', '1M'], []):
    make(*argv, ok=False)
check(Path('old').read_bytes() == b'precious', 'an old file is as it was')
for name in ('no-size', 'x', 'nokey.qcow2'):
    check(not os.path.exists(name), f'{name} was not made')

# An image that QEMU uses is not overwritten.
before = Path('base.qcow2').read_bytes()
user = subprocess.Popen(['qemu-io', 'base.qcow2'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
check('base.qcow2' in make('base.qcow2', '1M', ok=False), 'it is named')
user.stdin.close(), user.wait()
check(Path('base.qcow2').read_bytes() == before, 'an image in use is as it was')
