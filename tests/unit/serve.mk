# unit tests of serve
