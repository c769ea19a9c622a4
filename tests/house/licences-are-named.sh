#!/bin/bash
# SPDX-License-Identifier: MIT
# Each source file says its licence in its first lines.
set -u

cd "$TEST_TOP" || exit 1
status=0
while IFS= read -r -d '' file; do
	head -n 3 "$file" | grep -q 'SPDX-License-Identifier: MIT' || {
		echo "# not so: $file has an SPDX line"
		status=1
	}
done < <(find core fuse tests man .ci meson.build -type f \
	\( -name '*.[ch157]' -o -name '*.sh' -o -name '*.py' -o -name meson.build -o -perm -u+x \) \
	! -path 'tests/fuzz/corpus/*' ! -path '*/__pycache__/*' -print0)
exit $status
