# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# What the machine must have before there can be a bench.

# Names that Debian 12 and 13 and Ubuntu 22.04 and 24.04 agree on.
PACKAGES=(
	ca-certificates curl git procps tzdata util-linux
	build-essential pkg-config libmariadb-dev
	python3 python3-dev python3-venv
	mariadb-server mariadb-client redis-server
)

become_root() {
	[[ $EUID -eq 0 ]] && return
	command -v sudo >/dev/null ||
		fail "This installs packages and starts databases, so it needs root." "Run it as root, or install sudo."
	say "Asking sudo for root: packages are installed and databases started."
	exec sudo --preserve-env=CI,TERM "$0" "$@"
}

# Node.js of the distribution is wanted only where there is none at all: it brings npm, which can fetch a newer one.
wanted_packages() {
	printf '%s\n' "${PACKAGES[@]}"
	command -v npm >/dev/null || printf '%s\n' nodejs npm
}

missing_packages() {
	local package
	while read -r package; do
		dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || echo "$package"
	done < <(wanted_packages)
}

apt_install() {
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q -o DPkg::Lock::Timeout=300 update
	# A machine that has just been started may be busy with updates of its own.
	apt-get -q install -y --no-install-recommends -o DPkg::Lock::Timeout=300 "$@"
}

install_packages() {
	local missing
	mapfile -t missing < <(missing_packages)
	[[ ${#missing[@]} -eq 0 ]] && return
	command -v apt-get >/dev/null ||
		fail "These are needed and apt-get is not here to install them: ${missing[*]}" \
			"Use Debian 12 or 13 or Ubuntu 22.04 or 24.04, or install them by hand and run this again."
	step "Installing packages: ${missing[*]}" \
		"Check that this machine reaches its Debian or Ubuntu mirror (apt-get update), then run this again." \
		apt_install "${missing[@]}"
}

create_bench_user() {
	id "$BENCH_USER" >/dev/null 2>&1 || useradd --create-home --shell /bin/bash "$BENCH_USER"
	HUB_HOME=$(getent passwd "$BENCH_USER" | cut -d: -f6)/integration-hub
	TOOLS=$HUB_HOME/tools
	install -d -o "$BENCH_USER" -g "$BENCH_USER" "$HUB_HOME" "$TOOLS"
}

# The environment goes along (proxies, certificate authorities); what belongs to root's home does not.
# setpriv rather than su: it becomes the command, so that a process started this way has the pid we know.
exec_as_bench_user() {
	cd "${WORK_DIR:-$HUB_HOME}" || return
	exec setpriv --reuid="$BENCH_USER" --regid="$BENCH_USER" --init-groups \
		env -u PYTHONDONTWRITEBYTECODE -u PYTHONPATH -u VIRTUAL_ENV -u XDG_CACHE_HOME -u XDG_CONFIG_HOME \
		HOME="$(dirname "$HUB_HOME")" USER="$BENCH_USER" LOGNAME="$BENCH_USER" LC_ALL=C.UTF-8 \
		PATH="${TOOL_PATH:-}$TOOLS/bench/bin:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin" "$@"
}

as_bench_user() { (exec_as_bench_user "$@"); }

# Another run may be installing the same things: the second waits for the first.
# wait_for_lock NAME: held until this script ends. The descriptor is kept out of servers (see start_process).
wait_for_lock() {
	exec 9>"$HUB_HOME/$1.lock"
	flock --nonblock 9 && return
	say "$(elapsed) Waiting for another run that is busy with $1"
	flock --timeout 3600 9 || fail "Another run has held $HUB_HOME/$1.lock for an hour." "End that run, then run this again."
}

# usable_python PATH: runs for the bench user, can make environments, can build extensions.
usable_python() {
	as_bench_user timeout 20 "$1" -c '
import os, ssl, sysconfig, venv, ensurepip
assert os.path.exists(os.path.join(sysconfig.get_path("include"), "Python.h"))
' >/dev/null 2>&1
}

# pick_python VERSION…: the path of the first that is usable, else uv's.
# Interpreters in root's home (pyenv) are found here and skipped: the bench user cannot enter that home.
pick_python() {
	local version path
	for version in "$@"; do
		while read -r path; do
			usable_python "$path" && echo "$path" && return
		done < <(type -ap "python$version")
	done
	as_bench_user uv python find --managed-python "$1" 2>/dev/null && return
	as_bench_user uv python install "$1" >&2
	as_bench_user uv python find --managed-python "$1"
}

node_major() { as_bench_user timeout 20 "$1" --version 2>/dev/null | sed -n 's/^v\([0-9]*\)\..*/\1/p'; }

# pick_node LEAST WANTED: the directory of a node that is new enough, else npm's package of that name.
pick_node() {
	local path major
	while read -r path; do
		major=$(node_major "$path" || true)
		[[ -n $major && $major -ge $1 ]] && dirname "$path" && return
	done < <(printf '%s\n' "$TOOLS/node-$2/bin/node"; type -ap node)
	install_node "$2" >&2
	echo "$TOOLS/node-$2/bin"
}

# npm's package `node` fetches the package of this platform in an install script, which newer npm does not run
# unasked. So that package is asked for by its own name.
install_node() {
	local platform
	case $(uname -m) in
		x86_64) platform=linux-x64 ;;
		aarch64) platform=linux-arm64 ;;
		*) echo "There is no npm package of Node for $(uname -m)." && return 1 ;;
	esac
	as_bench_user npm install --no-fund --no-audit --prefix "$TOOLS/node-$1" "node-$platform@$1"
	as_bench_user mkdir -p "$TOOLS/node-$1/bin"
	as_bench_user ln -sf "../node_modules/node-$platform/bin/node" "$TOOLS/node-$1/bin/node"
	as_bench_user "$TOOLS/node-$1/bin/node" --version
}

