/* SPDX-License-Identifier: MIT */
#include "daemon/daemon.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "daemon/dead_mount.h"
#include "daemon/plan_file.h"
#include "views/bitmap_dir.h"
#include "views/chain_dir.h"
#include "views/evidence_files.h"
#include "views/json_file.h"
#include "views/map_file.h"
#include "views/partition_files.h"
#include "views/partition_table.h"
#include "views/piece_dir.h"
#include "views/rescue_files.h"
#include "views/snapshot_dir.h"
#include "util/report.h"
#include "tree/tree.h"

/* Returns the first given option that shows more than one file; NULL: there is none. */
static const char *option_that_needs_dir(const struct options *o)
{
	return o->forensic   ? "forensic" :
	       o->snapshots  ? "snapshots" :
	       o->chain	     ? "chain" :
	       o->info	     ? "info" :
	       o->bitmaps    ? "bitmaps" :
	       o->partitions ? "partitions" :
	       o->unallocated ? "unallocated" :
			       NULL;
}

/* Checks options that do not fit this kind of SOURCE or MOUNTPOINT. */
static enum exitcode check_kinds(const struct daemon *d, bool source_is_dir)
{
	const struct options *o = &d->o;
	const char *option = option_that_needs_dir(o);

	if (o->partitions && !partition_table_library())
		report(QC_LOG_ERROR, "partitions: this program was built without libblkid (meson: -Dpartitions=enabled)");
	else if (!d->mountpoint.is_dir && source_is_dir)
		report(QC_LOG_ERROR, "mountpoint %s: the folder %s can only be mounted on a folder",
		       o->mountpoint, o->source);
	else if (o->cow_file && source_is_dir)
		report(QC_LOG_ERROR, "cow: a file is for one image, and %s is a folder (give cow without a file)", o->source);
	else if (o->create && !source_is_dir)
		report(QC_LOG_ERROR, "create: %s is no folder (images are made in a folder as SOURCE)", o->source);
	else if (o->damage && source_is_dir)
		report(QC_LOG_ERROR, "damage: a mapfile is for one image, and %s is a folder (give damage-dir)", o->source);
	else if (o->plan && source_is_dir)
		report(QC_LOG_ERROR, "rescue: a plan is for one image, and %s is a folder (give rescue without a file)", o->source);
	else if (!d->mountpoint.is_dir && option)
		report(QC_LOG_ERROR, "mountpoint %s: a file has no room for %s (give a folder)",
		       o->mountpoint, option);
	else
		return EXIT_OK;
	return EXIT_USAGE;
}

enum exitcode startup_check_paths(struct daemon *d)
{
	const struct options *o = &d->o;
	enum exitcode e = dead_mount_clear(o->mountpoint);
	struct stat src;

	if (e)
		return e;
	if (stat(o->source, &src)) {
		report(QC_LOG_ERROR, "%s: %s%s", o->source, strerror(errno),
		       errno == ENOENT ? " (SOURCE is an image, or a folder of them)" :
					 qc_errno_hint(-errno));
		return EXIT_IMAGE;
	}
	e = mountpoint_find(&d->mountpoint, o->mountpoint);
	return e ? e : check_kinds(d, S_ISDIR(src.st_mode));
}

/* Raises the soft limit to the hard one: each file of the chain of an open image takes
 * descriptors. */
