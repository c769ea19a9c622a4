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
