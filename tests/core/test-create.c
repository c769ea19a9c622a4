/* SPDX-License-Identifier: MIT */
/*
 * New images of all kinds: QEMU finds nothing wrong with them, reads zeros, and reads the data
 * that we wrote.
 */
#include "core/make.h"

struct row {
	const char *name;
	struct qc_create_options o;
	const char *says; /* what qemu-img info prints of it; a regular expression */
};

static const struct row rows[] = {
	{ "defaults", { .size = 64 * M }, "compat: 1.1" },
	{ "v2", { .size = 64 * M, .version = 2 }, "compat: 0.10" },
	{ "v1", { .size = 64 * M + 512, .version = 1 }, "file format: qcow" },
	{ "512 bytes, 64 bits", { .size = 3 * M, .cluster_size = 512, .refcount_bits = 64 },
	  "refcount bits: 64" },
	{ "512 bytes, 64 bits, many blocks",
	  { .size = 8192 * M, .cluster_size = 512, .refcount_bits = 64 }, "cluster_size: 512" },
	{ "2 MiB, 1 bit", { .size = 64 * M, .cluster_size = 2 * M, .refcount_bits = 1 },
	  "refcount bits: 1" },
	{ "2 bits", { .size = 64 * M, .refcount_bits = 2 }, "refcount bits: 2" },
	{ "4 bits, 4k", { .size = 64 * M, .cluster_size = 4096, .refcount_bits = 4 },
	  "refcount bits: 4" },
	{ "8 bits", { .size = 64 * M, .refcount_bits = 8 }, "refcount bits: 8" },
	{ "32 bits", { .size = 64 * M, .refcount_bits = 32 }, "refcount bits: 32" },
	{ "zstd", { .size = 64 * M, .compression_type = "zstd" }, "compression type: zstd" },
	{ "extended", { .size = 64 * M, .extended_l2 = true, .cluster_size = 16384 },
	  "extended l2: true" },
	{ "lazy", { .size = 64 * M, .lazy_refcounts = true }, "lazy refcounts: true" },
	{ "no size", { .size = 0 }, "virtual size: 0 B" },
	{ "odd size", { .size = 1000 }, "virtual size: 1 KiB" },
	{ "large", { .size = UINT64_C(1) << 50 }, "virtual size: 1 PiB" },
};

static int open_new(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	if (fd < 0)
		fatal(path);
	return fd;
}

static void qemu_finds_nothing_wrong(void)
{
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct row *row = &rows[i];
		struct qc_reason why = { 0 };
		int fd = open_new("new.img");
		qc_err r = qc_create(fd, &row->o, &why);
		const char *format = row->o.version == 1 ? "qcow" : "qcow2";

		close(fd);
		CHECK(!r);
		if (r) {
			printf("# %s: %s\n", row->name, why.text);
			continue;
		}
		CHECK(row->o.version == 1 || !try_sh("qemu-img check -q -f qcow2 new.img"));
		CHECK(!try_sh("qemu-img info -f %s new.img | grep -Eq '%s'", format, row->says));
		if (row->o.size < 512)
			continue;
		CHECK(!try_sh("qemu-io -f %s -c 'read -P 0 0 512' -c 'write -P 7 0 512' -c 'read -P 7 0 512' "
			      "new.img >out && ! grep -q failed out || { cat out; false; }", format));
		CHECK(row->o.version == 1 || !try_sh("qemu-img check -q -f qcow2 new.img"));
	}
}

static void overlays_name_their_backing_file(void)
{
	struct qc_create_options o = { .size = 4 * M, .backing = "base.raw", .backing_format = "raw" };
	struct qc_reason why = { 0 };

	sh("printf base >base.raw && truncate -s 4M base.raw");
	for (o.version = 1; o.version <= 3; o.version++) {
		int fd = open_new("over.img");

		CHECK(!qc_create(fd, &o, &why));
		close(fd);
		CHECK(!try_sh("qemu-img convert -f %s -O raw over.img out.raw && cmp out.raw base.raw",
			      o.version == 1 ? "qcow" : "qcow2"));
	}
}

