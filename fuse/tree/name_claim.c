/* SPDX-License-Identifier: MIT */
#include "tree/name_claim.h"

#include <errno.h>

#include "tree/name.h"
#include "tree/tree_fields.h"

int name_claim_check(const struct node *dir, const char *shown, const char *file)
{
	const struct name *nm = name_find(dir, shown);
	const struct name *other = name_find_file(dir, file, false);

	if (nm && name_is_live(nm))
		return -EEXIST;
	if (nm && (nm->owner || nm->is_dir))
		return -EPERM;
	return other && (!nm || !other->gone) ? -EPERM : 0;
}

int name_claim(struct tree *t, struct node *dir, const char *shown, const char *file,
	       const struct identity *id, struct name **out)
{
	int r;

	*out = name_find(dir, shown);
	if (!*out)
		return name_add_image(t, dir, file, false, id, out);
	r = name_change_file(dir, *out, file);
	return r ? r : name_set_image(t, *out, false, id);
}
