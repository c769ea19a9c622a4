/* SPDX-License-Identifier: MIT */
/*
 * qcow_array.h - arrays that grow by doubling; for the core and for its callers.
 */
#ifndef QCOW_ARRAY_H
#define QCOW_ARRAY_H

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ARRAY_ROOM_FIRST = 16 };

/*
 * array_reserve() - make room for @n elements in a growing array
 * @array:       address of the pointer to the elements, which may be NULL
 * @room:        elements that there is room for; updated
 * @n:           elements that there must be room for
 * @item_bytes:  bytes of one element
 *
 * On failure the array is as before.
 * Return: 0; -ENOMEM.
 */
static inline int array_reserve(void *array, size_t *room, uint64_t n, size_t item_bytes)
{
	size_t want = *room ? *room : ARRAY_ROOM_FIRST;
	void *items;

	if (n > SIZE_MAX / 2 / item_bytes) /* so that doubling does not overflow */
		return -ENOMEM;
	if (n <= *room)
		return 0;
	while (want < n)
		want *= 2;
	memcpy(&items, array, sizeof(items));
	items = realloc(items, want * item_bytes);
	if (!items)
		return -ENOMEM;
	memcpy(array, &items, sizeof(items));
	*room = want;
	return 0;
}

#endif
