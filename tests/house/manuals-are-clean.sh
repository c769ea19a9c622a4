#!/bin/bash
# SPDX-License-Identifier: MIT
# mandoc has nothing to say on the manual pages.
set -u
TEST_TOP=${TEST_TOP:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "${TEST_TMP:-$(mktemp -d)}" || exit 1
command -v mandoc >/dev/null || { echo "needs mandoc"; exit 77; }

pages=("$TEST_TOP"/man/*.[1-8])
[ -e "${pages[0]}" ] || { echo "# not so: there are manual pages"; exit 1; }
mandoc -T lint -W warning "${pages[@]}" >said 2>&1
[ ! -s said ] || { cat said; exit 1; }

# Nor has groff, through which man(1) shows them.
command -v man >/dev/null && command -v groff >/dev/null || exit 0
for page in "${pages[@]}"; do
	MANWIDTH=80 LC_ALL=C.UTF-8 man --warnings=w -E UTF-8 -l "$page" 2>warned >shown
	grep -v "can't break line" warned >said # in narrow columns of tables
	[ ! -s said ] || { cat said; exit 1; }
	[ "$(wc -l <shown)" -gt 60 ] || { echo "# not so: $page is shown"; exit 1; }
done
