/* SPDX-License-Identifier: MIT */
/*
 * text_file.h - a read-only file beside an image whose text is made when it is asked for.
 *
 * It is made anew for each open.  Texts that take long are kept by made_text.h.
 */
#ifndef TEXT_FILE_H
#define TEXT_FILE_H

#include <stdbool.h>
#include <stddef.h>

struct name;
struct node;
struct tree;

/* Makes the text for an image, to be freed with free().  Return: 0; the error for open(2). */
typedef int text_file_fn(struct tree *t, struct node *image, char **text, size_t *len);

/*
 * text_file_new() - make the node of such a file; for view_provider.make
 * @sized:  stat(2) makes the text, to tell its size.  Otherwise the size is that of the text
 *	    that was opened last, first 0, as in /proc: a listing opens no image.
 */
struct node *text_file_new(struct tree *t, struct name *view, struct node *image, bool sized,
			   text_file_fn *make);

#endif
