/* SPDX-License-Identifier: MIT */
#include "commands/common.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "commands/cache_mode.h"
#include "commands/command_help.h"
#include "commands/image_format.h"
#include "util/path_dir.h"
#include "util/report.h"

enum { OPTIONS_MAX = 64 };

/* ---- the command line --------------------------------------------------------- */

/* Arguments for getopt_long(3), made from the two tables of a command. */
struct getopt_tables {
	char letters[2 * OPTIONS_MAX + 2];
	struct option longs[OPTIONS_MAX];
};

static void add_options(struct getopt_tables *t, const struct command_option *table)
{
	char *letter = t->letters + strlen(t->letters);
	struct option *l = t->longs;

	while (l->name)
		l++;
	for (; table->id; table++) {
		if (table->id < 256) {
			*letter++ = (char)table->id;
			if (table->arg)
				*letter++ = ':';
		}
		if (table->name)
			*l++ = (struct option){ table->name, table->arg ? required_argument : no_argument,
						NULL, table->id };
	}
}

static const struct command_option *find_option(const struct command_option *table, int id)
{
	while (table->id && table->id != id)
		table++;
	return table->id ? table : NULL;
}

static int set_shared_option(struct command *c, int id, const char *value)
{
	bool ignored;

	switch (id) {
	case 'f':
		c->format[0] = value;
		return image_format_is_known(value) ? 0 : -EINVAL;
	case 't':
	case 'T':
		return cache_mode_read(value, &ignored);
	case COMMAND_IMAGE_OPTS:
		c->image_opts = true;
		return 0;
	case COMMAND_OBJECT:
		return secret_objects_add(&c->secrets, value) ? -ECANCELED : 0;
	case 'p':
		c->progress = true;
		return 0;
	case 'q':
		c->quiet = true;
		return 0;
	case 'U':
		return options_set(&c->o, "locking", "share");
	default: /* named as the mount option, which reports errors */
		return options_set(&c->o, find_option(command_shared_options, id)->name, value) ?
			       -ECANCELED : 0;
	}
}

static int set_json_option(struct command *c, int id, const char *value)
{
	c->json = id == COMMAND_JSON || !strcmp(value, "json");
	return c->json || !strcmp(value, "human") ? 0 : -EINVAL;
}

/* Sets an option of this command, of all with has_json, or of all. */
static int set_option(struct command *c, void *to, int id, const char *value)
{
	const struct command_option *option = find_option(c->spec->options, id);
	char name[40];
	int r;

	if (option) {
		r = c->spec->set(to, id, value);
	} else if ((option = find_option(command_json_options, id))) {
		r = set_json_option(c, id, value);
	} else {
		option = find_option(command_shared_options, id);
		r = set_shared_option(c, id, value);
	}

	if (r >= 0 || r == -ECANCELED)
		return r;
	if (option->name)
		snprintf(name, sizeof(name), "--%s", option->name);
	else
		snprintf(name, sizeof(name), "-%c", id);
	if (r == -EINVAL && option->arg)
		report(QC_LOG_ERROR, "%s: '%s' is not %s", name, value, option->arg);
	else
		report(QC_LOG_ERROR, "%s: %s", name, strerror(-r));
	return r;
}

/* Reports an option that getopt_long(3) refused by returning @c. */
static void report_bad_option(const struct command *cmd, int c, char **argv)
{
	char letter[3] = { '-', (char)optopt, 0 };
	const char *name = optopt && optopt < 256 ? letter : argv[optind - 1];

	if (c == ':')
		report(QC_LOG_ERROR, "%s: the option needs a value", name);
	else
		report(QC_LOG_ERROR, "%s: unknown option (qcowfs %s --help lists those there are)",
		       name, cmd->spec->name);
}

static int parse_options(struct command *c, void *to, int argc, char **argv)
{
	struct getopt_tables t = { .letters = ":" };
	int id;

	add_options(&t, command_shared_options);
	add_options(&t, c->spec->options);
	if (c->spec->has_json)
		add_options(&t, command_json_options);
	optind = 0;
	while ((id = getopt_long(argc, argv, t.letters, t.longs, NULL)) != -1) {
		int r;

		if (id == 'h') {
			command_print_help(c->spec);
			return COMMAND_OK;
		}
		if (id == '?' || id == ':') {
			report_bad_option(c, id, argv);
			return COMMAND_FAILED;
		}
		r = set_option(c, to, id, optarg);
		if (r)
			return r > 0 ? COMMAND_OK : COMMAND_FAILED;
	}
	return COMMAND_RUN;
}

