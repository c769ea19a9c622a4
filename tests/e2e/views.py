# SPDX-License-Identifier: MIT
"""The library of the tests of NAME.snapshots and NAME.chain."""
import struct
from writing import *


def snap(name, *what):
    """qemu-img snapshot"""
    return run('qemu-img', 'snapshot', *what, name)


def snapshot_raw(name, snapshot):
    """The bytes of a snapshot's disk, as QEMU has them."""
    with tempfile.NamedTemporaryFile(dir='.') as f:
        run('qemu-img', 'convert', '-f', 'qcow2', '-O', 'raw', '-l', snapshot, name, f.name)
        return Path(f.name).read_bytes()


def applied_raw(name, snapshot):
    """The same, in the size that the snapshot has (the other has that of the live disk)."""
    with tempfile.NamedTemporaryFile(dir='.') as f:
        f.write(Path(name).read_bytes())
        f.flush()
        snap(f.name, '-a', snapshot)
        return raw_of(f.name)


def listed(name):
    """[(id, name)] as qemu-img lists them."""
    info = json.loads(run('qemu-img', 'info', '-f', 'qcow2', '--output=json', name))
    return [(s['id'], s['name']) for s in info.get('snapshots', [])]


def up8(n):
    return -(-n // 8) * 8


def table(name):
    """(offset, [row]) of its table of snapshots; a row is a dict of bytes and numbers."""
    n, at = struct.unpack('>IQ', peek(name, 60, 12))
    rows, here = [], at
    for _ in range(n):
        l1, size, idn, namen, s, ns, clock, state, extra = \
            struct.unpack('>QIHHIIQII', peek(name, here, 40))
        tail = peek(name, here + 40, extra + idn + namen)
        rows.append({'l1': l1, 'entries': size, 's': s, 'ns': ns, 'clock': clock, 'state': state,
                     'extra': tail[:extra], 'id': tail[extra:extra + idn],
                     'name': tail[extra + idn:]})
        here += up8(40 + len(tail))
    return at, rows


def set_table(name, rows):
    """Writes it in its place, which must have the room."""
    at, old = table(name)
    out = b''
    for r in rows:
        out += struct.pack('>QIHHIIQII', r['l1'], r['entries'], len(r['id']), len(r['name']),
                           r['s'], r['ns'], r['clock'], r['state'], len(r['extra']))
        out += r['extra'] + r['id'] + r['name']
        out += bytes(up8(len(out)) - len(out))
    check(len(rows) == len(old), 'as many rows')
    poke(name, at, out)


def refuses(number, call, *args, **kwargs):
    got = errno_of(call, *args, **kwargs)
    check(got == number, f'{call.__name__}{args}: {errno.errorcode[number]}, not '
          f'{errno.errorcode.get(got, got)}')
