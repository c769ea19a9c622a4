#!/bin/bash
# SPDX-License-Identifier: MIT
# A mountpoint that is not there, or that cannot be mounted on, gives status 5.
. "${TEST_LIB:-$(dirname "$0")}/functions.sh"

image disk.qcow2 1M
refuses 5 'nowhere.*No such file' disk.qcow2 nowhere
refuses 5 'nowhere' disk.qcow2 nowhere/mnt
refuses 5 'nowhere' -f disk.qcow2 nowhere
mkdir -p src
cp disk.qcow2 src
refuses 5 'nowhere' src nowhere
ln -s gone dangling
refuses 5 'dangling' disk.qcow2 dangling
