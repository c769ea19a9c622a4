#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# When a test reaches its limit, tests/run prints where each of its threads is, and ends all of its
# processes: also one that has left the session of the test.
import importlib.machinery
import importlib.util
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))
loader = importlib.machinery.SourceFileLoader('run', str(TOP / 'tests/run'))
run = importlib.util.module_from_spec(importlib.util.spec_from_loader('run', loader))
loader.exec_module(run)


def check(so, text):
    if not so:
        print(f'# not so: {text}', flush=True)
        sys.exit(1)


here = Path(os.environ.get('TEST_TMP') or tempfile.mkdtemp()).resolve()
program = here / 'qcowfs'  # tests/run takes a backtrace of a program of this name
shutil.copy(shutil.which('sleep'), program)
script = here / 'hangs.sh'
script.write_text(f'#!/bin/sh\nsetsid {program} 1000 &\necho $! >{here}/pid\nwait\n')
script.chmod(0o755)
wait_for = run.wait_for


def wait_for_program(process, limit):
    """Lets the limit begin when the program sleeps, however slow the machine is."""
    while True:
        try:
            if Path('/proc', (here / 'pid').read_text().strip(), 'comm').read_text() == 'qcowfs\n':
                return wait_for(process, limit)
        except OSError:
            pass
        time.sleep(0.02)


run.wait_for = wait_for_program
test = run.Test('e2e', 'hangs', 'plain', [script])
test.limit = 1
result = run.run_test(test, False)
print(result.output)
check(result.status == 'failed', f'the test fails: {result.status}')
check('took longer than 1 s' in result.output, 'the reason is told')
pid = (here / 'pid').read_text().strip()
check(f'process {pid} qcowfs: {program} 1000' in result.output, 'the program is named')
check(f'thread {pid} qcowfs: ' in result.output, 'its thread is shown')
if shutil.which('gdb') and not os.geteuid():
    check('#0 ' in result.output, 'gdb shows its stack')
deadline = time.monotonic() + 60
while os.path.exists(f'/proc/{pid}/exe') and time.monotonic() < deadline:
    time.sleep(0.05)
try:
    os.readlink(f'/proc/{pid}/exe')
    check(False, f'process {pid} has ended')
except OSError:
    pass