static void raise_descriptor_limit(void)
{
	struct rlimit l;

	if (!getrlimit(RLIMIT_NOFILE, &l)) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

/* Makes freed buffers go back to the system, and threads share two heaps, so that memory stays in
 * proportion to its use. */
static void limit_heap(void)
{
#ifdef __GLIBC__
	mallopt(M_MMAP_THRESHOLD, 256 * 1024);
	mallopt(M_ARENA_MAX, 2);
#endif
}

static struct qc_config context_config(struct daemon *d)
{
	const struct options *o = &d->o;

	return (struct qc_config){
		.log = report_line,
		.log_max = QC_LOG_TRACE,
		.progress = report_progress,
		.refs = o->refs,
		.locking = o->locking,
		.verify = o->verify,
		.path_maps = o->path_maps,
		.npath_maps = o->npath_maps,
		.cache_bytes = o->cache_bytes,
		.compress_level = o->compress_level,
		.drop_bitmaps = o->drop_bitmaps,
		.keep_discarded = o->keep_discarded,
		.data_file = o->data_file,
		.noatime = o->forensic,
		.key = key_source_exists(&d->keys) ? key_source_get : NULL,
		.key_arg = &d->keys,
		.rescue = o->rescue,
		.doubtful_is_lost = o->doubtful_is_lost,
		.lost = o->lost,
		.unread = o->damage || o->damage_dir ? unread_maps_get : NULL,
		.unread_arg = &d->unread,
	};
}

static struct tree_config tree_config_of(struct daemon *d)
{
	const struct options *o = &d->o;

	return (struct tree_config){
		.set_uid = o->set_uid,
		.set_gid = o->set_gid,
		.uid = o->uid,
		.gid = o->gid,
		.mask = o->umask,
		.ro = o->ro,
		.write_base = o->write_base,
		.create = o->create ? &o->create_options.o : NULL,
		.key = key_source_exists(&d->keys) ? key_source_get : NULL,
		.key_arg = &d->keys,
		.locking = o->locking,
		.refs = o->refs,
		.mountpoint = d->mountpoint.path,
		.cow = o->cow ? &d->cow : NULL,
		.changing = o->locking == QC_LOCKING_SHARE,
		.path_maps = o->path_maps,
		.npath_maps = o->npath_maps,
	};
}

/* Adds the kinds of virtual files that the user wants to see. */
static int register_views(const struct options *o, struct tree *t)
{
	const struct {
		bool wanted;
		const struct view_provider *views;
	} kinds[] = {
		{ o->snapshots, &snapshot_dir_views },
		{ o->chain, &chain_dir_views },
		{ o->info, &json_file_views },
		{ o->bitmaps, &bitmap_dir_views },
		{ o->info && !o->rescue, &map_file_views },
		{ o->info && o->rescue, &map_file_views_of_rescue },
		{ o->partitions, &partition_files_views },
		{ o->rescue, &rescue_files_map },
		{ o->rescue, &rescue_files_needed },
		{ o->rescue, &rescue_files_report },
		{ o->rescue, &piece_dir_views },
	};
	int r = 0;

	for (size_t i = 0; !r && i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].wanted)
			r = tree_register_views(t, kinds[i].views);
	for (size_t i = 0; !r && o->unallocated && evidence_files_views[i]; i++)
		r = tree_register_views(t, evidence_files_views[i]);
	return r;
}

/* Checks the options of new images, before the first one is made.  The modes of new files are as
 * their makers want them: the kernel has applied their umask. */
static enum exitcode prepare_to_create(const struct daemon *d)
{
	const struct qc_create_options *o = &d->o.create_options.o;
	struct qc_reason why = { 0 };
	uint64_t metadata;
	uint32_t cluster_size;

	umask(0);
	if (qc_measure(o, &metadata, &cluster_size, &why))
		report(QC_LOG_ERROR, "create: %s", why.text);
	else if (o->encryption != QC_CREATE_PLAIN && !key_source_exists(&d->keys))
		report(QC_LOG_ERROR, "create: encrypted images need a passphrase (key-file, key-fd or key-dir)");
	else
		return EXIT_OK;
	return EXIT_USAGE;
}

static enum exitcode open_context_and_tree(struct daemon *d)
{
	const struct options *o = &d->o;
	struct tree_config config_of_tree;
	struct qc_config config;
	int r = source_open(&d->source, o->source, d->mountpoint.path, o->refs == QC_REFS_ANY);