/* Replaces the operands that name images by their paths. */
static int resolve_images(struct command *c)
{
	if (c->image_opts && !c->spec->images) {
		report(QC_LOG_ERROR, "--image-opts: not for %s, which takes a path", c->spec->name);
		return -EINVAL;
	}
	for (unsigned int i = 0; i < c->spec->images && i < c->operands; i++) {
		struct image_operand *image = &c->image[i];
		int r = image_operand_parse(c->operand[i], c->image_opts, image);

		if (r)
			return r;
		c->operand[i] = image->path;
		if (image->format)
			c->format[i] = image->format;
		if (image->share && options_set(&c->o, "locking", "share"))
			return -EINVAL;
	}
	return 0;
}

static bool is_negative_number(const char *word)
{
	return word[0] == '-' && word[1] >= '0' && word[1] <= '9';
}

int command_begin(struct command *c, const struct command_spec *spec, void *to, int argc,
		  char **argv)
{
	/* Hides the last word from getopt, which would take "-1G" for options. */
	bool hide = spec->negative_operand && argc > 1 && is_negative_number(argv[argc - 1]);
	int status;

	*c = (struct command){
		.spec = spec,
		.o = { .ready_fd = -1, .key_fd = -1 },
		.keys = KEY_SOURCE_NONE,
	};
	status = parse_options(c, to, argc - hide, argv);
	if (status != COMMAND_RUN)
		return status;
	if (options_check_keys(&c->o))
		return COMMAND_FAILED;
	c->operand = argv + optind; /* getopt has moved the operands behind the options */
	c->operands = (unsigned int)(argc - optind);
	if (c->operands >= spec->min_operands && c->operands <= spec->max_operands)
		return resolve_images(c) ? COMMAND_FAILED : COMMAND_RUN;
	report(QC_LOG_ERROR, "%s: too %s operands (usage: qcowfs %s [options] %s)", spec->name,
	       c->operands < spec->min_operands ? "few" : "many", spec->name, spec->operands);
	return COMMAND_FAILED;
}

int command_add_create_options(struct create_options *to, const char *list)
{
	int r = create_options_add(to, list, ',');

	return r == -EINVAL ? -ECANCELED : r; /* reported with the name of the option */
}

int command_end(struct command *c, int status)
{
	if (c->ctx)
		qc_context_free(c->ctx);
	key_source_close(&c->keys);
	secret_objects_free(c->secrets);
	for (unsigned int i = 0; i < COMMAND_IMAGES_MAX; i++)
		image_operand_free(&c->image[i]);
	options_free(&c->o);
	errno = 0;
	if (!fflush(stdout) && !ferror(stdout))
		return status;
	report(QC_LOG_ERROR, "standard output: cannot write: %s", strerror(errno ? errno : EIO));
	return status == COMMAND_OK ? COMMAND_FAILED : status;
}

/* ---- images ------------------------------------------------------------------- */

static int open_key_source(struct command *c)
{
	int r = c->keys_open ? 0 : key_source_open(&c->keys, &c->o, "/", !c->secrets);

	c->keys_open = !r;
	return r;
}

static int copy_secret(const struct secret_object *s, void *buf, size_t room, size_t *len)
{
	if (!s || s->len > room)
		return s ? -EFBIG : -ENOENT;
	memcpy(buf, s->bytes, s->len);
	*len = s->len;
	return 0;
}

int command_get_key(struct command *c, const char *path, const char *secret, void *buf,
		    size_t room, size_t *len)
{
	int r = open_key_source(c);

	if (!r && c->secrets)
		return copy_secret(secret ? secret_objects_find(c->secrets, secret) : c->secrets, buf,
				   room, len);
	return r ? r : key_source_get(&c->keys, path, 0, buf, room, len);
}

/* Returns the secret that the operand for this file names; NULL: none. */
static const struct secret_object *find_named_secret(const struct command *c, const char *path)
{
	struct stat st, of_image;

	for (unsigned int i = 0; i < COMMAND_IMAGES_MAX; i++)
		if (c->image[i].secret && !stat(path, &st) && !stat(c->image[i].path, &of_image) &&
		    st.st_dev == of_image.st_dev && st.st_ino == of_image.st_ino)
			return secret_objects_find(c->secrets, c->image[i].secret);
	return NULL;
}

/* A qc_key_fn: the secret that is named for the image, then all others. */
static qc_err try_keys(void *arg, const char *path, unsigned int attempt, void *buf, size_t room,
		       size_t *len)
{
	struct command *c = arg;
	const struct secret_object *named = find_named_secret(c, path), *s = c->secrets;

	if (!c->secrets)
		return key_source_get(&c->keys, path, attempt, buf, room, len);
	if (named && !attempt)
		return copy_secret(named, buf, room, len);
	attempt -= named ? 1 : 0;
	for (; s && (s == named || attempt); s = s->next)
		attempt -= s == named ? 0 : 1;
	return copy_secret(s, buf, room, len);
}

