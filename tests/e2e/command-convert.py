#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs convert` makes the disk that `qemu-img convert` makes, from and to every format.
from qcowtest import *

SECRET = ['--object', 'secret,id=s,data=letmein']
SIZE = 3 * M + 512


def convert_ours(*argv, ok=True, **kwargs):
    r = subprocess.run([QCOWFS, 'convert', *map(str, argv)], stdin=subprocess.DEVNULL,
                       capture_output=True, **kwargs)
    err = r.stderr.decode()
    if ok:
        check(r.returncode == 0 and not err, f'convert {argv}: {r.returncode} {err}')
        return r.stdout
    check(r.returncode == 1 and err.count('\n') == 1 and err.startswith('qcowfs: '),
          f'convert {argv}: one line, status 1: {r.returncode} {err}')
    return err


def refused(*argv, **kwargs):
    before = sorted(os.listdir('.'))
    err = convert_ours(*argv, ok=False, **kwargs)
    check(sorted(os.listdir('.')) == before, f'convert {argv} leaves no file')
    return err


def sound(image):
    r = json.loads(run('qemu-img', 'check', '--output=json', image))
    check(not r.get('leaks') and not r.get('corruptions'), f'{image} is sound: {r}')
    return r


def opened(path, fmt, locked=False):
    key = 'encrypt.key-secret=s,' if locked else ''
    return [*(SECRET if locked else []), '--image-opts', f'driver={fmt},{key}file.filename={path}']


def disk_of(path, fmt, locked=False):
    run('qemu-img', 'convert', *opened(path, fmt, locked), '-O', 'raw', 'read.raw')
    return Path('read.raw').read_bytes()


