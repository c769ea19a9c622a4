#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# A function is at most 60 lines long, so that it fits on a screen. No two functions of core/ and
# fuse/, static ones included, share a name, so that a backtrace needs no folder. A unit test has
# the name of its module.
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))
MOST = 60


def blanked(text):
    """The text with comments, strings and characters as spaces; lines stay where they are."""
    def blank(m):
        return re.sub(r'[^\n]', ' ', m[0])
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', blank, text,
                  flags=re.S)


def functions_of(path):
    """(name, first line, lines) of each definition: from the line of its name to its brace."""
    lines = blanked(path.read_text()).split('\n')
    begin = None
    for i, line in enumerate(lines):
        if line.startswith('{'):
            begin = i
        if line.startswith('}') and begin is not None:
            first = begin
            while first and lines[first - 1].strip() and not re.match(r'[}#]', lines[first - 1]) \
                    and not lines[first - 1].rstrip().endswith(';'):
                first -= 1
            head = ' '.join(lines[first:begin])
            name = re.search(r'\b(\w+)\s*\(', re.sub(r'\b(NEEDS|THREAD_ATTR|__attribute__)\s*\(.*', '',
                                                     head))
            if name:
                yield name[1], first + 1, i - first + 1
            begin = None


def main():
    problems, where, seen = [], {}, 0
    for path in sorted([*(TOP / 'core').rglob('*.[ch]'), *(TOP / 'fuse').rglob('*.[ch]')]):
        text = blanked(path.read_text())
        for name, line, length in functions_of(path):
            seen += 1
            at = f'{path.relative_to(TOP)}:{line}'
            if length > MOST:
                problems.append(f'{at}: {name} has at most {MOST} lines: {length}')
            # A header may declare a function, and else, without an audit, define it empty.
            if path.suffix == '.h' and re.search(rf'\b{name}\([^;{{}}]*\)[^;{{}}]*;', text):
                continue
            other = where.setdefault(name, at)
            # A module may have two variants, for builds with and without a library.
            if other.split('.')[0] != at.split('.')[0]:
                problems.append(f'{at}: {name} is unique: {other}')
    if seen < 1000:
        problems.append(f'functions are found: {seen}')
    modules = {p.stem for d in ('core', 'fuse') for p in (TOP / d).rglob('*.[ch]')}
    for test in sorted((TOP / 'tests/unit').glob('test-*.c')):
        name = test.stem[5:].replace('-', '_')
        if not any((name + '_').startswith(m + '_') for m in modules):
            problems.append(f'tests/unit/{test.name} has the name of a module')
    for p in problems:
        print(f'# not so: {p}')
    if '--figures' in sys.argv:
        print(f'{seen} functions')
    return bool(problems)


if __name__ == '__main__':
    sys.exit(main())
