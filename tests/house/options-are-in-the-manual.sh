#!/bin/bash
# SPDX-License-Identifier: MIT
# The -o options of --help are those of the manual page.
set -u
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1

"$QCOWFS" --help | sed -n 's/^    -o \([a-z][a-z_-]*\).*/\1/p' | sort -u >help
sed -n '/^\.It/s/Fl o Cm \([a-z_-]*\)/\n=\1\n/gp' "$TEST_TOP/man/qcowfs.1" |
	sed -n 's/^=//p' | sort -u >manual
[ -s help ] || { echo "# not so: --help has options"; exit 1; }
diff help manual || { echo "# not so: help (<) and manual (>) have the same options"; exit 1; }
for letter in h V v f d s r; do
	"$QCOWFS" --help | grep -Eq "^ +-$letter\b" || { echo "# not so: -$letter is in --help"; exit 1; }
	grep -Eq "^\.It Fl $letter\b" "$TEST_TOP/man/qcowfs.1" || {
		echo "# not so: -$letter is in the manual"
		exit 1
	}
done
