#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Sound images of every kind have no finding and nothing deleted, and each byte of their files is
# referenced, unallocated, slack or a hole, once.
# sanitize: none
from rescued import *
from variants import variants

os.mkdir('src')
os.chdir('src')
every = variants()
os.chdir('..')
with Mount('src', '-o', 'unallocated,backing=any', '-o', 'key-file=src/key') as m:
    for v in every:
        stem = m.path(v.name.rsplit('.', 1)[0])
        found = json.loads(Path(stem + '.findings.json').read_text())
        check(found['findings'] == [], f'{v.name}: {found["findings"]}')
        check(os.listdir(stem + '.deleted') == [], f'{v.name}: {os.listdir(stem + ".deleted")}')
        size = os.path.getsize('src/' + v.name)
        seen = bytearray(size)
        for name, key in ('unallocated', 'runs'), ('slack', 'pieces'):
            report = json.loads(Path(f'{stem}.{name}.json').read_text())
            for r in report[key]:
                at = slice(r['image-offset'], r['image-offset'] + r['length'])
                check(at.stop <= size and not any(seen[at]), f'{v.name}: {name} {r} comes once')
                seen[at] = b'\1' * (at.stop - at.start)
            check(os.path.getsize(f'{stem}.{name}.raw') in (report['size'], size), f'{v.name}: {name}')
print(f'# {len(every)} images')
