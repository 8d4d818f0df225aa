# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# The site of a bench. Its name is unique on the machine, for the name of its database comes from it.

random_password() { head -c 18 /dev/urandom | base64 | tr -d '+/='; }

# ADMIN_PASSWORD of the site, kept where only the bench user and root can read it.
admin_password() {
	local file=$BENCH/.admin-password
	if [[ ! -s $file ]]; then
		install -m 600 -o "$BENCH_USER" -g "$BENCH_USER" /dev/null "$file"
		random_password >"$file"
	fi
	cat "$file"
}

# run_script FILE ARGUMENT…: one of our Python scripts, in the bench's own environment.
run_script() { WORK_DIR=$BENCH/sites as_bench_user "$BENCH/env/bin/python" "$BENCH/apps/$APP/scripts/$1" "${@:2}"; }

# A dump of a new site with ERPNext and nothing else, of just this Frappe and ERPNext: the next one takes seconds.
plain_dump() {
	local app name=plain
	for app in frappe erpnext; do
		name+=-$(WORK_DIR=$BENCH/apps/$app as_bench_user git rev-parse --short HEAD)
	done
	echo "$BENCH/.$name.sql.gz"
}

new_site() {
	local dump from=(--install-app erpnext)
	dump=$(plain_dump)
	[[ ! -s $dump ]] || from=(--source-sql "$dump")
	bench new-site "$SITE" --force --admin-password "$(admin_password)" --mariadb-user-host-login-scope='%' \
		--db-root-username "$DATABASE_ADMIN" --db-root-password "$DATABASE_PASSWORD" "${from[@]}"
	# An earlier site of this name has left its installed apps in the cache.
	bench --site "$SITE" clear-cache
	if [[ -s $dump ]]; then
		bench --site "$SITE" set-admin-password "$(admin_password)"
	else
		bench --site "$SITE" backup --backup-path-db "$dump.part" && mv "$dump.part" "$dump"
	fi
	bench --site "$SITE" install-app "$APP"
	bench use "$SITE"
}

complete_wizard() { run_script demo_site.py wizard --site "$SITE"; }

migrate_site() {
	bench --site "$SITE" migrate
	bench --site "$SITE" clear-cache
}

# Tests, documents and the scripts themselves change nothing in a site.
site_needs_migration() {
	changed_since "$(mark_of site)" "$APP" ":!$APP/tests" pyproject.toml
}

# prepare_site: after this SITE is there, set up, and has the working tree's schema.
prepare_site() {
	if ! marked site; then
		step "Creating site $SITE with ERPNext and Integration Hub" \
			"The log shows which app or patch failed; free disk space and a running MariaDB are needed." new_site
		step "Completing ERPNext's setup wizard" "The log shows the step of the wizard that failed." complete_wizard
	elif site_needs_migration; then
		step "Migrating the site" "The log shows the patch or DocType that failed." migrate_site
	fi
	mark site "$(snapshot_id)"
}

# prepare_site_and_servers SITE WEB_WORKERS: both up to date and running. Processes that already run today's code
# stay as they are.
prepare_site_and_servers() {
	SITE=$1
	[[ $(mark_of site) == "$(snapshot_id)" ]] && servers_run && return
	step "Starting Redis" "The last lines of $BENCH/logs/redis_cache.log and redis_queue.log say why." restart_redis
	prepare_site
	step "Starting the servers" "The last lines of web.log, worker_1.log and schedule.log in $BENCH/logs say why." start_servers "$2"
}
