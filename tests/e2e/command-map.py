#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs map` tells what `qemu-img map` tells, for people and as JSON.
# sanitize: none
from variants import *


def ours(*argv):
    return subprocess.run([QCOWFS, 'map', *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


def theirs(*argv):
    return subprocess.run(['qemu-img', 'map', *argv], stdin=subprocess.DEVNULL, capture_output=True,
                          text=True)


def merged(entries, keys):
    """With these keys only, and with entries that then continue each other as one."""
    out = []
    for e in entries:
        e = {k: e[k] for k in ('start', 'length', *keys) if k in e}
        last = out[-1] if out else None
        if last and all(last.get(k) == e.get(k) for k in keys if k != 'offset') and \
                (last['offset'] + last['length'] if 'offset' in last else None) == e.get('offset'):
            last['length'] += e['length']
        else:
            out.append(e)
    return out


def same(name, qemu_args, our_args=()):
    a, b = ours('--json', *our_args, name), theirs('--output=json', *qemu_args)
    check(a.returncode == 0 and b.returncode == 0, f'map of {name}: {a.stderr}{b.stderr}')
    wanted = json.loads(b.stdout)
    keys = [k for k in ('depth', 'present', 'zero', 'data', 'compressed', 'offset')
            if any(k in e for e in wanted)]  # QEMU before 8.2 tells nothing of compression
    found = json.loads(a.stdout)
    check(merged(found, keys) == merged(wanted, keys),
          f'map of {name} {qemu_args}: {b.stdout}and not {a.stdout}')
    a, b = ours(*our_args, name), theirs(*qemu_args)
    check(a.stdout == b.stdout and a.returncode == b.returncode,
          f'map of {name}: {b.stdout}and not {a.stdout}{a.stderr}')
    return found


def image(name, *commands, size='4M', options='', **kw):
    create(name, size, options=options, **kw)
    qio(name, *commands)
    return same(name, [name])


packed = 0
for v in variants():
    found = same(v.name, v.qemu_args(), v.our_args())
    packed += any(e['compressed'] for e in found)
    check(all('file' in e for e in found if 'offset' in e), 'an offset is in a file')
    if not v.crypt and not v.old and not v.data:
        v.io('discard 0 64k', 'write -z 64k 64k', 'write -zu 128k 64k')
        same(v.name, v.qemu_args())
check(packed > 5, 'compressed clusters are told')

# Where clusters of zeros and unallocated parts of clusters have host clusters.
image('zeros.qcow2', 'write 0 1M', 'write -z 100k 300k', 'write -z 512k 64k', 'discard 700k 128k')
image('parts.qcow2', 'write 4k 6k', 'write -z 12k 2k', 'write 64k 2k', 'write -z 70k 100k',
      options='extended_l2=on')
image('parts-over.qcow2', 'write 4k 6k', 'write -z 12k 2k', 'write 64k 2k', 'write -z 70k 100k',
      size=None, options='extended_l2=on', backing='base.raw', backing_format='raw')

# Allocated clusters over holes of the file: QEMU looks for those then, and only then.
holes = 0
for n, options in enumerate(('preallocation=metadata', 'preallocation=metadata,extended_l2=on',
                             'preallocation=falloc', 'preallocation=full',
                             'preallocation=metadata,cluster_size=2M')):
    for size in '4M', '40M':
        found = image(f'allocated-{n}-{size}.qcow2', 'write 1M 128k', size=size, options=options)
        holes += any(e['zero'] and e['data'] for e in found)
check(holes, 'there are holes')

# Chains: files of other lengths, in other directories, named in other ways.
os.mkdir('sub')
Path('odd.raw').write_bytes(b'x' * 100000)
Path('sub/short.raw').write_bytes(b'y' * 70000 + bytes(65536) + b'z')
image('over-odd.qcow2', 'write 50k 10k', backing='odd.raw', backing_format='raw')
create('sub/middle.qcow2', '2M', backing='short.raw', backing_format='raw')
qio('sub/middle.qcow2', 'write 1M 10k')
create('top.qcow2', '3M', backing='sub/middle.qcow2', backing_format='qcow2')
same('top.qcow2', ['top.qcow2'])
same('sub/middle.qcow2', ['sub/middle.qcow2'])
same('./top.qcow2', ['./top.qcow2'])
same(os.path.abspath('sub/middle.qcow2'), [os.path.abspath('sub/middle.qcow2')])
create('absolute.qcow2', '3M', backing=os.path.abspath('sub/middle.qcow2'), backing_format='qcow2')
same('absolute.qcow2', ['absolute.qcow2'], ['--backing=any'])

# Parts; raw files; the format.
for argv in (['-s', '50k'], ['--start-offset=70k', '-l', '100k'], ['--max-length=1'],
             ['--start-offset=1500k', '--max-length=9G'], ['-s', '3M'], ['-s', '9M']):
    a, b = ours('--json', *argv, 'top.qcow2'), theirs('--output=json', *argv, 'top.qcow2')
    strip = ('depth', 'present', 'zero', 'data', 'offset')
    check(merged(json.loads(a.stdout), strip) == merged(json.loads(b.stdout), strip),
          f'map {argv}: {b.stdout}and not {a.stdout}')
for name in 'odd.raw', 'sub/short.raw', 'base.raw':
    same(name, ['-f', 'raw', name])
same('top.qcow2', ['-f', 'raw', 'top.qcow2'], ['-f', 'raw'])
for v in '0', '512':
    create(f'size-{v}.qcow2', v)
    same(f'size-{v}.qcow2', [f'size-{v}.qcow2'])

# What cannot be told: one line, status 1.
Path('text').write_bytes(b'')
for argv in (['missing'], ['.'], [], ['-f', 'qcow', 'top.qcow2'], ['-f', 'vmdk', 'top.qcow2'],
             ['-s', 'x', 'top.qcow2'], ['--output=xml', 'top.qcow2'], ['--backing=none', 'top.qcow2'],
             ['top.qcow2', 'top.qcow2']):
    r = ours(*argv)
    check(r.returncode == 1 and not r.stdout and r.stderr.count('\n') == 1 and
          r.stderr.startswith('qcowfs: '), f'map {argv}: {r}')

# NAME.map of a mount is the same text.
with Mount('top.qcow2', '-o', 'info,backing=any') as m:
    check('top.map' in os.listdir(m.where) and os.stat(m.path('top.map')).st_size == 0,
          'a listing opens no image')
    text = Path(m.path('top.map')).read_text()
    check(text == ours('--json', os.path.abspath('top.qcow2')).stdout, f'NAME.map: {text}')
    check(os.stat(m.path('top.map')).st_size == len(text), 'then its size is known')
    check(errno_of(os.open, m.path('top.map'), os.O_RDWR) == 30, 'it is read-only')
os.truncate('sub/middle.qcow2', 512)
with Mount('.', '-o', 'info') as m:
    check(errno_of(os.open, m.path('top.map'), os.O_RDONLY) == 5, 'what cannot be opened is EIO')
