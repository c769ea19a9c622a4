/* SPDX-License-Identifier: MIT */
/*
 * qcow_layout.h - the numbers of the QCOW formats: offsets of header fields, masks of table
 * entries, limits.  qcow-format(7) explains them.
 *
 * Limits are those of QEMU, so that every image that QEMU opens can be opened.  Where QEMU
 * has no limit there is one of ours, marked "ours".
 */
#ifndef QC_QCOW_LAYOUT_H
#define QC_QCOW_LAYOUT_H

#include <stdint.h>

#define QCOW_MAGIC UINT32_C(0x514649fb) /* "QFI\xfb" */

/* Header, versions 2 and 3 (version 1 where marked). */
enum {
	HEAD_MAGIC = 0,		    /* u32, v1 too */
	HEAD_VERSION = 4,	    /* u32, v1 too */
	HEAD_BACKING_OFFSET = 8,    /* u64, v1 too */
	HEAD_BACKING_LEN = 16,	    /* u32, v1 too */
	HEAD_CLUSTER_BITS = 20,	    /* u32 */
	HEAD_SIZE = 24,		    /* u64, v1 too */
	HEAD_CRYPT = 32,	    /* u32 */
	HEAD_L1_ENTRIES = 36,	    /* u32 */
	HEAD_L1_OFFSET = 40,	    /* u64, v1 too */
	HEAD_REFTABLE_OFFSET = 48,  /* u64 */
	HEAD_REFTABLE_CLUSTERS = 56, /* u32 */
	HEAD_SNAPSHOTS = 60,	    /* u32 */
	HEAD_SNAPSHOTS_OFFSET = 64, /* u64 */
	HEAD_V2_BYTES = 72,
	HEAD_INCOMPATIBLE = 72, /* u64, from here on version 3 only */
	HEAD_COMPATIBLE = 80,	/* u64 */
	HEAD_AUTOCLEAR = 88,	/* u64 */
	HEAD_REFCOUNT_ORDER = 96, /* u32 */
	HEAD_LENGTH = 100,	/* u32 */
	HEAD_V3_BYTES = 104,	/* at least */
	HEAD_COMPRESSION = 104, /* u8, where the header is longer than that */

	HEAD1_CLUSTER_BITS = 32, /* u8 */
	HEAD1_L2_BITS = 33,	 /* u8 */
	HEAD1_CRYPT = 36,	 /* u32 */
	HEAD1_BYTES = 48,
};

enum {
	INCOMPAT_DIRTY = 1 << 0,
	INCOMPAT_CORRUPT = 1 << 1,
	INCOMPAT_DATA_FILE = 1 << 2,
	INCOMPAT_COMPRESSION = 1 << 3,
	INCOMPAT_EXTENDED_L2 = 1 << 4,

	COMPAT_LAZY_REFCOUNTS = 1 << 0,

	AUTOCLEAR_BITMAPS = 1 << 0,
	AUTOCLEAR_RAW_DATA_FILE = 1 << 1,
};

enum qc_crypt { CRYPT_NONE, CRYPT_AES, CRYPT_LUKS };
enum qc_compression { COMPRESSION_DEFLATE, COMPRESSION_ZSTD };

/* Header extensions. */
#define EXT_END		   UINT32_C(0)
#define EXT_BACKING_FORMAT UINT32_C(0xe2792aca)
#define EXT_FEATURE_NAMES  UINT32_C(0x6803f857)
#define EXT_BITMAPS	   UINT32_C(0x23852875)
#define EXT_LUKS	   UINT32_C(0x0537be77)
#define EXT_DATA_FILE	   UINT32_C(0x44415441)

enum {
	EXT_BITMAPS_BYTES = 24,
	EXT_LUKS_BYTES = 16,
	FEATURE_NAME_BYTES = 48, /* u8 set, u8 bit, then the name */
	FEATURE_NAME_TEXT = 46,
};

/* Table entries, versions 2 and 3. */
#define L1_OFFSET_MASK	   UINT64_C(0x00fffffffffffe00)
#define L1_RESERVED	   UINT64_C(0x7f000000000001ff)
#define L2_OFFSET_MASK	   UINT64_C(0x00fffffffffffe00)
#define L2_RESERVED	   UINT64_C(0x3f000000000001fe)
#define L2_COPIED	   (UINT64_C(1) << 63)
#define L2_COMPRESSED	   (UINT64_C(1) << 62)
#define L2_ZERO		   UINT64_C(1)
#define L2_OFFSET_END	   (UINT64_C(1) << 56)
/* Table entries, version 1. */
#define L2_V1_COMPRESSED   (UINT64_C(1) << 63)

enum {
	SECTOR = 512,
	SUBCLUSTERS = 32,
	CLUSTER_BITS_MIN = 9,
	CLUSTER_BITS_MAX = 21,
	CLUSTER_BITS_MIN_EXTENDED = 14,
	CLUSTER_BITS_MAX_V1 = 16,
	L2_BITS_MIN_V1 = 6,
	L2_BITS_MAX_V1 = 13,
	REFCOUNT_ORDER_V2 = 4,
	REFCOUNT_ORDER_MAX = 6,
	L1_ENTRIES_MAX = 4 << 20, /* 32 MiB; ours for version 1 */
	REFTABLE_BYTES_MAX = 8 << 20,
	SNAPSHOTS_MAX = 65536,
	NAME_MAX_LEN = 1023, /* backing file, data file, bitmap */
	FORMAT_NAME_MAX = 15,
	CHAIN_MAX = 256, /* layers; ours */
};

#endif