text = b''.join(b'%06d the quick brown fox\n' % i for i in range(M // 26 + 1))[:M]
raw = bytearray(SIZE)
raw[:M] = text
raw[M + 65536:M + 65536 + 300000] = noise(300000)
raw[2 * M:2 * M + 4096] = b'\7' * 4096
raw[-512:] = b'\x55' * 512
raw = bytes(raw)
Path('disk.raw').write_bytes(raw)
Path('key').write_text('letmein')

# ---- from raw to every format, and back, also compressed ------------------------------------
targets = [
    ('qcow', ''), ('qcow2', ''), ('qcow2', 'compat=0.10'), ('qcow2', 'cluster_size=512'),
    ('qcow2', 'cluster_size=2M'), ('qcow2', 'extended_l2=on'), ('qcow2', 'refcount_bits=1'),
    ('qcow2', 'refcount_bits=64,cluster_size=4k'), ('qcow2', 'compression_type=zstd'),
    ('qcow2', 'preallocation=metadata'), ('qcow2', 'lazy_refcounts=on'),
]
for fmt, options in targets:
    for compress in ([], ['-c']):
        if compress and 'preallocation' in options:
            continue
        argv = [*compress, '-O', fmt, *(['-o', options] if options else [])]
        convert_ours(*argv, 'disk.raw', 'ours')
        check(disk_of('ours', fmt) == raw, f'{argv}: the disk is that of the source')
        if fmt == 'qcow2':
            r = sound('ours')
            check(bool(compress) == bool(r.get('compressed-clusters')), f'{argv}: compressed')
            run('qemu-img', 'convert', '-f', 'raw', *argv, 'disk.raw', 'theirs')
            a, b = os.path.getsize('ours'), os.path.getsize('theirs')
            check(a <= b * 1.03 + 65536, f'{argv}: {a} bytes, of qemu-img {b}')
        convert_ours('-f', fmt, 'ours', 'back.raw')
        check(Path('back.raw').read_bytes() == raw, f'{argv}: and back')

# ---- holes ------------------------------------------------------------------------------------
convert_ours('ours', 'sparse.raw')
check(os.stat('sparse.raw').st_blocks * 512 < 2 * M, 'a raw copy has holes')
convert_ours('-S', '0', 'ours', 'full.raw')
check(os.stat('full.raw').st_blocks * 512 >= SIZE, '-S 0: a raw copy without holes')
check(Path('full.raw').read_bytes() == raw, '-S 0: the disk')
convert_ours('-O', 'qcow2', '-S', '0', 'disk.raw', 'full.qcow2')
check(sound('full.qcow2')['allocated-clusters'] == SIZE // 65536 + 1, '-S 0: all clusters')
convert_ours('-O', 'qcow2', 'full.qcow2', 'again.qcow2')
check(sound('again.qcow2')['allocated-clusters'] == sum(
    any(raw[i:i + 65536]) for i in range(0, SIZE, 65536)), 'clusters of zeros are not stored')
check(convert_ours('ours', '-') == raw, '-: to a pipe')
check(convert_ours('-p', 'ours', '-') == raw, '-: and no progress between')

# ---- sources: chains, snapshots, external data files, keys --------------------------------------
create('base.qcow2', '2M')
qio('base.qcow2', 'write -P 1 0 1M', 'write -P 2 1500k 64k')
create('over.qcow2', '3M', backing='base.qcow2', backing_format='qcow2')
qio('over.qcow2', 'write -P 3 64k 4k', 'write -z 256k 128k', 'write -P 4 2500k 10k')
convert_ours('over.qcow2', 'over.raw')
check(Path('over.raw').read_bytes() == raw_of('over.qcow2'), 'a chain')
run('qemu-img', 'snapshot', '-c', 'one', 'base.qcow2')
run('qemu-img', 'snapshot', '-c', '7', 'base.qcow2')
qio('base.qcow2', 'write -P 9 0 512k')
for name in ('one', '7', '1', 'snapshot.name=one', 'snapshot.id=2', 'snapshot.id=1,snapshot.name=one'):
    convert_ours('-l', name, 'base.qcow2', 'snap.raw')
    run('qemu-img', 'convert', '-l', name, 'base.qcow2', 'read.raw')
    check(Path('snap.raw').read_bytes() == Path('read.raw').read_bytes(), f'snapshot {name}')
refused('-l', 'two', 'base.qcow2', 'no.raw')
refused('-l', 'snapshot.id=1,snapshot.name=7', 'base.qcow2', 'no.raw')
refused('-l', 'one', 'disk.raw', 'no.raw')

convert_ours('-O', 'qcow2', '-o', 'data_file=d.data', 'disk.raw', 'ext.qcow2')
check(disk_of('ext.qcow2', 'qcow2') == raw, 'an external data file')
convert_ours('-O', 'qcow2', '-o', 'data_file=d.data,data_file_raw=on', 'disk.raw', 'ext.qcow2')
check(Path('d.data').read_bytes()[:SIZE] == raw, 'the data file is the disk')
convert_ours('ext.qcow2', 'back.raw')
check(Path('back.raw').read_bytes() == raw, 'and back')
for fmt, options in (('qcow2', 'encrypt.format=luks,encrypt.iter-time=10'),
                     ('qcow2', 'encrypt.format=aes'), ('qcow', 'encrypt.format=aes')):
    convert_ours('--key-file=key', '-O', fmt, '-o', options, 'disk.raw', 'locked')
    check(disk_of('locked', fmt, True) == raw, f'{fmt} {options}')
    convert_ours('--key-file=key', 'locked', 'back.raw')
    check(Path('back.raw').read_bytes() == raw, f'{fmt} {options}: and back')
    refused('locked', 'no.raw')
    refused('--key-file=key', '-c', '-O', fmt, '-o', options, 'disk.raw', 'no')

# ---- only what differs from a backing file --------------------------------------------------------
convert_ours('over.qcow2', 'over.raw')
for source, base, base_format in (('over.qcow2', 'base.qcow2', 'qcow2'), ('over.raw', 'base.qcow2', 'qcow2'),
                                  ('over.qcow2', 'over.raw', 'raw'), ('ours', 'disk.raw', 'raw')):
    for more in ([], ['-c']):
        convert_ours('-O', 'qcow2', *more, '-b', base, '-F', base_format, source, 'diff.qcow2')
        info = json.loads(run('qemu-img', 'info', '--output=json', 'diff.qcow2'))
        check(info['backing-filename'] == base, f'{source} over {base}: its name is recorded')
        fmt = 'raw' if source.endswith('.raw') else 'qcow2'
        wanted = Path(source).read_bytes() if fmt == 'raw' else raw_of(source)
        check(raw_of('diff.qcow2') == wanted, f'{source} over {base}: the disk')
        r = sound('diff.qcow2')
        check(base_format == 'qcow2' or r.get('allocated-clusters', 0) == 0,
              f'{source} over {base}: nothing differs')

# ---- a target that exists -----------------------------------------------------------------------------
for fmt, options in (('qcow2', ''), ('qcow2', 'extended_l2=on'), ('qcow', '')):
    create('there', '4M', fmt=fmt, options=options)
    qio('there', 'write -P 5 0 4M', fmt=fmt)
    convert_ours('-n', '-O', fmt, 'disk.raw', 'there')
    check(disk_of('there', fmt) == raw + bytes(4 * M - SIZE), f'-n: {fmt} {options}')
Path('there.raw').write_bytes(b'\5' * 4 * M)
convert_ours('-n', 'ours', 'there.raw')
check(Path('there.raw').read_bytes() == raw + b'\5' * (4 * M - SIZE), '-n: a raw file')
Path('there.raw').write_bytes(bytes(4 * M))
convert_ours('-n', '--target-is-zero', '-W', '-m', '3', '-t', 'writeback', '-T', 'none', 'ours', 'there.raw')
check(Path('there.raw').read_bytes() == raw + bytes(4 * M - SIZE), '-n --target-is-zero')
out = convert_ours('-p', '-O', 'qcow2', 'disk.raw', 'there').decode()
check(out.endswith('(100.00/100%)\n'), f'progress: {out!r}')

# ---- the impossible ------------------------------------------------------------------------------------
create('small.qcow2', '1M')
Path('small.raw').write_bytes(b'x' * 5120)
for argv in (['-n', 'disk.raw', 'missing'], ['-n', '-O', 'qcow2', 'disk.raw', 'small.qcow2'],
             ['-n', 'disk.raw', 'small.raw'], ['-c', 'disk.raw', 'no.raw'], ['-O', 'vmdk', 'disk.raw', 'no'],
             ['-O', 'qcow2', '-b', 'missing', '-F', 'qcow2', 'disk.raw', 'no'],
             ['-O', 'qcow2', '-o', 'cluster_size=3', 'disk.raw', 'no'], ['-f', 'qcow2', 'disk.raw', 'no'],
             ['-m', '0', 'disk.raw', 'no'], ['-m', '17', 'disk.raw', 'no'], ['-S', '100', 'disk.raw', 'no'],
             ['-t', 'fast', 'disk.raw', 'no'], ['disk.raw'], ['disk.raw', 'a', 'b'], ['missing', 'no'],
             ['-O', 'qcow2', 'disk.raw', '-'], ['--target-is-zero', 'disk.raw', 'no'],
             ['-O', 'qcow2', '-o', 'size=1M', 'disk.raw', 'no'], ['disk.raw', 'none/no'],
             ['-c', '-O', 'qcow2', '-o', 'preallocation=full', 'disk.raw', 'no'],
             ['-b', 'base.qcow2', 'disk.raw', 'no']):
    refused(*argv)
for path in ('disk.raw', 'over.qcow2', 'base.qcow2'):
    before = Path(path).read_bytes()
    for argv in (['-O', 'raw'], ['-O', 'qcow2'], ['-n', '-O', 'qcow2']):
        refused('-f', 'raw' if path == 'disk.raw' else 'qcow2', *argv,
                'over.qcow2' if path == 'base.qcow2' else path, path)
        check(Path(path).read_bytes() == before, f'{path} is as it was')

# A program that uses the target, or the source, keeps it.
user = subprocess.Popen(['qemu-io', 'small.qcow2'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
before = Path('small.qcow2').read_bytes()
refused('small.qcow2', 'no.raw')
refused('-O', 'qcow2', 'disk.raw', 'small.qcow2')
refused('disk.raw', 'small.qcow2')
check(Path('small.qcow2').read_bytes() == before, 'a target in use is as it was')
r = subprocess.run([QCOWFS, 'convert', '-U', '-O', 'qcow2', 'small.qcow2', 'shared.qcow2'],
                   capture_output=True, text=True)
check(r.returncode == 0 and 'another program is writing' in r.stderr, f'-U: {r.stderr}')
sound('shared.qcow2')
user.stdin.close(), user.wait()

# What fails in the middle, or is interrupted, leaves no half of a new file.
convert_ours('-O', 'qcow2', 'disk.raw', 'cut.qcow2')
os.truncate('cut.qcow2', 400000)
for argv in ([], ['-O', 'qcow2'], ['-c', '-O', 'qcow2']):
    r = subprocess.run([QCOWFS, 'convert', *argv, 'cut.qcow2', 'no'], capture_output=True, text=True)
    check(r.returncode == 1 and 'cut.qcow2' in r.stderr and not os.path.exists('no'),
          f'{argv}: a damaged source: {r.returncode} {r.stderr}')
create('huge.qcow2', '1T')
p = subprocess.Popen([QCOWFS, 'convert', '-S', '0', '-O', 'qcow2', 'huge.qcow2', 'no'],
                     stderr=subprocess.PIPE)
until(60, lambda: os.path.exists('no') and os.path.getsize('no') > M, 'it is at work')
p.send_signal(signal.SIGINT)
err = p.communicate()[1].decode()
check(p.returncode == 1 and 'interrupted' in err and not os.path.exists('no'),
      f'SIGINT: {p.returncode} {err}')
