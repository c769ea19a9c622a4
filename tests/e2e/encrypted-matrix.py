#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""We read images that QEMU encrypted, and QEMU reads our writes: all methods, ciphers, modes, IVs, hashes,
and kinds of images."""
from writing import *
from encrypted import *

X = 'encrypt.'
VARIANTS = [
    ('qcow', 'encrypt.format=aes'),
    ('qcow2', 'encrypt.format=aes,compat=0.10,cluster_size=512'),
    ('qcow2', 'encrypt.format=aes,compat=1.1'),
    ('qcow2', 'encrypt.format=aes,extended_l2=on'),
]
for options in (
        'compat=0.10',
        'compat=0.10,cluster_size=512,encrypt.cipher-alg=aes-128,encrypt.hash-alg=sha1',
        'compat=1.1,cluster_size=512,encrypt.hash-alg=sha512',
        'cluster_size=2M,encrypt.cipher-alg=aes-192,encrypt.cipher-mode=xts,encrypt.hash-alg=sha224',
        'extended_l2=on,encrypt.hash-alg=sha384',
        'data_file=disk.data',
        'data_file=raw.data,data_file_raw=on,encrypt.cipher-alg=aes-128',
        'encrypt.cipher-alg=aes-256,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256',
        'encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256',
        'encrypt.cipher-alg=aes-256,encrypt.cipher-mode=xts,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=sha256',
        'encrypt.cipher-alg=aes-256,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain64',
        'encrypt.cipher-alg=aes-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=plain,encrypt.hash-alg=ripemd160',
        'encrypt.cipher-alg=aes-256,encrypt.cipher-mode=xts,encrypt.ivgen-alg=plain,encrypt.hash-alg=md5',
        'encrypt.cipher-alg=aes-128,encrypt.cipher-mode=ctr',
        'encrypt.cipher-alg=aes-128,encrypt.cipher-mode=ecb',
        'encrypt.cipher-alg=serpent-256,encrypt.cipher-mode=xts',
        'encrypt.cipher-alg=serpent-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=md5',
        'encrypt.cipher-alg=twofish-256,encrypt.cipher-mode=cbc',
        'encrypt.cipher-alg=twofish-128,encrypt.cipher-mode=xts',
        'encrypt.cipher-alg=cast5-128,encrypt.cipher-mode=cbc',
        'encrypt.cipher-alg=cast5-128,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,encrypt.ivgen-hash-alg=md5',
        'encrypt.cipher-alg=cast5-128,encrypt.cipher-mode=ctr'):
    VARIANTS.append(('qcow2', f'{LUKS},{options}'))

for size in '1k', '2k', '4k', '8k', '16k', '32k', '128k', '256k', '512k', '1M', '2M':
    VARIANTS.append(('qcow2', f'encrypt.format=aes,cluster_size={size}'))

if not os.environ.get('LONG'):  # some: QEMU takes seconds to make one
    VARIANTS = rng.sample(VARIANTS, 4 if os.environ.get('TEST_SANITIZER') else 6)

SIZE = 3 * M + 1536
Path('key').write_text(KEY)
model = bytearray(noise(SIZE))
model[M:M + 300 * K] = bytes(300 * K)
Path('ref.raw').write_bytes(model)


def fill(name, fmt):
    what = opened(name, fmt)
    run('qemu-img', 'convert', '-n', '-f', 'raw', *SECRET, '--target-image-opts', 'ref.raw', what[-1])


def change(d):
    """Parts of sectors, parts of clusters, holes, another size."""
    r = random.Random(SEED)
    for n in 1, 5, 511, 512, 513, 4096, 70000, 300001:
        for _ in range(3):
            at = r.randrange(len(d.model) - n)
            d.write(at, r.randbytes(n))
    d.write(M + 100 * K + 3, b'in what was a hole')
    d.punch(2 * M, 130 * K)
    d.zero(2 * M + 200 * K + 1, 3)
    d.write(2 * M + 70 * K + 9, b'in what is one')
    if d.fmt == 'qcow2':
        d.resize(SIZE - 70 * K)
        d.resize(SIZE + 200 * K)
        d.write(SIZE + 100 * K + 1, b'behind')


class EncryptedDisk(Disk):
    def end(self):
        self.compare()
        os.close(self.fd)
        status = self.mount.unmount()
        check(status == 0, f'it ends with status 0, not {status}: {self.mount.log()}')
        until(10, lambda: is_free(self.image, self.fmt), f'{self.image} is free')
        if self.fmt == 'qcow2':
            encrypted_sound(self.image)
        same_bytes(encrypted_raw(self.image, self.fmt), self.model, f'{self.image}, by QEMU')


for fmt, options in VARIANTS:
    for old in Path('.').glob('*.data'):
        old.unlink()
    if os.path.exists('disk'):
        os.unlink('disk')
    encrypted('disk', fmt, options, str(SIZE))
    fill('disk', fmt)
    with Mount('disk', '-o', 'key-file=key') as m:
        same_bytes(read_all(m.path('disk.raw'), SIZE), model, options)
    with EncryptedDisk('disk', model, 'key-file=key,backing=any', fmt=fmt) as d:
        change(d)
    print('ok', fmt, options, flush=True)
