/* SPDX-License-Identifier: MIT */
#include "tree/growing_disk.h"

#include <errno.h>

#include "qcow.h"
#include "tree/tree_fields.h"

enum { SECTOR = 512 };

static uint64_t round_up_to_sector(uint64_t n)
{
	return (n + SECTOR - 1) / SECTOR * SECTOR;
}

void growing_disk_begin(struct node *n, struct qc_image *img)
{
	pthread_mutex_lock(&n->attr_lock);
	if (!n->growing && !qc_size(img) && qc_depth(img) == 1) {
		n->grown_size = 0;
		n->growing = true;
	}
	pthread_mutex_unlock(&n->attr_lock);
}

bool growing_disk_is_growing(const struct node *n)
{
	return atomic_load_explicit(&n->growing, memory_order_relaxed);
}

uint64_t growing_disk_size(const struct node *n)
{
	return n->grown_size;
}

int growing_disk_reserve(struct qc_image *img, uint64_t end)
{
	if (end <= qc_size(img))
		return 0;
	return end > INT64_MAX - SECTOR ? -EFBIG : qc_grow(img, round_up_to_sector(end));
}

void growing_disk_extend(struct node *n, uint64_t end)
{
	uint64_t now = n->grown_size;

	while (now < end && !atomic_compare_exchange_weak(&n->grown_size, &now, end))
		;
}

void growing_disk_undo(const struct node *n, struct qc_image *img)
{
	uint64_t size = n->grown_size, end = qc_size(img);

	if (size < end && !qc_discard(img, size, end - size))
		qc_resize(img, round_up_to_sector(size)); /* else the disk is longer, and sound */
}

/* Zeros the bytes that are cut off before it cuts them: the disk may grow over them again. */
static int shrink_to(struct qc_image *img, uint64_t size)
{
	uint64_t end = round_up_to_sector(size);
	int r = size < end ? qc_write_zeroes(img, size, end - size) : 0;

	return r ? r : qc_resize(img, end);
}

int growing_disk_truncate(struct node *n, struct qc_image *img, uint64_t size)
{
	int r = size < n->grown_size ? shrink_to(img, size) : growing_disk_reserve(img, size);

	if (!r)
		n->grown_size = size;
	return r;
}
