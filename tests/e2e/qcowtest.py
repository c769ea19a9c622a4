# SPDX-License-Identifier: MIT
"""The library of the Python tests: images, mounts, and failures."""
import atexit
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True

LIB = Path(__file__).resolve().parent
QCOWFS = os.environ.get('QCOWFS', str(LIB.parent.parent / 'build' / 'qcowfs'))
SANITIZER = os.environ.get('TEST_SANITIZER', '')
PATIENCE = 300  # seconds for a step that takes a moment on an idle machine; then it hangs
K, M, G, T = 1 << 10, 1 << 20, 1 << 30, 1 << 40

if 'TEST_TMP' not in os.environ:  # started by hand
    _own = tempfile.TemporaryDirectory()
    os.environ['TEST_TMP'] = _own.name
    atexit.register(os.chdir, '/')
os.chdir(os.environ['TEST_TMP'])

SEED = int(os.environ.get('SEED', random.SystemRandom().randrange(1 << 31)))
rng = random.Random(SEED)
print(f'# SEED={SEED}', flush=True)


def fail(text):
    print(f'# not so: {text}', flush=True)
    sys.exit(1)


def check(so, text):
    if not so:
        fail(text)


def skip(why):
    print(why, flush=True)
    sys.exit(77)


def requires_root():
    if os.geteuid():
        skip('needs root')


def run(*argv, ok=True, **kwargs):
    """Runs it; its output, both streams.  A command of QEMU that must succeed is repeated while the
    image is locked: the kernel tells the daemon of a close() a moment later."""
    deadline = time.monotonic() + PATIENCE
    while True:
        r = subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL, text=True,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **kwargs)
        if not ok or not r.returncode:
            return r.stdout
        if not re.search('Failed to get .* lock', r.stdout) or time.monotonic() > deadline:
            fail(f'{argv} succeeds: status {r.returncode}: {r.stdout}')
        time.sleep(0.05)


def until(seconds, condition, text):
    """Polls.  The seconds are for an idle machine; a busy one has twenty times as long, and at
    least two minutes."""
    deadline = time.monotonic() + max(20 * seconds, 120)
    while not condition():
        if time.monotonic() > deadline:
            fail(f'in {seconds} s: {text}')
        time.sleep(0.02)


# ---- images -------------------------------------------------------------------

