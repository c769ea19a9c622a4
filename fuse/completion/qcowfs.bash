# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Completion for qcowfs(1).  The options are those of "qcowfs --help".

# _qcowfs_options PROGRAM: NAME or NAME=VALUE, one to a line.
_qcowfs_options()
{
	"$1" --help 2>/dev/null | sed -n 's/^    -o \([[:lower:]][^ ]*\).*/\1/p'
}

# _qcowfs_list PROGRAM WORD: what the last option of the list WORD, "a,b=c,...", may be.
_qcowfs_list()
{
	local last=${2##*,} option
	local done=${2%"$last"} name=${last%%=*}

	if [[ $last != *=* ]]; then
		while read -r option; do
			[[ $option != *=* ]] || option=${option%%=*}=
			[[ $option != "$last"* ]] || COMPREPLY+=("$done$option")
		done < <(_qcowfs_options "$1")
		compopt -o nospace
		return
	fi
	option=$(_qcowfs_options "$1" | sed -n "s/^$name=//p")
	case $option in
	*'|'*)
		while read -r option; do
			COMPREPLY+=("$done$name=$option")
		done < <(compgen -W "${option//|/ }" -- "${last#*=}")
		compopt -o nospace
		;;
	PATH | FILE | DIR)
		while read -r option; do
			COMPREPLY+=("$done$name=$option")
		done < <(compgen -f -- "${last#*=}")
		compopt -o filenames
		;;
	esac
}

# _qcowfs_commands PROGRAM: the words that may be its first operand, one to a line.
_qcowfs_commands()
{
	"$1" --help 2>/dev/null | sed -n 's/^    qcowfs \([[:lower:]]*\) .*/\1/p'
}

# _qcowfs_command PROGRAM COMMAND WORD: what the word may be behind the command.
_qcowfs_command()
{
	local option options
	options=$("$1" "$2" --help 2>/dev/null | sed -n 's/^    \(-[^ ]*\)\(, \([^ ]*\)\)\{0,1\}.*/\1\n\3/p' |
		sed 's/,$//; /^$/d')
	if [[ $3 == --*=* ]]; then
		option=$(sed -n "s/^${3%%=*}=//p" <<<"$options")
		case $option in
		*'|'*) mapfile -t COMPREPLY < <(compgen -P "${3%%=*}=" -W "${option//|/ }" -- "${3#*=}") ;;
		PATH | FILE | DIR)
			mapfile -t COMPREPLY < <(compgen -P "${3%%=*}=" -f -- "${3#*=}")
			compopt -o filenames
			;;
		esac
	elif [[ $3 == -* ]]; then
		mapfile -t COMPREPLY < <(
			compgen -W "$(while IFS= read -r option; do printf '%s\n' "${option/%=*/=}"; done <<<"$options")" -- "$3")
		[[ ${COMPREPLY[*]} != *= ]] || compopt -o nospace
	else
		compopt -o default
	fi
}

_qcowfs()
{
	local line=${COMP_LINE:0:COMP_POINT} words cut
	local cur=${line##*[[:space:]]}

	COMPREPLY=()
	read -ra words <<<"${line%"$cur"}"
	if [[ ${#words[@]} -gt 1 ]] && _qcowfs_commands "$1" | grep -qx -- "${words[1]}"; then
		_qcowfs_command "$1" "${words[1]}" "$cur"
	elif [[ ${words[-1]} == -*o && ${words[-1]} != --* ]]; then
		_qcowfs_list "$1" "$cur"
	elif [[ $cur == -o?* ]]; then
		_qcowfs_list "$1" "${cur#-o}"
		COMPREPLY=("${COMPREPLY[@]/#/-o}")
	elif [[ $cur == -* ]]; then
		while read -r line; do
			COMPREPLY+=("$line")
		done < <(compgen -W "-h --help -V --version -v -f -d -s -r -o" -- "$cur")
		return
	else
		[[ ${#words[@]} -gt 1 ]] || mapfile -t COMPREPLY < <(compgen -W "$(_qcowfs_commands "$1")" -- "$cur")
		compopt -o default
		return
	fi
	# Readline replaces what stands behind the last of these only.
	cut=${cur##*[=:]}
	[[ $COMP_WORDBREAKS == *=* ]] || cut=$cur
	COMPREPLY=("${COMPREPLY[@]#"${cur%"$cut"}"}")
}
complete -F _qcowfs qcowfs
