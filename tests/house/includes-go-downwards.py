#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# In core/ and in fuse/ the folders form one line: a file includes and calls its own folder and
# lower ones. Base names are unique. A file includes its own header first. fuse/ sees one header
# of core/, and core/ sees nothing of fuse/.
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))

# Lowest first. Folders of one string do not see each other.
ORDER = {
    'core': ['include', 'base', 'io', 'format', 'compress crypto metadata', 'layer', 'update',
             'check', 'image', 'amend request snapshot'],
    'fuse': ['util', 'cli', 'keys sandbox info', 'tree', 'views', 'ops', 'commands daemon', ''],
}
# A header that only declares a struct and its two ends: who fills it stands higher.
DEFINED_HIGHER = {'qc_context_new', 'qc_context_free'}

problems = []
row = {(d, f): i for d, rows in ORDER.items() for i, r in enumerate(rows) for f in r.split() or ['']}
files = {d: sorted([*(TOP / d).rglob('*.c'), *(TOP / d).rglob('*.h')]) for d in ORDER}
text = {p: p.read_text() for d in ORDER for p in files[d]}


def room(d, path):
    folder = path.parent.relative_to(TOP / d).parts
    return folder[0] if folder else ''


def may_see(d, a, b):
    return a == b or row[d, a] > row[d, b]


def code_of(path):
    """The text without comments, strings and includes."""
    t = re.sub(r'/\*.*?\*/|"(\\.|[^"\\\n])*"', '', text[path], flags=re.S)
    return re.sub(r'^#\s*include.*$', '', t, flags=re.M)


stems = {}
for d in ORDER:
    for p in files[d]:
        if (d, room(d, p)) not in row:
            problems.append(f'{p.relative_to(TOP)} is in a folder that ORDER knows')
            continue
        other = stems.setdefault(p.stem + p.suffix, p)
        if other != p:
            problems.append(f'{p.relative_to(TOP)} has a name of its own: {other.relative_to(TOP)}')

for d in ORDER:
    defined = {}  # global function -> the folder that defines it
    for p in files[d]:
        if p.suffix == '.c':
            for m in re.finditer(r'^(?!static\b|typedef\b)[a-z][^;={}()#]*?\b(\w+)\([^;{}]*?\)\s*\n\{',
                                 code_of(p), re.M):
                defined[m[1]] = room(d, p)
    for p in files[d]:
        me, name = room(d, p), p.relative_to(TOP)
        found = re.findall(r'^#\s*include\s+"([^"]+)"', text[p], re.M)
        own = p.with_suffix('.h')
        if p.suffix == '.c' and own.exists() and \
                found[:1] != [str(own.relative_to(TOP / d))]:
            problems.append(f'{name} includes its own header first')
        for i in found:
            if i == 'version.h' or (TOP / 'core/include' / i).exists():
                continue
            if not (TOP / d / i).exists():
                problems.append(f'{name} includes {i}, which is not of {d}/')
            elif not may_see(d, me, room(d, TOP / d / i)):
                problems.append(f'{name} includes {i}, which stands higher')
        if p.suffix == '.c':
            for word in set(re.findall(r'\b[a-z]\w+\b(?=\s*\()', code_of(p))):
                home = defined.get(word)
                if home is not None and word not in DEFINED_HIGHER and not may_see(d, me, home):
                    problems.append(f'{name} calls {word} of {d}/{home}, which stands higher')
problems = list(dict.fromkeys(problems))
for p in problems:
    print(f'# not so: {p}')
sys.exit(bool(problems))
