/* SPDX-License-Identifier: MIT */
#include "info/image_json.h"

#include <stdlib.h>
#include <string.h>

#include "info/qemu_img_json.h"

/* ---- each file of the chain ---------------------------------------------------------- */

static json_t *features_of_set(struct json_report *p, const struct qc_layer_info *f,
			   enum qc_feature_set set)
{
	json_t *list = json_array();

	for (size_t i = 0; i < f->nfeatures; i++) {
		json_t *o;

		if (f->feature[i].set != set)
			continue;
		o = json_object();
		put(p, o, "bit", json_number(f->feature[i].bit));
		put_name(p, o, "name", f->feature[i].name);
		put(p, o, "known", json_boolean(f->feature[i].known));
		json_add(&p->j, list, o);
	}
	return list;
}

static json_t *all_features(struct json_report *p, const struct qc_layer_info *f)
{
	json_t *o = json_object();

	put(p, o, "incompatible", features_of_set(p, f, QC_INCOMPATIBLE));
	put(p, o, "compatible", features_of_set(p, f, QC_COMPATIBLE));
	put(p, o, "autoclear", features_of_set(p, f, QC_AUTOCLEAR));
	return o;
}

static json_t *permission_names(struct json_report *p, unsigned int bits)
{
	static const char *const names[] = { "consistent-read", "write", "write-unchanged",
					     "resize" };
	json_t *list = json_array();

	for (unsigned int i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (bits >> i & 1)
			json_add(&p->j, list, json_string(names[i]));
	return list;
}

static json_t *lock_object(struct json_report *p, const struct qc_locks *l)
{
	json_t *o = json_object();

	put(p, o, "used", permission_names(p, l->perm));
	put(p, o, "refused-to-others", permission_names(p, l->unshared));
	return o;
}

static json_t *file_counters(struct json_report *p, const struct qc_layer_use *use)
{
	json_t *o = json_object();

	put(p, o, "reads", json_number(use->io.reads));
	put(p, o, "read-bytes", json_number(use->io.read_bytes));
	put(p, o, "changes", json_number(use->io.writes));
	put(p, o, "written-bytes", json_number(use->io.written_bytes));
	put(p, o, "table-loads", json_number(use->table_loads));
	put(p, o, "table-bytes", json_number(use->table_bytes));
	return o;
}

static json_t *data_file_object(struct json_report *p, const struct qc_layer_info *f)
{
	json_t *o = json_object();

	put(p, o, "file", json_name(f->data_file));
	put(p, o, "resolved", *f->data_path ? json_name(f->data_path) : json_null());
	put(p, o, "raw", json_boolean(f->data_file_raw));
	put(p, o, "actual-size", json_number(f->data_allocated_bytes));
	return o;
}

static void put_header(struct json_report *p, json_t *o, const struct qc_layer_info *f)
{
	put(p, o, "version", json_number(f->version));
	if (f->cluster_size)
		put(p, o, "cluster-size", json_number(f->cluster_size));
	put(p, o, "dirty", json_boolean(f->dirty));
	put(p, o, "corrupt", json_boolean(f->corrupt));
	if (f->encryption)
		put(p, o, "encryption", json_string(qc_encryption_name(f->encryption)));
	if (f->has_data_file)
		put(p, o, "data-file", data_file_object(p, f));
	put(p, o, "features", all_features(p, f));
}

static const char *name_of_use(const struct qc_layer_use *use)
{
	return !use->open ? "no" : use->has_writer ? "writing" : "reading";
}

/* Returns one element of the chain.  @file is its name as the overlay above it, or the user, wrote
 * it. */
static json_t *chain_element(struct json_report *p, const char *file, const struct qc_layer_info *f)
{
	json_t *o = json_object();
	const char *format = qemu_img_json_format(f);

	put(p, o, "file", json_name(file));
	put(p, o, "resolved", json_name(f->path));
	if (format)
		put(p, o, "format", json_string(format));
	if (format)
		put(p, o, "virtual-size", json_number(f->size));
	put(p, o, "file-size", json_number(f->file_bytes));
	put(p, o, "actual-size", json_number(f->allocated_bytes));
	if (f->version)
		put_header(p, o, f);
	put(p, o, "open", json_string(name_of_use(&f->use)));
	put(p, o, "locks", lock_object(p, &f->locks));
	if (f->use.open)
		put(p, o, "counters", file_counters(p, &f->use));
	if (f->refused && p->info->error)
		put(p, o, "error", json_name(p->info->error));
	return o;
}

/* Returns the element of a backing file that could not be opened, or must not be. */
static json_t *missing_chain_element(struct json_report *p, const char *file)
{
	json_t *o = json_object();

	put(p, o, "file", json_name(file));
	put(p, o, "resolved", json_null());
	put(p, o, "error", json_name(p->info->error));
	return o;
}

static json_t *chain_array(struct json_report *p)
{
	struct qc_image *img = p->info->img;
	json_t *list = json_array();
	const char *name = p->info->path;
	struct qc_layer_info f = { 0 };
	bool goes_on = false;

	for (unsigned int i = 0; i < qc_depth(img); i++) {
		if (qc_get_layer_info(img, i, &f))
			p->j.failed = true;
		json_add(&p->j, list, chain_element(p, name, &f));
		name = f.backing; /* stays valid while the image is open */
		goes_on = !f.refused && *name;
		qc_layer_info_free(&f);
	}
	if (p->info->error && goes_on)
		json_add(&p->j, list, missing_chain_element(p, name));
	return list;
}

/* ---- the rest ------------------------------------------------------------------ */

static json_t *tables_object(struct json_report *p)
{
	const struct qc_layer_info *f = &p->f;
	json_t *o = json_object();

	put(p, o, "l1-offset", json_number(f->l1_offset));
	put(p, o, "l1-entries", json_number(f->l1_entries));
	if (f->version > 1) {
		put(p, o, "refcount-table-offset", json_number(f->reftable_offset));
		put(p, o, "refcount-table-clusters", json_number(f->reftable_clusters));
	}
	return o;
}

static json_t *context_counters(struct json_report *p)
{
	const struct qc_counters *c = &p->info->counters;
	json_t *o = json_object();

	put(p, o, "files-open", json_number(c->layers_open));
	put(p, o, "files-opened", json_number(c->layers_opened));
	put(p, o, "table-loads", json_number(c->table_loads));
	put(p, o, "table-bytes", json_number(c->table_bytes));
	put(p, o, "unpacked-clusters", json_number(c->clusters_decompressed));
	return o;
}

static void put_bitmaps(struct json_report *p, json_t *to)
{
	if (!p->f.bitmaps)
		return;
	put(p, to, "bitmaps-valid", json_boolean(p->f.bitmaps_valid));
	put(p, to, "bitmaps", qemu_img_json_bitmaps(p, true));
	if (p->bitmaps_error)
		put(p, to, "bitmaps-error", json_string("the bitmap directory is damaged, or too large"));
}

static void put_snapshots(struct json_report *p, json_t *to)
{
	if (p->f.version < 2)
		return;
	put(p, to, "snapshot-count", json_number(p->f.snapshots));
	put(p, to, "snapshots", qemu_img_json_snapshots(p, true));
	if (p->snapshots_error)
		put(p, to, "snapshots-error", json_string("the snapshot table is damaged"));
}

static json_t *qcowfs_object(struct json_report *p)
{
	const struct qc_layer_info *f = &p->f;
	json_t *o = json_object();

	put(p, o, "version", json_number(f->version));
	put(p, o, "dirty", json_boolean(f->dirty));
	put(p, o, "corrupt", json_boolean(f->corrupt));
	put(p, o, "encryption", json_string(qc_encryption_name(f->encryption)));
	put(p, o, "features", all_features(p, f));
	put(p, o, "chain", chain_array(p));
	put(p, o, "tables", tables_object(p));
	put_snapshots(p, o);
	put_bitmaps(p, o);
	put(p, o, "open", json_string(name_of_use(&f->use)));
	put(p, o, "locks", lock_object(p, &f->locks));
	put(p, o, "counters", file_counters(p, &f->use));
	put(p, o, "counters-of-all", context_counters(p));
	return o;
}

static void load_image_info(struct json_report *p)
{
	struct qc_image *img = p->info->img;

	if (qc_get_layer_info(img, p->info->layer, &p->f))
		p->j.failed = true;
	if (p->info->layer)
		return;
	if (p->info->live)
		img = p->info->live;
	p->bitmaps_error = qc_list_bitmaps(img, &p->bitmaps);
	if (!p->bitmaps_error) /* without the number, the rest is still right */
		qc_count_dirty_bytes(img, &p->bitmaps);
	if (!p->f.refused)
		p->snapshots_error = qc_list_snapshots(img, &p->snapshots);
	if (p->info->shown && p->info->shown(&p->snapshots, &p->shown))
		p->j.failed = true;
}

static void free_image_info(struct json_report *p)
{
	for (size_t i = 0; p->shown && i < p->snapshots.n; i++)
		free(p->shown[i]);
	free(p->shown);
	qc_snapshots_free(&p->snapshots);
	qc_bitmaps_free(&p->bitmaps);
	qc_layer_info_free(&p->f);
}

/* Returns the document, which is incomplete if p->j.failed. */
static json_t *build_document(struct json_report *p)
{
	const struct info *info = p->info;
	json_t *root = json_object();

	if (info->error)
		put(p, root, "error", json_name(info->error));
	if (info->img) {
		load_image_info(p);
		qemu_img_json_put(p, root);
		put(p, root, "qcowfs", qcowfs_object(p));
		free_image_info(p);
	} else {
		put(p, root, "filename", json_name(info->path));
	}
	return root;
}

json_t *image_json(const struct info *info)
{
	struct json_report p = { .info = info };
	json_t *root = build_document(&p);

	if (!p.j.failed)
		return root;
	json_decref(root);
	return NULL;
}

char *image_json_text(const struct info *info, size_t *len)
{
	struct json_report p = { .info = info };
	json_t *root = build_document(&p);

	return json_end(&p.j, root, len);
}
