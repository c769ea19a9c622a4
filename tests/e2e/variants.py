# SPDX-License-Identifier: MIT
"""The library of the tests of commands: one small image of each kind that QEMU makes."""
import shutil
from encrypted import *

WRITES = ['write -P 1 0 300k', 'write -P 2 1M 70k', 'write -z 1200k 200k', 'write -P 3 2500k 333',
          'write -P 4 4000k 96k']
PACKED = ['write -c -P 5 2M 64k', 'write -c -P 6 3008k 64k']


class Variant:
    """An image, and how the programs are told of it and its key."""

    def __init__(self, name, options='', fmt='qcow2', crypt='', packed=True, backing=None,
                 size='4M'):
        self.name = f'{name}.qcow2' if fmt == 'qcow2' else f'{name}.qcow'
        self.fmt, self.options, self.crypt, self.size = fmt, options, crypt, size
        self.packed, self.backing = packed and not crypt and fmt == 'qcow2', backing
        self.data = 'data_file=' in options
        self.old = fmt == 'qcow'
        self.v2 = 'compat=0.10' in options

    def make(self):
        if self.crypt:
            options = ','.join(filter(None, (self.options, self.crypt)))
            encrypted(self.name, self.fmt, options, self.size, *WRITES)
            return self
        create(self.name, None if self.backing else self.size, self.fmt, self.options,
               self.backing, self.backing and ('raw' if self.backing.endswith('.raw') else 'qcow2'))
        self.io(*WRITES, *(PACKED if self.packed else []))
        return self

    def io(self, *commands):
        if self.crypt:
            return encrypted_io(self.name, self.fmt, *commands)
        return qio(self.name, *commands, fmt=self.fmt)

    def raw(self, name=None):
        """Its bytes, or those of a copy of it, as QEMU sees them."""
        name = name or self.name
        return encrypted_raw(name, self.fmt) if self.crypt else raw_of(name, self.fmt)

    def qemu_args(self, name=None):
        """What qemu-img needs to find it."""
        return opened(name or self.name, self.fmt) if self.crypt else \
            ['-f', self.fmt, name or self.name]

    def our_args(self):
        """The options that are ours; the name comes behind them."""
        return [*(['--key-file=key'] if self.crypt else []),
                *(['--backing=any'] if self.data else [])]

    def copy(self, name):
        shutil.copy(self.name, name)
        return name


def variants():
    """Makes them all, in the present folder."""
    Path('key').write_text(KEY)
    with open('base.raw', 'wb') as f:
        f.write(noise(1 << 20)), f.truncate(4 << 20)
    table = [
        Variant('v1', fmt='qcow'),
        Variant('v2', 'compat=0.10'),
        Variant('v3'),
        Variant('small', 'cluster_size=512,compat=0.10'),
        Variant('large', 'cluster_size=2M', packed=False),
        Variant('extended', 'extended_l2=on,cluster_size=16k'),
        *(Variant(f'refcounts-{n}', f'refcount_bits={n},cluster_size=4k', packed=n > 4)
          for n in (1, 2, 8, 64)),
        Variant('zstd', 'compression_type=zstd,cluster_size=4k'),
        Variant('lazy', 'lazy_refcounts=on'),
        Variant('v1-aes', fmt='qcow', crypt='encrypt.format=aes'),
        Variant('aes', crypt='encrypt.format=aes'),
        Variant('luks', 'cluster_size=4k', crypt=LUKS),
        Variant('data', 'data_file=data.bin', packed=False),
        Variant('data-raw', 'data_file=data-raw.bin,data_file_raw=on', packed=False),
        Variant('over-raw', backing='base.raw'),
        Variant('over-v3', 'cluster_size=4k', backing='over-raw.qcow2'),
        Variant('over-over', 'compat=0.10', backing='over-v3.qcow2'),
    ]
    return [v.make() for v in table]
