#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Each command of --help has a section in qcowfs-commands(1), and both have the same options; each
# has a test, a file of at most 150 lines, and says what it is in its --help.
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))
QCOWFS = os.environ.get('QCOWFS', str(TOP / 'build' / 'qcowfs'))
problems = []


def check(so, text):
    if not so:
        problems.append(text)


def help_of(*words):
    r = subprocess.run([QCOWFS, *words, '--help'], capture_output=True, text=True)
    check(not r.returncode and not r.stderr, f'{" ".join(words)} --help is printed')
    return r.stdout


def in_help(text):
    """{'-U', '--force-share', ...}"""
    lines = re.findall(r'^    (-[^\s,]+(?:, --\S+)?)', text, re.M)
    return {re.sub(r'=.*', '', o) for line in lines for o in line.split(', ')}


def in_manual(section):
    found = set()
    for line in re.findall(r'^\.It Fl (.*)$', section, re.M):
        words = line.split()
        found |= {'-' + w for i, w in enumerate(words) if not i or words[i - 1] == ','}
    return found


page = (TOP / 'man/qcowfs-commands.1').read_text()
check(page.startswith('.\\" SPDX'), 'the page is there')
sections = dict(re.findall(r'^\.Ss (\w+)\n(.*?)(?=^\.S[sh] )', page, re.M | re.S))
shared = in_manual(re.search(r'^Options of all commands:$(.*?)^\.Sh ', page, re.M | re.S)[1])
commands = re.findall(r'^    qcowfs (\w+) ', help_of(), re.M)
check('info' in commands and '--key-file' in shared, 'there are commands and options')
check(commands == sorted(commands), '--help is sorted')
check(list(sections) == commands, f'the sections of the page are {commands}, not {list(sections)}')
for c in commands:
    text = help_of(c)
    own, common = text.split('\nOptions of all commands:\n')
    check(text.startswith(f'usage: qcowfs {c} [options]'), f'{c} --help begins with its usage')
    check(in_help(common) == shared, f'{c}: the options of all commands are {shared}')
    check(in_help(own) == in_manual(sections.get(c, '')),
          f'{c}: --help has {in_help(own)}, the page has {in_manual(sections.get(c, ""))}')
    source = TOP / f'fuse/commands/cmd_{c}.c'
    check(source.exists() and len(source.read_text().splitlines()) <= 150,
          f'{source.name} is there, with at most 150 lines')
    check(list((TOP / 'tests/e2e').glob(f'command-{c}*')), f'tests/e2e/command-{c}.py is there')
for p in problems:
    print(f'# not so: {p}')
sys.exit(bool(problems))
