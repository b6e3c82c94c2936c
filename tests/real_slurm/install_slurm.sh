#!/usr/bin/env bash
# Install Debian's Slurm, munge and MariaDB for the test cluster, as packages only: nothing is started or enabled.
# Exit status 0: installed; 3: impossible here, with one line on stderr saying why.
set -uo pipefail

packages=(munge mariadb-server slurm-wlm slurmdbd)
programs=(munged mariadbd mariadb-install-db slurmctld slurmdbd slurmd sbatch sacctmgr)
export PATH="$PATH:/usr/sbin:/sbin"

cannot() {
    echo "install_slurm: the tests on a real Slurm cannot be set up: $1" >&2
    exit 3
}

missing=()
for program in "${programs[@]}"; do
    command -v "$program" >/dev/null || missing+=("$program")
done
[ ${#missing[@]} -gt 0 ] || exit 0

[ "$(id -u)" = 0 ] || cannot "${missing[0]} is not installed and apt needs root."
command -v apt-get >/dev/null || cannot "${missing[0]} is not installed and there is no apt-get."

# A package's own start-up script asks this file whether it may start a daemon; 101 means no.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod 755 "$policy" || cannot "$policy cannot be written."
    trap 'rm -f "$policy"' EXIT
fi

log=$(mktemp)
install() {
    DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=300 install --yes --no-install-recommends \
        "${packages[@]}" >"$log" 2>&1 </dev/null
}
if ! install; then
    apt-get -o DPkg::Lock::Timeout=300 update >/dev/null 2>&1 || true
    if ! install; then
        why=$(grep -m 1 '^E:' "$log" || tail -n 1 "$log")
        rm -f "$log"
        cannot "apt-get could not install ${packages[*]} ($why)."
    fi
fi
rm -f "$log"
