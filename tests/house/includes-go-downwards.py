#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# fuse/ includes of core/ the public header alone, and core/ nothing of fuse/; a file includes
# its own header first; no two headers include each other.
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ['TEST_TOP'])
problems = []


def includes(path):
    return re.findall(r'^#\s*include\s+"([^"]+)"', path.read_text(), re.M)


names = {d: {p.name for p in (TOP / d).glob('*.h')} for d in ('core', 'fuse')}
graph = {}
for d, other in ('core', 'fuse'), ('fuse', 'core'):
    for path in sorted([*(TOP / d).glob('*.c'), *(TOP / d).glob('*.h')]):
        found = includes(path)
        graph[f'{d}/{path.name}'] = [f'{d}/{i}' for i in found if i in names[d]]
        for i in found:
            if i not in names[d] and Path(i).name in names[other] and (d, i) != ('fuse', 'qcow.h'):
                problems.append(f'{d}/{path.name} includes {i} of {other}/')
        own = path.with_suffix('.h')
        if path.suffix == '.c' and own.exists() and found[:1] != [own.name]:
            problems.append(f'{d}/{path.name} does not include {own.name} first')


def walk(name, way):
    if name in way:
        problems.append('a circle: ' + ' -> '.join([*way[way.index(name):], name]))
        return
    for i in graph.get(name, []):
        walk(i, [*way, name])


for name in graph:
    if name.endswith('.h'):
        walk(name, [])
for p in dict.fromkeys(problems):
    print(f'# not so: {p}')
sys.exit(bool(problems))
