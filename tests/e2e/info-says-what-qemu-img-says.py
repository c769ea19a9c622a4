#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# NAME.json has all facts of qemu-img info, and the reason why an image cannot be used.
from qcowtest import *

if 'info' not in run(QCOWFS, '--help').split():
    skip('the program has no -o info')
SECRET = ['--object', 'secret,id=s,data=abc']


def encrypted(name, fmt, options):
    run('qemu-img', 'create', '-q', *SECRET, '-f', fmt, '-o', options + ',encrypt.key-secret=s',
        name, '1M')


os.mkdir('src')
os.chdir('src')
create('v1.qcow', '1M', fmt='qcow')
create('v2.qcow2', '1M', options='compat=0.10')
create('v3.qcow2', '3G', options='cluster_size=2M,refcount_bits=64')
create('lazy.qcow2', '1M', options='lazy_refcounts=on,compression_type=zstd,extended_l2=on')
create('data.qcow2', '1M', options='data_file=data.data')
create('raw.qcow2', '1M', options='data_file=raw.data,data_file_raw=on')
create('over.qcow2', backing='v2.qcow2', backing_format='qcow2')
create('over1.qcow', backing='v1.qcow', backing_format='qcow', fmt='qcow')
create('marked.qcow2', '64M')
run('qemu-img', 'bitmap', '--add', '-g', '512', 'marked.qcow2', 'one')
run('qemu-img', 'bitmap', '--add', '--disable', 'marked.qcow2', 'two é')
create('taken.qcow2', '1M')
run('qemu-img', 'snapshot', '-c', 'first', 'taken.qcow2')
run('qemu-img', 'snapshot', '-c', 'second/é', 'taken.qcow2')
encrypted('aes1.qcow', 'qcow', 'encrypt.format=aes')
encrypted('aes.qcow2', 'qcow2', 'encrypt.format=aes')
encrypted('luks.qcow2', 'qcow2', 'encrypt.format=luks,encrypt.iter-time=10')
create('lonely.qcow2', '1M', backing='nothing', backing_format='qcow2', unsafe=True)
create('new.qcow2', '1M')
poke('new.qcow2', 72, b'\0\0\1')
os.chdir('..')

UNUSABLE = {'aes1': 'encrypted', 'aes': 'encrypted', 'luks': 'encrypted', 'lonely': "'nothing'",
            'new': 'unsupported incompatible feature'}


def said(m, name):
    return json.loads(Path(m.path(name + '.json')).read_bytes())


os.sync()  # unwritten data may change the used space
with Mount('src', '-o', 'info') as m:
    for image in sorted(Path('src').resolve().glob('*.qcow*')):
        ours = said(m, image.stem)
        error = UNUSABLE.get(image.stem)
        check(error in ours['error'] if error else 'error' not in ours,
              f'{image.stem}: an error only where there is one: {ours.get("error")}')
        if image.stem != 'new':  # which qemu-img does not open
            theirs = json.loads(run('qemu-img', 'info', '-U', '--output=json', image))
            check_json(theirs, ours, image.stem)
        check(ours['qcowfs']['chain'][0]['resolved'] == str(image), f'{image.stem}: its chain')
        if error:
            check(errno_of(os.open, m.path(image.stem + '.raw'), os.O_RDONLY), f'{image.stem} does not open')
    chain = said(m, 'over')['qcowfs']['chain']
    check([c['file'] for c in chain][1:] == ['v2.qcow2'], 'a chain of two')
    check(chain[1]['resolved'] == os.path.abspath('src/v2.qcow2'), 'what it was resolved to')
    chain = said(m, 'lonely')['qcowfs']['chain']
    check(chain[1]['resolved'] is None and chain[1]['error'], 'a link that is missing')
    text = Path(m.path('v3.json')).read_bytes()
    check(text.endswith(b'}\n') and os.stat(m.path('v3.json')).st_size == len(text), 'its size')

with Mount('src', '-o', 'info,snapshots', ro=False) as m:
    names = [s['shown'] for s in said(m, 'taken')['qcowfs']['snapshots']]
    check(sorted(names) == sorted(os.listdir(m.path('taken.snapshots'))), f'as they are shown: {names}')
    with open(m.path('taken.raw'), 'r+b', buffering=0) as f:
        f.write(bytes(4096))
        until(10, lambda: said(m, 'taken')['qcowfs']['open'] == 'writing', 'it is being written')
        check(len(said(m, 'taken')['snapshots']) == 2, 'snapshots of an image that is open')
