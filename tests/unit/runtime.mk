# unit tests of runtime: the layer and util
check_PROGRAMS += tests/unit/test_runtime tests/unit/test_runtime_text
TESTS += tests/unit/test_runtime tests/unit/test_runtime_text
tests_unit_test_runtime_SOURCES = tests/unit/test_runtime.c
tests_unit_test_runtime_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_LDADD = libruntime.a libutil.a $(CMOCKA_LIBS)
tests_unit_test_runtime_text_SOURCES = tests/unit/test_runtime_text.c
tests_unit_test_runtime_text_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_test_runtime_text_LDADD = libruntime.a libutil.a $(JANSSON_LIBS) $(SECCOMP_LIBS) $(CMOCKA_LIBS)