/* A qc_progress_fn: with -p progress is shown as qemu-img shows it. */
static void show_work(void *arg, const char *path, enum qc_work work, unsigned int percent)
{
	if (((struct command *)arg)->progress && work != QC_WORK_UNLOCK)
		command_show_progress(arg, percent, 100);
	else
		report_progress(arg, path, work, percent);
}

/* Opens the context before the first image.  Reading headers needs no key: a key source that is
 * always there keeps encrypted images from being refused. */
static int make_context(struct command *c, unsigned int flags)
{
	struct qc_config config = {
		.log = report_line,
		.log_arg = c,
		.log_max = QC_LOG_TRACE,
		.progress = show_work,
		.interrupted = c->interrupted,
		.cache_bytes = c->cache_bytes,
		.refs = c->o.refs,
		.locking = c->o.locking,
		.data_file = c->o.data_file,
		.path_maps = c->o.path_maps,
		.npath_maps = c->o.npath_maps,
		.key_arg = c,
		.no_sync = c->no_sync,
		.direct_writes = c->direct_writes,
	};
	int r;

	if (c->ctx)
		return 0;
	r = open_key_source(c);
	if (r)
		return r;
	if (key_source_exists(&c->keys) || c->secrets || flags & QC_OPEN_HEADERS_ONLY)
		config.key = try_keys;
	return qc_context_new(&config, &c->ctx);
}

/* Opens the file for reading, in a way that cannot block.  Only a regular file or a block
 * device is opened: opening another device may have effects. */
static int open_image_file(const struct path_dir *where)
{
	int at = openat(where->fd, where->name, O_PATH | O_CLOEXEC), fd;
	struct stat st;
	char self[40];

	if (at < 0)
		return -errno;
	snprintf(self, sizeof(self), "/proc/self/fd/%d", at);
	if (fstat(at, &st) || !(S_ISREG(st.st_mode) || S_ISBLK(st.st_mode)))
		fd = -EMEDIUMTYPE;
	else
		fd = open(self, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd == -1)
		fd = -errno;
	close(at);
	return fd;
}

qc_err command_locate(struct command *c, const char *path, unsigned int flags,
		      struct command_file *out)
{
	int r = path_dir_open(&out->where, path);

	out->at = (struct qc_image_location){ .fd = -1 };
	if (!r)
		r = out->at.fd = open_image_file(&out->where);
	if (r < 0)
		return r;
	out->at.dirfd = out->where.fd;
	out->at.dir = out->where.dir;
	out->at.name = out->where.name;
	return make_context(c, flags);
}

void command_file_close(struct command_file *f)
{
	if (f->at.fd >= 0)
		close(f->at.fd);
	path_dir_close(&f->where);
}

/* Compares the file with the format that is declared for an operand. */
static qc_err compare_declared_format(const struct command *c, const char *path, int fd,
				    struct qc_reason *why)
{
	for (unsigned int i = 0; i < c->spec->images && i < c->operands; i++) {
		const char *format = path == c->operand[i] ? c->format[i] : NULL;

		if (format && !strcmp(format, "raw")) {
			snprintf(why->text, sizeof(why->text), "a raw disk: %s is for images",
				 c->spec->name);
			return -EINVAL;
		}
		if (format)
			return image_format_check(fd, format, why);
	}
	return 0;
}

qc_err command_try_open(struct command *c, const char *path, unsigned int flags,
			struct qc_image **out, struct qc_reason *why)
{
	struct command_file f;
	qc_err r = command_locate(c, path, flags, &f);

	*why = (struct qc_reason){ 0 };
	*out = NULL;
	if (!r)
		r = compare_declared_format(c, path, f.at.fd, why);
	if (!r)
		r = qc_open(c->ctx, &f.at, flags, out, why);
	command_file_close(&f);
	return r;
}

int command_open(struct command *c, const char *path, unsigned int flags, struct qc_image **out)
{
	struct qc_reason why;
	qc_err r = command_try_open(c, path, flags, out, &why);

	return r ? command_fail(path, r, &why) : COMMAND_OK;
}

int command_fail(const char *what, qc_err r, const struct qc_reason *why)
{
	if (why && *why->text)
		report(QC_LOG_ERROR, "%s: %s", what, why->text);
	else
		report(QC_LOG_ERROR, "%s: %s%s", what,
		       r == -EMEDIUMTYPE ? "not a regular file" : strerror(-r), qc_errno_hint(r));
	return COMMAND_FAILED;
}

void command_show_progress(struct command *c, uint64_t done, uint64_t total)
{
	double percent = total ? 100.0 * (double)done / (double)total : 100;
	unsigned int step = 1 + (unsigned int)(10 * percent);

	if (!c->progress || c->quiet || (step == c->progress_step && done < total))
		return;
	c->progress_step = step;
	printf("    (%3.2f/100%%)%c", percent, done >= total ? '\n' : '\r');
	fflush(stdout);
}
