#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# The Sleuth Kit finds a file that the disk does not have any more: in a deleted snapshot, among the
# unallocated clusters, and under zeros.
# sanitize: none
from rescued import *

for tool in 'fls', 'icat', 'tsk_recover', 'mkfs.ext4', 'debugfs':
    if not shutil.which(tool):
        print(f'# {tool} is not there')
        sys.exit(77)

SIZE = 4 * M
secret = noise(300000)
Path('secret').write_bytes(secret)
run('truncate', '-s', str(SIZE), 'fs.raw')
run('mkfs.ext4', '-q', '-F', '-b', '1024', '-O', '^has_journal', 'fs.raw')
run('debugfs', '-w', '-R', 'write secret secret.bin', 'fs.raw')
# The same without holes, so that the clusters follow each other in the image file.
disk = Path('fs.raw').read_bytes()


def fill(name):
    create(name, str(SIZE), options='cluster_size=64k')
    for at in range(0, SIZE, M):
        Path('part.raw').write_bytes(disk[at:at + M])
        qio(name, f'write -s part.raw {at} {M}')


def inode(*options):
    for line in run('fls', *options).splitlines():
        if line.split('\t')[-1] == 'secret.bin':
            return line.split()[1].rstrip(':')
    return None


def finds(where, *options):
    number = inode(*options, where)
    check(number, f'{where}: the file is listed')
    r = subprocess.run(['icat', *options, where, number], capture_output=True, check=True)
    check(r.stdout == secret, f'{where}: with its bytes')
    shutil.rmtree('out', ignore_errors=True)
    run('tsk_recover', '-e', *options, where, 'out')
    check(Path('out/secret.bin').read_bytes() == secret, f'{where}: and recovered')


fill('vm.qcow2')
run('qemu-img', 'snapshot', '-c', 'monday', 'vm.qcow2')
qio('vm.qcow2', *(f'write -P 7 {at} 1M' for at in range(0, SIZE, M)))
run('qemu-img', 'snapshot', '-d', 'monday', '--image-opts',
    'driver=qcow2,file.driver=file,file.filename=vm.qcow2,file.discard=ignore')
fill('zero.qcow2')
qio('zero.qcow2', f'write -z 0 {SIZE}')
for name in 'vm.qcow2', 'zero.qcow2':
    with Mount(name, '-o', 'forensic', ro=False) as m:
        stem = m.path(name[:-6])
        if name == 'zero.qcow2':
            check(not any(Path(stem + '.raw').read_bytes()), 'the disk is zeros')
            finds(stem + '.zeroed.raw')
            continue
        finds(stem + '.deleted/monday@1/disk.raw')
        runs = json.loads(Path(stem + '.unallocated.json').read_text())['runs']
        first = next(r['offset'] for r in runs if r['kind'] == 'data')
        finds(stem + '.unallocated.raw', '-o', str(first // SECTOR))
        finding = [f for f in json.loads(Path(stem + '.findings.json').read_text())['findings'] if 'snapshot' in f]
        check([f['snapshot']['name'] for f in finding] == ['monday'], f'it is a finding: {finding}')
