# Unit tests: one file of stanzas per module, so that each links its own layer and below, nothing else.
if TESTS_ENABLED
include tests/unit/util.mk
include tests/unit/fetch.mk
include tests/unit/store.mk
include tests/unit/serve.mk
include tests/unit/fuzz.mk
include tests/unit/runtime.mk

# Runs inside images of any kind: static, and without the flags of the product.
check_PROGRAMS += tests/lib/treedump tests/lib/without tests/bench/walk tests/bench/delay
tests_lib_without_SOURCES = tests/lib/without.c
tests_lib_without_CFLAGS = -std=gnu11 -Wall -Wextra
tests_lib_treedump_SOURCES = tests/lib/treedump.c
tests_lib_treedump_CFLAGS = -std=gnu11 -Wall -Wextra
tests_lib_treedump_LDFLAGS = -static
tests_bench_walk_SOURCES = tests/bench/walk.c
tests_bench_walk_CFLAGS = -std=gnu11 -Wall -Wextra
tests_bench_walk_LDFLAGS = -static
tests_bench_delay_SOURCES = tests/bench/delay.c
tests_bench_delay_CFLAGS = -std=gnu11 -Wall -Wextra
tests_bench_delay_LDFLAGS = -static
endif

# A thousand rounds of kill -9, ten thousand wrong bytes; tests/cli/faults.bats has a few of both. About half an hour, and
# an hour.
.PHONY: check-kill check-flip
check-kill check-flip: all tests/lib/mkstore
	HPCRUN=$(abs_builddir)/hpcrun HPCRUN_LIBEXECDIR=$(abs_builddir) HPCRUN_BUILD=$(abs_builddir) \
		$(srcdir)/tests/fault/$(@:check-%=%)

# Whole folders: a test that was added is in the archive without anyone thinking of it.
EXTRA_DIST += .ci tests/install-deps tests/run tests/demo tests/bench tests/cli tests/cluster tests/fault tests/lib tests/lint tests/mpi
# Of a build tree elsewhere automake copies these folders, too: what was built there is no part of the archive.
dist-hook:
	find $(distdir)/tests \( -name __pycache__ -o -name .deps -o -name .dirstamp -o -name '*.o' \) -prune \
		-exec rm -rf {} +
	cd $(distdir) && rm -f $(check_PROGRAMS)
