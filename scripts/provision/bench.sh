# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# A bench with Frappe, ERPNext and this app, and keeping the app in it the same as the working tree.

APP=integration_hub

bench() { WORK_DIR=$BENCH as_bench_user bench "$@"; }

bench_uv() { WORK_DIR=$BENCH as_bench_user uv pip "$1" --quiet --python "$BENCH/env/bin/python" "${@:2}"; }

# A bench, a site or an app that was being made when a run was interrupted has no mark, and is made again.
marked() { [[ -e $BENCH/.marks/$1 ]]; }

mark() {
	as_bench_user mkdir -p "$BENCH/.marks"
	as_bench_user tee "$BENCH/.marks/$1" <<<"${2:-}" >/dev/null
}

unmark() { rm -f "$BENCH/.marks/$1"; }

# Only below our own home: the path is taken away with all that is in it.
remove_bench() {
	[[ $BENCH == "$HUB_HOME"/?* ]] || return 1
	stop_servers
	rm -rf "$BENCH"
}

new_bench() {
	remove_bench
	as_bench_user mkdir -p "$BENCH/sites"
	# bench keeps the ports it finds here, where it would else take the same ones for every bench.
	new_ports | as_bench_user tee "$BENCH/sites/common_site_config.json" >/dev/null
	as_bench_user bench init --ignore-exist --skip-assets --no-backups --no-procfile --python "$PYTHON" \
		--frappe-path https://github.com/frappe/frappe --frappe-branch "$FRAPPE" "$BENCH"
	bench get-app --skip-assets --branch "$FRAPPE" https://github.com/frappe/erpnext
	# v15 still imports pkg_resources, which setuptools 81 no longer has.
	[[ $FRAPPE != version-15 ]] || bench_uv install 'setuptools<81'
}

# The working tree as it stands, uncommitted changes included, as a commit in a repository of the bench's own:
# bench clones apps, and a later commit shows what has changed since.
snapshot_tree() {
	local snapshot=$BENCH/.snapshot/$APP owner
	owner=$(stat -c %U "$REPO")
	as_bench_user git init --quiet --initial-branch main "$snapshot"
	find "$snapshot" -mindepth 1 -maxdepth 1 -not -name .git -exec rm -rf {} +
	# As the tree's owner, for git distrusts the repositories of other users.
	(cd "$REPO" && setpriv --reuid="$owner" --clear-groups git ls-files -z --cached --others --exclude-standard) |
		tar -C "$REPO" --null --ignore-failed-read --files-from - --create 2>/dev/null |
		as_bench_user tar -C "$snapshot" --extract
	WORK_DIR=$snapshot as_bench_user git add --all --force
	WORK_DIR=$snapshot as_bench_user git diff --cached --quiet && return
	WORK_DIR=$snapshot as_bench_user git -c user.name=snapshot -c user.email=snapshot@localhost \
		commit --quiet --message "The working tree"
}

snapshot_id() { WORK_DIR=$BENCH/.snapshot/$APP as_bench_user git rev-parse HEAD; }

# mark_of NAME: what was noted with a mark; empty when there is none.
mark_of() { cat "$BENCH/.marks/$1" 2>/dev/null || true; }

get_app() {
	rm -rf "$BENCH/apps/$APP"
	bench get-app --skip-assets "$BENCH/.snapshot/$APP"
}

# changed_since ID PATH…
changed_since() {
	! WORK_DIR=$BENCH/.snapshot/$APP as_bench_user git diff --quiet "$1" HEAD -- "${@:2}"
}

# node_modules and compiled files are ignored by git, so they stay.
update_app() {
	local app=$BENCH/apps/$APP before=$1
	WORK_DIR=$app as_bench_user git fetch --quiet upstream
	WORK_DIR=$app as_bench_user git reset --quiet --hard upstream/main
	WORK_DIR=$app as_bench_user git clean --quiet --force -d
	! changed_since "$before" pyproject.toml || bench_uv install --editable "$app"
	! changed_since "$before" package.json yarn.lock || WORK_DIR=$app as_bench_user yarn install --silent
	! changed_since "$before" package.json yarn.lock "$APP/public" || bench build --app "$APP"
}

# The mark `app` names the commit whose files, packages and assets are all in place.
put_app_into_bench() {
	local network=$1 before now
	before=$(mark_of app) now=$(snapshot_id)
	[[ $before != "$now" ]] || return 0
	if [[ -z $before ]]; then
		step "Installing Integration Hub into the bench" "$network" get_app
		step "Building assets (a minute or two)" "The log names the file that does not build." bench build
	else
		step "Updating Integration Hub in the bench" "$network" update_app "$before"
	fi
	mark app "$now"
}

# prepare_bench PURPOSE VERSION: after this BENCH holds the working tree.
prepare_bench() {
	local network="Check that this machine reaches github.com, PyPI and the npm registry, then run this again."
	FRAPPE=$2 BENCH=$HUB_HOME/$1-$2
	wait_for_lock "$1-$2"
	pick_runtimes "$FRAPPE"
	if ! marked bench; then
		step "Creating a bench with Frappe and ERPNext $FRAPPE (some minutes)" "$network" new_bench
		mark bench
	fi
	step "Reading the working tree" "Run this from a git clone: git lists the files that belong to the app." snapshot_tree
	put_app_into_bench "$network"
}
