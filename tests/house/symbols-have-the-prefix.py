#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
# Each global function begins with the name of its module, so that a backtrace or a profile says
# where it is: qc_refcount_... in core/metadata/refcount.c, pidfile_... in fuse/daemon/pidfile.c.
# Names of the public header are the exception. No two functions of core/ and fuse/, static ones
# included, share a name.
import os
import re
import subprocess
import sys
from pathlib import Path

sys.dont_write_bytecode = True
TOP = Path(os.environ.get('TEST_TOP', Path(__file__).resolve().parents[2]))
BUILD = Path(os.environ.get('TEST_BUILD', TOP / 'build'))

# Modules whose functions begin with another noun than the file: that of the object they are about.
NOUNS = {
    'core': {
        'abort': 'writer', 'allocator': 'alloc', 'bitmap_directory': 'bitmaps',
        'bitmap_set': 'bitmap_set tracked_bitmap', 'bitmap_view': 'bitmap_view image_is_bitmap',
        'cipher': 'cipher cipher_pool', 'cluster_map': 'map', 'compress': 'encode encoder can_encode',
        'compressed_write': 'write_compressed compress store', 'decompress': 'decode decoder',
        'encrypted_io': 'encrypted crypt_state', 'external_file': 'file_location open_external_file',
        'inflight': 'inflight drain', 'l2_table': 'writer_l2_table',
        'layer_table': 'layer context', 'layer_writable': 'layer', 'lock': 'lock rank', 'log': 'log fail reason text',
        'checkpoint': 'checkpoint writer with_checkpoints', 'metadata_walk': 'metadata', 'overlap_check': 'overlap', 'pending_free': 'alloc',
        'range_lock': 'range', 'entry_check': 'entry_check findings finding', 'reference_count': 'reference',
        'refcount': 'refcount refcounts', 'request': 'request', 'sector_lock': 'sector_locks',
        'watched_file': 'watch watched_file', 'writer_client': 'writer_client writer_add_client', 'secure_mem': 'secure crypto_init', 'snapshot_table': 'snapshot_table snapshot_entry',
        'snapshot_delete': 'snapshot_delete', 'table_cache': 'cache', 'table_writeback': 'cache', 'unlock': 'unlock',
        'chain_walk': 'walk', 'info': 'image', 'write': 'write allocate',
        'cow_fill': 'cow', 'extent': 'block_status',
    },
    'fuse': {
        'mount_options': 'mount_option mount_options', 'open_file': 'open_file open_files',
        'option_values': 'option_value', 'option_setters': 'option_set option_add', 'scan': 'tree_scan', 'snapshot_names': 'snapshot_name snapshot_names',
        'attr_ops': 'op', 'dir_ops': 'op', 'file_ops': 'op', 'make_ops': 'op', 'read_ops': 'op',
        'session_ops': 'op', 'snapshot_ops': 'op', 'write_ops': 'op', 'xattr_ops': 'op', 'limited_ops': 'limited',
        'common': 'command', 'command_help': 'command',
    },
}


def globals_of(d, objects):
    r = subprocess.run(['nm', '-A', '-g', '--defined-only', *objects], capture_output=True, text=True,
                       check=True)
    files = {str(p.relative_to(TOP / d)).replace('/', '_'): p for p in (TOP / d).rglob('*.c')}
    for m in re.finditer(r'^\S*/(?:fuse_)?(\w+\.c)\.o:\S* [TDBRVW] (\w+)$', r.stdout, re.M):
        if m[1] in files:  # else an object of a file that is gone
            yield files[m[1]], m[2]


def check():
    public = ''.join(h.read_text() for h in (TOP / 'core/include').glob('*.h'))
    public = set(re.findall(r'\b(qc_\w+)\(', re.sub(r'/\*.*?\*/', '', public, flags=re.S)))
    objects = {'core': list(BUILD.glob('core/libqcow.a.p/*.o')),
               'fuse': list(BUILD.glob('qcowfs.p/*.o'))}
    seen = 0
    for d, start in ('core', 'qc_'), ('fuse', ''):
        for path, name in globals_of(d, objects[d]):
            seen += 1
            nouns = NOUNS[d].get(path.stem, path.stem).split()
            if name.startswith('__') or name in public or name == 'main' or \
                    any(re.match(start + n + r'(_|$)', name) for n in nouns):
                continue
            yield f'{name} of {path.relative_to(TOP)} begins with {start}{nouns[0]}'
    if seen < 300:
        yield 'the build has symbols'


problems = list(check())
for p in problems:
    print(f'# not so: {p}')
sys.exit(bool(problems))
