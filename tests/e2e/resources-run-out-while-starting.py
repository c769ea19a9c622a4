#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# timeout: 600
# sanitize: none
# A resource runs out at each point of the start in turn.  Either the mount stands and serves, with
# status 0, or there is one line that names the reason, its status, and nothing is left behind: no
# mount, no process, no pid file.  LONG=1 tries each limit, not each other one.
import contextlib
import re
import shutil
from qcowtest import *
requires_root()

USER = 64321  # no other process has this user
if 'UNSHARED' not in os.environ:  # a /dev/fuse for everybody, in a mount table of its own
    os.environ['UNSHARED'] = '1'
    sys.exit(subprocess.run(['unshare', '--mount', '--propagation', 'private', sys.executable,
                             os.path.abspath(__file__)]).returncode)
for line in reversed(Path('/proc/self/mounts').read_text().splitlines()):
    device, where, kind = line.split()[:3]
    if kind.startswith('fuse') or device.startswith('/dev/loop'):  # else it stays as long as this test
        run('umount', '-i', '-l', re.sub(r'\\(\d{3})', lambda m: chr(int(m[1], 8)), where), ok=False)
os.mkdir('dev')
run('mount', '-t', 'tmpfs', 'none', 'dev')
run('mknod', '-m', '666', 'dev/fuse', 'c', '10', '229')
run('mount', '--bind', 'dev/fuse', '/dev/fuse')
run('umount', '-l', 'dev')
Path('passwd').write_text(Path('/etc/passwd').read_text() + f'qcowfstest:x:{USER}:{USER}::/:/bin/sh\n')
run('mount', '--bind', 'passwd', '/etc/passwd')  # for fusermount3

os.mkdir('mnt')
os.mkdir('run')
create('disk.qcow2', '1M')
qio('disk.qcow2', 'write -P 1 0 1M')
shutil.copy(QCOWFS, 'qcowfs')
os.chmod('.', 0o755)
for name in 'mnt', 'run', 'disk.qcow2':
    os.chown(name, USER, USER)
Path('ones').write_bytes(b'\1' * 4096)
EXE = os.path.realpath('qcowfs')


AS_USER = ['setpriv', f'--reuid={USER}', f'--regid={USER}', '--clear-groups', '--']


def processes():
    """Those of this copy of the program, and all of the user, dead ones as well."""
    found = []
    for p in Path('/proc').glob('[0-9]*'):
        with contextlib.suppress(OSError):
            if f'\nUid:\t{USER}\t' in (p / 'status').read_text() or os.readlink(p / 'exe') == EXE:
                found.append(int(p.name))
    return found


def attempt(what, wrapper, options, statuses):
    """Starts once; true if the mount stands."""
    argv = [*wrapper, './qcowfs', '-o', ','.join(['rw', 'pid-file=run/pid', *options]), 'disk.qcow2', 'mnt']
    r = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE)
    what = f'{what}: {r.returncode} {r.stderr!r}'
    if r.returncode == 0:
        check(is_mounted('mnt'), f'a mount for status 0: {what}')
        reader = AS_USER if wrapper[0] == 'setpriv' else []
        if what.startswith('memory'):  # libfuse may drop requests with what is just enough to start
            run('umount', 'mnt')
            until(PATIENCE, lambda: not processes(), f'all processes end: {what}')
            return True
        until(PATIENCE, lambda: run(*reader, 'ls', 'mnt', ok=False) == 'disk.raw\n', f'it serves: {what}')
        read = subprocess.run([*reader, 'cmp', '-n', '4096', 'mnt/disk.raw', 'ones'], capture_output=True,
                              text=True)
        # There may be enough to start, and not to open an image.
        check(not read.returncode or re.search('Too many open|Cannot allocate|temporarily|connection abort', read.stderr),
              f'it reads: {what}: {read}')
        run('umount', 'mnt')
        until(PATIENCE, lambda: not processes(), f'all processes end: {what}')
        return True
    # (A program that the loader cannot load is none that could say why.)
    loader = r.returncode == 127 and 'qcowfs: ' in r.stderr
    check(loader or r.returncode in statuses, f'a status of {statuses}: {what}')
    check(loader or (r.stderr.startswith('qcowfs: ') and r.stderr.count('\n') == 1), f'one line: {what}')
    check(not is_mounted('mnt'), f'no mount: {what}')
    until(PATIENCE, lambda: not processes(), f'no process: {what}')
    check(not os.path.exists('run/pid'), f'no pid file: {what}')
    print(f'# {what}')
    return False


