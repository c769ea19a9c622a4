/* SPDX-License-Identifier: MIT */
/*
 * luks_layout.h - offsets and sizes of a LUKS header, version 1.
 *
 * Source: the LUKS1 on-disk format specification, version 1.2.3.  An image has such a
 * header where its LUKS extension points.  Only the key material of the slots belongs to
 * it: the image's own tables say where the data is.
 */
#ifndef QC_LUKS_LAYOUT_H
#define QC_LUKS_LAYOUT_H

#include <stdint.h>

#define LUKS_MAGIC    "LUKS\xba\xbe"
#define LUKS_SLOT_ON  UINT32_C(0x00ac71f3)
#define LUKS_SLOT_OFF UINT32_C(0x0000dead)

enum {
	LUKS_AT_VERSION = 6,	/* u16 */
	LUKS_AT_CIPHER = 8,	/* LUKS_TEXT */
	LUKS_AT_MODE = 40,	/* LUKS_TEXT */
	LUKS_AT_HASH = 72,	/* LUKS_TEXT */
	LUKS_AT_PAYLOAD = 104,	/* u32, sectors */
	LUKS_AT_KEY_BYTES = 108, /* u32 */
	LUKS_AT_DIGEST = 112,	/* LUKS_DIGEST */
	LUKS_AT_DIGEST_SALT = 132, /* LUKS_SALT */
	LUKS_AT_ITERATIONS = 164, /* u32, of the digest */
	LUKS_AT_UUID = 168,	/* LUKS_UUID_TEXT */
	LUKS_AT_SLOTS = 208,
	LUKS_BYTES = 592,

	/* In each of the slots: */
	LUKS_SLOT_STATE = 0,	  /* u32 */
	LUKS_SLOT_ITERATIONS = 4, /* u32 */
	LUKS_SLOT_SALT = 8,	  /* LUKS_SALT */
	LUKS_SLOT_MATERIAL = 40,  /* u32, sectors from the header on */
	LUKS_SLOT_STRIPES = 44,	  /* u32 */
	LUKS_SLOT_BYTES = 48,

	LUKS_MAGIC_BYTES = 6,
	LUKS_TEXT = 32, /* including a NUL */
	LUKS_UUID_TEXT = 40,
	LUKS_SLOTS = 8,
	LUKS_SALT = 32,
	LUKS_DIGEST = 20,
	LUKS_STRIPES = 4000,
};

#endif
