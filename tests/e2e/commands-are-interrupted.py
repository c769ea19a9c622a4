#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# sanitize: none
# SIGINT after any write of a command leaves a sound image with the same bytes, and the command can
# be run again.
import shutil

from encrypted import *

# Sends the signal to the program that it is loaded into, after so many writes.
SENDER = r'''
#define _GNU_SOURCE
#include <dlfcn.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <unistd.h>
static void count(void)
{
	static atomic_int n;

	if (++n == atoi(getenv("INTERRUPT_AT")))
		kill(getpid(), SIGINT);
}
#define PWRITE(name) \
ssize_t name(int fd, const void *buf, size_t n, off_t off) \
{ \
	ssize_t (*real)(int, const void *, size_t, off_t) = dlsym(RTLD_NEXT, #name); \
	ssize_t r = real(fd, buf, n, off); \
	count(); \
	return r; \
}
#define PWRITEV2(name) \
ssize_t name(int fd, const struct iovec *v, int n, off_t off, int flags) \
{ \
	ssize_t (*real)(int, const struct iovec *, int, off_t, int) = dlsym(RTLD_NEXT, #name); \
	ssize_t r = real(fd, v, n, off, flags); \
	count(); \
	return r; \
}
#undef pwrite
#undef pwrite64
PWRITE(pwrite)
PWRITE(pwrite64)
PWRITEV2(pwritev2)
PWRITEV2(pwritev64v2)
'''
cc = next((c for c in ('cc', 'gcc', 'clang') if shutil.which(c)), None)
if not cc:
    skip('needs a C compiler')
Path('sender.c').write_text(SENDER)
run(cc, '-D_FILE_OFFSET_BITS=64', '-U_FILE_OFFSET_BITS', '-shared', '-fPIC', '-o', 'sender.so',
    'sender.c', '-ldl')


def command(argv, at=0):
    env = dict(os.environ, LD_PRELOAD=os.path.abspath('sender.so'), INTERRUPT_AT=str(at))
    return subprocess.run([QCOWFS, *argv], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env=env)


def leaks_at_most(image):
    """Of an encrypted image, too: nothing is decrypted."""
    r = subprocess.run([QCOWFS, 'check', '-q', image], capture_output=True, text=True)
    check(r.returncode in (0, 3), f'{image} has leaks at most: {r}')


def damage(image):
    """Refcounts of 0 and of 9, each of four clusters; the image is not sound before the repair."""
    block = int.from_bytes(peek(image, int.from_bytes(peek(image, 48, 8), 'big'), 8), 'big')
    for i in range(40):
        poke(image, block + 2 * (40 + 5 * i), (9 * (i % 2)).to_bytes(2, 'big'))


run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', 'base', '8M')
qio('base', 'write -P 1 0 5M')
run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', '-b', 'base', '-F', 'qcow2',
    'over', '8M')
qio('over', 'write -P 2 1M 3M', 'write -z 6M 512k')
run('qemu-img', 'create', '-q', '-f', 'qcow2', '-o', 'cluster_size=4k', 'holes', '8M')
qio('holes', 'write -P 3 0 6M', 'write -z 7M 900k', 'discard 0 1M', 'discard 2M 1M', 'discard 4M 1M')
shutil.copy('holes', 'damaged')
damage('damaged')
encrypted('locked', 'qcow2', LUKS, '1M', 'write -P 5 0 64k')
Path('key').write_text(KEY)
Path('new').write_text('another')
KEYS = ['--key-file=key', '--new-key-file=new', '--iter-time=1']

# The image with the bytes; those that the command writes; the command.  `stops`: it is long enough
# here to be stopped before its end.
COMMANDS = [
    ('damaged', ['damaged'], ['check', '-r', 'all', 'damaged'], False),
    ('over', ['over', 'base'], ['commit', 'over'], True),
    ('over', ['over'], ['rebase', '-b', '', 'over'], True),
    ('holes', ['copy'], ['convert', '-O', 'qcow2', '-o', 'cluster_size=4k', 'holes', 'copy'], True),
    ('holes', ['holes'], ['amend', '-o', 'compat=0.10', 'holes'], False),
    ('holes', ['holes'], ['amend', '-o', 'refcount_bits=64', 'holes'], False),
    ('holes', ['holes'], ['compact', 'holes'], True),
    ('locked', ['locked'], ['key', 'add', *KEYS, 'locked'], False),
    ('locked', ['locked'], ['key', 'remove', '--force', '--slot=0', '--key-file=key', 'locked'], False),
]
for image in 'base', 'over', 'holes', 'damaged', 'locked':
    shutil.copy(image, f'{image}.before')
for image, written, argv, stops in COMMANDS:
    disk = None if image == 'locked' else raw_of(image)
    stopped = False
    # The first writes of a conversion make the new image, before the signal is caught.
    for at in (9, 17, 30) if argv[0] == 'convert' else (1, 2, 5, 17):
        for name in written:
            if os.path.exists(f'{name}.before'):
                shutil.copy(f'{name}.before', name)
        r = command(argv, at)
        told = 'interrupted' in r.stderr and r.stderr.count('\n') == 1
        check(not r.returncode or (r.returncode == 1 and told), f'{argv}, write {at}: {r}')
        stopped = stopped or told
        if told and argv[0] == 'convert':
            check(not os.path.exists('copy'), 'half of a new image is removed')
            continue
        if argv[0] != 'check':
            for name in written:
                leaks_at_most(name)
        check(disk is None or raw_of(image) == disk, f'{argv}, write {at}: the bytes are the same')
        if told:
            again = command(argv)
            check(not again.returncode and not again.stderr, f'{argv}: a second time: {again}')
            leaks_at_most(image)
            check(raw_of(image) == disk, f'{argv}: the bytes are the same after the second time')
    check(stopped or not stops, f'{argv} is stopped')
    for name in written:
        if os.path.exists(f'{name}.before'):
            shutil.copy(f'{name}.before', name)
