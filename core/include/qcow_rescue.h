/* SPDX-License-Identifier: MIT */
/*
 * qcow_rescue.h - the part of qcow.h about damaged images: how far the bytes of a disk can be
 * trusted.
 *
 * For images of a context with qc_config.rescue.
 */
#ifndef QCOW_RESCUE_H
#define QCOW_RESCUE_H

#include "qcow.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * qc_rescue_map() - make a mapfile of the disk, as GNU ddrescue writes them
 * @text:  out: to be freed; with a NUL behind @len bytes
 *
 * Status of an area: `+` right, `?` doubtful, `-` lost, `/` the image file cannot be read
 * there, `*` in a backing file that is missing.  A comment counts the bytes of each reason.
 * Decompresses all compressed clusters.
 * Return: 0; -ENOMEM; as qc_read()
 */
qc_err qc_rescue_map(struct qc_image *img, char **text, size_t *len);

/*
 * qc_rescue_needed_map() - make a mapfile of the image file, with what the disk needs of it
 *
 * Areas with the status `+` hold the metadata, and data of the disk; all else has `?`.  It is a
 * domain for a second pass of ddrescue.
 * Return: as qc_rescue_map()
 */
qc_err qc_rescue_needed_map(struct qc_image *img, char **text, size_t *len);

/*
 * qc_rescue_report() - describe the state of the image, and its proof, as JSON
 *
 * Return: as qc_rescue_map()
 */
qc_err qc_rescue_report(struct qc_image *img, char **text, size_t *len);

/*
 * qc_rescue_set_plan() - tell where the parts of a damaged image are
 * @text:  as qc_rescue_plan() makes it, perhaps corrected by a person
 *
 * Before the first image is opened.  It is for each image that is opened by name, and not for
 * backing files.
 * Return: 0; -EINVAL no plan; -ENOMEM
 */
qc_err qc_rescue_set_plan(struct qc_context *ctx, const char *text, size_t len,
			  struct qc_reason *why);

/*
 * qc_rescue_plan() - tell where the parts of an image were found, so that it is not searched again
 *
 * Return: as qc_rescue_map()
 */
qc_err qc_rescue_plan(struct qc_image *img, char **text, size_t *len);

/*
 * qc_rescue_list_pieces() - list L2 tables of which nothing tells the part of the disk
 * @out:  host offsets, ascending; to be freed
 *
 * Return: 0; -EINVAL not to be rescued; -ENOMEM; as read(2)
 */
qc_err qc_rescue_list_pieces(struct qc_image *img, uint64_t **out, size_t *n);

/*
 * qc_rescue_open_piece() - open what such a table maps, from offset 0 on
 * @table:  its host offset
 * @out:    to be read and closed, also after @img is closed
 *
 * Return: as qc_rescue_list_pieces(); -ENOENT there is no such table any more
 */
qc_err qc_rescue_open_piece(struct qc_image *img, uint64_t table, struct qc_image **out,
			    struct qc_reason *why);

#ifdef __cplusplus
}
#endif
#endif
