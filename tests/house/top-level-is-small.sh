#!/bin/bash
# SPDX-License-Identifier: MIT
# The top level holds the folders of the program, what builds and explains it, and nothing else.
set -u

if ! git -C "$TEST_TOP" rev-parse --git-dir >/dev/null 2>&1; then
	echo "the files are not in a git repository"
	exit 77
fi
status=0
while read -r name; do
	case $name in
	.* | core | fuse | man | tests | meson.build | meson_options.txt | README.md | LICENSE) ;;
	*)
		echo "# not so: the top level holds no '$name'"
		status=1
		;;
	esac
done < <(git -C "$TEST_TOP" -c core.quotePath=off ls-files | cut -d/ -f1 | sort -u)
exit $status
