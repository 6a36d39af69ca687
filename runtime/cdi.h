/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One file of the Container Device Interface: which devices of a vendor there are, and what a
 * container needs to use each. Pure.
 *
 * Hooks are not run. Those that vendors' tools write are known by name; what they would do is done
 * here (links and the loader's search path), or left out because it has no meaning for a container
 * without privilege; any other hook is refused.
 *
 * Sequence: rt_cdi_parse; rt_cdi_device to look; rt_cdi_merge into what is to be done; release.
 */
#ifndef RT_CDI_H
#define RT_CDI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"
#include "util/mem.h"

#define RT_CDI_FILE_MAX (1u << 20)

struct rt_cdi_node {
	char *path; /* in the container */
	char *host;
};

struct rt_cdi_mount {
	char *src, *dst;
	bool ro;
};

/* A symbolic link at PATH of the container; TARGET as written: relative to its directory, or not.
 */
struct rt_cdi_link {
	char *target, *path;
};

/* containerEdits. A zeroed struct has none. */
struct rt_cdi_edits {
	struct hr_strv env;
	struct rt_cdi_node *nodes;
	size_t n_nodes;
	struct rt_cdi_mount *mounts;
	size_t n_mounts;
	struct rt_cdi_link *links;
	size_t n_links;
	struct hr_strv folders; /* whose libraries the loader is to find */
	struct hr_strv skipped; /* what is left out, and why; for people */
	uint64_t *gids;		/* supplementary groups that the device wants */
	size_t n_gids;
};
void rt_cdi_edits_release(struct rt_cdi_edits *x);

struct rt_cdi_device {
	char *name;
	struct rt_cdi_edits edits;
};

struct rt_cdi_spec {
	char *vendor, *class;
	struct rt_cdi_device *devices;
	size_t n;
	struct rt_cdi_edits edits; /* with any of the devices */
};

/*
 * Parse N bytes, of YAML or of JSON.
 *
 * Bounds:  N <= RT_CDI_FILE_MAX; versions 0.3.0 to 1.1.0, what none of these has is refused.
 * Owns:    *OUT; rt_cdi_release, also after an error.
 * Errors:  HR_CORRUPT naming the member, and the device if it is one's.
 * Source:  CDI specification 1.1.0, "CDI JSON Specification".
 */
int rt_cdi_parse(const uint8_t *p, size_t n, bool yaml, struct rt_cdi_spec *out,
		 struct hr_err *e) HR_MUST_USE;
void rt_cdi_release(struct rt_cdi_spec *spec);

/* The device NAME, or NULL. */
const struct rt_cdi_device *rt_cdi_device(const struct rt_cdi_spec *spec, const char *name);

/*
 * Add FROM to TO; what TO has already is not added twice.
 *
 * Errors:  HR_USAGE when both set a variable, a path or a link, to different things.
 */
int rt_cdi_merge(struct rt_cdi_edits *to, const struct rt_cdi_edits *from,
		 struct hr_err *e) HR_MUST_USE;

#endif
