/* SPDX-License-Identifier: MIT */
#include "sandbox/capabilities.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdint.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

struct cap_sets {
	struct __user_cap_data_struct half[2]; /* capabilities 0 to 31, 32 to 63 */
};

static int get_capabilities(struct cap_sets *s)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return syscall(SYS_capget, &head, s->half) ? -errno : 0;
}

static int set_capabilities(const struct cap_sets *s)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };

	return syscall(SYS_capset, &head, s->half) ? -errno : 0;
}

static uint64_t join_halves(uint32_t low, uint32_t high)
{
	return low | (uint64_t)high << 32;
}

/* Takes the capabilities out of the bounding set, so that no program this process starts could
 * get them back.  Stops at the first failure: the kernel knows no higher one, or CAP_SETPCAP is
 * missing, and then there is nothing to lose. */
static void lower_bounding_set(uint64_t keep)
{
	for (unsigned int cap = 0; cap < 64; cap++)
		if (!(keep >> cap & 1) && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0))
			break;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
}

int capabilities_drop(bool write, bool create, bool noatime)
{
	uint64_t keep = UINT64_C(1) << (write ? CAP_DAC_OVERRIDE : CAP_DAC_READ_SEARCH) |
			(uint64_t)(create || noatime) << CAP_FOWNER | (uint64_t)create << CAP_CHOWN;
	struct cap_sets s;
	int r = get_capabilities(&s);

	if (r)
		return r;
	lower_bounding_set(keep);
	keep &= join_halves(s.half[0].permitted, s.half[1].permitted);
	for (unsigned int i = 0; i < 2; i++) {
		s.half[i].permitted = (uint32_t)(keep >> 32 * i);
		s.half[i].effective = s.half[i].permitted;
		s.half[i].inheritable = 0;
	}
	return set_capabilities(&s);
}

void capabilities_report(char *text, size_t size)
{
	static const struct {
		unsigned int cap;
		const char *name;
	} known[] = {
		{ CAP_CHOWN, " chown" },
		{ CAP_DAC_OVERRIDE, " dac_override" },
		{ CAP_DAC_READ_SEARCH, " dac_read_search" },
		{ CAP_FOWNER, " fowner" },
	};
	struct cap_sets s;
	uint64_t left = get_capabilities(&s) ? 0 : join_halves(s.half[0].permitted, s.half[1].permitted);

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
		if (left >> known[i].cap & 1)
			strncat(text, known[i].name, size - strlen(text) - 1);
	if (!left)
		strncat(text, " none", size - strlen(text) - 1);
}