static void encrypted_ones_open_with_their_key(void)
{
	static const struct {
		const char *alg, *mode, *ivgen, *ivhash, *hash;
	} kinds[] = {
		{ NULL, NULL, NULL, NULL, NULL },
		{ "aes-128", "xts", "plain", NULL, "sha512" },
		{ "aes-256", "cbc", "essiv", "sha256", "sha1" },
		{ "aes-128", "ctr", "plain64", NULL, "sha256" },
	};
	char *pass = qc_secure_alloc(8);

	memcpy(pass, "secret!", 7);
	for (size_t i = 0; i < COUNT(kinds); i++) {
		struct qc_create_options o = {
			.size = 4 * M, .encryption = QC_CREATE_LUKS, .iter_time_ms = 10,
			.cipher_alg = kinds[i].alg, .cipher_mode = kinds[i].mode,
			.ivgen_alg = kinds[i].ivgen, .ivgen_hash_alg = kinds[i].ivhash,
			.hash_alg = kinds[i].hash, .passphrase = pass, .passphrase_len = 7,
		};
		struct qc_reason why = { 0 };
		int fd = open_new("luks.img");
		qc_err r = qc_create(fd, &o, &why);

		close(fd);
		CHECK(!r);
		if (r)
			printf("# %s\n", why.text);
		CHECK(!try_sh("qemu-img check -q --object secret,id=s,data=secret! --image-opts "
			      "driver=qcow2,file.filename=luks.img,encrypt.format=luks,encrypt.key-secret=s"));
		CHECK(!try_sh("qemu-io --object secret,id=s,data=secret! --image-opts "
			      "driver=qcow2,file.filename=luks.img,encrypt.format=luks,encrypt.key-secret=s "
			      "-c 'write -P 7 0 64k' -c 'read -P 7 0 64k' -c 'read -P 0 64k 64k' >out "
			      "&& ! grep -q failed out || { cat out; false; }"));
		CHECK(try_sh("qemu-io --object secret,id=s,data=wrong --image-opts "
			     "driver=qcow2,file.filename=luks.img,encrypt.format=luks,encrypt.key-secret=s "
			     "-c 'read 0 512' >out 2>&1"));
	}
	qc_secure_free(pass);
}

/* The file is as it was when an option is refused. */
static void impossible_options_change_nothing(void)
{
	static const struct qc_create_options bad[] = {
		{ .size = M, .cluster_size = 1000 },
		{ .size = M, .cluster_size = 256 },
		{ .size = M, .cluster_size = 4 * M },
		{ .size = M, .refcount_bits = 3 },
		{ .size = M, .refcount_bits = 128 },
		{ .size = M, .version = 4 },
		{ .size = M, .version = 2, .extended_l2 = true },
		{ .size = M, .version = 2, .lazy_refcounts = true },
		{ .size = M, .version = 2, .refcount_bits = 8 },
		{ .size = M, .version = 2, .compression_type = "zstd" },
		{ .size = M, .version = 1, .compression_type = "zstd" },
		{ .size = M, .version = 1, .cluster_size = 2 * M },
		{ .size = 0, .version = 1 },
		{ .size = M, .compression_type = "lzma" },
		{ .size = M, .extended_l2 = true, .cluster_size = 4096 },
		{ .size = M, .data_file_raw = true },
		{ .size = M, .data_file = "d", .data_file_raw = true, .backing = "b" },
		{ .size = UINT64_MAX },
		{ .size = UINT64_C(1) << 50, .cluster_size = 512 },
		{ .size = M, .encryption = QC_CREATE_LUKS },
	};

	for (size_t i = 0; i < COUNT(bad); i++) {
		struct qc_reason why = { 0 };
		struct stat st;
		int fd;

		sh("printf precious >old.img");
		fd = open("old.img", O_RDWR | O_CLOEXEC);
		CHECK(fd >= 0 && qc_create(fd, &bad[i], &why) < 0 && *why.text);
		CHECK(!fstat(fd, &st) && st.st_size == 8);
		close(fd);
	}
}

int main(void)
{
	begin();
	RUN(qemu_finds_nothing_wrong);
	RUN(overlays_name_their_backing_file);
	RUN(encrypted_ones_open_with_their_key);
	RUN(impossible_options_change_nothing);
	return DONE();
}
