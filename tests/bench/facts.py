# SPDX-License-Identifier: MIT
"""On what, and of which versions, the figures are."""
import os
import platform
import re
from pathlib import Path

from system import BENCH_DIR, Failed, command

TOP = Path(__file__).resolve().parents[2]
OWN_PROGRAM = TOP / 'build' / 'qcowfs'
SOURCES = ('core', 'fuse', 'meson.build')


def field(path, pattern):
    found = re.search(pattern, Path(path).read_text(errors='replace'), re.M)
    return found[1].strip() if found else 'unknown'


def processors():
    return len(os.sched_getaffinity(0))


def machine():
    memory = int(field('/proc/meminfo', r'^MemTotal:\s*(\d+)')) / (1 << 20)
    return {
        'processor': field('/proc/cpuinfo', r'^(?:model name|Processor|cpu)\s*:(.*)'),
        'processors': processors(),
        'memory': f'{memory:.0f} GiB',
        'kernel': f'{platform.system()} {platform.release()} {platform.machine()}',
        'system': field('/etc/os-release', r'^PRETTY_NAME="?([^"\n]*)'),
        'file system': command('findmnt', '-n', '-o', 'FSTYPE', '-T', BENCH_DIR).strip(),
    }


def commit(program):
    """The last commit that changed the program; None if that is not of this tree."""
    if Path(program).resolve() != OWN_PROGRAM:
        return None
    try:
        found = command('git', '-C', TOP, 'log', '-1', '--format=%h', '--', *SOURCES).strip()
        changed = command('git', '-C', TOP, 'status', '--porcelain', '--', *SOURCES)
    except Failed:
        return None
    return found + (' and changes' if changed else '')


def versions(subjects):
    """By name."""
    found = {subject.name: version_of(subject) for subject in subjects}
    return {**found, 'fio': command('fio', '--version').strip()}


def version_of(subject):
    try:
        return subject.version()
    except (Failed, IndexError):
        return 'unknown'
