# SPDX-License-Identifier: MIT
"""What the Python tests of encrypted images share."""
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