def noise(size, r=rng):
    """Text, noise and zeros."""
    out = bytearray()
    while len(out) < size:
        n = min(r.randrange(1, 60000), size - len(out))
        kind = r.randrange(3)
        if kind == 0:
            out += bytes(n)
        elif kind == 1:
            out += r.randbytes(n)
        else:
            text = b'%d all work and no play ' % r.getrandbits(30)
            out += (text * (n // len(text) + 1))[:n]
    return bytes(out)


def create(name, size=None, fmt='qcow2', options='', backing=None, backing_format=None,
           unsafe=False):
    argv = ['qemu-img', 'create', '-q', '-f', fmt]
    if unsafe:
        argv.append('-u')
    if options:
        argv += ['-o', options]
    if backing is not None:
        argv += ['-b', backing]
        if backing_format:
            argv += ['-F', backing_format]
    run(*argv, name, *([size] if size is not None else []))
    return name


def convert(source, target, source_format='raw', fmt='qcow2', options='', extra=()):
    argv = ['qemu-img', 'convert', '-f', source_format, '-O', fmt, *extra]
    if options:
        argv += ['-o', options]
    packed_v1 = fmt == 'qcow' and '-c' in extra
    run(*argv, source, target, ok=not packed_v1)
    if packed_v1:  # done well, and yet with status 1
        run('qemu-img', 'compare', '-q', '-f', source_format, '-F', fmt, source, target)
    return target


def qio(name, *commands, fmt='qcow2', ok=True):
    argv = ['qemu-io', '-f', fmt]
    for c in commands:
        argv += ['-c', c]
    return run(*argv, name, ok=ok)


def locked_files(process):
    """Counts the files on which a process has all of QEMU's locks for writing."""
    try:
        return sum(' 203 203\n' in p.read_text() for p in Path(f'/proc/{process.pid}/fdinfo').iterdir())
    except OSError:
        return 0


def hold(name, *commands, files=1, **kwargs):
    """Starts a qemu-io that has an image open for writing after some commands, and returns it when
    it has locked its files.  To look with qemu-img instead would keep it from getting the locks."""
    argv = ['qemu-io', '-f', 'qcow2']
    for c in *commands, 'sleep 600000':
        argv += ['-c', c]
    holders = []

    def has_it():
        if not holders or holders[-1].poll() is not None:  # the image was still locked
            holders.append(subprocess.Popen([*argv, name], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, **kwargs))
            atexit.register(let_go, holders[-1])
        return locked_files(holders[-1]) >= files

    until(20, has_it, f'QEMU has {name} open')
    return holders[-1]


def let_go(holder):
    holder.kill()
    holder.wait()


def raw_of(name, fmt='qcow2'):
    """Its content, as QEMU sees it."""
    with tempfile.NamedTemporaryFile(dir='.') as f:
        convert(name, f.name, fmt, 'raw')
        return Path(f.name).read_bytes()


def poke(name, at, data):
    with open(name, 'r+b') as f:
        f.seek(at)
        f.write(data)


def peek(name, at, n):
    with open(name, 'rb') as f:
        f.seek(at)
        return f.read(n)


def qemu_map(name, fmt='qcow2'):
    return json.loads(run('qemu-img', 'map', '-f', fmt, '--output=json', name))


# qemu-img 8.0 and 9.0 tell more than 7.2, whose facts are those that we show.
NEWER_KEYS = {'children', 'detached-header'}


def check_json(theirs, ours, where, own=None):
    """Checks that our JSON has all keys and values of QEMU's, and no other keys but @own, if given."""
    if isinstance(theirs, dict):
        for key in set(theirs) - NEWER_KEYS:
            check(key in ours, f'{where} has {key}')
            check_json(theirs[key], ours[key], f'{where}.{key}', own)
        if own is not None:
            check(set(ours) - set(theirs) <= own, f'{where} has no other keys: {list(ours)}')
    elif isinstance(theirs, list):
        check(len(theirs) == len(ours), f'{where} has {len(theirs)} parts')
        for i, (a, b) in enumerate(zip(theirs, ours)):
            check_json(a, b, f'{where}.{i}', own)
    else:
        check(theirs == ours, f'{where} is {theirs!r}, not {ours!r}')


def as_of_7_2(text):
    """The output of qemu-img info for people, as version 7.2 prints it."""
    text = re.sub(r"^Child node '.*':\n(?: .*\n)*", '', text, flags=re.M)
    text = re.sub(r'^ *detached header: .*\n', '', text, flags=re.M)
    if 'VM_CLOCK' in text:  # since 9.1 the columns of snapshots are others
        text = text.replace('VM_SIZE', 'VM SIZE').replace('VM_CLOCK', 'VM CLOCK')
        text = re.sub(r'^ID +TAG +VM SIZE.*$', 'ID        TAG               VM SIZE                DATE'
                      '     VM CLOCK     ICOUNT', text, flags=re.M)
        text = re.sub(r'^(\d+) +(\S.*?) +(\d\S* \S+) (\d+-\d+-\d+ [\d:]+)  ?00(\d\d:\d\d:\d\d\.\d+) +(\S+)$',
                      lambda m: f'{m[1]:9} {m[2]:16} {m[3]:>8} {m[4]} {m[5]}{m[6]:>11}', text,
                      flags=re.M)
    return text


# ---- the daemon -----------------------------------------------------------------

def is_mounted(where):
    """Whether the newest mount there is one of ours."""
    where = os.path.abspath(where)
    types = [fields[2] for fields in map(str.split, Path('/proc/mounts').read_text().splitlines())
             if fields[1] == where]
    return bool(types) and types[-1].startswith('fuse')


def many_images(n):
    """Makes src/disk0000.qcow2 and so on, equal images of 1 MiB with 512 bytes of data."""
    create('model.qcow2', '1M', options='cluster_size=512')
    qio('model.qcow2', 'write -P 1 0 512')
    model = Path('model.qcow2').read_bytes()
    os.mkdir('src')
    for i in range(n):
        Path(f'src/disk{i:04}.qcow2').write_bytes(model)


class Mount:
    """with Mount('x.qcow2') as m: ... m.path('x.raw') ... m.log()"""
    _count = 0

    def __init__(self, source, *options, where=None, ro=True):
        Mount._count += 1
        self.where = os.path.abspath(where or f'mnt{Mount._count}')
        if not os.path.exists(self.where):
            os.mkdir(self.where)
        self.logfile = os.path.abspath(f'log{Mount._count}')
        argv = [QCOWFS, '-f', *(['-o', 'ro'] if ro else []), *options, str(source), self.where]
        with open(self.logfile, 'wb') as log:
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stderr=log)
        atexit.register(self.stop)
        self.wait_mounted(argv)

    def wait_mounted(self, argv):
        deadline = time.monotonic() + PATIENCE
        while not is_mounted(self.where):
            if self.process.poll() is not None:
                fail(f'{argv} mounts: status {self.process.returncode}: {self.log()}')
            if time.monotonic() > deadline:
                fail(f'{argv} mounts in time')
            time.sleep(0.01)

    def path(self, name=''):
        return os.path.join(self.where, name) if name else self.where

    def log(self):
        return Path(self.logfile).read_text()

    def cpu(self):
        """Seconds of processors that it has used: the measure of work on a busy machine."""
        stat = Path(f'/proc/{self.process.pid}/stat').read_text().rpartition(') ')[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf('SC_CLK_TCK')

    def rss(self):
        """The most memory that it ever had, in bytes."""
        for line in Path(f'/proc/{self.process.pid}/status').read_text().splitlines():
            if line.startswith('VmHWM:'):
                return int(line.split()[1]) * 1024
        return 0

    def unmount(self):
        """In order; its exit status."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            r = subprocess.run(['fusermount3', '-u', self.where], capture_output=True)
            if not r.returncode or not is_mounted(self.where):
                break
            time.sleep(0.05)
        try:
            return self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            fail('it ends when it is unmounted')

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                self.process.kill()
        if is_mounted(self.where):
            subprocess.run(['fusermount3', '-u', '-z', self.where], capture_output=True)

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind:
            print('# log: ' + self.log().replace('\n', '\n# log: '), flush=True)
            self.stop()
            return
        status = self.unmount()
        check(status == 0, f'it ends with status 0, not {status}: {self.log()}')


def data_map(fd, size):
    """[(start, end)] of data, as SEEK_DATA and SEEK_HOLE say."""
    out, at = [], 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        check(at > start, f'a hole after {start} lies behind it, not at {at}')
        out.append((start, at))
    return out


def errno_of(call, *args, **kwargs):
    """The errno that it fails with, or 0."""
    try:
        result = call(*args, **kwargs)
    except OSError as e:
        return e.errno
    if isinstance(result, int) and call is os.open:
        os.close(result)
    return 0
