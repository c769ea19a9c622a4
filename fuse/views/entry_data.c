/* SPDX-License-Identifier: MIT */
#include "views/entry_data.h"

#include <stdatomic.h>
#include <stdlib.h>

struct entry_data {
	atomic_uint references;
	void (*release)(void *data); /* NULL: only the memory is freed */
	_Alignas(max_align_t) unsigned char payload[];
};

static struct entry_data *entry_data_of(void *payload)
{
	return (struct entry_data *)((unsigned char *)payload -
				     offsetof(struct entry_data, payload));
}

void *entry_data_new(size_t bytes)
{
	struct entry_data *d = calloc(1, sizeof(*d) + bytes);

	if (!d)
		return NULL;
	d->references = 1;
	return d->payload;
}

void *entry_data_ref(void *data)
{
	atomic_fetch_add(&entry_data_of(data)->references, 1);
	return data;
}

void entry_data_put(void *data)
{
	struct entry_data *d;

	if (!data || atomic_fetch_sub(&entry_data_of(data)->references, 1) != 1)
		return;
	d = entry_data_of(data);
	if (d->release)
		d->release(data);
	free(d);
}

void entry_data_on_free(void *data, void (*release)(void *data))
{
	entry_data_of(data)->release = release;
}
