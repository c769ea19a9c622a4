/* SPDX-License-Identifier: MIT */
/*
 * The facts of an image as JSON: all that qemu-img says, and why it cannot be used.
 *
 * sanitize: address
 */
#include "make.h"

#include <jansson.h>

#include "info/image_json.h"

#define SECRET "--object secret,id=s,data=letmein "

static struct qc_context *ctx;

/* ---- two texts of one image ------------------------------------------------- */

static json_t *parse(const char *text, size_t len)
{
	json_error_t e;
	json_t *v = json_loadb(text, len, JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, &e);

	if (!v)
		printf("# not JSON: %s in\n%s", e.text, text);
	CHECK(v);
	return v ? v : json_object();
}

static json_t *qemu_says(const char *path)
{
	uint8_t *text;
	size_t len;
	json_t *v;

	/* Unwritten data may change the used space. */
	sh("sync '%s' && qemu-img info -U --output=json '%s/%s' >qemu.json 2>qemu.err || "
	   "{ cat qemu.err; false; }", path, tempdir, path);
	text = slurp("qemu.json", &len);
	v = parse((char *)text, len);
	free(text);
	return v;
}

/* In place of their names in the mount. */
static int shown(const struct qc_snapshots *s, char ***out)
{
	*out = calloc(s->n + 1, sizeof(**out));
	for (size_t i = 0; i < s->n; i++)
		if (asprintf(&(*out)[i], "shown-%zu", i) < 0)
			fatal("memory");
	return 0;
}

static json_t *text_of(const char *path, struct qc_image *img, struct qc_image *live,
		       const char *error)
{
	char full[600], *text;
	struct info info = { .path = full, .img = img, .live = live, .error = error, .shown = shown };
	size_t len = 0;
	json_t *v;

	snprintf(full, sizeof(full), "%s/%s", tempdir, path);
	qc_get_counters(ctx, &info.counters);
	text = image_json_text(&info, &len);
	CHECK(text && len == strlen(text) && text[len - 1] == '\n');
	v = parse(text, len);
	free(text);
	return v;
}

static json_t *we_say(const char *path, qc_err expected)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	qc_err r = image_try(ctx, path, QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &img, &why);
	json_t *v;

	if (r != expected)
		printf("# %s: %d %s\n", path, r, r ? why.text : "");
	CHECK(r == expected);
	v = text_of(path, img, NULL, r ? why.text : NULL);
	if (img)
		qc_close(img);
	return v;
}

/* The value at a path of keys and indices, as in "qcowfs.chain.0.file". */
static json_t *at(json_t *v, const char *path)
{
	char key[200];

	while (v && *path) {
		size_t n = strcspn(path, ".");

		snprintf(key, sizeof(key), "%.*s", (int)n, path);
		v = json_is_array(v) ? json_array_get(v, (size_t)atoi(key)) : json_object_get(v, key);
		path += n + (path[n] == '.');
	}
	return v;
}

static bool says(json_t *v, const char *path, const char *want)
{
	const char *text = json_string_value(at(v, path));
	bool same = text && !strcmp(text, want);

	if (!same)
		printf("# %s is '%s'\n", path, text ? text : "(none)");
	return same;
}

static bool mentions(json_t *v, const char *path, const char *word)
{
	const char *text = json_string_value(at(v, path));

	if (!text || !strstr(text, word))
		printf("# %s is '%s'\n", path, text ? text : "(none)");
	return text && strstr(text, word);
}

/* Keys that qemu-img 7.2 does not have: of version 8.0, and of 9.0. */
static bool is_newer_key(const char *key)
{
	return !strcmp(key, "children") || !strcmp(key, "detached-header");
}

/* Whether `b` has all that `a` has, with the same values. */
static bool covers(json_t *a, json_t *b, const char *where)
{
	char below[400];
	const char *key;
	json_t *value;
	bool same = true;
	size_t i;

	if (json_is_object(a) && json_is_object(b)) {
		json_object_foreach(a, key, value) {
			if (is_newer_key(key))
				continue;
			snprintf(below, sizeof(below), "%s.%s", where, key);
			same = covers(value, json_object_get(b, key), below) && same;
		}
	} else if (json_is_array(a) && json_is_array(b) && json_array_size(a) == json_array_size(b)) {
		json_array_foreach(a, i, value) {
			snprintf(below, sizeof(below), "%s.%zu", where, i);
			same = covers(value, json_array_get(b, i), below) && same;
		}
	} else {
		same = json_equal(a, b);
	}
	if (!same)
		printf("# %s differs\n", where);
	return same;
}

