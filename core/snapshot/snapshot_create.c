/* SPDX-License-Identifier: MIT */
/*
 * snapshot_create.c - create a snapshot of a disk that is in use.
 *
 * The snapshot gets the active L1 table and its L2 tables as they are.  The active disk
 * goes on with copies of them, without COPIED: no cluster may be written in place then,
 * since each has one more reference.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/range.h"
#include "snapshot/snapshot_update.h"

/* Shares all clusters of the disk with the snapshot @s.  VM state, which is behind the
 * disk, belongs to the snapshot alone from then on. */
static qc_err share_active_disk(struct qc_snapshot_update *u, const struct qc_snapshot *s)
{
	uint64_t need = geom_l1_need(u->g, s->size);

	memset(u->l1 + 8 * need, 0, 8 * (s->l1_entries - need));
	u->atomic.snapshots++;
	return qc_snapshot_update_each_l2(u, u->l1, need, qc_snapshot_update_share_l2);
}

static qc_err create_snapshot(struct qc_snapshot_update *u, const struct qc_snapshot_args *args)
{
	char id[24];
	struct timespec now;
	struct qc_snapshot s = { .name = args->name, .name_len = args->len, .id = id,
				 .size = u->layer->size, .icount = UINT64_MAX };
	struct qc_snapshot_table_edit edit = { .skip = UINT32_MAX, .add = &s };
	qc_err r = qc_snapshot_update_check_name(&u->table, args);

	if (!r && u->table.n == SNAPSHOTS_MAX)
		r = -EMLINK;
	if (r)
		return r;
	clock_gettime(CLOCK_REALTIME, &now);
	s.date_s = now.tv_sec;
	s.date_ns = (uint32_t)now.tv_nsec;
	s.id_len =
		(size_t)snprintf(id, sizeof(id), "%" PRIu64, qc_snapshot_table_next_id(&u->table));
	s.l1_offset = u->atomic.l1.l1_offset;
	s.l1_entries = u->atomic.l1.l1_entries;
	r = qc_snapshot_table_write(&u->table, &edit, &u->new_table, &u->new_table_bytes);
	if (!r)
		r = qc_snapshot_update_read_l1(u, &u->atomic.l1, &u->l1);
	if (!r)
		r = qc_snapshot_update_reserve(u, qc_snapshot_update_count_l2(u->l1, s.l1_entries));
	if (r)
		return r == -EFBIG ? -EMLINK : r;
	return qc_snapshot_update_change(u, share_active_disk, &s);
}

qc_err qc_snapshot_take(struct qc_image *img, const char *name, size_t len)
{
	return qc_snapshot_update_run(img, create_snapshot,
				      &(struct qc_snapshot_args){ NULL, name, len });
}
