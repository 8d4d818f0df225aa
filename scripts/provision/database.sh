# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# MariaDB, and an account that may create sites. Redis is not here: each bench runs its own two.

DATABASE_ADMIN=integration_hub_admin

# start_service NAME COMMAND…: by the service manager where one runs, else by the init script, else directly.
start_service() {
	local name=$1
	shift
	if [[ -d /run/systemd/system ]]; then
		systemctl start "$name"
	elif [[ -x /etc/init.d/$name ]]; then
		"/etc/init.d/$name" start 3>&- 9>&-
	else
		setsid "$@" >"$LOG_DIR/$name.log" 2>&1 3>&- 9>&- &
	fi
}

database_answers() { mariadb-admin ping; }

# The account of the system's root, by unix socket; else by the password in root's own ~/.my.cnf.
sql_as_root() { mariadb --batch --skip-column-names --execute "$1"; }

sql_as_admin() { mariadb --defaults-extra-file="$DATABASE_ACCOUNT" --batch --skip-column-names --execute "$1"; }

run_database() {
	start_service mariadb mariadbd-safe --user=mysql
	try 60 database_answers
}

speaks_utf8mb4() { [[ $(sql_as_root 'SELECT @@character_set_server') == utf8mb4 ]]; }

# Debian and Ubuntu ship utf8mb4; a MariaDB set up otherwise is told so, now and at its next start.
set_utf8mb4() {
	printf '[mysqld]\ncharacter-set-server = utf8mb4\ncollation-server = utf8mb4_unicode_ci\n' \
		>/etc/mysql/mariadb.conf.d/90-integration-hub.cnf
	sql_as_root "SET GLOBAL character_set_server = 'utf8mb4'; SET GLOBAL collation_server = 'utf8mb4_unicode_ci'"
}

create_database_admin() {
	local password host
	password=$(head -c 24 /dev/urandom | base64 | tr -dc 'A-Za-z0-9')
	# Frappe comes by TCP or by socket, as the version and its settings have it.
	for host in localhost 127.0.0.1; do
		sql_as_root "CREATE OR REPLACE USER '$DATABASE_ADMIN'@'$host' IDENTIFIED BY '$password';
			GRANT ALL PRIVILEGES ON *.* TO '$DATABASE_ADMIN'@'$host' WITH GRANT OPTION"
	done
	install -m 600 -o "$BENCH_USER" -g "$BENCH_USER" /dev/null "$DATABASE_ACCOUNT"
	printf '[client]\nuser=%s\npassword=%s\n' "$DATABASE_ADMIN" "$password" >"$DATABASE_ACCOUNT"
}

start_database() {
	DATABASE_ACCOUNT=$HUB_HOME/database.cnf
	database_answers >/dev/null 2>&1 || step "Starting MariaDB" \
		"See /var/log/mysql and 'journalctl -u mariadb': the disk may be full, or another server holds port 3306." run_database
	if ! sql_as_admin 'SELECT 1' >/dev/null 2>&1; then
		step "Creating a MariaDB account for sites" \
			"Let root of this system in, by unix socket or with a password in root's ~/.my.cnf: try 'mariadb' as root." create_database_admin
		speaks_utf8mb4 || step "Setting MariaDB's character set to utf8mb4" \
			"Set character-set-server = utf8mb4 in MariaDB's configuration." set_utf8mb4
	fi
	DATABASE_PASSWORD=$(sed -n 's/^password=//p' "$DATABASE_ACCOUNT")
}
