#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Signals of a terminal, a service manager and the kernel unmount in order, with status 0 under -f,
# also while files are open, or do nothing; SIGUSR1 logs the counters.
import re
from qcowtest import *

create('disk.qcow2', '1M')
qio('disk.qcow2', 'write -P 1 0 1M')
LEAVE = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGXCPU]
IGNORE = [signal.SIGUSR2, signal.SIGALRM, signal.SIGVTALRM, signal.SIGPROF, signal.SIGIO, signal.SIGPWR,
          signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTTOU, signal.SIGCHLD, signal.SIGURG, signal.SIGWINCH,
          signal.SIGCONT, signal.SIGRTMIN, signal.SIGRTMIN + 5, signal.SIGRTMAX]

for sig in LEAVE:  # a signal that is ignored from the start stays so
    signal.signal(sig, signal.SIG_DFL)
for options in [], ['-s']:
    for sig in LEAVE:
        for is_open in False, True:
            m = Mount('disk.qcow2', *options)
            f = open(m.path('disk.raw'), 'rb', buffering=0) if is_open else None
            m.process.send_signal(sig)
            try:
                status = m.process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                fail(f'{sig.name} ends it {options}, open: {is_open}')
            check(status == 0, f'{sig.name}: status 0, not {status}: {m.log()}')
            check(not is_mounted(m.where), f'{sig.name}: it is unmounted')
            if f:
                errno_of(f.close)  # ENOTCONN, which the kernel reports to no one
    with Mount('disk.qcow2', *options) as m:
        for sig in IGNORE:
            m.process.send_signal(sig)
        for n in range(1, 4):
            Path(m.path('disk.raw')).read_bytes()
            m.process.send_signal(signal.SIGUSR1)
            until(PATIENCE, lambda: m.log().count('counters') == n, f'{n} lines of counters')
        line = m.log().splitlines()[-1]
        check(re.search(r'^qcowfs: counters: .*\b[1-9]\d* reads, [1-9]\d* bytes', line),
              f'they have been counted: {line}')
    check(len(m.log().splitlines()) == 3, f'nothing else is logged: {m.log()}')

# Stopped and continued it serves on.
with Mount('disk.qcow2') as m:
    m.process.send_signal(signal.SIGSTOP)
    until(PATIENCE, lambda: 'T (stopped)' in Path(f'/proc/{m.process.pid}/status').read_text(), 'it stops')
    m.process.send_signal(signal.SIGCONT)
    check(Path(m.path('disk.raw')).read_bytes()[:1] == b'\1', 'it serves on')

# What a parent hands down: blocked signals are unblocked, SIGHUP that is ignored (nohup) stays so,
# and with SIGCHLD ignored the exit status of the daemon is told all the same.
EVERY = set(signal.valid_signals()) - {signal.SIGKILL, signal.SIGSTOP}
signal.pthread_sigmask(signal.SIG_BLOCK, EVERY)
m = Mount('disk.qcow2')
signal.pthread_sigmask(signal.SIG_UNBLOCK, EVERY)
m.process.send_signal(signal.SIGTERM)
check(m.process.wait(PATIENCE) == 0, 'SIGTERM ends it, though the parent had it blocked')
signal.signal(signal.SIGHUP, signal.SIG_IGN)
with Mount('disk.qcow2') as m:
    m.process.send_signal(signal.SIGHUP)
    time.sleep(0.5)
    check(Path(m.path('disk.raw')).read_bytes()[:1] == b'\1', 'nohup')
signal.signal(signal.SIGHUP, signal.SIG_DFL)
r = subprocess.run(['sh', '-c', 'trap "" CHLD; exec "$@"', 'sh', QCOWFS, 'nothing.qcow2', m.where],
                   capture_output=True)
check(r.returncode == 2, f'SIGCHLD ignored: status 2, not {r.returncode}')
poke('disk.qcow2', 72, b'\x80')
r = subprocess.run([sys.executable, '-c', 'import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); '
                    'os.execv(sys.argv[1], sys.argv[1:])', QCOWFS, 'disk.qcow2', m.where], capture_output=True)
check(r.returncode == 2, f'in the background, too: {r}')