/* Both ways: only the key "qcowfs" is more. */
static bool agrees(const char *path, qc_err expected)
{
	json_t *theirs = qemu_says(path), *ours = we_say(path, expected);
	bool same = covers(theirs, ours, path);

	json_object_del(ours, "qcowfs");
	json_object_del(ours, "error");
	same = covers(ours, theirs, path) && same;
	json_decref(theirs);
	json_decref(ours);
	return same;
}

/* ---- what qemu-img says ------------------------------------------------------- */

static void images_of_all_kinds(void)
{
	static const char *const options[] = {
		"-f qcow", "-f qcow2 -o compat=0.10", "-f qcow2 -o compat=0.10,cluster_size=512",
		"-f qcow2", "-f qcow2 -o cluster_size=2M", "-f qcow2 -o lazy_refcounts=on",
		"-f qcow2 -o extended_l2=on", "-f qcow2 -o compression_type=zstd",
		"-f qcow2 -o refcount_bits=1", "-f qcow2 -o refcount_bits=64",
		"-f qcow2 -o preallocation=full", "-f qcow2 -o data_file=plain.data",
		"-f qcow2 -o data_file=raw.data,data_file_raw=on",
	};

	for (size_t i = 0; i < COUNT(options); i++) {
		sh("rm -f image && qemu-img create -q %s image 3M", options[i]);
		CHECK(agrees("image", 0));
	}
}

static void overlays(void)
{
	sh("mkdir sub && qemu-img create -q -f qcow2 base 1M && qemu-img create -q -f qcow old 1M");
	sh("qemu-img create -q -f qcow2 -b base -F qcow2 top && qemu-img create -q -f qcow -b old"
	   " -F qcow older && qemu-img create -q -f qcow2 -o compat=0.10 -b old -F qcow top2");
	sh("cp top sub/top && cp base sub/base && cp top ./down && qemu-img rebase -u -b sub/../base"
	   " -F qcow2 down && cp top abs && qemu-img rebase -u -F qcow2 -b %s/sub/base abs", tempdir);
	CHECK(agrees("top", 0) && agrees("older", 0) && agrees("top2", 0));
	CHECK(agrees("sub/top", 0) && agrees("down", 0) && agrees("abs", 0));
	sh("qemu-img create -q -f qcow2 -u -b 'json:{\"driver\":\"raw\",\"file\":{\"driver\":"
	   "\"file\",\"filename\":\"base\"}}' -F raw json 1M");
	CHECK(agrees("json", 0));
	sh("qemu-img create -q -f qcow2 -u -b nothing -F qcow2 on-nothing 1M");
	CHECK(agrees("on-nothing", -ENOENT));
}

static void bitmaps(void)
{
	json_t *v;

	sh("qemu-img create -q -f qcow2 marked 64M && qemu-img bitmap --add -g 64k marked b0"
	   " && qemu-img bitmap --add --disable -g 512 marked b1"
	   " && qemu-img bitmap --add marked 'name \xc3\xa9 %%41 \"'");
	CHECK(agrees("marked", 0));
	v = we_say("marked", 0);
	CHECK(json_is_true(at(v, "qcowfs.bitmaps-valid")));
	CHECK(json_array_size(at(v, "qcowfs.bitmaps")) == 3);
	CHECK(json_integer_value(at(v, "qcowfs.bitmaps.1.table-entries")) == 1);
	json_decref(v);
	/* One that was not closed. */
	poke("marked", peek64("marked", 112 + 8 + 384 + 8 + 16) + 12, "\0\0\0\3", 4);
	CHECK(agrees("marked", 0));
	v = we_say("marked", 0);
	CHECK(says(v, "qcowfs.bitmaps.0.flags.0", "in-use"));
	json_decref(v);
	poke("marked", 88, "\0\0\0\0\0\0\0\0", 8); /* a writer that does not know them */
	CHECK(agrees("marked", 0));
	v = we_say("marked", 0);
	CHECK(json_is_false(at(v, "qcowfs.bitmaps-valid")));
	CHECK(says(v, "qcowfs.bitmaps.1.name", "b1"));
	json_decref(v);
}

