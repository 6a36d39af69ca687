# unit tests of util: libutil.a alone
check_PROGRAMS += tests/unit/test_util
TESTS += tests/unit/test_util
tests_unit_test_util_SOURCES = tests/unit/test_util.c
tests_unit_test_util_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_util_LDADD = libutil.a $(INIH_LIBS) $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_util_io
TESTS += tests/unit/test_util_io
tests_unit_test_util_io_SOURCES = tests/unit/test_util_io.c
tests_unit_test_util_io_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_util_io_LDADD = libutil.a $(CMOCKA_LIBS)
check_PROGRAMS += tests/unit/test_util_stats tests/fuzz/fuzz_stats
TESTS += tests/unit/test_util_stats tests/fuzz/fuzz_stats
tests_unit_test_util_stats_SOURCES = tests/unit/test_util_stats.c
tests_unit_test_util_stats_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_util_stats_LDADD = libutil.a $(CMOCKA_LIBS)
tests_fuzz_fuzz_stats_SOURCES = tests/fuzz/fuzz_stats.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_stats_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/stats"'
tests_fuzz_fuzz_stats_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_stats_LDADD = libutil.a

check_PROGRAMS += tests/unit/test_util_optsrc tests/fuzz/fuzz_optsrc
TESTS += tests/unit/test_util_optsrc tests/fuzz/fuzz_optsrc
tests_unit_test_util_optsrc_SOURCES = tests/unit/test_util_optsrc.c
tests_unit_test_util_optsrc_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_util_optsrc_LDADD = libutil.a $(CMOCKA_LIBS)
tests_fuzz_fuzz_optsrc_SOURCES = tests/fuzz/fuzz_optsrc.c $(FUZZ_REPLAY)
tests_fuzz_fuzz_optsrc_CPPFLAGS = $(AM_CPPFLAGS) -DFUZZ_CORPUS='"$(srcdir)/tests/fuzz/corpus/optsrc"'
tests_fuzz_fuzz_optsrc_CFLAGS = $(AM_CFLAGS)
tests_fuzz_fuzz_optsrc_LDADD = libutil.a
