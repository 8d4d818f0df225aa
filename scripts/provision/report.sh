# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# Progress and failures. People read file descriptor 3; a program may read standard output.

exec 3>&1
LOG_DIR=$(mktemp -d "${TMPDIR:-/tmp}/integration-hub.XXXXXX")
chmod 755 "$LOG_DIR"
STEP_NUMBER=0

progress_to_stderr() { exec 3>&2; }

# Logs are kept when something failed.
remove_logs() { rm -rf "$LOG_DIR"; }

say() { printf '%s\n' "$*" >&3; }

elapsed() { printf '[%3d s]' "$SECONDS"; }

# fail WHAT [WHAT TO DO]
fail() {
	printf '\nFailed: %s\n' "$1" >&2
	[[ -z ${2:-} ]] || printf 'What to do: %s\n' "$2" >&2
	exit 1
}

# step TITLE WHAT_TO_DO_WHEN_IT_FAILS COMMAND…: the command's output goes to a log of its own.
# The command runs in a subshell with errexit on, which bash would switch off inside `if` or `||`.
step() {
	local title=$1 advice=$2 log code
	shift 2
	STEP_NUMBER=$((STEP_NUMBER + 1))
	log=$LOG_DIR/$(printf '%02d' "$STEP_NUMBER")-${title//[^A-Za-z0-9]/-}.log
	say "$(elapsed) $title"
	set +e
	(set -e && "$@") >"$log" 2>&1 </dev/null
	code=$?
	set -e
	[[ $code -eq 0 ]] && return
	printf '\n--- the last lines of %s\n' "$log" >&2
	tail -n 25 "$log" >&2
	fail "$title (exit code $code). Its log: $log" "$advice"
}

# try DEADLINE_SECONDS COMMAND…: poll until the command succeeds; false when the time is over.
try() {
	local deadline=$((SECONDS + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[[ $SECONDS -lt $deadline ]] || return 1
		sleep 0.3
	done
}

on_interrupt() {
	trap - INT TERM
	printf '\nInterrupted. Nothing is lost: the same command goes on where this one stopped.\n' >&2
	exit 130
}
trap on_interrupt INT TERM
