#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# An image whose backing file is on a file system that does not answer delays all its readers, and
# no other requests: other images are read, opened, listed and written.  When the file system
# answers again, all readers get their bytes.
# sanitize: thread
from qcowtest import *

# The readers are a separate process: closing a file of the image waits, too, and so does starting
# a program with such a file open.
READERS = 40
SCRIPT = """
import json, os, sys, threading
stuck, n = sys.argv[1], int(sys.argv[2])
opened = [open(stuck, 'rb', buffering=0) for _ in range(4)]
os.pread(opened[0].fileno(), 512, 0)
print('opened', flush=True)
sys.stdin.readline()
results = []

def reader(i):
    try:
        if i % 2:
            data = os.pread(opened[i % 4].fileno(), 4096, (i + 1) << 20)
        else:
            with open(stuck, 'rb', buffering=0) as f:
                data = os.pread(f.fileno(), 4096, (i + 1) << 20)
        results.append(data == bytes([1]) * 4096)
    except OSError as e:
        results.append(str(e))

threads = [threading.Thread(target=reader, args=[i]) for i in range(n)]
for t in threads:
    t.start()
print('started', flush=True)
for t in threads:
    t.join()
print(json.dumps(results), flush=True)
"""
os.makedirs('far')
os.makedirs('src/sub')
create('far/base.qcow2', '64M')
qio('far/base.qcow2', 'write -P 1 0 64M')
for name in 'good', 'other', 'sub/deep':
    create(f'src/{name}.qcow2', '8M')
    qio(f'src/{name}.qcow2', 'write -P 2 0 8M')


def in_time(what, *argv):
    p = subprocess.Popen([str(a) for a in argv], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.STDOUT, text=True)
    try:
        out, _ = p.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        fail(f'{what} goes on')
    check(p.returncode == 0, f'{what}: {out}')


def reads_all(path, value):
    code = (f'd = open({path!r}, "rb", buffering=0)\n'
            f'while b := d.read(1 << 20):\n    assert b == bytes([{value}]) * len(b)\n')
    return [sys.executable, '-c', code]


def others_go_on(m):
    for name in 'good', 'other', 'sub/deep':
        in_time(f'to read {name}', *reads_all(m.path(name + '.raw'), 2))
        in_time(f'to look at {name}', 'stat', m.path(name + '.raw'))
    in_time('to write', 'dd', 'if=' + m.path('other.raw'), 'of=' + m.path('good.raw'), 'bs=64k',
            'count=16', 'conv=notrunc,fsync', 'status=none')
    in_time('to list a folder', 'ls', '-l', m.path('sub'))


def tests(m, far):
    good = open(m.path('good.raw'), 'rb', buffering=0)
    readers = subprocess.Popen([sys.executable, '-c', SCRIPT, m.path('stuck.raw'), str(READERS)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    check(readers.stdout.readline() == 'opened\n', 'it is opened')
    far.process.send_signal(signal.SIGSTOP)
    try:
        readers.stdin.write('go\n')
        readers.stdin.flush()
        check(readers.stdout.readline() == 'started\n', 'they read')
        time.sleep(1.5)  # so long that the kernel asks for names again
        check(os.pread(good.fileno(), 4096, 5 * M) == b'\2' * 4096, 'an open file is read')
        others_go_on(m)
    finally:
        far.process.send_signal(signal.SIGCONT)
    results = json.loads(readers.stdout.readline())
    check(results == [True] * READERS, f'all who waited have read: {results}')
    readers.communicate()
    good.close()


for where in 'elsewhere', 'src/far':
    base = os.path.abspath(where)
    os.makedirs(base)
    with Mount('far/base.qcow2', where=base) as far:
        create('src/stuck.qcow2', '64M', backing=os.path.join(base, 'base.raw'),
               backing_format='raw')
        for options in [], ['-o', 'threads=4'], ['-o', 'direct_io']:
            print('#', where, options, flush=True)
            with Mount('src', '-o', 'backing=any', *options, ro=False) as m:
                tests(m, far)
    os.rmdir(base)
