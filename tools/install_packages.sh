#!/bin/bash
# Installs the Debian packages of tools/packages.txt that are missing.
#
# Usage: tools/install_packages.sh GROUP...
#
# Asks no questions. Needs root, or sudo without a password, only if something
# is missing.
set -euo pipefail

list="$(dirname "${BASH_SOURCE[0]}")/packages.txt"

packages_of() {
  awk -v group="$1" '$1 == group { print $2 }' "$list"
}

is_installed() {
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

if (($# == 0)); then
  echo "usage: $0 GROUP..." >&2
  exit 2
fi

wanted=()
for group in "$@"; do
  mapfile -t of_group < <(packages_of "$group")
  if ((${#of_group[@]} == 0)); then
    echo "$0: no packages in group $group of $list" >&2
    exit 2
  fi
  wanted+=("${of_group[@]}")
done

if ! command -v dpkg-query >/dev/null; then
  echo "This is not Debian or Ubuntu; taking for granted the equivalents of:" \
    "${wanted[*]}" >&2
  exit 0
fi

missing=()
for package in "${wanted[@]}"; do
  is_installed "$package" || missing+=("$package")
done
if ((${#missing[@]} == 0)); then
  exit 0
fi

if ((EUID == 0)); then
  as_root=(env)
elif sudo -n true 2>/dev/null; then
  as_root=(sudo -n env)
else
  echo "Packages are missing and only root can install them. Run once:" >&2
  echo "  apt-get install --no-install-recommends ${missing[*]}" >&2
  exit 1
fi

echo "Installing: ${missing[*]}"
apt_get=("${as_root[@]}" DEBIAN_FRONTEND=noninteractive apt-get -q -y
  -o Dpkg::Options::=--force-confold -o DPkg::Lock::Timeout=300)
# A fresh machine has no package lists, an old one has stale ones.
"${apt_get[@]}" update >/dev/null
"${apt_get[@]}" install --no-install-recommends "${missing[@]}" >/dev/null
