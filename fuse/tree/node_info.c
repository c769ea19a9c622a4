/* SPDX-License-Identifier: MIT */
#include "tree/node_info.h"

#include <stdlib.h>

void node_info_free(struct node_info *f)
{
	free(f->backing);
	free(f->snapshot_id);
	*f = (struct node_info){ 0 };
}
