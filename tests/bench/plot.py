# SPDX-License-Identifier: MIT
"""speed.svg: how many times as fast as others qcowfs is, as bars."""
import math

from page import Results
from workloads import FIO_ROWS

WIDTH = 760
LEFT, RIGHT = 215, 50       # of the bars: names, and room for the last figure
TOP, BOTTOM = 64, 30
BAR, GAP, BETWEEN = 11, 2, 10
NUMBER = 30                 # width of a figure
RIVALS = {'qsd': 'qemu-storage-daemon', 'limit': 'a raw file through FUSE, nothing else'}
LABELS = {
    'seqread-1M': 'sequential read, 1 MiB',
    'seqread-buf': 'sequential read, page cache',
    'randread-4k': 'random read, 4 KiB',
    'randread-4k-j4': 'random read, 4 threads',
    'chain8-4k': 'random read, chain of 8',
    'zlib-seq': 'zlib, sequential read',
    'zlib-rand64k': 'zlib, random read, 64 KiB',
    'zstd-seq': 'zstd, sequential read',
    'luks-seq': 'LUKS, sequential read',
    'luks-randwrite': 'LUKS, random write, 4 KiB',
    'seqwrite-over': 'sequential write, 1 MiB',
    'randwrite-4k': 'random write, 4 KiB',
    'alloc-seq-1M': 'sequential write, empty image',
    'alloc-rand-4k': 'random write, empty image',
}

STYLE = '''
text { font-family: sans-serif; font-size: 12px; fill: #1f2328 }
.title { font-size: 15px; font-weight: bold }
.small { font-size: 11px; fill: #59636e }
.grid { stroke: #d1d9e0 }
.one { stroke: #59636e; stroke-dasharray: 4 3 }
.qsd { fill: #0969da }
.limit { fill: #9aa4af }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc }
  .small { fill: #9198a1 }
  .grid { stroke: #3d444d }
  .one { stroke: #9198a1 }
  .qsd { fill: #4493f8 }
  .limit { fill: #656c76 }
}
'''


def text(x, y, words, kind='', anchor='start'):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{words}</text>'


def rect(x, y, width, height, kind):
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{height}" class="{kind}"/>'


def line(x, y1, y2, kind):
    return f'<line x1="{x:.1f}" y1="{y1}" x2="{x:.1f}" y2="{y2}" class="{kind}"/>'


class Scale:
    """From ratios to places; it begins at 0 and ends behind the largest."""

    def __init__(self, largest):
        self.step = next(s for s in (0.5, 1, 2, 5, 10, 20, 50, 100, 1000) if largest / s <= 9)
        self.end = self.step * max(1, math.ceil(largest / self.step))

    def x(self, ratio):
        return LEFT + (WIDTH - LEFT - RIGHT) * ratio / self.end

    def marks(self):
        return [self.step * i for i in range(round(self.end / self.step) + 1)]


def legend():
    parts = [text(LEFT, 20, 'qcowfs is so many times as fast as', 'title')]
    x = LEFT
    for rival, words in RIVALS.items():
        parts += [rect(x, 33, 11, 11, rival), text(x + 17, 43, words)]
        x += 190
    return parts


def grid(scale, bottom):
    parts = []
    for mark in scale.marks():
        parts.append(line(scale.x(mark), TOP - 6, bottom, 'grid'))
        parts.append(text(scale.x(mark), bottom + 15, f'×{mark:g}', 'small', 'middle'))
    return [*parts, line(scale.x(1), TOP - 6, bottom, 'one')]


def place_of_figure(scale, ratio):
    """Behind the end of its bar, but not across the line that is ×1."""
    end, one = scale.x(ratio), scale.x(1)
    return (one if end < one < end + NUMBER else end) + 5


def bars(scale, y, name, ratios):
    """Of one workload; its name stands beside their middle."""
    height = len(ratios) * (BAR + GAP) - GAP
    parts = [text(LEFT - 10, y + height / 2 + 4, LABELS.get(name, name), anchor='end')]
    for rival, ratio in ratios.items():
        parts.append(rect(LEFT, y, scale.x(ratio) - LEFT, BAR, rival))
        parts.append(text(place_of_figure(scale, ratio), y + BAR - 1.5, f'{ratio:.2f}', 'small'))
        y += BAR + GAP
    return parts


def ratios_of(results):
    found = {}
    for row in results.measured(FIO_ROWS):
        ratios = {rival: results.times_as_fast(row, rival) for rival in RIVALS}
        if ratios := {rival: ratio for rival, ratio in ratios.items() if ratio}:
            found[row.name] = ratios
    return found


def render(data):
    found = ratios_of(Results(data))
    scale = Scale(max((r for ratios in found.values() for r in ratios.values()), default=1))
    parts, y = [], TOP
    for name, ratios in found.items():
        parts += bars(scale, y, name, ratios)
        y += len(ratios) * (BAR + GAP) - GAP + BETWEEN
    parts = [*legend(), *grid(scale, y - BETWEEN + 6), *parts]
    height = y + BOTTOM
    return '\n'.join([
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
        f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="How fast qcowfs is">',
        f'<style>{STYLE}</style>', *parts, '</svg>']) + '\n'
