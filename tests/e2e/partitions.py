# SPDX-License-Identifier: MIT
"""The library of the tests of -o partitions: disks with tables, and the output of sfdisk."""
import shutil
import struct
import zlib
from writing import *

if shutil.which('sfdisk', path=os.environ.get('PATH', '') + ':/usr/sbin:/sbin') is None:
    skip('needs sfdisk')
os.environ['PATH'] += ':/usr/sbin:/sbin'
if 'libblkid none' in run(QCOWFS, '--version'):
    skip('needs a build with libblkid')
SECTOR = 512


def sfdisk(disk, script, *options):
    r = subprocess.run(['sfdisk', '-q', '--no-reread', '--no-tell-kernel', *options, disk],
                       input=script, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    check(not r.returncode, f'sfdisk {disk} {script!r}: {r.stdout}')


def filled(name, size):
    """A disk in which all sectors differ."""
    with open(name, 'wb') as f:
        for at in range(0, size, SECTOR):
            f.write(struct.pack('<Q', at) * (SECTOR // 8))
    return name


def disk(name, size, script, *options):
    filled(name, size)
    sfdisk(name, script, '--wipe=never', '--wipe-partitions=never', *options)
    return name


def table(name, *options):
    """{number: (start, length)} in bytes, less extended ones, as sfdisk sees it."""
    t = json.loads(run('sfdisk', '-J', *options, name))['partitiontable']
    unit = t.get('sectorsize', SECTOR)
    return {int(re.search(r'(\d+)$', p['node'])[1]): (p['start'] * unit, p['size'] * unit)
            for p in t['partitions'] if p['type'] not in ('5', 'f', '85')}


def shown(where, name):
    """The numbers of the partitions that are listed."""
    found = [re.fullmatch(re.escape(name) + r'\.p(\d+)\.raw', f) for f in os.listdir(where)]
    return sorted(int(f[1]) for f in found if f)


def part(m, name, number):
    return m.path(f'{name}.p{number}.raw')


def entry(kind, start, count, boot=0):
    return struct.pack('<BBBBBBBBII', boot, 0, 0, 0, kind, 0, 0, 0, start, count)


def record(*entries):
    """An MBR, or an extended boot record."""
    return bytes(446) + b''.join(entries).ljust(64, b'\0') + b'\x55\xaa'


GUID = bytes.fromhex('af3dc60f838472478e793d69d8477de4')  # Linux


def gpt(disk_size, entries, count=None, size=128, at=2, sector=SECTOR, where=1, entries_at=None):
    """{offset: bytes} of a GPT with right checksums; entries are (first, last) sectors."""
    table = b''.join(GUID + struct.pack('<QQQQQ', i + 1, 0, a, b, 0) + bytes(72)
                     for i, (a, b) in enumerate(entries))
    count = len(entries) if count is None else count
    covered = table + bytes(max(0, count * size - len(table))) if count < 5000 else table
    last = disk_size // sector - 1

    def header(crc):
        return struct.pack('<8sIIIIQQQQ16sQIII', b'EFI PART', 0x10000, 92, crc, 0, where, last, 34,
                           last - 34, b'G' * 16, at, count, size, zlib.crc32(covered))
    return {0: record(entry(0xee, 1, 0xffffffff)), where * sector: header(zlib.crc32(header(0))),
            (at if entries_at is None else entries_at) * sector: table}