static void bits_of_the_header(void)
{
	json_t *v;

	sh("qemu-img create -q -f qcow2 -o lazy_refcounts=on bits 1M");
	poke("bits", 72, "\0\0\0\0\0\0\0\3", 8);
	CHECK(agrees("bits", 0));
	poke("bits", 80, "\x80\0\0\0\0\0\0\1", 8);
	v = we_say("bits", 0);
	CHECK(json_is_true(at(v, "dirty-flag")) && json_is_true(at(v, "qcowfs.corrupt")));
	CHECK(says(v, "qcowfs.features.incompatible.0.name", "dirty bit"));
	CHECK(says(v, "qcowfs.features.incompatible.1.name", "corrupt bit"));
	CHECK(says(v, "qcowfs.features.compatible.0.name", "lazy refcounts"));
	CHECK(json_integer_value(at(v, "qcowfs.features.compatible.1.bit")) == 63);
	CHECK(json_is_false(at(v, "qcowfs.features.compatible.1.known")));
	CHECK(!at(v, "qcowfs.features.compatible.1.name") && !at(v, "error"));
	json_decref(v);
}

static void encrypted(void)
{
	sh("qemu-img create -q " SECRET "-f qcow -o encrypt.format=aes,encrypt.key-secret=s v1aes 1M"
	   " && qemu-img create -q " SECRET "-f qcow2 -o encrypt.format=aes,encrypt.key-secret=s aes 1M");
	CHECK(agrees("v1aes", -EACCES) && agrees("aes", -EACCES));
}

static void luks(const char *options)
{
	json_t *v;

	/* It measures how fast the machine is, and sometimes cannot. */
	sh("for i in 1 2 3 4 5; do qemu-img create -q " SECRET "-f qcow2 -o encrypt.format=luks,"
	   "encrypt.key-secret=s,encrypt.iter-time=10%s luks 1M && break; done", options);
	CHECK(agrees("luks", -EACCES));
	v = we_say("luks", -EACCES);
	CHECK(says(v, "qcowfs.encryption", "luks") && mentions(v, "error", "encrypted"));
	json_decref(v);
}

static void encrypted_with_luks(void)
{
	luks("");
	luks(",encrypt.cipher-alg=serpent-256,encrypt.cipher-mode=cbc,encrypt.ivgen-alg=essiv,"
	     "encrypt.ivgen-hash-alg=sha256,encrypt.hash-alg=sha512,compat=0.10");
}

static void snapshots(void)
{
	struct qc_image *img, *look = NULL;
	struct qc_reason why;
	json_t *v, *live;

	sh("qemu-img create -q -f qcow2 taken 1M && qemu-img snapshot -c 'one %%41 \"' taken"
	   " && qemu-img resize -q taken 2M && qemu-img snapshot -c \xc3\xa9 taken");
	CHECK(agrees("taken", 0));
	v = we_say("taken", 0);
	CHECK(json_array_size(at(v, "qcowfs.snapshots")) == 2);
	CHECK(json_integer_value(at(v, "qcowfs.snapshots.0.virtual-size")) == (json_int_t)M);
	CHECK(json_integer_value(at(v, "qcowfs.snapshots.1.virtual-size")) == (json_int_t)(2 * M));
	CHECK(json_integer_value(at(v, "qcowfs.snapshot-count")) == 2);
	CHECK(says(v, "qcowfs.snapshots.1.shown", "shown-1") && !at(v, "snapshots.1.shown"));
	img = image_open(ctx, "taken");
	CHECK(!image_try(ctx, "taken", QC_OPEN_HEADERS_ONLY | QC_OPEN_INSPECT, &look, &why));
	live = text_of("taken", look, img, NULL);
	qc_close(look);
	CHECK(json_equal(at(live, "snapshots"), at(v, "snapshots")));
	json_decref(live);
	json_decref(v);
	qc_close(img);
	/* VM state, a clock, and no count of instructions. */
	poke("taken", peek64("taken", 64) + 24, "\0\0\0\3\0\0\0\5\0\0\1\0", 12);
	poke("taken", peek64("taken", 64) + 40, "\0\0\0\1\0\0\0\0", 8);
	poke("taken", peek64("taken", 64) + 56, "\xff\xff\xff\xff\xff\xff\xff\xff", 8);
	CHECK(agrees("taken", 0));
	v = we_say("taken", 0);
	CHECK(!at(v, "snapshots.0.icount") && at(v, "snapshots.1.icount"));
	json_decref(v);
}

