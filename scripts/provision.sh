# shellcheck shell=bash
# shellcheck disable=SC2034 # a variable set in one of these files is used in another
# What scripts/demo and scripts/test share: a machine, a bench and a site with this app in it.
# Sourced, never run. Each file below owns one thing.

REPO=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

# bench refuses to work as root, so everything of Frappe belongs to a user of its own.
BENCH_USER=frappe

# shellcheck source=provision/report.sh
source "$REPO/scripts/provision/report.sh"   # steps, elapsed time, failures that say what to do
# shellcheck source=provision/machine.sh
source "$REPO/scripts/provision/machine.sh"  # packages, the bench user, Python, Node, yarn, bench
# shellcheck source=provision/database.sh
source "$REPO/scripts/provision/database.sh" # MariaDB and the account that may create sites
# shellcheck source=provision/bench.sh
source "$REPO/scripts/provision/bench.sh"    # a bench with Frappe, ERPNext and the working tree
# shellcheck source=provision/servers.sh
source "$REPO/scripts/provision/servers.sh"  # ports; starting, stopping and waiting for processes
# shellcheck source=provision/site.sh
source "$REPO/scripts/provision/site.sh"     # the site, the setup wizard, migrations
