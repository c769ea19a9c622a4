#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Entries of a lost L1 table are found by content, from snapshots and from an old L1 table, word by
# word; where nothing tells them no table is chosen.
# sanitize: none
from rescued import *

os.mkdir('mnt1')


def l1_words(name):
    h = head(name)
    return words(peek(name, h['l1'], 8 * h['l1_entries']))


def lose_l1(name, first=0, n=None):
    h = head(name)
    n = h['l1_entries'] - first if n is None else n
    poke(name, h['l1'] + 8 * first, bytes(8 * n))


def look(name, disk, *options):
    """Mounts and judges it: the sectors by status, and the report."""
    stem = name.rsplit('.', 1)[0]
    with Mount(name, '-o', 'rescue,lost=mark', *options) as m:
        raw = Path(m.path(f'{stem}.raw')).read_bytes()
        found = judge(raw, Path(m.path(f'{stem}.map')).read_text(), disk, name)
        report = json.loads(Path(m.path(f'{stem}.rescue.json')).read_text())
        return found, report


KINDS = [('4k', 'cluster_size=4k'), ('16k-extended', 'extended_l2=on,cluster_size=16k'),
         ('512', 'cluster_size=512'), ('version-2', 'compat=0.10,cluster_size=4k')]
for kind, options in KINDS:
    name, span = f'{kind}.qcow2', {'512': 32 * K, '16k-extended': 16 * M}.get(kind, 2 * M)
    size = 4 * span
    one = make_full(name, size, options)
    run('qemu-img', 'snapshot', '-c', 'one', name)
    # The first table is shared with the snapshot, the second was copied, the others were copied for
    # one cluster at an end.
    at = [span + span // 2, 2 * span, 4 * span - 16 * K]
    live = bytearray(one)
    for i in at:
        write_generation(name, 2, i, 16 * K)
        live[i:i + 16 * K] = sectors(2, i // SECTOR, 32)
    was = l1_words(name)
    for what, first, n in (('whole', 0, None), ('one', 1, 1), ('two', 2, 2)):
        lost = f'{kind}-{what}.qcow2'
        shutil.copy(name, lost)
        lose_l1(lost, first, n)
        found, report = look(lost, bytes(live))
        check(found == {'+': size // SECTOR}, f'{lost}: all is right, and proved: {found} {report}')
        check(report['proof']['level'] == 'proved', f'{lost}: {report["proof"]}')
        check([int(w, 16) for w in report['found']['l1']['words']] == was, f'{lost}: word by word')

# ---- nothing tells where the tables belong: all are pieces, and each is one window of the disk
whole = make_full('alone.qcow2', 8 * M)
tables = l2_tables('alone.qcow2')
lose_l1('alone.qcow2')
found, report = look('alone.qcow2', whole)
check(found == {'-': 16384}, f'nothing is placed: {found}')
check(report['tables'] == {'placed': 0, 'pieces': 4, 'undecided': 0}, f'{report["tables"]}')
with Mount('alone.qcow2', '-o', 'rescue') as m:
    names = sorted(os.listdir(m.path('alone.pieces')))
    check(names == sorted(f'l2-{t:#x}.raw' for t in tables), f'one piece for each table: {names}')
    for i, t in enumerate(tables):
        piece = Path(m.path(f'alone.pieces/l2-{t:#x}.raw')).read_bytes()
        check(piece == whole[i * 2 * M:(i + 1) * 2 * M], f'piece {i} is right')

# ---- a resize that moved the table has left the old one
old = make_full('grown.qcow2', 2 * M, 'cluster_size=512')
at = head('grown.qcow2')['l1']
entries = head('grown.qcow2')['l1_entries']
run('qemu-img', 'resize', '-q', 'grown.qcow2', '4M')
check(head('grown.qcow2')['l1'] != at, 'the table was moved')
live = old + bytes(2 * M)
lose_l1('grown.qcow2')
found, report = look('grown.qcow2', live)
check(report['tables'] == {'placed': entries, 'pieces': 0, 'undecided': 0}, f'{report["tables"]}')
check(found == {'+': 8192}, f'the old table tells all: {found}')

# ---- two tables fit equally well: none is chosen
one = make_full('tie.qcow2', 4 * M)
run('qemu-img', 'snapshot', '-c', 'one', 'tie.qcow2')
write_generation('tie.qcow2', 2, 0, 16 * K)
write_generation('tie.qcow2', 2, 2 * M, 16 * K)
first, second = l2_tables('tie.qcow2')
poke('tie.qcow2', second, peek('tie.qcow2', first, 4096))
lose_l1('tie.qcow2')
live = sectors(2, 0, 32) + one[16 * K:2 * M] + sectors(2, 4096, 32) + one[2 * M + 16 * K:]
found, report = look('tie.qcow2', live)
check(report['tables'] == {'placed': 0, 'pieces': 2, 'undecided': 1}, f'a tie: {report["tables"]}')
