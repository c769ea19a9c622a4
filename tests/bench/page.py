# SPDX-License-Identifier: MIT
"""RESULTS.md, made of results.json."""
import statistics

from workloads import FIO_ROWS, FURTHER_ROWS

MIB = 1 << 20
GIB = 1 << 30
EXPLAINED = {
    'seqread-1M': 'reads of 1 MiB, one after the other, `O_DIRECT`',
    'seqread-buf': 'the same through the page cache',
    'randread-4k': 'reads of 4 KiB at random places, `O_DIRECT`',
    'randread-4k-j4': 'the same by four threads',
    'randread-4k-d32': 'the same by one thread with 32 requests at a time (libaio)',
    'chain8-4k': 'reads of 4 KiB at random places, `O_DIRECT`, one thread, through a chain of '
                 'eight images',
    'zlib-seq': 'a compressed image (deflate) from its start, through the page cache',
    'zlib-rand64k': 'the same, 64 KiB at random places, two threads, `O_DIRECT`',
    'zstd-seq': 'a compressed image (zstd) from its start, through the page cache',
    'luks-seq': 'an encrypted image from its start, through the page cache',
    'luks-randwrite': 'writes of 4 KiB at random places of an encrypted image, `O_DIRECT`',
    'seqwrite-over': 'writes of 1 MiB over what is there, `O_DIRECT`',
    'randwrite-4k': 'writes of 4 KiB at random places over what is there, `O_DIRECT`',
    'randwrite-4k-j4': 'the same by four threads',
    'alloc-seq-1M': 'writes of 1 MiB to an empty image, 1 GiB in all, with the `fsync`',
    'alloc-rand-4k': 'writes of 4 KiB at random places of an empty image, 64 MiB in all',
    'unpack': 'a tar of more than 20,000 files unpacked onto a new ext4 in a new image, and synced',
    'sparse-copy': '`cp --sparse=auto` of a disk of 200 GiB with 2,000 areas of 256 KiB',
    'fstrim': 'an ext4 with 750 removed files of 300 KB among 750 others trimmed, and synced',
    'convert': 'the compressed disk (deflate) made a raw file by `qemu-img convert`',
    'commands': 'a disk copied by the commands `qcowfs convert` and `qemu-img convert`, with '
                'their defaults; and an image of 1 TiB with all its L2 tables, checked by '
                '`qcowfs check` and `qemu-img check`',
    'size': 'reads of 4 KiB at random from 512 clusters all over a disk, `O_DIRECT`',
    'snapshots': 'the same from a disk of 2 GiB whose image has this many internal snapshots',
    'eight': 'reads of 4 KiB at random, `O_DIRECT`, from images in one mount; there are '
             '{processors} processors',
}


class Results:
    """The runs of a results.json, by row, case and subject."""

    def __init__(self, data):
        self.data = data

    def runs(self, row, subject, case=''):
        return self.data['rows'].get(row.name, {}).get(case, {}).get(subject, [])

    def median(self, row, subject, case='', what='value'):
        values = [run[what] for run in self.runs(row, subject, case)]
        return statistics.median(values) if values else None

    def times_as_fast(self, row, subject, case=''):
        """How many times as fast as the subject qcowfs is; None if one was not measured."""
        ours, theirs = self.median(row, 'qcowfs', case), self.median(row, subject, case)
        if not ours or not theirs or subject == 'qcowfs':
            return None
        return ours / theirs if row.rate else theirs / ours

    def cpu_per_gib(self, row, subject):
        values = [run['cpu'] / run['bytes'] * GIB
                  for run in self.runs(row, subject) if run.get('bytes')]
        return statistics.median(values) if values else None

    def subjects_of(self, rows):
        """Those that any of the rows has, in the order of the page."""
        return [s for s in self.data['titles']
                if any(self.runs(row, s, case) for row in rows for case in row.cases)]

    def measured(self, rows):
        return [row for row in rows if row.name in self.data['rows']]


# ---- tables -----------------------------------------------------------------------

def table(head, lines):
    """The first column is text, the others are figures."""
    marks = ['---'] + ['--:'] * (len(head) - 1)
    return [f'| {" | ".join(line)} |' for line in [head, marks, *lines]] + ['']


def number(value):
    """With three digits that mean something."""
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    return f'{value:,.{digits}f}'


def figure(results, row, subject, case=''):
    value = results.median(row, subject, case)
    if value is None:
        return ''
    ratio = results.times_as_fast(row, subject, case)
    return number(value) + (f' (×{ratio:.2f})' if ratio else '')


