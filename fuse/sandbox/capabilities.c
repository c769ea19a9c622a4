/* SPDX-License-Identifier: MIT */
#include "sandbox/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct sets {
	struct __user_cap_data_struct half[2];
};

static int get(struct sets *s)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return syscall(SYS_capget, &head, s->half) ? -errno : 0;
}

static int set(const struct sets *s)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return syscall(SYS_capset, &head, s->half) ? -errno : 0;
}

static uint64_t join(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

/* So that not even a program that root starts could have them: an older kernel
 * knows fewer, and only who has SETPCAP may do this. */
static void lower_bound(uint64_t keep)
{
	for (unsigned int cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int capabilities_drop(bool write, bool noatime)
{
	uint64_t keep = UINT64_C(1) << (write ? CAP_DAC_OVERRIDE : CAP_DAC_READ_SEARCH) |
			(uint64_t)noatime << CAP_FOWNER;
	struct sets s;
	int r = get(&s);

	if (r)
		return r;
	lower_bound(keep);
	keep &= join(s.half[0].permitted, s.half[1].permitted);
	for (unsigned int i = 0; i < 2; i++) {
		s.half[i].permitted = (uint32_t)(keep >> 32 * i);
		s.half[i].effective = s.half[i].permitted;
		s.half[i].inheritable = 0;
	}
	return set(&s);
}

void capabilities_report(char *text, size_t size)
{
	static const struct {
		unsigned int cap;
		const char *name;
	} known[] = {
		{ CAP_DAC_OVERRIDE, " dac_override" },
		{ CAP_DAC_READ_SEARCH, " dac_read_search" },
		{ CAP_FOWNER, " fowner" },
	};
	struct sets s;
	uint64_t left = get(&s) ? 0 : join(s.half[0].permitted, s.half[1].permitted);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (left >> known[i].cap & 1)
			strncat(text, known[i].name, size - strlen(text) - 1);
	if (!left)
		strncat(text, " none", size - strlen(text) - 1);
}
