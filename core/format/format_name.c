/* SPDX-License-Identifier: MIT */
/* format_name.c - the names of image formats and encryptions, as QEMU spells them. */
#include "format/format_name.h"

const char *qc_format_name(uint32_t version)
{
	switch (version) {
	case 0:
		return QC_NAME_RAW;
	case 1:
		return QC_NAME_QCOW1;
	case 2:
	case 3:
		return QC_NAME_QCOW2;
	default:
		return NULL;
	}
}

const char *qc_encryption_name(enum qc_encryption encryption)
{
	switch (encryption) {
	case QC_PLAIN:
		return "none";
	case QC_AES:
		return "aes";
	case QC_LUKS:
		return "luks";
	}
	return NULL;
}
