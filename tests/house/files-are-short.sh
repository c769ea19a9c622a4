#!/bin/bash
# SPDX-License-Identifier: MIT
# A source file is about one thing, and so stays under 450 lines. The public header is a reference
# of all that core/ offers, so it may be longer.
set -u

status=0
shopt -s globstar nullglob
for file in "$TEST_TOP"/{core,fuse}/**/*.[ch]; do
	lines=$(wc -l <"$file")
	[ "${file##*/}" = qcow.h ] && continue
	if [ "$lines" -ge 450 ]; then
		echo "# not so: ${file#"$TEST_TOP"/} is under 450 lines: $lines"
		status=1
	fi
done
exit $status