install_yarn() {
	as_bench_user npm install --no-fund --no-audit --prefix "$TOOLS/yarn" yarn@1
	as_bench_user "$TOOLS/yarn/node_modules/.bin/yarn" --version
}

install_bench() {
	rm -rf "$TOOLS/bench"
	as_bench_user /usr/bin/python3 -m venv "$TOOLS/bench"
	as_bench_user "$TOOLS/bench/bin/pip" install --quiet frappe-bench
	as_bench_user bench --version
}

# npm's certificate authority is a setting of root's; the bench user needs the same.
inherit_npm_settings() {
	local cafile
	cafile=$(npm config get cafile 2>/dev/null || true)
	[[ -z $cafile || $cafile == null ]] || export npm_config_cafile=$cafile
}

install_tools() {
	local registries="Check that this machine reaches PyPI and the npm registry, then run this again."
	inherit_npm_settings
	as_bench_user bench --version >/dev/null 2>&1 || step "Installing bench" "$registries" install_bench
	as_bench_user "$TOOLS/yarn/node_modules/.bin/yarn" --version >/dev/null 2>&1 ||
		step "Installing yarn" "$registries" install_yarn
}

VERSIONS=(version-15 version-16)

check_version() {
	[[ " ${VERSIONS[*]} " == *" $1 "* ]] || fail "There is no Frappe '$1' here." "Use one of: ${VERSIONS[*]}."
}

# What each version of Frappe asks for.
pick_runtimes() {
	local pythons least_node node
	case $1 in
		# v15 itself is content with Node.js 18, but packages of our own are not.
		version-15) pythons=(3.12 3.11 3.10 3.13) least_node=20 node=20 ;;
		version-16) pythons=(3.14) least_node=24 node=24 ;;
	esac
	say "$(elapsed) Picking Python and Node.js for Frappe $1"
	PYTHON=$(pick_python "${pythons[@]}" 2>"$LOG_DIR/python.log") ||
		fail "No Python ${pythons[*]} that user $BENCH_USER can run, and uv could not install one. Its log: $LOG_DIR/python.log" \
			"Install python${pythons[0]} with its headers and venv module in a place every user can read, then run this again."
	NODE_BIN=$(pick_node "$least_node" "$node" 2>"$LOG_DIR/node.log") ||
		fail "No Node.js $least_node or newer, and npm could not install one. Its log: $LOG_DIR/node.log" \
			"Install Node.js $node, or check that this machine reaches the npm registry, then run this again."
	# Our yarn first: a newer one that came with the machine knows neither the lock file nor the options that bench gives.
	TOOL_PATH=$TOOLS/yarn/node_modules/.bin:$NODE_BIN:
	say "         Python: $PYTHON; Node.js: $NODE_BIN/node"
}

# prepare_machine: everything a bench needs, installed and running. PACKAGES may have been added to.
prepare_machine() {
	create_bench_user
	wait_for_lock machine
	install_packages
	install_tools
	start_database
	flock --unlock 9
}
