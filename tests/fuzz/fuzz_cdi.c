/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A CDI file from anywhere, JSON if it begins so, else YAML: an error is explained; paths are
 * absolute; what was merged once changes nothing when it is merged again.
 */
#include "config.h"

#include "runtime/cdi.h"
#include "tests/fuzz/fuzz.h"
#include "util/poison.h"

static void check_edits(const struct rt_cdi_edits *x)
{
	struct rt_cdi_edits merged = { 0 };
	struct hr_err e = { 0 };
	size_t nodes, mounts;

	for (size_t i = 0; i < x->n_nodes; i++)
		FUZZ_CHECK(x->nodes[i].path[0] == '/' && x->nodes[i].host[0] == '/');
	for (size_t i = 0; i < x->n_mounts; i++)
		FUZZ_CHECK(x->mounts[i].src[0] == '/' && x->mounts[i].dst[0] == '/');
	if (rt_cdi_merge(&merged, x, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_USAGE && e.text[0] != '\0');
	} else {
		nodes = merged.n_nodes;
		mounts = merged.n_mounts;
		FUZZ_CHECK(rt_cdi_merge(&merged, x, &e) == 0);
		FUZZ_CHECK(merged.n_nodes == nodes && merged.n_mounts == mounts);
	}
	rt_cdi_edits_release(&merged);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rt_cdi_spec spec;
	struct hr_err e = { 0 };

	if (rt_cdi_parse(p, n, n > 0 && p[0] != '{', &spec, &e) < 0) {
		FUZZ_CHECK(e.kind == HR_CORRUPT && e.text[0] != '\0');
	} else {
		check_edits(&spec.edits);
		for (size_t i = 0; i < spec.n; i++) {
			FUZZ_CHECK(rt_cdi_device(&spec, spec.devices[i].name) == &spec.devices[i]);
			check_edits(&spec.devices[i].edits);
		}
	}
	rt_cdi_release(&spec);
	return 0;
}