def wanted(results, row):
    """At least how many times as fast as these it is to be, and whether it was."""
    said = []
    for subject, least in zip(('qsd', 'limit'), row.wanted):
        ratio = results.times_as_fast(row, subject)
        if least and ratio:
            said.append(f'{subject} ×{least:g}{"" if ratio >= least else " **missed**"}')
        elif least:
            said.append(f'{subject} ×{least:g} (not measured)')
    return ', '.join(said)


def fio_table(results):
    rows = results.measured(FIO_ROWS)
    subjects = results.subjects_of(rows)
    lines = [[f'{row.name}, {row.unit}', *(figure(results, row, s) for s in subjects),
              wanted(results, row)] for row in rows]
    return table(['', *subjects, 'wanted'], lines)


def spent_table(results, rows, of):
    """A line for each row, of what of(row, subject) says."""
    subjects = results.subjects_of(rows)
    lines = []
    for row in rows:
        values = [of(row, subject) for subject in subjects]
        lines.append([row.name, *('' if v is None else f'{v:.2f}' if v < 10 else f'{v:.0f}'
                                  for v in values)])
    return table(['', *subjects], lines)


def further_table(results):
    rows = results.measured(FURTHER_ROWS)
    subjects = results.subjects_of(rows)
    lines = []
    for row in rows:
        for case in row.cases:
            name = f'{row.name}{": " + case if case else ""}, {row.unit}'
            lines.append([name, *(figure(results, row, s, case) for s in subjects)])
        if len(row.cases) == 2:
            lines.append([f'{row.name}: {row.cases[1]} ÷ {row.cases[0]}',
                          *(second_to_first(results, row, s) for s in subjects)])
    return table(['', *subjects], lines)


def second_to_first(results, row, subject):
    first, second = (results.median(row, subject, case) for case in row.cases)
    return f'{second / first:.2f}' if first and second else ''


# ---- the page ----------------------------------------------------------------------

def explained(results, rows):
    machine = results.data['machine']
    return [f'- `{row.name}`: {EXPLAINED[row.name].format_map(machine)}.' for row in rows] + ['']


def conditions(data):
    machine = data['machine']
    lines = [f'- Machine: {machine["processor"]}, {machine["processors"]} processors, '
             f'{machine["memory"]}; {machine["system"]}, {machine["kernel"]}; '
             f'images on {machine["file system"]}.',
             f'- By `{data["command"]}` on {data["date"]}; rounds: {data["rounds"]}, '
             f'seconds for each figure of fio: {data["seconds"]}.',
             '- Programs:', *programs(data)]
    lines += [f'- Not measured: {name}; {why}.' for name, why in data['missing'].items()]
    lines += [f'- Failed: {" ".join(failure.split())}' for failure in data['failures']]
    return lines + ['']


def programs(data):
    """Each with its version; our own is known by its commit."""
    for name, version in data['versions'].items():
        title = data['titles'].get(name, name)
        if name == 'qcowfs' and data['commit']:
            version = f'commit {data["commit"]}, with {version.split(", ", 1)[1]}'
        yield f'  - {title}: {version}'


def fio_part(results):
    rows = results.measured(FIO_ROWS)
    sequential = [row for row in rows if not row.random]
    lines = ['## Reading and writing', '', *fio_table(results), *explained(results, rows)]
    if sequential:
        lines += ['## Processor time', '',
                  'Seconds of processor time that the daemons spent for each GiB.', '',
                  *spent_table(results, sequential, results.cpu_per_gib)]
    lines += ['## Memory', '', 'The most that the daemons had in memory, in MiB.', '']
    return lines + spent_table(
        results, rows, lambda row, s: (results.median(row, s, what='peak') or 0) / MIB or None)


def render(data, notes=''):
    """The page; what people know of the figures comes last."""
    results = Results(data)
    lines = ['# How fast it is', '',
             'Each figure is the median of all rounds, in which the programs take turns; (×N): '
             'qcowfs is N times as fast.',
             'Compare within a line: only ratios of one run mean something, since machines differ, '
             'and so do their days. The image files are in the page cache.', '',
             '![ratios](speed.svg)', '', *conditions(data)]
    if results.measured(FIO_ROWS):
        lines += fio_part(results)
    if rows := results.measured(FURTHER_ROWS):
        lines += ['## Further', '', *further_table(results), *explained(results, rows)]
    return '\n'.join(lines).rstrip('\n') + '\n' + (notes and '\n' + notes)
