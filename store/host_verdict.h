/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the host's MPI fits an image that is here, as 'hpcrun mpi-check' tells: by running that,
 * for it takes a session, and what looks at libraries is above this layer.
 *
 * For: hpcrun plan. The front door hands its own path down in the environment.
 * Sequence: store_mpi_verdict_get(); text or json; store_mpi_verdict_release().
 */
#ifndef STORE_HOST_VERDICT_H
#define STORE_HOST_VERDICT_H

#include <jansson.h>

#include "fetch/fetch.h"
#include "util/conf.h"
#include "util/mem.h"

struct store_mpi_verdict {
	json_t *report;	     /* what mpi-check --json prints, or NULL */
	const char *unknown; /* else why there is none */
	bool failed;	     /* although one was asked for */
};

/*
 * Ask about the image MANIFEST in the stores GIVEN (--store), else those that hpcrun finds by
 * itself. Nothing is run where CONF names no MPI of the host.
 */
void store_mpi_verdict_get(const struct hr_conf *conf, const struct hr_strv *given,
			   const struct fetch_digest *manifest, struct store_mpi_verdict *out);
void store_mpi_verdict_release(struct store_mpi_verdict *v);

/* A report in one line; the caller frees. Words of the image are made visible. */
char *store_mpi_verdict_text(const json_t *report);

#endif
