# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# The processes of one bench, in the background: ports, start, stop, readiness. Nothing here outlives a reboot.

port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A bench that is stopped keeps its ports.
port_remembered() { grep -qsE "[: ]$1(\"|,|\$)" "$HUB_HOME"/*/sites/common_site_config.json; }

free_port() {
	local port=$1
	while port_taken "$port" || port_remembered "$port"; do port=$((port + 1)); done
	echo "$port"
}

# Away from the defaults of bench (8000, 9000, 11000, 13000), which other benches on the machine use.
new_ports() {
	local web
	web=$(free_port 8100)
	cat <<-JSON
		{
		 "host_name": "http://127.0.0.1:$web",
		 "redis_cache": "redis://127.0.0.1:$(free_port 13100)",
		 "redis_queue": "redis://127.0.0.1:$(free_port 11100)",
		 "socketio_port": $(free_port 9100),
		 "webserver_port": $web
		}
	JSON
}

# port_of KEY: the port in a plain number or at the end of a URL.
port_of() { sed -nE "s#^ *\"$1\": \"?(.*:)?([0-9]+)\"?,?\$#\2#p" "$BENCH/sites/common_site_config.json"; }

set_port() { sed -i -E "s#^( *\"$1\": \"?(.*:)?)[0-9]+(\"?,?)\$#\1$2\3#" "$BENCH/sites/common_site_config.json"; }

# Called with our own processes stopped: whoever listens on one of our ports is a stranger.
move_taken_ports() {
	local key port
	for key in webserver_port socketio_port redis_queue redis_cache; do
		port=$(port_of "$key")
		port_taken "$port" || continue
		port=$(free_port "$port")
		set_port "$key" "$port"
		[[ $key != webserver_port ]] || set_port host_name "$port"
		echo "Another program listens on the port of $key: moved to $port."
	done
}

base_url() { echo "http://127.0.0.1:$(port_of webserver_port)"; }

# start_process NAME COMMAND…: in a session of its own, so that it outlives this script and can be ended as a group.
# It must not keep our lock (9) nor our standard output (3), which a caller may be waiting to see closed.
start_process() {
	local name=$1
	shift
	# shellcheck disable=SC2016
	WORK_DIR=$BENCH/sites exec_as_bench_user setsid bash -c 'echo $$ >"$1"; shift; exec "$@"' _ \
		"$BENCH/.pids/$name" "$@" >"$BENCH/logs/$name.log" 2>&1 </dev/null 3>&- 9>&- &
}

# process_of FILE: the pid in it, if that process is still one of this bench (numbers are used again).
process_of() {
	local pid
	pid=$(cat "$1" 2>/dev/null) || return 1
	[[ $(readlink "/proc/$pid/cwd") == "$BENCH"* ]] && echo "$pid"
}

stop_servers() {
	local file pid
	for file in "$BENCH"/.pids/*; do
		pid=$(process_of "$file") || continue
		kill -TERM -- "-$pid" 2>/dev/null || true
	done
	for file in "$BENCH"/.pids/*; do
		pid=$(process_of "$file") || continue
		try 15 process_gone "$pid" || kill -KILL -- "-$pid" 2>/dev/null || true
	done
	rm -rf "$BENCH/.pids"
}

process_gone() { ! kill -0 -- "-$1"; }

redis_answers() { redis-cli -p "$1" ping; }

# Everything is stopped first: old processes would serve old code.
restart_redis() {
	stop_servers
	as_bench_user mkdir -p "$BENCH/.pids" "$BENCH/logs"
	move_taken_ports
	bench setup redis
	start_process redis_cache redis-server "$BENCH/config/redis_cache.conf"
	start_process redis_queue redis-server "$BENCH/config/redis_queue.conf"
	try 20 redis_answers "$(port_of redis_cache)"
	try 20 redis_answers "$(port_of redis_queue)"
}

# redis_url KEY: for web processes, which a Redis that accepts and never answers would else hang for ever. Not for
# the workers: v15's RQ waits for work in a long blocking read, and quits when its URL sets a shorter limit.
redis_url() { echo "redis://127.0.0.1:$(port_of "$1")?socket_timeout=5"; }

# start_servers GUNICORN_WORKERS: everything but Redis, which runs already.
start_servers() {
	start_process web env HUB_SITE="$SITE" \
		FRAPPE_REDIS_CACHE="$(redis_url redis_cache)" FRAPPE_REDIS_QUEUE="$(redis_url redis_queue)" \
		"$BENCH/env/bin/gunicorn" --bind "127.0.0.1:$(port_of webserver_port)" --workers "$1" --timeout 120 --preload \
		--pythonpath "$BENCH/apps/$APP/scripts" wsgi:application
	start_process socketio node "$BENCH/apps/frappe/socketio.js"
	start_process worker_1 bench worker --queue short,default,long
	start_process worker_2 bench worker --queue short,default,long
	start_process schedule bench schedule
	try 60 site_answers || { tail -n 20 "$BENCH/logs/web.log" && return 1; }
}

site_answers() { curl --silent --fail --header "Host: $SITE" "$(base_url)/api/method/ping"; }

# servers_run: every process of the last start is still there and the site answers.
servers_run() {
	local file
	[[ -d $BENCH/.pids ]] || return 1
	for file in "$BENCH"/.pids/*; do process_of "$file" >/dev/null || return 1; done
	site_answers >/dev/null 2>&1
}
