/* SPDX-License-Identifier: MIT */
#include "commands/cache_mode.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

int cache_mode_read(const char *value, bool *sync)
{
	static const char *const modes[] = { "none", "writeback", "writethrough", "directsync" };

	*sync = false;
	if (!strcmp(value, "unsafe"))
		return 0;
	*sync = true;
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++)
		if (!strcmp(value, modes[i]))
			return 0;
	return -EINVAL;
}
