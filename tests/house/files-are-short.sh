#!/bin/bash
# SPDX-License-Identifier: MIT
# A source file is about one thing, and so stays under 450 lines.
set -u

status=0
shopt -s globstar nullglob
for file in "$TEST_TOP"/{core,fuse}/**/*.[ch]; do
	lines=$(wc -l <"$file")
	if [ "$lines" -ge 450 ]; then
		echo "# not so: ${file#"$TEST_TOP"/} is under 450 lines: $lines"
		status=1
	fi
done
exit $status
