/* SPDX-License-Identifier: MIT */
/*
 * create.c - make new images of open files.
 *
 * Called by the command `create`, by mounts that make images, and for temporary overlays. The
 * layout is that of format/new_image.c; this file turns options, as people write them, into
 * numbers, and makes the LUKS header.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/range.h"
#include "crypto/luks_format.h"
#include "crypto/secure_mem.h"
#include "format/measure.h"
#include "format/new_image.h"
#include "io/backing_name.h"
#include "io/image_lock.h"

enum { ITER_TIME_MS = 2000 };

/* Opens a file of the core that shares the caller's descriptor. */
static qc_err open_shared_file(int fd, struct qc_file **out)
{
	int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	qc_err r = copy < 0 ? -errno : qc_file_of_fd(copy, out);

	if (r && copy >= 0)
		close(copy);
	return r;
}

/* ---- options ---------------------------------------------------------------------- */

/* Returns log2 of a power of two, or -1. */
static int log2_exact(uint64_t v)
{
	return v && !(v & (v - 1)) ? __builtin_ctzll(v) : -1;
}

static qc_err read_numbers(const struct qc_create_options *o, struct qc_new_image *n,
			   struct qc_reason *why)
{
	int cluster_bits = o->cluster_size ? log2_exact(o->cluster_size) : 0;
	int order = o->refcount_bits ? log2_exact(o->refcount_bits) : REFCOUNT_ORDER_V2;

	if (cluster_bits < 0)
		return qc_fail(why, -EINVAL, "cluster_size: %u is no power of two", o->cluster_size);
	if (order < 0 || order > REFCOUNT_ORDER_MAX)
		return qc_fail(why, -EINVAL,
			       "refcount_bits: %u is none of 1, 2, 4, 8, 16, 32 and 64",
			       o->refcount_bits);
	n->cluster_bits = (unsigned int)cluster_bits;
	n->refcount_order = (unsigned int)order;
	n->version = o->version ? o->version : 3;
	n->size = o->size;
	return 0;
}

static qc_err read_compression(const struct qc_create_options *o, struct qc_new_image *n,
			       struct qc_reason *why)
{
	n->compression = COMPRESSION_DEFLATE;
	if (!o->compression_type || !strcmp(o->compression_type, "zlib"))
		return 0;
	if (strcmp(o->compression_type, "zstd") != 0)
		return qc_fail(why, -EINVAL, "compression_type: '%s' is neither zlib nor zstd",
			       o->compression_type);
#ifdef HAVE_ZSTD
	n->compression = COMPRESSION_ZSTD;
	return 0;
#else
	return qc_fail(why, -ENOTSUP, "compression_type: this build has no zstd");
#endif
}

/* Turns all options but the encryption into @n. */
static qc_err read_create_options(const struct qc_create_options *o, struct qc_new_image *n,
				  struct qc_reason *why)
{
	qc_err r;

	*n = (struct qc_new_image){
		.extended_l2 = o->extended_l2,
		.lazy_refcounts = o->lazy_refcounts,
		.data_file = o->data_file,
		.data_file_raw = o->data_file_raw,
		.backing = o->backing,
		.backing_format = o->backing_format,
	};
	r = read_numbers(o, n, why);
	return r ? r : read_compression(o, n, why);
}

/* Fills the cipher specification of the header, such as "aes", "cbc-essiv:sha256". */
static qc_err read_luks_params(const struct qc_create_options *o, struct qc_luks_params *p,
			       struct qc_reason *why)
{
	const char *alg = o->cipher_alg ? o->cipher_alg : "aes-256";
	const char *mode = o->cipher_mode ? o->cipher_mode : "xts";
	const char *iv = o->ivgen_alg ? o->ivgen_alg : "plain64";
	const char *dash = strrchr(alg, '-');
	unsigned int bits;
	char rest;

	if (!dash || dash == alg || dash - alg >= LUKS_TEXT ||
	    sscanf(dash + 1, "%3u%c", &bits, &rest) != 1 || bits % 8 || bits > 256)
		return qc_fail(why, -EINVAL, "encrypt.cipher-alg: '%s' is unknown (aes-256, for one)",
			       alg);
	*p = (struct qc_luks_params){
		.key_bytes = bits / 8 * (strcmp(mode, "xts") ? 1 : 2),
		.iter_time_ms = o->iter_time_ms ? o->iter_time_ms : ITER_TIME_MS,
	};
	memcpy(p->cipher, alg, (size_t)(dash - alg));
	if ((size_t)snprintf(p->mode, sizeof(p->mode), "%s-%s%s%s", mode, iv,
			     o->ivgen_hash_alg ? ":" : "",
			     o->ivgen_hash_alg ? o->ivgen_hash_alg : "") >= sizeof(p->mode) ||
	    (size_t)snprintf(p->hash, sizeof(p->hash), "%s",
			     o->hash_alg ? o->hash_alg : "sha256") >= sizeof(p->hash))
		return qc_fail(why, -EINVAL, "the name of a cipher mode or hash is too long");
	return 0;
}

