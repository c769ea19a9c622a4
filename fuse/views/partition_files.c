/* SPDX-License-Identifier: MIT */
#include "views/partition_files.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tree/image_file.h"
#include "views/partition_table.h"
#include "util/report.h"
#include "views/view.h"

struct partition_files *partition_files_new(void)
{
	struct partition_files *p = calloc(1, sizeof(*p));

	if (p)
		pthread_mutex_init(&p->lock, NULL);
	return p;
}

void partition_files_free(struct partition_files *p)
{
	while (p->first) {
		struct node *n = p->first;

		p->first = n->next;
		node_free(n);
	}
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* ---- nodes; the folder's lock is held ------------------------------------------- */

static void lose_all(struct node *n)
{
	while (n) {
		struct node *next = n->next;

		if (node_find_view(n->parent, n->shown) == n)
			node_unindex_view(n->parent, n);
		view_detach(n);
		node_drop_if_unused(n);
		n = next;
	}
}

void partition_files_detach(struct node *image)
{
	struct node *n = image->parts->first;

	image->parts->first = NULL;
	lose_all(n);
}

/* Takes the one of that number from the list; NULL: there is none. */
static struct node *take_out(struct node **list, unsigned int number)
{
	for (; *list; list = &(*list)->next) {
		struct node *n = *list;

		if (n->view->part == number) {
			*list = n->next;
			return n;
		}
	}
	return NULL;
}

static struct node *make(struct tree *t, struct node *image, const struct partition *p, char *shown)
{
	struct node *n = view_new(t, image->parent, image, VIEW_PART, shown);

	if (!n)
		return NULL;
	n->view->part = p->number;
	n->view->start = p->start;
	n->view->size = p->len;
	if (node_index_view(image->parent, n)) {
		node_free(n);
		return NULL;
	}
	return n;
}

/* The node of a partition, which was perhaps `old`.  NULL: no memory. */
static struct node *node_for(struct tree *t, struct node *image, const struct partition *p,
			     struct node *old)
{
	char ending[24];

	if (old && old->view->start == p->start && old->view->size == p->len)
		return old;
	snprintf(ending, sizeof(ending), ".p%u.raw", p->number);
	return make(t, image, p, old ? strdup(old->shown) :
				       node_free_name(image->parent, image->shown, ending));
}

static void adopt(struct tree *t, struct node *image, const struct partition *part, size_t n)
{
	struct node *olds = image->parts->first, *lost = NULL, **end = &image->parts->first;

	*end = NULL;
	for (size_t i = 0; i < n; i++) {
		struct node *old = take_out(&olds, part[i].number);
		struct node *new = node_for(t, image, &part[i], old);

		if (old && old != new) {
			old->next = lost;
			lost = old;
		}
		if (new) {
			new->next = NULL;
			*end = new;
			end = &new->next;
		}
	}
	lose_all(lost);
	lose_all(olds);
}

/* ---- reading --------------------------------------------------------------------- */

/* An image that cannot be read has none, and *keep says whether that may be another
 * matter next time, with the same file.  -ENOMEM and the like: who knows. */
static int read_table(struct tree *t, struct node *image, struct partition part[PART_MAX],
		      size_t *n, bool *keep)
{
	struct qc_reason why;
	struct qc_image *img;
	int r = tree_open_first(t, image, &img, &why);

	image->parts->unread = r;
	*n = 0;
	*keep = true;
	if (!r) {
		r = partition_table_read(img, part, n);
		qc_close(img);
	} else {
		*keep = why.cause != QC_CAUSE_LOCKED && r != -ESTALE;
	}
	if (r == -ENOMEM || r == -EMFILE || r == -ENFILE)
		return r;
	*n = r ? 0 : *n;
	return 0;
}

static void refresh_locked(struct tree *t, struct node *image, struct partition_files *p)
{
	struct partition part[PART_MAX];
	struct identity id;
	struct stat st;
	bool keep;
	size_t n;

	if (image_file_stat(t, image, &st))
		return;
	id = identity_of(&st);
	if (p->is_read && !p->written && identity_same_content(&p->read_of, &id))
		return;
	p->is_read = false;
	p->written = false; /* what is written from now on may be missed */
	if (read_table(t, image, part, &n, &keep))
		return;
	pthread_mutex_lock(&image->parent->lock);
	if (!image->detached)
		adopt(t, image, part, n);
	pthread_mutex_unlock(&image->parent->lock);
	/* A device's times do not tell of writes. */
	p->is_read = keep && S_ISREG(st.st_mode) && identity_times_reliable(&id);
	p->read_of = id;
}

void partition_files_image_opened(struct node *image)
{
	struct partition_files *p = image->parts;

	if (p && p->unread)
		p->written = true;
}

void partition_files_refresh(struct tree *t, struct node *image)
{
	struct partition_files *p = image->parts;

	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	refresh_locked(t, image, p);
	pthread_mutex_unlock(&p->lock);
}

/* Takes .pN.raw, with the digits of N as they are in `like`, off the name's end. */
static bool cut_ending(char *name, const char *like)
{
	size_t len = strlen(name), n = strlen(like);

	if (len <= n || strcmp(name + len - n, like))
		return false;
	name[len - n] = 0;
	return true;
}

/* The .pN.raw that a name ends in; NULL: it does not. */
static const char *ending_of(const char *name)
{
	const char *dot = NULL;

	for (const char *p = strstr(name, ".p"); p; p = strstr(p + 1, ".p"))
		dot = p;
	if (!dot || dot == name || dot[2] == '0' || !strspn(dot + 2, "0123456789") ||
	    strcmp(dot + 2 + strspn(dot + 2, "0123456789"), ".raw"))
		return NULL;
	return dot;
}

/* Where the name was taken the ending is there more than once. */
void partition_files_refresh_for(struct tree *t, struct node *folder, const char *name)
{
	const char *ending = ending_of(name);
	char *stem = ending ? strdup(name) : NULL, *raw;

	while (stem && cut_ending(stem, ending)) {
		struct node *image;

		if (asprintf(&raw, "%s.raw", stem) < 0)
			break;
		if (!tree_lookup_plain(t, folder, raw, &image)) {
			partition_files_refresh(t, image);
			tree_forget(t, image, 1);
		}
		free(raw);
	}
	free(stem);
}
