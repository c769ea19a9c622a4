/* SPDX-License-Identifier: MIT */
/*
 * fault.h - lets one call after the other fail while a scenario of crash.h runs.
 *
 * After each run the image must open and read as after a crash, and QEMU finds no corruption.
 */
#ifndef FAULT_H
#define FAULT_H

#include "crash.h"

static bool may_fail; /* the steps of a scenario: a call may fail in this run */

static inline void look_after_fault(void)
{
	if (rig_judge) {
		rig_judge("w", rig.images++ % SAMPLE == 0);
		return;
	}
	core_reads_it("w/img", SIZE_MAX - 1, "w", false);
	if (WEXITSTATUS(try_sh("cd w && qemu-img check -q %s >check 2>&1", rig_image(rig.s))) == 2)
		complain("corrupt after a failure");
}

/* Fails calls 1 to @each of a kind, and then every @step-th, in a run of its own. */
static inline void fail_in_turn(enum rec_kind kind, qc_err err, uint64_t each, uint64_t step)
{
	for (uint64_t n = 1; !rig.bad; n += n < each ? 1 : step) {
		rig_again();
		rig_run((struct rec_fault){ kind, n, 1, err, n % 2 });
		if (!rec.failures)
			break;
		look_after_fault();
	}
}

/* Crashes the scenario, and fails about $FAULT_RUNS calls of each kind. */
static inline void crash_and_fault_scenario(const struct scenario *s)
{
	static const struct {
		enum rec_kind kind;
		qc_err err;
	} faults[] = { { REC_WRITE, -ENOSPC }, { REC_WRITE, -EIO }, { REC_SYNC, -EIO }, { REC_READ, -EIO } };
	uint64_t runs = env_number("FAULT_RUNS", is_long() ? 6 : is_sanitized() ? 2 : 3);

	may_fail = false;
	crash_scenario_of(s, is_long() ? 40 : is_sanitized() ? 10 : 20);
	may_fail = true;
	rig_begin(s);
	rig_run((struct rec_fault){ 0 });
	for (size_t i = 0; i < COUNT(faults); i++)
		fail_in_turn(faults[i].kind, faults[i].err, 0, rec.calls[faults[i].kind] / runs + 1);
	CHECK(!rig.bad);
	rig_end();
}

#endif
