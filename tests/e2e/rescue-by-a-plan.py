#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# -o rescue=PLAN writes where the tables of a damaged image are, and reads that again; a person may
# correct it.  A plan is checked as a header is, and makes no byte good.
# sanitize: none
from rescued import *

os.mkdir('mnt1')


def look(name, disk, *options):
    stem = name.rsplit('.', 1)[0]
    with Mount(name, '-o', 'rescue=plan,lost=mark', *options) as m:
        raw = Path(m.path(f'{stem}.raw')).read_bytes()
        found = judge(raw, Path(m.path(f'{stem}.map')).read_text(), disk, name)
        return found, json.loads(Path(m.path(f'{stem}.rescue.json')).read_text())


def plan():
    return json.loads(Path('plan').read_text())


def put_plan(p):
    Path('plan').write_text(p if isinstance(p, str) else json.dumps(p))


def refused(name, word):
    r = subprocess.run([QCOWFS, '-o', 'rescue=plan', name, 'mnt1'], capture_output=True, text=True)
    check(r.returncode in (1, 2) and word in r.stderr and len(r.stderr.splitlines()) == 1,
          f'{word}: {r.returncode} {r.stderr}')


# ---- a lost header: found once, and read from the plan
disk = make_full('a.qcow2', 4 * M, 'cluster_size=4k')
poke('a.qcow2', 0, bytes(4096))
found, report = look('a.qcow2', disk)
check(found == {'+': 8192} and report['proof']['level'] == 'proved', f'{found}')
first = plan()
check(first['cluster-size'] == 4096 and first['size'] == 4 * M and first['version'] == 3, f'{first}')
found, report = look('a.qcow2', disk)
check(found == {'+': 8192} and plan() == first, f'the same by the plan: {found}')

# ---- a person corrects it
put_plan(dict(first, size=2 * M))
found, report = look('a.qcow2', disk[:2 * M])
check(found == {'+': 4096}, f'the size of the plan wins: {found}')
wrong = dict(first, l1=dict(first['l1'], offset=first['refcount-table']['offset'] + 4096))
put_plan(wrong)
found, report = look('a.qcow2', disk)
check('+' not in found, f'a wrong plan makes nothing good: {found}')
put_plan({'qcowfs-plan': 1, 'cluster-size': 4096})
found, report = look('a.qcow2', disk)
check(found == {'+': 8192}, f'what it does not say is found: {found}')

# ---- a plan of which a value is impossible is refused, by its name
for key, value, word in (('cluster-size', 4097, 'power of two'), ('cluster-size', 256, 'cluster_bits'),
                         ('size', -1, 'size'), ('size', 1 << 62, 'too small'), ('version', 7, 'version'),
                         ('l1', {'offset': 1 << 50, 'entries': 2}, 'L1'),
                         ('l1', {'offset': 4096 * 3, 'entries': 2, 'words': ['0x0']}, 'words'),
                         ('l1', {'offset': 4096 * 3, 'entries': 2, 'words': ['0x0', 7]}, 'word 1'),
                         ('refcount-bits', 3, 'power of two'), ('encryption', 'rot13', 'encryption'),
                         ('extended-l2', 1, 'extended-l2'), ('extended-l2', True, 'extended'),
                         ('snapshots', {'offset': 1, 'count': 5}, 'snapshot'), ('color', 1, 'color'),
                         ('file-size', 5, 'file-size')):
    put_plan(dict(first, **{key: value}))
    refused('a.qcow2', word)
for text, word in (('', 'plan'), ('[]', 'qcowfs-plan'), ('{"qcowfs-plan": 1,', 'line'), ('{"qcowfs-plan": 2}', 'qcowfs-plan'),
                   ('{"qcowfs-plan": 1, "size": 1, "size": 2}', 'line'), ('[' * 100000, 'line')):
    put_plan(text)
    refused('a.qcow2', word)

# ---- a lost L1 table is in the plan, word by word
one = make_full('s.qcow2', 4 * M, 'cluster_size=4k')
run('qemu-img', 'snapshot', '-c', 'one', 's.qcow2')
write_generation('s.qcow2', 2, 3 * M, 64 * K)
live = one[:3 * M] + sectors(2, 6144, 128) + one[3 * M + 64 * K:]
h = head('s.qcow2')
was = words(peek('s.qcow2', h['l1'], 16))
poke('s.qcow2', h['l1'], bytes(16))
os.unlink('plan')
found, report = look('s.qcow2', live)
check([int(w, 16) for w in plan()['l1']['words']] == was, f'word by word: {plan()}')
check(found == {'+': 8192}, f'{found}')
found, report = look('s.qcow2', live)
check(found == {'+': 8192}, f'by the plan: {found}')
swapped = plan()
swapped['l1']['words'].reverse()
put_plan(swapped)
with Mount('s.qcow2', '-o', 'rescue=plan') as m, open(m.path('s.raw'), 'rb') as f:
    check(f.read(2 * M) == live[2 * M:], 'a person decides the order')

# ---- not for a folder; a plan that cannot be written hinders nothing
os.mkdir('folder')
r = subprocess.run([QCOWFS, '-o', 'rescue=plan', 'folder', 'mnt1'], capture_output=True, text=True)
check(r.returncode == 1 and 'folder' in r.stderr, f'{r.stderr}')
with Mount('s.qcow2', '-o', 'rescue=/nowhere/plan') as m:
    check(os.path.getsize(m.path('s.raw')) == 4 * M, 'mounted without a plan')
