# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Shared by the lints: sets TREE and BUILD from the arguments `[TREE [BUILD]]` and defines what they need.
# A lint prints one line `file:line: what is wrong` for each finding and exits 1 when there was one.

LINT_DIR=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
TREE=$(cd "${1:-$LINT_DIR/../..}" && pwd)
# shellcheck disable=SC2034  # for the lints that look at what was built
BUILD=${2:-}
FINDINGS=$(mktemp)
trap 'rm -f "$FINDINGS"' EXIT

# tracked GLOB...: files of TREE that match, one a line: those that git tracks, or all without git.
# What the lints are tested with is no part of the tree.
tracked() {
	cd "$TREE" || exit 2
	if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$TREE" ]; then
		git ls-files -- "$@"
	else
		find . -type f -printf '%P\n' | while read -r file; do
			for glob; do
				# shellcheck disable=SC2053  # a glob is meant
				[[ $file == $glob ]] && echo "$file" && break
			done
		done
	fi | grep -v '^tests/lint/bad/' | sort
}

# scripts INTERPRETER...: tracked files whose first line names one of them.
scripts() {
	tracked '*' | while read -r file; do
		head -n 1 "$TREE/$file" 2>/dev/null | tr -d '\0' | grep -qE "^#!.*[/ ]($(IFS='|' && echo "$*"))( |\$)" && echo "$file"
	done
	return 0
}

# finding FILE LINE TEXT
finding() { echo "$1:$2: $3" | tee -a "$FINDINGS"; }

# The last line of every lint.
verdict() { [ ! -s "$FINDINGS" ]; }
