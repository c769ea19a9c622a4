#!/bin/bash
# SPDX-License-Identifier: MIT
# A loop device on our file carries btrfs, made on a real one: all files are as they were.
. "${TEST_LIB:-$(dirname "$0")}/loop.sh"
loop_device_carries btrfs
