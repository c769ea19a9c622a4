#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# Commands take names, formats, cache modes and secrets of images in the ways of qemu-img.
from qcowtest import *


def both(*argv, same=True):
    """Runs the command by qemu-img and by ours.  -> what ours printed"""
    r = [subprocess.run([*program, *map(str, argv)], capture_output=True, text=True)
         for program in (['qemu-img'], [QCOWFS])]
    check(r[0].returncode == r[1].returncode,
          f'{argv}: status {r[0].returncode}, not {r[1].returncode} {r[1].stderr}')
    check(not same or r[0].stdout == r[1].stdout, f'{argv}: {r[0].stdout}\n not {r[1].stdout}')
    check(r[1].returncode == 0 or r[1].stderr.count('\n') == 1, f'{argv}: one line: {r[1].stderr}')
    return r[1].stdout


create('a.qcow2', '2M')
qio('a.qcow2', 'write -P 1 0 64k', 'write -P 2 1M 100k')
run('qemu-img', 'snapshot', '-c', 'one', 'a.qcow2')
qio('a.qcow2', 'write -P 3 512k 300k')
run('qemu-img', 'bitmap', '--add', 'a.qcow2', 'b0')
Path('pass').write_text('letmein')
SECRETS = ['--object', 'secret,id=other,data=wrong', '--object', 'secret,id=s,file=pass']
JSON = 'json:{"driver":"qcow2","file":{"driver":"file","filename":"a.qcow2"}}'
OPTS = 'driver=qcow2,file.driver=file,file.filename=a.qcow2'

# ---- names -------------------------------------------------------------------------------------
for name in (['a.qcow2'], ['file:a.qcow2'], [JSON], ['-f', 'qcow2', 'a.qcow2'],
             ['--image-opts', OPTS], ['--image-opts', OPTS + ',lazy-refcounts=on,l2-cache-size=1M'],
             ['json:{"driver":"qcow2","file.driver":"file","file.filename":"a.qcow2"}']):
    both('check', *name)
    both('map', '--output=json', '-U', *name, same=False)
    both('measure', '-O', 'qcow2', *name)
    both('snapshot', '-l', *[n for n in name if n not in ('-f', 'qcow2')])
both('compare', '-f', 'qcow2', '-F', 'qcow2', '-T', 'none', 'a.qcow2', 'a.qcow2')
both('compare', '--image-opts', OPTS, OPTS)
both('measure', '-O', 'qcow2', '-l', 'one', 'a.qcow2')
both('measure', '-O', 'qcow2', '-l', 'two', 'a.qcow2')
for argv in (['-f', 'qcow', 'a.qcow2'], ['-f', 'vmdk', 'a.qcow2'], ['--image-opts', 'driver=qcow2'],
             ['json:{"driver":"qcow2"}'], ['json:nothing'], ['--image-opts', OPTS + ',size=1M'],
             ['--object', 'secret,id=s', 'a.qcow2'], ['--object', 'tls,id=s', 'a.qcow2'],
             ['--object', 'secret,id=s,file=none', 'a.qcow2'], ['-T', 'fast', 'a.qcow2']):
    both('check', *argv)

# ---- a new image -----------------------------------------------------------------------------------
for i, argv in enumerate((['-f', 'qcow2', 'IMG', '1M'], ['-f', 'qcow', 'IMG', '1M'],
                          ['-f', 'qcow2', '-o', 'compat=0.10,cluster_size=4k', 'IMG', '1M'],
                          ['-f', 'qcow2', '-o', 'preallocation=metadata,refcount_bits=8', 'IMG', '1M'],
                          ['-f', 'qcow2', '-b', 'a.qcow2', '-F', 'qcow2', 'IMG'],
                          ['-f', 'qcow2', '-o', 'data_file=data,extended_l2=on', 'IMG', '1M'],
                          [*SECRETS, '-f', 'qcow2', '-o',
                           'encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10', 'IMG', '1M'])):
    both('create', *['made.img' if a == 'IMG' else a for a in argv])
check('cluster_size' in both('create', '-f', 'qcow2', '-o', 'help', 'x', same=False), '-o help')
check(not os.path.exists('x'), '-o help makes nothing')

# ---- secrets: that of --image-opts, else each ----------------------------------------------------------
LOCKED = 'driver=qcow2,file.filename=made.img,encrypt.key-secret=s'
both('convert', *SECRETS, '--image-opts', LOCKED, '-O', 'raw', 'out.raw')
r = subprocess.run([QCOWFS, 'convert', *SECRETS, '-O', 'raw', 'made.img', 'out.raw'])
check(r.returncode == 0, 'all secrets are tried')
both('convert', '--object', 'secret,id=s,data=wrong', '--image-opts', LOCKED, '-O', 'raw', 'no.raw')
Path('b64').write_text('bGV0\nbWVpbg==\n')
both('convert', '--object', 'secret,id=s,format=base64,file=b64', '--image-opts', LOCKED, 'out.raw')
both('convert', '-n', *SECRETS, '--target-image-opts', '-f', 'raw', 'out.raw', LOCKED)

# ---- the speed of a copy, and what cannot be read ----------------------------------------------------------
both('convert', '-r', '4M', '-C', '-O', 'raw', 'a.qcow2', 'slow.raw')
check(Path('slow.raw').read_bytes() == raw_of('a.qcow2'), '-r: the disk')
Path('cut.qcow2').write_bytes(Path('a.qcow2').read_bytes())
run('qemu-io', '-f', 'raw', '-c', 'write -P 0xff 0x40000 512', 'cut.qcow2')
r = subprocess.run([QCOWFS, 'convert', '--salvage', 'cut.qcow2', 'rest.raw'], capture_output=True)
check(r.returncode == 0 and os.path.getsize('rest.raw') == 2 * M, f'--salvage: {r}')