	if (!r && key_source_open(&d->keys, o, d->source.dir, d->source.only))
		return EXIT_KEY;
	if (!r && unread_maps_open(&d->unread, o, &d->source))
		return EXIT_USAGE;
	config = context_config(d);
	config_of_tree = tree_config_of(d);
	if (!r && o->create && prepare_to_create(d))
		return EXIT_USAGE;
	if (!r && o->cow && cow_overlay_begin(&d->cow, o->cow_file))
		return EXIT_USAGE;
	if (!r)
		r = qc_context_new(&config, &d->ctx);
	if (!r && o->plan && plan_file_read(d->ctx, o->plan))
		return EXIT_USAGE;
	d->cow.ctx = d->ctx;
	if (!r && o->forensic)
		d->source.traceless = d->ctx;
	if (!r)
		r = tree_new(d->ctx, &d->source, &config_of_tree, d->mountpoint.is_dir, &d->server.tree);
	if (!r)
		r = register_views(o, d->server.tree);
	if (!r)
		return EXIT_OK;
	report(QC_LOG_ERROR, "%s: %s%s", o->source, strerror(-r), qc_errno_hint(r));
	return EXIT_IMAGE;
}

static enum exitcode exit_status_for(enum qc_cause cause)
{
	switch (cause) {
	case QC_CAUSE_LOCKED:
		return EXIT_LOCKED;
	case QC_CAUSE_KEY:
		return EXIT_KEY;
	case QC_CAUSE_READONLY:
	case QC_CAUSE_IMAGE:
		break;
	}
	return EXIT_IMAGE;
}

/* Makes the mount read-only, with a warning, if SOURCE cannot be written.  With -o rw a directory
 * stays writable: file systems that can be written may be mounted in it. */
static void fall_back_to_readonly(struct daemon *d)
{
	struct qc_reason why = { 0 };

	if (d->o.ro || d->o.cow || (!d->source.only && d->o.rw))
		return;
	if (source_is_readonly(&d->source))
		snprintf(why.text, sizeof(why.text), "cannot write to it: %s%s", strerror(errno),
			 qc_errno_hint(-errno));
	else if (!d->source.only || !qc_writable(d->only, &why))
		return;
	report(QC_LOG_WARN, "%s: mounted read-only: %s", d->o.source, why.text);
	tree_set_readonly(d->server.tree);
	d->o.ro = true;
}

/* Opens the one image of SOURCE.  Reads its first sector, so that core reports damage there at
 * once.  The mount is of use without it, since the rest may be readable. */
static enum exitcode open_only_image(struct daemon *d)
{
	struct qc_reason why = { 0 };
	uint8_t sector[512];
	int r;

	if (!d->source.only)
		return EXIT_OK;
	r = tree_open_first(d->server.tree, tree_only(d->server.tree), &d->only, &why);
	key_source_end_prompting(&d->keys);
	if (r) {
		report(QC_LOG_ERROR, "%s: %s", d->o.source, *why.text ? why.text : strerror(-r));
		return exit_status_for(why.cause);
	}
	if (d->o.plan)
		plan_file_write(d->only, d->o.plan);
	if (qc_size(d->only) >= sizeof(sector) && qc_read(d->only, 0, sector, sizeof(sector)))
		report(QC_LOG_INFO, "%s: cannot read its first sector", d->o.source);
	return EXIT_OK;
}

/*
 * Tells the kernel that this process writes file systems to disk: where one is mounted from a
 * loop device over a raw file, the kernel must not wait for its dirty pages to get memory for the
 * daemon, which has to write them.  Only root may do that.  Threads inherit it.
 */
static void become_io_flusher(void)
{
#ifdef PR_SET_IO_FLUSHER
	prctl(PR_SET_IO_FLUSHER, 1, 0, 0, 0);
#endif
}

void startup_set_limits(void)
{
	limit_heap();
	raise_descriptor_limit();
	become_io_flusher();
}

enum exitcode startup_open_source(struct daemon *d)
{
	enum exitcode e = open_context_and_tree(d);

	if (!e)
		e = open_only_image(d);
	if (!e)
		fall_back_to_readonly(d);
	return e;
}
