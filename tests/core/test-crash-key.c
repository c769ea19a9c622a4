/* SPDX-License-Identifier: MIT */
/*
 * A crash, or a failure, while key slots are added and removed: each slot is free, or its
 * passphrase opens the image; and the first passphrase always does.
 *
 * sanitize: address
 */
#include "fault.h"

enum { EVENTS = 8 };

static const char *const passphrases[] = { PASSPHRASE, "B", "C" };

/* The slots in use, by the passphrase that opens them. */
struct key_state {
	unsigned int of[COUNT(passphrases)];
};

static struct key_event {
	size_t from, done;
	struct key_state after;
} events[EVENTS];
static unsigned int nevents;

static struct key_event *begin_event(void)
{
	struct key_event *e = &events[nevents++];

	*e = (struct key_event){ rec_position(), SIZE_MAX, e == events ? (struct key_state){ { 1, 0, 0 } } :
								       e[-1].after };
	return e;
}

static void end_event(struct key_event *e, qc_err r)
{
	CHECK(may_fail || !r);
	if (!r)
		e->done = rec_position();
}

static void add_key(unsigned int pass, int slot)
{
	struct key_event *e = begin_event();
	char *secret = qc_secure_alloc(100);
	struct qc_new_key key = { slot, secret, strlen(passphrases[pass]), 1 };
	struct qc_reason why;
	unsigned int got = 0;

	strcpy(secret, passphrases[pass]);
	e->after.of[pass] |= 1U << slot;
	end_event(e, qc_key_add(rig.img, &key, &got, &why));
	qc_secure_free(secret);
}

static void remove_key(unsigned int pass)
{
	struct key_event *e = begin_event();
	unsigned int mask = e->after.of[pass];
	struct qc_reason why;

	e->after.of[pass] = 0;
	end_event(e, qc_key_remove(rig.img, mask, false, &why));
}

/* Slot 6 of the header crosses the end of a sector. */
static void change_keys(void)
{
	nevents = 0;
	add_key(1, 6);
	add_key(2, 1);
	remove_key(1);
	CHECK(may_fail || !g_write(0, 10 * K));
	add_key(1, 5);
	remove_key(2);
}

static unsigned int slots_of(struct qc_image *img, unsigned int pass)
{
	char *secret = qc_secure_alloc(100);
	unsigned int mask = 0;
	struct qc_reason why;

	strcpy(secret, passphrases[pass]);
	if (qc_key_find(img, secret, strlen(secret), &mask, &why))
		complain(why.text);
	qc_secure_free(secret);
	return mask;
}

static unsigned int slots_in_use(struct qc_image *img)
{
	struct qc_luks_info info;
	unsigned int mask = 0;

	if (qc_get_luks_info(img, &info))
		complain("the LUKS header cannot be read");
	else
		for (unsigned int i = 0; i < 8; i++)
			mask |= info.slot[i].active ? 1U << i : 0;
	return mask;
}

/* Slots that change at this time may be as they were, or as they will be. */
static bool is_expected(unsigned int pass, unsigned int mask, size_t at)
{
	unsigned int known = pass ? 0 : 1, open = 0;

	for (unsigned int i = 0; i < nevents && events[i].from <= at; i++) {
		unsigned int after = events[i].after.of[pass];

		if (events[i].done > at)
			open |= known ^ after;
		known = after;
	}
	return (mask & ~open) == (known & ~open);
}

static bool look_at_keys(struct qc_image *img, size_t at, const char *dir, bool sample)
{
	unsigned int all = 0, bad = rig.bad;

	(void)dir, (void)sample;
	for (unsigned int p = 0; p < COUNT(passphrases); p++) {
		unsigned int mask = slots_of(img, p);

		all |= mask;
		if (!is_expected(p, mask, at))
			complain("a passphrase opens other slots than it should");
	}
	if (all != slots_in_use(img))
		complain("a slot is in use, and no passphrase opens it");
	return rig.bad == bad;
}

static const struct scenario scenarios[] = {
	{ SCENARIO("keys-4k", "qcow2", make_filled, change_keys,
		   "encrypt.format=luks,encrypt.iter-time=1,cluster_size=4k,encrypt.cipher-alg=aes-128,"
		   "encrypt.cipher-mode=cbc", 256 * K), .encrypted = true },
};

/* Calls behind the first ones are mostly those of a long series of wipes. */
static void keys_scenario(const struct scenario *s)
{
	crash_scenario_of(s, is_long() ? 20 : is_sanitized() ? 4 : 10);
	may_fail = true;
	rig_begin(s);
	fail_in_turn(REC_WRITE, -ENOSPC, 12, is_long() ? 53 : is_sanitized() ? 197 : 97);
	fail_in_turn(REC_SYNC, -EIO, 12, is_long() ? 53 : is_sanitized() ? 197 : 97);
	CHECK(!rig.bad);
	rig_end();
}

int main(void)
{
	rig_look = look_at_keys;
	return run_scenarios(scenarios, COUNT(scenarios), keys_scenario);
}
