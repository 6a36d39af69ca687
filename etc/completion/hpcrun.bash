# SPDX-License-Identifier: BSD-3-Clause
# shellcheck shell=bash
# Completion of hpcrun in bash. 'hpcrun completion' knows what words can become, this knows bash.

_hpcrun() {
	local line=${COMP_LINE:0:COMP_POINT} words=() rest word cur part found i
	COMPREPLY=()
	# bash takes words apart at "=" and ":", which are parts of words here: what no blank divides is one word
	for ((i = 0; i <= COMP_CWORD; i++)); do
		rest=${line#"${line%%[![:space:]]*}"}
		word=${COMP_WORDS[i]}
		((i < COMP_CWORD)) || word=$rest
		if [[ $rest == "$line" && ${#words[@]} -gt 0 ]]; then
			words[-1]+=$word
		else
			words+=("$word")
		fi
		line=${rest#"$word"}
	done
	cur=${words[-1]}
	part=${cur##*[=:]} # what bash replaces
	while IFS= read -r found; do
		case $found in
		:files)
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$part")
			;;
		:dirs)
			compopt -o filenames 2>/dev/null
			mapfile -t -O "${#COMPREPLY[@]}" COMPREPLY < <(compgen -d -- "$part")
			;;
		*)
			[[ $found != *= ]] || compopt -o nospace 2>/dev/null
			COMPREPLY+=("${found#"${cur%"$part"}"}")
			;;
		esac
	done < <("${words[0]}" completion words "${words[@]:1}" 2>/dev/null)
}
complete -F _hpcrun hpcrun
