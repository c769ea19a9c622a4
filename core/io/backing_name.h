/* SPDX-License-Identifier: MIT */
/*
 * backing_name.h - the path in a backing file name that is no plain path.
 *
 * QEMU records a backing file as a path, as "file:PATH", or as "json:{...}", the options of its
 * block drivers.  Only names that mean a local file, whole, are understood: what they may reach
 * is then decided as for a path (io/external_file.h).  The names are hostile.
 */
#ifndef QC_BACKING_NAME_H
#define QC_BACKING_NAME_H

#include "base/log.h"
#include "base/util.h"

/* Longest name of a format: "qcow2". */
enum { QC_BACKING_FORMAT_ROOM = 16 };

/*
 * qc_backing_name_parse() - find the path in a backing file name
 * @path:    out: to be freed; a copy of @name if that is a plain path or another URL; of a path
 *           with a drive letter, one with slashes
 * @format:  out: "raw", "qcow", "qcow2", or "" if the name does not say
 *
 * Return: 0; -ENOMEM;
 *	-EACCES  a json: name of anything but a whole local file
 */
qc_err qc_backing_name_parse(const char *name, char **path, char format[QC_BACKING_FORMAT_ROOM],
			     struct qc_reason *why);

/* Returns true if the name is a path of Windows, with a drive letter. */
bool qc_backing_name_has_drive(const char *name);

#endif
