/* SPDX-License-Identifier: MIT */
/*
 * common.h - the part that all commands share: options, images, messages, exit status.
 *
 * A command NAME is one file, commands/cmd_NAME.c, of at most 150 lines, with one public function
 *
 *	int cmd_NAME(int argc, char **argv);     argv[0] is the command's name
 *
 * which returns the exit status.  To add one:
 *
 * 1. write commands/cmd_NAME.c as commands/cmd_info.c is written: a table of the options that
 *    only this command has, a struct command_spec, and
 *
 *	struct command c;
 *	int status = command_begin(&c, &spec, &args, argc, argv);
 *
 *	if (status == COMMAND_RUN)
 *		status = do_the_work(&c, &args);
 *	return command_end(&c, status);
 *
 * 2. add its prototype to commands/commands.h, its row to the table in main.c, its file to
 *    fuse/meson.build (each list is sorted);
 * 3. describe it in man/qcowfs-commands.1: a section ".Ss NAME" with an ".It Fl" for each option;
 * 4. test it in tests/e2e/command-NAME.py.
 *
 * The work itself (counting references, copying, ...) belongs to core/; a command parses,
 * calls and prints.  A command uses util/, cli/, keys/, info/ and core, no other folder of fuse/.
 */
#ifndef COMMANDS_COMMON_H
#define COMMANDS_COMMON_H

#include "cli/create_options.h"
#include "cli/options.h"
#include "commands/command_spec.h"
#include "commands/image_operand.h"
#include "keys/key_source.h"
#include "keys/secret_objects.h"
#include "qcow.h"
#include "util/path_dir.h"

enum {
	COMMAND_RUN = -1, /* of command_begin(): go on */
	COMMAND_OK = 0,
	COMMAND_FAILED = 1, /* one line on stderr says why */
};

enum { COMMAND_IMAGES_MAX = 2 };

struct command {
	const struct command_spec *spec;
	struct options o; /* of these only those that commands share: keys, backing, locking */
	bool progress, quiet;
	unsigned int progress_step; /* that was shown last, in tenths of a percent, from 1 on */
	bool image_opts;
	/* Of the operands that name images, by -f and by the operand; `operand` has their paths. */
	const char *format[COMMAND_IMAGES_MAX]; /* that the file must have; NULL: any */
	struct image_operand image[COMMAND_IMAGES_MAX];
	struct secret_object *secrets;
	bool json; /* by --json or --output=json, if spec->has_json */
	/* As in struct qc_config; set before the first image is opened. */
	bool no_sync, direct_writes;
	size_t cache_bytes;
	qc_interrupted_fn *interrupted;
	char **operand;
	unsigned int operands;
	struct qc_context *ctx; /* NULL before the first image is opened */
	bool keys_open;
	struct key_source keys;
};

/*
 * command_begin() - parse the command line of a command
 * @to: passed to spec->set
 *
 * Options may stand before and after operands.  Prints --help itself.
 * Return: COMMAND_RUN, or an exit status: COMMAND_OK after --help, COMMAND_FAILED after a
 * message.  Call command_end() in each case.
 */
int command_begin(struct command *c, const struct command_spec *spec, void *to, int argc,
		  char **argv);

/* Reads the value of -o.  A function `set` of a struct command_spec returns its result. */
int command_add_create_options(struct create_options *to, const char *list);

/* Frees everything.  Returns @status, or COMMAND_FAILED if standard output could not be written. */
int command_end(struct command *c, int status);

/*
 * command_open() - open the image at @path and its chain
 * @flags: enum qc_open_flag
 *
 * Obeys --backing, --backing-map and --locking, and unlocks encrypted images with --key-file
 * --key-fd or --object, or else asks on the terminal.  An operand has the format that -f says.
 * Return: COMMAND_OK, *out is to be closed with qc_close(); COMMAND_FAILED after a message.
 */
int command_open(struct command *c, const char *path, unsigned int flags, struct qc_image **out);

/* An image file that is open, but not as an image. */
struct command_file {
	struct path_dir where;
	struct qc_image_location at;
};

/*
 * command_locate() - open the file at @path for reading, and make c->ctx
 * @flags:  enum qc_open_flag
 * @out:    for command_file_close(), also after a failure
 *
 * Return: 0; -EMEDIUMTYPE neither a regular file nor a block device; another -errno
 */
qc_err command_locate(struct command *c, const char *path, unsigned int flags,
		      struct command_file *out);
void command_file_close(struct command_file *f);

/* The same without a message.  Return: as qc_open(), with the reason in *@why. */
qc_err command_try_open(struct command *c, const char *path, unsigned int flags,
			struct qc_image **out, struct qc_reason *why);

/*
 * command_get_key() - take the passphrase for a new encrypted image
 * @path:    the image
 * @secret:  id of its secret object; NULL: not given
 * @buf:     secure memory of @room bytes
 *
 * Return: 0; -ENOENT there is no passphrase; another -errno: it cannot be read
 */
int command_get_key(struct command *c, const char *path, const char *secret, void *buf,
		    size_t room, size_t *len);

/* Reports "WHAT: WHY" from @why, or from the error @r if it is empty.  Returns COMMAND_FAILED. */
int command_fail(const char *what, qc_err r, const struct qc_reason *why);

/* Shows with -p that @done of @total is done, as qemu-img does: one line on standard output,
 * overwritten with each tenth of a percent.  The line ends when @done is @total. */
void command_show_progress(struct command *c, uint64_t done, uint64_t total);

#endif
