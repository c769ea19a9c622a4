# SPDX-License-Identifier: MIT
"""The library of the Python tests of encrypted images."""
from qcowtest import *

KEY = 'open, sesame, please'
LUKS = 'encrypt.format=luks,encrypt.iter-time=10'
SECRET = ['--object', f'secret,id=s,data={KEY.replace(",", ",,")}']


def opened(name, fmt='qcow2'):
    """How QEMU's programs are told which image, and its key."""
    return [*SECRET, '--image-opts', f'driver={fmt},file.filename={name},encrypt.key-secret=s']


def encrypted(name, fmt, options, size, *commands):
    """QEMU measures its processor for LUKS, and gives up if that is busy."""
    for _ in range(20):
        r = subprocess.run(['qemu-img', 'create', '-q', *SECRET, '-f', fmt, '-o',
                            f'{options},encrypt.key-secret=s', name, size],
                           capture_output=True, text=True)
        if not r.returncode or 'CPU usage' not in r.stderr:
            break
    check(not r.returncode, f'qemu-img makes {name} with {options}: {r.stderr}')
    if commands:
        encrypted_io(name, fmt, *commands)


def encrypted_io(name, fmt, *commands):
    what = opened(name, fmt)
    return run('qemu-io', *what[:-1], *(x for c in commands for x in ('-c', c)), what[-1])


def encrypted_raw(name, fmt='qcow2'):
    """Its content, as QEMU sees it."""
    what = opened(name, fmt)
    with tempfile.NamedTemporaryFile(dir='.') as f:
        run('qemu-img', 'convert', *what[:-1], '-O', 'raw', what[-1], f.name)
        return Path(f.name).read_bytes()


def encrypted_sound(name):
    run('qemu-img', 'check', '-q', *opened(name))


def luks_at(name):
    """Where an image of version 2 or 3 has its LUKS header."""
    data = Path(name).read_bytes()[:65536]
    at = int.from_bytes(data[100:104], 'big') if data[7] > 2 else 72
    while data[at:at + 4] != bytes.fromhex('0537be77'):
        check(any(data[at:at + 4]), f'{name} has a LUKS header')
        at += 8 + (int.from_bytes(data[at + 4:at + 8], 'big') + 7) // 8 * 8
    return int.from_bytes(data[at + 8:at + 16], 'big')


def slow_slots(name, iterations, slots=3):
    """Moves the key from the first slot to the last, and makes so many before it that fit no
    passphrase, and take so many iterations (two rounds each) to tell."""
    at = luks_at(name) + 208
    data = Path(name).read_bytes()[at:at + 8 * 48]
    slot = [bytearray(data[i:i + 48]) for i in range(0, len(data), 48)]
    first = bytes(slot[0])
    slot[0][40:44] = slot[7][40:44]
    for i in range(slots):
        slot[i][:8] = bytes.fromhex('00ac71f3') + iterations.to_bytes(4, 'big')
    slot[7] = first
    poke(name, at, b''.join(slot))
