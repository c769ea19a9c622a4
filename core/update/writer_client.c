/* SPDX-License-Identifier: MIT */
#include "update/writer_client.h"

#include "update/writer_fields.h"

void qc_writer_add_client(struct qc_writer *w, const struct qc_writer_client_ops *ops,
			  void *state)
{
	struct qc_writer_clients *c = &w->clients;

	assert(c->n < QC_WRITER_CLIENTS);
	c->client[c->n++] = (struct qc_writer_client){ ops, state };
	if (ops->range_changed && !ops->ranges_on_demand)
		atomic_store(&c->any_for_ranges, true);
}

qc_err qc_writer_client_first_change(struct qc_writer *w)
{
	struct qc_writer_clients *c = &w->clients;
	qc_err r = 0;

	for (unsigned int i = 0; !r && i < c->n; i++)
		if (c->client[i].ops->first_change)
			r = c->client[i].ops->first_change(w, c->client[i].state);
	if (!r)
		atomic_store(&c->first_change, true);
	return r;
}

void qc_writer_client_range_changed(struct qc_writer *w, uint64_t off, uint64_t len)
{
	const struct qc_writer_clients *c = &w->clients;

	for (unsigned int i = 0; i < c->n && len; i++)
		if (c->client[i].ops->range_changed)
			c->client[i].ops->range_changed(w, c->client[i].state, off, len);
}

void qc_writer_client_relieve(struct qc_writer *w)
{
	struct qc_writer_clients *c = &w->clients;

	if (!atomic_exchange(&c->urgent, false))
		return;
	for (unsigned int i = 0; i < c->n; i++)
		if (c->client[i].ops->relieve)
			c->client[i].ops->relieve(w, c->client[i].state);
}

qc_err qc_writer_client_before_resize(struct qc_writer *w)
{
	const struct qc_writer_clients *c = &w->clients;
	qc_err r = 0;

	for (unsigned int i = 0; !r && i < c->n; i++)
		if (c->client[i].ops->before_resize)
			r = c->client[i].ops->before_resize(w, c->client[i].state);
	return r;
}

void qc_writer_client_resized(struct qc_writer *w)
{
	const struct qc_writer_clients *c = &w->clients;

	for (unsigned int i = 0; i < c->n; i++)
		if (c->client[i].ops->resized)
			c->client[i].ops->resized(w, c->client[i].state);
}

qc_err qc_writer_client_flush(struct qc_writer *w)
{
	const struct qc_writer_clients *c = &w->clients;
	qc_err r = 0;

	for (unsigned int i = 0; !r && c->first_change && i < c->n; i++)
		if (c->client[i].ops->flush)
			r = c->client[i].ops->flush(w, c->client[i].state);
	return r;
}

qc_err qc_writer_client_close(struct qc_writer *w, bool write)
{
	struct qc_writer_clients *c = &w->clients;
	qc_err r = 0;

	write = write && c->first_change;
	for (unsigned int i = 0; i < c->n; i++) {
		qc_err e = !c->client[i].ops->close ?
			0 : c->client[i].ops->close(w, c->client[i].state, write && !w->aborted);

		r = r ? r : e;
	}
	c->n = 0;
	return r;
}
