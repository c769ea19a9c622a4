#!/bin/bash
# SPDX-License-Identifier: MIT
# Each header can be included first, and alone; the public one from C++, too.
set -u

status=0
alone() { # alone COMPILER STANDARD HEADER FOLDER: with what files of the folder see
	# shellcheck disable=SC2046
	printf '#include "%s"\n#include "%s"\n' "$3" "$3" |
		"$1" -x "$2" -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -fsyntax-only -Wall -Wextra -Werror \
			$(pkg-config --cflags fuse3 | sed 's/-I/-isystem /g') -I"$TEST_TOP/core/include" -I"$TEST_TOP/${4:-core}" - || {
		echo "# not so: $3 compiles alone, as $2"
		status=1
	}
}
shopt -s globstar
for folder in core fuse; do
	for header in "$TEST_TOP/$folder"/**/*.h; do alone cc c "$header" $folder; done
done
for cxx in c++ clang++ g++; do
	if command -v $cxx >/dev/null; then
		alone $cxx c++ "$TEST_TOP/core/include/qcow.h"
		break
	fi
done
exit $status
