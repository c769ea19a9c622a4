#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs info` says what `qemu-img info` says: for people, and as JSON, key by key.
from qcowtest import *

SECRET = ['--object', 'secret,id=s,data=abc']


def info(*argv):
    """Status, stdout, stderr."""
    r = subprocess.run([QCOWFS, 'info', *map(str, argv)], stdin=subprocess.DEVNULL, text=True,
                       capture_output=True)
    check(all(line.startswith('qcowfs: ') for line in r.stderr.splitlines()), r.stderr)
    return r.returncode, r.stdout, r.stderr


def fails(words, *argv):
    status, out, err = info(*argv)
    check(status == 1 and not out, f'{argv}: status 1 and nothing on stdout: {status}, {out}')
    check(err.count('\n') == 1 and words in err, f'{argv}: one line with "{words}": {err}')


os.mkdir('deep')
create('v1.qcow', 1000000, fmt='qcow')
create('v2.qcow2', '1M', options='compat=0.10')
create('v3.qcow2', '3G', options='cluster_size=2M,refcount_bits=64')
create('lazy.qcow2', '1M', options='lazy_refcounts=on,compression_type=zstd,extended_l2=on')
create('data.qcow2', '1M', options='data_file=raw.data,data_file_raw=on')
create('over.qcow2', backing='v2.qcow2', backing_format='qcow2')
create('top.qcow2', backing=os.path.abspath('over.qcow2'), backing_format='qcow2')
Path('plain').write_bytes(bytes(5000))
create('deep/base.qcow2', backing='../plain', backing_format='raw')
create('deep/mid.qcow2', backing='base.qcow2', backing_format='qcow2')
create('marked.qcow2', '64M')
run('qemu-img', 'bitmap', '--add', '-g', '512', 'marked.qcow2', 'one')
run('qemu-img', 'bitmap', '--add', '--disable', 'marked.qcow2', 'two é')
create('taken.qcow2', '1M')
run('qemu-img', 'snapshot', '-c', 'first', 'taken.qcow2')
run('qemu-img', 'snapshot', '-c', 'a name that is longer than its column', 'taken.qcow2')
run('qemu-img', 'create', '-q', *SECRET, '-f', 'qcow2', '-o',
    'encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s', 'luks.qcow2', '1M')
create('dirty.qcow2', '1M', options='lazy_refcounts=on')
poke('dirty.qcow2', 72, bytes(7) + b'\1')
create('lonely.qcow2', '1M', backing='nothing', backing_format='qcow2', unsafe=True)
os.sync()  # what is still to be written may take other space then

for image in sorted(Path('.').glob('**/*.qcow*')):
    name = str(image)
    status, out, err = info('--json', name)
    check(status == 0 and not err, f'{name}: {status}, {err}')
    ours = json.loads(out)
    check((ours.pop('error', None) is not None) == (name == 'lonely.qcow2' or name == 'deep/base.qcow2' or
                                                    name == 'deep/mid.qcow2'), f'{name}: error')
    check_json(json.loads(run('qemu-img', 'info', '--output=json', name)), ours, name, {'qcowfs'})
    check(json.loads(info('--output=json', name)[1])['filename'] == name, 'the two forms of the option')
    # For people: the same lines.  Which order the members of a JSON object have is chance.
    status, out, err = info(name)
    theirs = as_of_7_2(run('qemu-img', 'info', name))
    check(sorted(out.splitlines()) == sorted(theirs.splitlines()), f'{name}:\n{out}\nis\n{theirs}')
    check(out.splitlines()[:5] == theirs.splitlines()[:5], f'{name}: in this order\n{out}')
    check(status == 0, f'{name}: status {status}')

for top in 'top.qcow2', 'over.qcow2', 'v1.qcow', './deep/mid.qcow2':
    rule = '--backing=any'
    status, out, err = info(rule, '--json', '--backing-chain', top)
    check(status == 0 and not err, f'chain of {top}: {status}, {err}')
    theirs = json.loads(run('qemu-img', 'info', '--backing-chain', '--output=json', top))
    check_json(theirs, json.loads(out), top, {'qcowfs'})
    ours, theirs = info(rule, '--backing-chain', top)[1], as_of_7_2(run('qemu-img', 'info', '--backing-chain', top))
    check(ours.splitlines() == theirs.splitlines(), f'{ours}\nis\n{theirs}')