static void a_damaged_table_of_snapshots(void)
{
	json_t *v;

	poke("taken", peek64("taken", 64) + 36, "\xff\xff\xff\xff", 4);
	v = we_say("taken", 0);
	CHECK(mentions(v, "qcowfs.snapshots-error", "damaged") && !at(v, "snapshots"));
	CHECK(json_integer_value(at(v, "qcowfs.snapshot-count")) == 2 && !at(v, "error"));
	json_decref(v);
}

/* ---- facts that QEMU does not report -------------------------------------------------------- */

static void a_chain(void)
{
	char full[600];
	json_t *v;

	sh("qemu-img create -q -f raw raw 1M && qemu-img create -q -f qcow2 -b raw -F raw mid"
	   " && qemu-img create -q -f qcow2 -o compat=0.10,cluster_size=4k -b mid -F qcow2 tip 2M");
	v = we_say("tip", 0);
	CHECK(json_array_size(at(v, "qcowfs.chain")) == 3);
	snprintf(full, sizeof(full), "%s/mid", tempdir);
	CHECK(says(v, "qcowfs.chain.1.file", "mid") && says(v, "qcowfs.chain.1.resolved", full));
	CHECK(says(v, "qcowfs.chain.2.format", "raw") && !at(v, "qcowfs.chain.2.features"));
	CHECK(json_integer_value(at(v, "qcowfs.chain.0.virtual-size")) == (json_int_t)(2 * M));
	CHECK(json_integer_value(at(v, "qcowfs.chain.1.cluster-size")) == 65536);
	CHECK(says(v, "qcowfs.chain.0.open", "no") && !at(v, "error"));
	json_decref(v);
}

static void a_broken_chain(void)
{
	json_t *v;

	sh("mkdir -p broken && cp tip mid broken/");
	v = we_say("broken/tip", -ENOENT);
	CHECK(mentions(v, "error", "'raw'") && json_array_size(at(v, "qcowfs.chain")) == 3);
	CHECK(!at(v, "qcowfs.chain.1.error") && mentions(v, "qcowfs.chain.2.error", "'raw'"));
	CHECK(says(v, "qcowfs.chain.2.file", "raw") && json_is_null(at(v, "qcowfs.chain.2.resolved")));
	json_decref(v);
	poke("broken/mid", 20, "\0\0\0\x3f", 4); /* cluster_bits */
	v = we_say("broken/tip", -EINVAL);
	CHECK(json_array_size(at(v, "qcowfs.chain")) == 2 && !at(v, "qcowfs.chain.1.cluster-size"));
	CHECK(mentions(v, "qcowfs.chain.1.error", "cluster_bits 63"));
	json_decref(v);
	poke("broken/mid", 0, "text", 4);
	v = we_say("broken/tip", -EMEDIUMTYPE);
	CHECK(mentions(v, "qcowfs.chain.1.error", "not a QCOW image") && !at(v, "qcowfs.chain.1.format"));
	json_decref(v);
	sh("qemu-img create -q -f qcow2 circle 1M && qemu-img rebase -u -b circle -F qcow2 circle");
	v = we_say("circle", -ELOOP);
	CHECK(mentions(v, "qcowfs.chain.1.error", "a loop") && says(v, "qcowfs.chain.1.file", "circle"));
	json_decref(v);
}

static void features_of_tomorrow(void)
{
	json_t *v;

	sh("qemu-img create -q -f qcow2 new 1M");
	poke("new", 72, "\0\0\1\0\0\0\0\2", 8); /* bit 40, and corrupt */
	poke("new", 120, "\0\x28" "time travel\0", 14); /* the first record of its table */
	v = we_say("new", -ENOTSUP);
	CHECK(mentions(v, "error", "time travel") && mentions(v, "qcowfs.chain.0.error", "time travel"));
	CHECK(says(v, "qcowfs.features.incompatible.1.name", "time travel"));
	CHECK(json_integer_value(at(v, "qcowfs.features.incompatible.1.bit")) == 40);
	CHECK(json_integer_value(at(v, "virtual-size")) == (json_int_t)M);
	json_decref(v);
}

