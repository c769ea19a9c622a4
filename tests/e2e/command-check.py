#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# `qcowfs check` counts as `qemu-img check` does, and has its exit status; it repairs on demand only.
# sanitize: none
from variants import *

KEYS = ('image-end-offset', 'total-clusters', 'allocated-clusters', 'fragmented-clusters',
        'compressed-clusters', 'corruptions', 'leaks', 'corruptions-fixed', 'leaks-fixed',
        'check-errors', 'format')


def ours(image, *argv, status=None):
    r = subprocess.run([QCOWFS, 'check', *argv, image], stdin=subprocess.DEVNULL,
                       capture_output=True, text=True)
    check(status is None or r.returncode == status, f'check {argv} {image}: status {status}: {r}')
    return r


def ours_json(image, *argv):
    r = ours(image, '--json', *argv)
    return r.returncode, json.loads(r.stdout)


def theirs(v, image, *argv):
    r = subprocess.run(['qemu-img', 'check', '--output=json', *argv, *v.qemu_args(image)],
                       stdin=subprocess.DEVNULL, capture_output=True, text=True)
    return r.returncode, json.loads(r.stdout)


def same(v, image):
    """Both find the same, and have the same status."""
    (status, found), (wanted_status, wanted) = ours_json(image), theirs(v, image)
    check(status == wanted_status, f'{image}: status {wanted_status}, not {status}: {found}')
    for key in KEYS:
        check(found.get(key) == wanted.get(key), f'{image}: {key} is {wanted.get(key)}: {found}')
    leaks = sum(f['leak'] for f in found['qcowfs']['findings'])
    check(leaks <= found.get('leaks', 0), 'each leak is told')
    return status, found


def number(image, at, n=8):
    return int.from_bytes(peek(image, at, n), 'big')


def l2_table(image):
    return number(image, number(image, 40)) & 0xfffffffffffe00


def set_refcount(image, cluster, to):
    """For refcounts of 16 bits."""
    poke(image, number(image, number(image, 48)) + 2 * cluster, to.to_bytes(2, 'big'))


def flip(image, at, bits):
    poke(image, at, (number(image, at) ^ bits).to_bytes(8, 'big'))


# ---- sound images, and such with a leak

for v in variants():
    if v.old:
        status, found = ours_json(v.name)
        check(status == 0 and not found.get('corruptions') and found['format'] == 'qcow' and
              found['allocated-clusters'] and not found['qcowfs']['findings'], f'{v.name}: {found}')
        continue
    if not v.data and not v.options.startswith('refcount_bits=1,'):
        v.io('write -P 9 3M 100k')
        run('qemu-img', 'snapshot', '-c', 'one', *v.qemu_args()[0 if v.crypt else 2:])
        v.io('write -P 8 100k 300k')
    if not v.v2 and not v.crypt:
        run('qemu-img', 'bitmap', '--add', '-g', '64k', *v.qemu_args(), 'b')
        v.io('write -P 7 3500k 4k')
    content = Path(v.name).read_bytes()
    os.chmod(v.name, 0o444)
    check(same(v, v.name)[0] == 0, f'{v.name} is sound')
    theirs_text = run('qemu-img', 'check', *v.qemu_args())
    check(ours(v.name, status=0).stdout == theirs_text, f'{v.name}: the text is {theirs_text}')
    check(ours(v.name, '-q', status=0).stdout == '', '-q prints nothing')
    check(Path(v.name).read_bytes() == content, f'{v.name}: no byte changes')
    os.chmod(v.name, 0o644)
    if v.data or v.options.startswith(('refcount_bits', 'cluster_size=512')):
        continue

    # A cluster behind the end of the file that is counted, but not referenced.
    cs = 1 << number(v.name, 20, 4)
    end = (len(content) + cs - 1) // cs
    set_refcount(v.name, end, 1)
    os.truncate(v.name, (end + 1) * cs)
    status, found = same(v, v.name)
    check(status == 3 and found['leaks'] == 1, f'{v.name} has a leak')
    f, = found['qcowfs']['findings']
    check((f['kind'], f['host-offset'], f['refcount'], f['references']) == ('leak', end * cs, 1, 0),
          f'{v.name}: where it is: {f}')
    content = v.raw()
    status, found = ours_json(v.copy('copy'), '-r', 'leaks')
    check(status == 0 and found['leaks-fixed'] == 1 and v.raw('copy') == content, f'-r leaks: {found}')
    check(same(v, 'copy')[0] == 0, f'{v.name} is sound again')

