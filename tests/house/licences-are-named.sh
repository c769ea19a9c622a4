#!/bin/bash
# SPDX-License-Identifier: MIT
# Each source file says its licence in its first lines.
set -u

cd "$TEST_TOP" || exit 1
find core fuse tests man .ci meson.build -type f \
	\( -name '*.[ch157]' -o -name '*.sh' -o -name '*.py' -o -name meson.build -o -perm -u+x \) \
	! -path 'tests/fuzz/corpus/*' ! -path '*/__pycache__/*' -exec awk '
	FNR <= 3 && /SPDX-License-Identifier: MIT/ { named[FILENAME] }
	END {
		for (i = 1; i < ARGC; i++)
			if (!(ARGV[i] in named)) {
				print "# not so: " ARGV[i] " has an SPDX line"
				status = 1
			}
		exit status
	}
' {} +
