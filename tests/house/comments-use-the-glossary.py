#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Names and comments speak the language of the field: no word that only this project would use, a
# comment begins with a verb or a noun, and a clause has a subject that is named.
#
#     comments-use-the-glossary.py [PATH...]      only in files below these
#     comments-use-the-glossary.py --figures      headless clauses in 1,000 words, by folder
import os
import re
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))

# What to say instead stands in core/README.md.
IN_BOTH = 'limbo virgin orphan orphans orphaned disown shelf shelve shelved unshelve lanes packed ' \
    'unpack unpacked unpacks unpacking unclaim lie lies adopt adopted settle settled settles peek ' \
    'peeked guessed facts said spare newcomer newcomers'.split()
IN_NAMES = IN_BOTH + 'shadow gate turn turns guard place places kept'.split()
IN_COMMENTS = IN_BOTH + ['who', 'whom', 'whoever', 'somebody', 'someone', 'nobody', 'whatever',
                         'lest', 'of late', 'as ever', 'all the same', 'by now', 'of its own',
                         'come again', 'comes again', r'(?<!in )(?<!take )(?<!takes )places?']
COMMENT = re.compile(r'\b(' + '|'.join(IN_COMMENTS) + r')\b(?! \(\d\))', re.I)
BEGINS = re.compile(r'\s*(What|Who|Whoever|Whatever|Those|It|Its|They)\b')
HEADLESS = re.compile(r'\b(who|whoever|what|whatever|those who|those that)\b (is|was|are|were|has|had|'
                      r'have|comes?|came|it|they|we|he|can|could|may|must|will|would|does|do|did|'
                      r'needs?|wants?|asks?|holds?|held|says?|reads?|writes?|uses?|goes|stands?|there|'
                      r'the|a|an|this|that)\b', re.I)
MOST = 2.0  # headless clauses in 1,000 words


def comments_of(text):
    """Each comment as one line of prose, with the line it begins in."""
    for m in re.finditer(r'/\*(.*?)\*/|"(?:\\.|[^"\\\n])*"', text, re.S):
        if m[1] is not None:
            lines = [re.sub(r'^\s*\*? ?', '', line) for line in m[1].split('\n')]
            yield text.count('\n', 0, m.start()) + 1, lines


def prose(lines):
    return re.sub(r'\s+', ' ', ' '.join(lines)).strip()


def paragraphs(path):
    """Prose of a page: without code, tables of options and requests."""
    text = path.read_text()
    if path.suffix == '.md':
        text = re.sub(r'```.*?```', '', text, flags=re.S)
        text = re.sub(r'`[^`]*`', 'X', text)
    else:
        text = re.sub(r'^\.Bd.*?^\.Ed', '', text, flags=re.S | re.M)
        text = re.sub(r'^\.(Sh|Ss|Nd|Dd|Dt|Os|It|Fl|Op|Ic|\\").*$', '', text, flags=re.M)
        text = re.sub(r'^\.\w+ ?', '', text, flags=re.M)
    return text


def names_of(text):
    code = re.sub(r'/\*.*?\*/|"(\\.|[^"\\\n])*"|\'(\\.|[^\'\\])+\'', '', text, flags=re.S)
    code = re.sub(r'^\s*#\s*include.*$', '', code, flags=re.M)
    return set(re.findall(r'\b[a-zA-Z_]\w+\b', code))


def main():
    wanted = [Path(a).resolve() for a in sys.argv[1:] if not a.startswith('--')]

    def is_wanted(path):
        return not wanted or any(w == path or w in path.parents for w in wanted)

    problems, words, headless = [], {}, {}

    def count(room, text, where):
        words[room] = words.get(room, 0) + len(re.findall(r"[A-Za-z']+", text))
        found = [m[0] for m in HEADLESS.finditer(text)]
        headless.setdefault(room, []).extend(f'{where}: "{f}"' for f in found)

    sources = [p for d in ('core', 'fuse') for p in sorted((TOP / d).rglob('*.[ch]')) if is_wanted(p)]
    for path in sources:
        text, name = path.read_text(), path.relative_to(TOP)
        for line, lines in comments_of(text):
            whole = prose(lines)
            for m in COMMENT.finditer(whole):
                problems.append(f'{name}:{line}: "{m[0]}" in a comment')
            if BEGINS.match(whole):
                problems.append(f'{name}:{line}: a comment begins with "{whole[:30]}"')
            count(str(name.parent), whole, f'{name}:{line}')
        for word in sorted(names_of(text)):
            # "In place" is the field's term for a write that allocates nothing.
            bad = set(re.split(r'_', word.lower().replace('in_place', ''))) & set(IN_NAMES)
            if bad:
                problems.append(f'{name}: "{min(bad)}" in the name {word}')
    pages = [TOP / 'README.md', TOP / 'core/README.md', TOP / 'fuse/README.md', TOP / 'tests/README.md',
             TOP / 'man/NEWS', *sorted((TOP / '.github').glob('*.md')),
             *sorted((TOP / 'man').glob('*.[1-8]'))]
    for path in pages:
        if is_wanted(path):
            count(str(path.relative_to(TOP)), paragraphs(path), path.relative_to(TOP))
    for room in sorted(words):
        rate = 1000 * len(headless[room]) / max(words[room], 1)
        if '--figures' in sys.argv:
            print(f'{room:24} {words[room]:6} words  {rate:5.1f}')
        if rate >= MOST and words[room] >= 300:
            problems.append(f'{room}: {rate:.1f} headless clauses in 1,000 words')
            problems += headless[room]
    for p in problems:
        print(f'# not so: {p}')
    return bool(problems)


sys.exit(main())