# ---- corrupted images: what is wrong, where, and what a repair does


def refcount_too_low(image):
    set_refcount(image, 6, 0)
    return {'kind': 'refcount-too-low', 'host-offset': 6 * 64 * K, 'references': 1, 'refcount': 0}


def copied_is_missing(image):
    flip(image, l2_table(image), 1 << 63)
    return {'kind': 'copied-flag', 'table-offset': l2_table(image), 'index': 0, 'guest-offset': 0}


def reserved_bit(image):
    flip(image, l2_table(image) + 8, 1 << 57)
    return {'kind': 'invalid-entry', 'table': 'L2 table', 'index': 1, 'guest-offset': 64 * K}


def beyond_the_end(image):
    poke(image, l2_table(image) + 8 * 40, (1 << 63 | 1 << 40).to_bytes(8, 'big'))
    return {'kind': 'beyond-end', 'index': 40, 'guest-offset': 40 * 64 * K, 'host-offset': 1 << 40}


def entry_on_a_table(image):
    poke(image, l2_table(image) + 8 * 40, l2_table(image).to_bytes(8, 'big'))
    return {'kind': 'refcount-too-low', 'host-offset': l2_table(image), 'references': 2}


def marked_dirty(image):
    poke(image, 72, (1).to_bytes(8, 'big'))


def marked_corrupt(image):
    poke(image, 72, (2).to_bytes(8, 'big'))


v = Variant('faulty', packed=False).make()
whole = v.raw()
for fault, mends in ((refcount_too_low, True), (copied_is_missing, True), (reserved_bit, False),
                     (beyond_the_end, False), (entry_on_a_table, False), (marked_dirty, True),
                     (marked_corrupt, True)):
    wanted = fault(v.copy('copy'))
    before = Path('copy').read_bytes()
    status, found = same(v, 'copy')
    check(status == (2 if wanted else 0), f'{fault.__name__}: {found}')
    check(Path('copy').read_bytes() == before, f'{fault.__name__}: no byte changes')
    if wanted:
        check(any(wanted.items() <= f.items() for f in found['qcowfs']['findings']),
              f'{fault.__name__}: {wanted} is among {found}')
        text = ours('copy', status=2).stdout
        check("corruption: " in text and f"{wanted.get('host-offset', 0):x}" in text, text)
    r = ours('copy', '-r', 'all', status=0 if mends else 2)
    if mends:
        check(same(v, 'copy')[0] == 0 and v.raw('copy') == whole and not r.stderr, f'{r}')
        check(not number('copy', 72) & 3, 'the marks are gone')
    else:
        check('left: corruption: ' in r.stdout and r.stderr.startswith('qcowfs: copy: cannot repair')
              and r.stderr.count('\n') == 1, f'what is left is told: {r}')

# -r leaks leaves corruptions alone.
refcount_too_low(v.copy('copy')), set_refcount('copy', 60, 1)
status, found = ours_json('copy', '-r', 'leaks')
check(status == 2 and found['corruptions'] and not found.get('leaks'), f'{found}')

# ---- what is not checked: one line, status 1

Path('text').write_text('no image\n' * 100)
shutil.copy(v.name, 'copy')
for argv in (['missing'], ['text'], ['.'], [], ['copy', 'copy'], ['-r', 'some', 'copy'],
             ['--output=xml', 'copy'], ['-f', 'qcow', 'copy'], ['-f', 'raw', 'copy']):
    r = ours(*argv[-1:], *argv[:-1]) if argv else \
        subprocess.run([QCOWFS, 'check'], capture_output=True, text=True)
    status = 63 if argv in (['text'], ['-f', 'raw', 'copy']) else 1
    check(r.returncode == status and not r.stdout and r.stderr.count('\n') == 1 and
          r.stderr.startswith('qcowfs: '), f'check {argv}: {r}')
    if status == 63:
        check(subprocess.run(['qemu-img', 'check', *argv], capture_output=True).returncode == 63, argv)
user = subprocess.Popen(['qemu-io', 'copy'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
user.stdin.write(b'read 0 512\n'), user.stdin.flush(), user.stdout.readline()
for argv in [], ['-r', 'all']:
    check('locked' in ours('copy', *argv, status=1).stderr, 'an image in use is not checked')
ours('copy', '-U', status=0)
user.stdin.close(), user.wait()
