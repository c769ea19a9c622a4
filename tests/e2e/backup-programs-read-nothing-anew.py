#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# restic and borg do not read a disk again that has not changed, though it was mounted anew in between.
# sanitize: none
import shutil
from views import *

PROGRAMS = [p for p in ('restic', 'borg') if shutil.which(p)]
if not PROGRAMS:
    skip('needs restic or borg')
os.environ.update(RESTIC_PASSWORD='x', RESTIC_CACHE_DIR='cache', BORG_PASSPHRASE='x', BORG_BASE_DIR=os.getcwd(),
                  BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK='yes', BORG_RELOCATED_REPO_ACCESS_IS_OK='yes', TZ='UTC')
os.makedirs('src/lab')
for i, name in enumerate(('a.qcow2', 'lab/b.qcow2')):
    create(f'src/{name}', '8M')
    qio(f'src/{name}', f'write -P {i + 1} 0 8M')
    snap(f'src/{name}', '-c', 'one')
    os.utime(f'src/{name}', (1600000000, 1600000000))
time.sleep(1.1)  # a program may distrust times of this second


def restic(*words):
    return run('restic', '-r', 'restic-repo', '--no-cache', *words)


def borg(*words):
    return run('borg', *words)


def backup(program, where, n):
    if program == 'restic':
        out = restic('backup', '--json', where)
        summary = json.loads(out.splitlines()[-1])
        return summary['files_new'] + summary['files_changed']
    # borg reads the newest file of a backup anew, whatever it is.
    Path('newest').write_text(str(n))
    out = borg('create', '--list', '--filter=AM', f'borg-repo::{n}', where, 'newest')
    return sum(line[:2] in ('A ', 'M ') and not line.endswith('newest') for line in out.splitlines())


if 'restic' in PROGRAMS:
    restic('init')
if 'borg' in PROGRAMS:
    borg('init', '-e', 'none', 'borg-repo')
where = os.path.abspath('mnt')
for n in range(3):
    with Mount('src', '-o', 'snapshots', where=where) as m:
        for p in PROGRAMS:
            got = backup(p, where, n)
            check(got == (4 if n == 0 else 0), f'{p}, backup {n}: {got} files were read')
qio('src/a.qcow2', 'write -P 9 1M 1M')
with Mount('src', '-o', 'snapshots', where=where) as m:
    for p in PROGRAMS:
        got = backup(p, where, 'changed')
        check(1 <= got <= 2, f'{p}: only the files of the changed image were read: {got}')
