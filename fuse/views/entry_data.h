/* SPDX-License-Identifier: MIT */
/*
 * entry_data.h - memory with a reference count.
 *
 * An entry of a virtual directory and its node share such data.  The entries are read again
 * while the node is in use, and the node may keep data that its entry no longer has.
 */
#ifndef ENTRY_DATA_H
#define ENTRY_DATA_H

#include <stddef.h>

void *entry_data_new(size_t bytes); /* zeros, one reference; NULL: no memory */
void *entry_data_ref(void *data);
void entry_data_put(void *data); /* NULL is fine */

/* Lets @release be called with the data before its memory is freed. */
void entry_data_on_free(void *data, void (*release)(void *data));

#endif