static void nothing_to_be_read(void)
{
	json_t *v;

	sh("echo text >text");
	v = we_say("text", -EMEDIUMTYPE);
	CHECK(mentions(v, "error", "not a QCOW image") && !at(v, "format") && !at(v, "virtual-size"));
	json_decref(v);
	v = text_of("gone", NULL, NULL, "No such file or directory");
	CHECK(says(v, "error", "No such file or directory") && mentions(v, "filename", "/gone"));
	json_decref(v);
}

/* The name of a file is any bytes. */
static void names_that_are_not_utf8(void)
{
	char name[] = "odd \xff\xc3\xa9%41\xed\xa0\x80\xc0\x80";
	json_t *v;

	sh("qemu-img create -q -f qcow2 plain 1M");
	CHECK(!rename("plain", name));
	v = we_say(name, 0);
	CHECK(mentions(v, "filename", "/odd %FF\xc3\xa9%41%ED%A0%80%C0%80"));
	json_decref(v);
}

/* ---- uses and locks ---------------------------------------------------------------- */

static void open_for_writing_here(void)
{
	struct qc_image *img = NULL;
	struct qc_reason why;
	char buf[4096] = "";
	json_t *v;

	sh("qemu-img create -q -f qcow2 used 1M && qemu-img create -q -f qcow2 -b used -F qcow2 user");
	CHECK(!image_try(ctx, "used", QC_OPEN_WRITE, &img, &why));
	CHECK(!qc_write(img, 0, buf, sizeof(buf)) && !qc_read(img, 0, buf, 100));
	CHECK(!qc_discard(img, 0, 65536));
	v = we_say("used", 0);
	CHECK(says(v, "qcowfs.open", "writing") && says(v, "qcowfs.chain.0.open", "writing"));
	CHECK(json_integer_value(at(v, "qcowfs.counters.reads")) == 1);
	CHECK(json_integer_value(at(v, "qcowfs.counters.read-bytes")) == 100);
	CHECK(json_integer_value(at(v, "qcowfs.counters.changes")) == 2);
	CHECK(json_integer_value(at(v, "qcowfs.counters.written-bytes")) == 4096);
	CHECK(json_integer_value(at(v, "qcowfs.counters-of-all.files-open")) == 1);
	CHECK(says(v, "qcowfs.locks.used.1", "write"));
	json_decref(v);
	v = we_say("user", -EBUSY);
	CHECK(mentions(v, "error", "open for writing here"));
	json_decref(v);
	qc_close(img);
	json_decref(we_say("user", 0));
}

static void locked_by_another(void)
{
	struct flock l = { .l_type = F_RDLCK, .l_whence = SEEK_SET, .l_start = 101, .l_len = 1 };
	int fd = open("used", O_RDWR | O_CLOEXEC);
	json_t *v;

	CHECK(!fcntl(fd, F_OFD_SETLK, &l));
	v = we_say("used", -EBUSY);
	CHECK(mentions(v, "error", "locked") && says(v, "qcowfs.open", "no"));
	CHECK(json_array_size(at(v, "qcowfs.locks.used")) == 1);
	CHECK(says(v, "qcowfs.locks.used.0", "write") && at(v, "format-specific"));
	json_decref(v);
	close(fd);
	v = we_say("used", 0);
	CHECK(json_array_size(at(v, "qcowfs.locks.used")) == 0);
	json_decref(v);
}

int main(void)
{
	begin();
	ctx = context_new(NULL);
	RUN(images_of_all_kinds);
	RUN(overlays);
	RUN(bitmaps);
	RUN(bits_of_the_header);
	RUN(encrypted);
	RUN(encrypted_with_luks);
	RUN(snapshots);
	RUN(a_damaged_table_of_snapshots);
	RUN(a_chain);
	RUN(a_broken_chain);
	RUN(features_of_tomorrow);
	RUN(nothing_to_be_read);
	RUN(names_that_are_not_utf8);
	RUN(open_for_writing_here);
	RUN(locked_by_another);
	context_end(ctx);
	return DONE();
}
