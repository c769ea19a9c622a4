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

# Options that are accepted and ignored are in it, too.
sed -n '/ignored\[\] = {/,/};/s/"\([a-z_]*\)"/\n=\1\n/gp' "$TEST_TOP/fuse/cli/option_table.c" |
	sed -n 's/^=//p' | sort >ignored
[ -s ignored ] || { echo "# not so: some options are ignored"; exit 1; }
sed -n '/accepted and ignored:$/,/^and all/p' "$TEST_TOP/man/qcowfs.1" | grep -o '[a-z_][a-z_]*' |
	sort -u >words
comm -23 ignored words >missing
[ ! -s missing ] || { cat missing; echo "# not so: the manual has all that are ignored"; exit 1; }
