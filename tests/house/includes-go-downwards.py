#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# In core/ and in fuse/ the folders form one line: a file includes and calls its own folder and
# lower ones. No modules form a circle; a module is a .c file with its header, and uses those whose
# headers it includes, and whose functions or tables its object file needs. Base names are unique.
# A file includes its own header first. fuse/ sees the public headers of core/, and core/ sees
# nothing of fuse/.
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get('TEST_BUILD', TOP / 'build'))

# Lowest first. Folders of one string do not see each other.
ORDER = {
    'core': ['include', 'base', 'io', 'format', 'compress crypto metadata', 'layer', 'update',
             'check', 'bitmap', 'rescue', 'image', 'amend request snapshot', 'copy evidence'],
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


stems = {}
for d in ORDER:
    for p in files[d]:
        if (d, room(d, p)) not in row:
            problems.append(f'{p.relative_to(TOP)} is in a folder that ORDER knows')
            continue
        other = stems.setdefault(p.stem + p.suffix, p)
        if other != p:
            problems.append(f'{p.relative_to(TOP)} has a name of its own: {other.relative_to(TOP)}')

uses = {}  # module -> {module that it uses: a name that it takes from there}


def note_use(d, user, used, word):
    a, b = user.with_suffix(''), used.with_suffix('')
    if a != b:
        uses.setdefault(a, {}).setdefault(b, word)
    if word not in DEFINED_HIGHER and not may_see(d, room(d, user), room(d, used)):
        problems.append(f'{user.relative_to(TOP)} uses {word} of {d}/{room(d, used)}, '
                        'which stands higher')


def read_includes(d, p):
    name = p.relative_to(TOP)
    found = re.findall(r'^#\s*include\s+"([^"]+)"', text[p], re.M)
    own = p.with_suffix('.h')
    if p.suffix == '.c' and own.exists() and found[:1] != [str(own.relative_to(TOP / d))]:
        problems.append(f'{name} includes its own header first')
    for i in found:
        if i == 'version.h' or (TOP / 'core/include' / i).exists():
            continue
        if not (TOP / d / i).exists():
            problems.append(f'{name} includes {i}, which is not of {d}/')
        else:
            note_use(d, p, TOP / d / i, i)


def read_symbols(d, pattern):
    """The global names that each object defines and needs; objects of files that are gone are
    passed over."""
    source = {str(p.relative_to(TOP / d)).replace('/', '_') + '.o': p for p in files[d]}
    objects = list(BUILD.glob(pattern))
    listed = subprocess.run(['nm', '-A', '-g', *objects], capture_output=True, text=True,
                            check=True).stdout
    home, needed = {}, []
    for m in re.finditer(r'^\S*/(?:fuse_)?(\w+\.c\.o):\s*\S* ([A-Z]) (\w+)$', listed, re.M):
        p = source.get(m[1])
        if p and m[2] == 'U':
            needed.append((p, m[3]))
        elif p:
            home[m[3]] = p
    built = {o.name.removeprefix('fuse_') for o in objects}
    problems.extend(f'{p.relative_to(TOP)} has an object in {BUILD}'
                    for o, p in source.items() if p.suffix == '.c' and o not in built)
    for p, word in needed:
        if word in home:
            note_use(d, p, home[word], word)


def find_circle(module, path, done):
    """A path of modules whose last uses the first."""
    if module in path:
        return path[path.index(module):]
    if module in done:
        return None
    for used in uses.get(module, {}):
        circle = find_circle(used, [*path, module], done)
        if circle:
            return circle
    done.add(module)
    return None


for d, pattern in ('core', 'core/libqcow.a.p/*.o'), ('fuse', 'qcowfs.p/*.o'):
    for p in files[d]:
        read_includes(d, p)
    read_symbols(d, pattern)
done = set()
for module in list(uses):
    circle = find_circle(module, [], done)
    if circle:
        steps = ' -> '.join(f'{a.relative_to(TOP)} ({uses[a][b]})'
                            for a, b in zip(circle, [*circle[1:], circle[0]]))
        problems.append(f'no circle: {steps}')
        break
problems = list(dict.fromkeys(problems))
for p in problems:
    print(f'# not so: {p}')
sys.exit(bool(problems))