# A backing file out of the folder is not opened unless that is allowed, and -map leads elsewhere.
status, out, err = info('--backing-chain', 'deep/mid.qcow2')
check(status == 1 and 'backing=any' in err and out.count('image: ') == 2, f'{status}, {out}, {err}')
os.mkdir('moved')
os.rename('over.qcow2', 'moved/over.qcow2')
os.rename('v2.qcow2', 'moved/v2.qcow2')
status, out, err = info('--backing-chain', '--backing-map', f'{os.getcwd()}:{os.getcwd()}/moved',
                        '--backing=any', '--json', 'top.qcow2')
check(status == 0, f'backing-map: {err}')
names = [i['filename'] for i in json.loads(out)]
check(names == ['top.qcow2', f'{os.getcwd()}/moved/over.qcow2', f'{os.getcwd()}/moved/v2.qcow2'], names)

# What cannot be done is one line.
fails('No such file', 'nothing.qcow2')
status, out, err = info('--backing-chain', '--json', 'lonely.qcow2')
check(status == 1 and "'nothing'" in err and len(json.loads(out)) == 1, f'{status}, {out}, {err}')
fails('not a QCOW image', 'plain')
fails('not a regular file', 'deep')
fails('too few operands', '--json')
fails('too many operands', 'v1.qcow', 'v3.qcow2')
fails('unknown option', '--nothing', 'v1.qcow')
fails("'yaml' is not human|json", '--output=yaml', 'v1.qcow')
fails("'maybe' is not on|off|share", '--locking=maybe', 'v1.qcow')
fails('needs a value', 'v1.qcow', '--output')
poke('v3.qcow2', 72, b'\0\0\1')
fails('unsupported incompatible feature', 'v3.qcow2')
status, out, err = info('--json', 'v3.qcow2')
check(status == 1 and 'feature' in json.loads(out)['error'], 'JSON says what could be read')
with open('/dev/full', 'w') as full:
    r = subprocess.run([QCOWFS, 'info', 'v1.qcow'], stdout=full, stderr=subprocess.PIPE, text=True)
check(r.returncode == 1 and 'No space left' in r.stderr, f'output that is lost: {r}')

# An image that QEMU writes to may change meanwhile.
holder = hold('lazy.qcow2')
fails('has it open for writing', 'lazy.qcow2')
check(info('-U', 'lazy.qcow2')[0] == 0, '-U reads it all the same')
check(info('--force-share', '--locking=off', 'lazy.qcow2')[0] == 0, 'and so does locking=off')
let_go(holder)

# Names do not reach the terminal as they are.
create('odd.qcow2', '1M')
run('qemu-img', 'snapshot', '-c', 'A\x1b[2J\x9bB\x7f', 'odd.qcow2')
out = info('odd.qcow2')[1]
check('A%1B[2J' in out and 'B%7F' in out and not set('\x1b\x7f\x9b') & set(out), out)

# A first operand that is a command's word is one; options before it, too.
check(run(QCOWFS, '-v', 'info', 'v1.qcow').count('file format: qcow\n') == 1, '-v before the command')
create('info', '1M')
os.mkdir('mnt')
r = subprocess.run([QCOWFS, 'info', 'mnt'], capture_output=True, text=True)
check(r.returncode == 1 and 'mnt: not a regular file' in r.stderr, f'the command, not the image: {r}')
r = subprocess.run([QCOWFS, '-r', 'info', 'mnt'], capture_output=True, text=True)
check(r.returncode == 1 and 'written ./info' in r.stderr, f'how the image is written: {r}')
with Mount('./info') as m:
    check(os.listdir(m.path()) == ['info.raw'], 'an image of that name is mounted')
