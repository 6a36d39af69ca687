# unit tests of fetch: libfetch.a and libutil.a alone
FETCH_TEST_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
FETCH_TEST_LIBS = libfetch.a libutil.a $(CURL_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) $(CMOCKA_LIBS) -lpthread

check_PROGRAMS += tests/unit/test_fetch_ref tests/unit/test_fetch_digest tests/unit/test_fetch_manifest \
	tests/unit/test_fetch_url tests/unit/test_fetch_auth tests/unit/test_fetch_request
TESTS += tests/unit/test_fetch_ref tests/unit/test_fetch_digest tests/unit/test_fetch_manifest \
	tests/unit/test_fetch_url tests/unit/test_fetch_auth tests/unit/test_fetch_request
tests_unit_test_fetch_ref_SOURCES = tests/unit/test_fetch_ref.c
tests_unit_test_fetch_ref_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_ref_LDADD = $(FETCH_TEST_LIBS)
tests_unit_test_fetch_digest_SOURCES = tests/unit/test_fetch_digest.c
tests_unit_test_fetch_digest_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_digest_LDADD = $(FETCH_TEST_LIBS)
tests_unit_test_fetch_manifest_SOURCES = tests/unit/test_fetch_manifest.c
tests_unit_test_fetch_manifest_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_manifest_LDADD = $(FETCH_TEST_LIBS)
tests_unit_test_fetch_url_SOURCES = tests/unit/test_fetch_url.c
tests_unit_test_fetch_url_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_url_LDADD = $(FETCH_TEST_LIBS)
tests_unit_test_fetch_auth_SOURCES = tests/unit/test_fetch_auth.c
tests_unit_test_fetch_auth_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_auth_LDADD = $(FETCH_TEST_LIBS)
check_PROGRAMS += tests/unit/test_fetch_layout
TESTS += tests/unit/test_fetch_layout
tests_unit_test_fetch_layout_SOURCES = tests/unit/test_fetch_layout.c
tests_unit_test_fetch_layout_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_layout_LDADD = $(FETCH_TEST_LIBS)
tests_unit_test_fetch_request_SOURCES = tests/unit/test_fetch_request.c
tests_unit_test_fetch_request_CFLAGS = $(FETCH_TEST_CFLAGS)
tests_unit_test_fetch_request_LDADD = $(FETCH_TEST_LIBS)

# the client from the command line, for tests/cli/fetch.bats
check_PROGRAMS += tests/unit/fetch_tool
tests_unit_fetch_tool_SOURCES = tests/unit/fetch_tool.c
tests_unit_fetch_tool_CFLAGS = $(AM_CFLAGS)
tests_unit_fetch_tool_LDADD = libfetch.a libutil.a $(CURL_LIBS) $(JANSSON_LIBS) $(CRYPTO_LIBS) $(INIH_LIBS) -lpthread
