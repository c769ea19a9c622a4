/* SPDX-License-Identifier: MIT */
/* libraries.c - which libraries the core was built with. */
#include "qcow.h"

#include <gcrypt.h>
#include <stdio.h>
#include <zlib.h>
#ifdef HAVE_LIBDEFLATE
#include <libdeflate.h>
#endif
#ifdef HAVE_ZSTD
#include <zstd.h>
#endif

#ifndef LIBDEFLATE_VERSION_STRING
#define LIBDEFLATE_VERSION_STRING "none"
#endif

static const char *zstd_version(void)
{
#ifdef HAVE_ZSTD
	return ZSTD_versionString();
#else
	return "none";
#endif
}

bool qc_library(unsigned int i, char *out, size_t n)
{
	switch (i) {
	case 0:
		snprintf(out, n, "zlib %s", zlibVersion());
		return true;
	case 1:
		snprintf(out, n, "libdeflate %s", LIBDEFLATE_VERSION_STRING);
		return true;
	case 2:
		snprintf(out, n, "zstd %s", zstd_version());
		return true;
	case 3:
		snprintf(out, n, "libgcrypt %s", gcry_check_version(NULL));
		return true;
	default:
		return false;
	}
}