def sweep(what, wrapper, limits, statuses, options=()):
    """Raises the limit until it is enough, with and without the sandbox."""
    limits = list(limits)
    if not os.environ.get('LONG'):  # every other limit, by the seed, and both ends
        limits = [limits[0], *limits[1 + rng.randrange(2):-1:2], limits[-1]]
    for more in [], ['sandbox=off'], ['auto_unmount', 'partitions']:
        results = [attempt(f'{what} {n} {more}', wrapper(n), [*options, *more], statuses) for n in limits]
        check(not results[0], f'{what}: the first limit is too low {more}')
        check(results[-1], f'{what}: the last limit is enough {more}')
        check(results == sorted(results), f'{what}: a higher limit is no worse {more}: {results}')


sweep('descriptors', lambda n: ['prlimit', f'--nofile={n}:{n}'], range(4, 48), [1, 2, 5, 6])
sweep('processes', lambda n: [*AS_USER, 'prlimit', f'--nproc={n}:{n}'], range(0, 16), [5, 6])

# A cgroup counts the threads of root, too.
for base in '/sys/fs/cgroup/pids', '/sys/fs/cgroup':
    group = Path(base, f'qcowfs-test-{os.getpid()}')
    try:
        group.mkdir()
        (group / 'pids.max').write_text('max')
    except OSError:
        with contextlib.suppress(OSError):
            group.rmdir()
        continue

    def in_group(n):
        until(PATIENCE, lambda: (group / 'pids.current').read_text() == '0\n', 'dead ones are reaped')
        (group / 'pids.max').write_text(str(n))
        return ['sh', '-c', f'echo $$ >{group}/cgroup.procs && exec "$@"', 'sh']
    try:
        sweep('pids.max', in_group, range(1, 14), [5, 6])
    finally:
        until(PATIENCE, lambda: (group / 'pids.current').read_text() == '0\n', 'the cgroup is empty')
        group.rmdir()
    break
else:
    print('# there is no cgroup with a limit of processes here')

MIB = 1 << 20
sweep('memory', lambda n: ['prlimit', f'--as={n * MIB}'], [*range(4, 60, 2), *range(60, 400, 8), 1000],
      [1, 2, 4, 5, 6])

# Memory that cannot be locked is no reason to stop; a file that cannot grow is one.
Path('key').write_text('abc')
run('qemu-img', 'create', '-q', '--object', 'secret,id=s,data=abc', '-f', 'qcow2', '-o',
    'encrypt.format=luks,encrypt.iter-time=10,encrypt.key-secret=s', 'luks.qcow2', '1M')
for wrapper, image, options, status, words in (
        (['prlimit', '--memlock=0:0'], 'luks.qcow2', ['key-file=key'], 0, ''),
        (['prlimit', '--fsize=0:0'], 'disk.qcow2', [], 0, ''),
        (['prlimit', '--fsize=0:0'], 'disk.qcow2', ['pid-file=run/pid'], 1, 'run/pid: File too large')):
    r = subprocess.run([*wrapper, './qcowfs', '-o', ','.join(['ro', *options]), image, 'mnt'],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    check(r.returncode == status and words in r.stderr, f'{wrapper} {image}: {r}')
    if not status:
        check(len(Path(f'mnt/{image[:-6]}.raw').read_bytes()) == MIB, f'{wrapper}: it serves')
        run('umount', 'mnt')
    until(PATIENCE, lambda: not processes(), f'{wrapper}: no process')
    check(not is_mounted('mnt') and not os.path.exists('run/pid'), f'{wrapper}: nothing is left')