/* Makes the LUKS header. *area is the caller's to free. */
static qc_err make_luks_header(const struct qc_create_options *o, struct qc_new_image *n,
			       uint8_t **area, struct qc_reason *why)
{
	AUTO_SECRET uint8_t *key = NULL;
	struct qc_luks_params p;
	qc_err r = read_luks_params(o, &p, why);

	if (r)
		return r;
	if (!o->passphrase || !o->passphrase_len)
		return qc_fail_as(why, QC_CAUSE_KEY, -EACCES,
				  "a new encrypted image needs a passphrase (key-file)");
	qc_crypto_init();
	key = qc_secure_alloc(QC_CIPHER_KEY_MAX);
	*area = malloc(qc_luks_format_bytes(p.key_bytes));
	if (!key || !*area)
		return qc_fail_errno(why, -ENOMEM, NULL);
	n->luks = *area;
	n->luks_bytes = qc_luks_format_bytes(p.key_bytes);
	return qc_luks_format(&p, o->passphrase, o->passphrase_len, *area, key, why);
}

/* ---- public ------------------------------------------------------------------------ */

static qc_err write_new_image(int fd, const struct qc_new_image *n, struct qc_reason *why)
{
	struct qc_new_layout layout;
	struct qc_file *f;
	qc_err r = open_shared_file(fd, &f);

	if (r)
		return qc_fail_errno(why, r, NULL);
	r = qc_new_image_write(f, n, &layout, why);
	qc_file_close(f);
	return r;
}

/* Locks the file for writing: by way of a second open file description, since a program's own
 * locks are not in its way. */
static qc_err lock_new_image(int fd, struct qc_reason *why)
{
	int reader = qc_reopen(fd, O_RDONLY);
	bool has_writer;
	qc_err r;

	if (reader < 0)
		return qc_fail_errno(why, -errno, "cannot open the file once more");
	r = qc_image_lock_read(reader, QC_LOCKING_ON, &has_writer, why);
	if (!r)
		r = qc_image_lock_write(reader, fd, QC_LOCKING_ON, why);
	close(reader);
	return r;
}

qc_err qc_create(int fd, const struct qc_create_options *o, struct qc_reason *why)
{
	AUTO_FREE uint8_t *luks = NULL;
	struct qc_new_image n;
	struct qc_new_layout layout;
	qc_err r = read_create_options(o, &n, why);

	n.crypt = o->encryption == QC_CREATE_LUKS ? CRYPT_LUKS :
		  o->encryption == QC_CREATE_AES  ? CRYPT_AES :
						    CRYPT_NONE;
	if (!r && o->encryption == QC_CREATE_LUKS && n.version > 1)
		r = make_luks_header(o, &n, &luks, why);
	if (!r)
		r = qc_new_image_lay_out(&n, &layout, why);
	if (!r && o->locking != QC_LOCKING_OFF)
		r = lock_new_image(fd, why);
	if (!r)
		r = write_new_image(fd, &n, why);
	if (!r && !o->no_sync && fsync(fd))
		r = qc_fail_errno(why, -errno, "cannot sync the new image");
	return r;
}

qc_err qc_measure(const struct qc_create_options *o, uint64_t *metadata, uint32_t *cluster_size,
		  struct qc_reason *why)
{
	struct qc_new_image n;
	struct qc_luks_params p;
	struct qc_new_layout layout;
	uint64_t luks = 0;
	qc_err r = read_create_options(o, &n, why);

	if (!r && n.version == 1)
		r = qc_fail(why, -EINVAL, "version 1 is not measured");
	if (!r && o->encryption == QC_CREATE_LUKS)
		r = read_luks_params(o, &p, why);
	if (!r)
		r = qc_new_image_lay_out(&n, &layout, why);
	if (r)
		return r;
	*cluster_size = (uint32_t)geom_cluster(&layout.geom);
	if (o->encryption == QC_CREATE_LUKS)
		luks = round_up(qc_luks_format_bytes(p.key_bytes), *cluster_size);
	*metadata = qc_measure_metadata(&layout, n.refcount_order) + luks;
	return 0;
}

qc_err qc_create_overlay(int fd, uint64_t size, const char *backing, const char *format)
{
	struct qc_new_image n = {
		.version = 3, .size = size, .backing = backing, .backing_format = format,
		.refcount_order = REFCOUNT_ORDER_V2,
	};
	struct qc_reason why;

	return *backing ? write_new_image(fd, &n, &why) : -EINVAL;
}

qc_err qc_read_backing_info(int fd, struct qc_backing_info *out, struct qc_reason *why)
{
	struct qc_header *h = malloc(sizeof(*h));
	struct qc_file *f = NULL;
	qc_err r = h ? open_shared_file(fd, &f) : -ENOMEM;

	if (r)
		qc_fail_errno(why, r, NULL);
	else
		r = qc_header_read(f, h, why);
	if (!r) {
		snprintf(out->backing, sizeof(out->backing), "%s", h->backing);
		snprintf(out->format, sizeof(out->format), "%s", h->backing_format);
		snprintf(out->data_file, sizeof(out->data_file), "%s",
			 h->geom.external ? h->data_file : "");
	}
	qc_file_close(f);
	free(h);
	return r;
}

char *qc_backing_path(const char *backing)
{
	char format[QC_BACKING_FORMAT_ROOM], *path;
	struct qc_reason ignored;

	return *backing && !qc_backing_name_parse(backing, &path, format, &ignored) ? path : NULL;
}
