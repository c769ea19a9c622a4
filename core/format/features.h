/* SPDX-License-Identifier: MIT */
/*
 * features.h - the feature bits of version 3 (qcow2 spec, "Header").
 *
 * One table says which bits are known, what they are called, and what they allow.  The
 * header parser, the writer, update/autoclear.c and image/info.c ask it.
 *
 * A new bit is a constant in qcow_layout.h and a row in that table.  Code that depends on the bit
 * asks geometry.h for a capability, such as geom_is_extended(), where it is about tables, else
 * struct qc_header.  The others: header.c and l2_entry.h decode it, new_image.c writes it,
 * check/entry_check.c knows valid entries, layer/metadata_walk.c knows all clusters that
 * hold metadata, amend/compact_move.c moves them, rescue/find_header.c guesses it where the
 * header is lost, and image/info.c and fuse/info show it.  A structure with a header extension is also
 * read in header_extension.c.  man/qcow-format.7 and tests/unit/test-features.c list all bits.
 */
#ifndef QC_FEATURES_H
#define QC_FEATURES_H

#include "base/util.h"
#include "format/qcow_layout.h"

enum qc_feature_right {
	QC_FEATURE_READ = 1 << 0,  /* an image with the bit can be read */
	QC_FEATURE_WRITE = 1 << 1, /* ... can be written */
	QC_FEATURE_KEEP = 1 << 2,  /* the bit stays valid when the image is written */
};

enum { QC_FEATURES_MAX = 3 * 64 };

/* Returns the known bits of a set that have this right. */
uint64_t qc_features_with(enum qc_feature_set set, enum qc_feature_right right);

/* Appends the bits that are set in @bits to a list, in ascending order.  Unknown features
 * get no name.  @list has room for 64 more.  Returns the number appended. */
size_t qc_features_list(enum qc_feature_set set, uint64_t bits, struct qc_feature *list);

/*
 * qc_features_read_names() - take the names of unknown features from the image
 * @table, @bytes:  data of the image's feature name table extension
 * @list, @n:       features; the known ones keep their name
 *
 * An incomplete record at the end is ignored.
 */
void qc_features_read_names(const uint8_t *table, size_t bytes, struct qc_feature *list,
			    size_t n);

/* Writes the names of a list to @out, separated by commas, as far as they fit into @size
 * bytes.  Features without a name are left out. */
void qc_features_join_names(const struct qc_feature *list, size_t n, char *out, size_t size);

#endif
