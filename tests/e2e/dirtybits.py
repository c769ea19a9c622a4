# SPDX-License-Identifier: MIT
"""The library of the tests of dirty bitmaps: a model of dirty areas, and QEMU's view of a bitmap."""
import shutil

from writing import *


class Bits:
    """The model of one bitmap: the dirty granules."""

    def __init__(self, granularity, enabled=True):
        self.g = granularity
        self.enabled = enabled
        self.dirty = set()

    def mark(self, off, length):
        if self.enabled and length:
            self.dirty.update(range(off // self.g, (off + length - 1) // self.g + 1))

    def resize(self, old, new):
        if new > old:
            self.mark(old, new - old)
        self.dirty = {d for d in self.dirty if d * self.g < new}

    def ranges(self, size):
        """[(start, end)] of dirty bytes."""
        out = []
        for d in sorted(self.dirty):
            start, end = d * self.g, min((d + 1) * self.g, size)
            if out and out[-1][1] == start:
                out[-1] = (out[-1][0], end)
            else:
                out.append((start, end))
        return out


_socks = 0


def joined_ranges(extents):
    """[(start, end)] of extents of qemu-img map in ascending order; adjacent ones are one."""
    out = []
    for e in extents:
        if out and out[-1][1] == e['start']:
            out[-1] = (out[-1][0], e['start'] + e['length'])
        else:
            out.append((e['start'], e['start'] + e['length']))
    return out


def dirty_by_nbdinfo(sock, name):
    """[(start, end)] that are dirty, as the client of libnbd is told."""
    map_ = json.loads(run('nbdinfo', '--json', f'--map=qemu:dirty-bitmap:{name}', f'nbd+unix:///?socket={sock}'))
    return joined_ranges({'start': e['offset'], 'length': e['length']} for e in map_ if e['type'] & 1)


def qemu_dirty(image, name):
    """[(start, end)] that are dirty in a bitmap, as QEMU says."""
    global _socks
    _socks += 1
    sock = f'{os.getcwd()}/b{_socks}.sock'
    server = subprocess.Popen(['qemu-nbd', '-r', '-t', '-f', 'qcow2', '-B', name, '-k', sock, image],
                              stdin=subprocess.DEVNULL)
    until(10, lambda: os.path.exists(sock) or server.poll() is not None, 'qemu-nbd listens')
    check(server.poll() is None, f'qemu-nbd serves {name} of {image}')
    text = run('qemu-img', 'map', '--output=json', '--image-opts',
               f'driver=nbd,server.type=unix,server.path={sock},'
               f'x-dirty-bitmap=qemu:dirty-bitmap:{name}')
    # QEMU says "no data" for dirty
    found = joined_ranges(e for e in json.loads(text) if not e['data'])
    if shutil.which('nbdinfo'):
        check(dirty_by_nbdinfo(sock, name) == found, f'nbdinfo says the same of {name} of {image}')
    server.terminate()
    server.wait(PATIENCE)
    return found


def bitmap_info(image):
    """{name: flags} as QEMU says."""
    info = json.loads(run('qemu-img', 'info', '-U', '--output=json', image))
    return {b['name']: b['flags'] for b in info['format-specific']['data'].get('bitmaps', [])}


def add_bitmap(image, name, granularity, enabled=True):
    run('qemu-img', 'bitmap', '--add', *([] if enabled else ['--disable']), '-g', granularity,
        image, name)
    return Bits(granularity, enabled)


def same_dirty(got, want, what):
    if got == want:
        return
    a, b = set(got), set(want)
    fail(f'{what}: {sorted(a - b)[:5]} are dirty and not {sorted(b - a)[:5]} '
         f'(of {len(got)} and {len(want)})')


def qemu_agrees(image, model, size):
    """QEMU finds the bitmaps of the model, consistent and with the same bits."""
    sound(image)
    flags = bitmap_info(image)
    check(set(flags) == set(model), f'{image} has the bitmaps {set(model)}, not {set(flags)}')
    for name, bits in model.items():
        check('in-use' not in flags[name], f'{name} is not in use')
        check(('auto' in flags[name]) == bits.enabled, f'{name} is enabled: {bits.enabled}')
        same_dirty(qemu_dirty(image, name), bits.ranges(size), f'{image}, bitmap {name}, by QEMU')


def qemu_merges(image, model, size):
    """QEMU merges each bitmap of the model into a new one, which has the same bits then."""
    for name, bits in model.items():
        run('qemu-img', 'bitmap', '--add', '-g', bits.g, '--merge', name, image, 'merged')
        same_dirty(qemu_dirty(image, 'merged'), bits.ranges(size), f'{image}, {name} merged by QEMU')
        run('qemu-img', 'bitmap', '--remove', image, 'merged')
    sound(image)
