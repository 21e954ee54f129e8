#!/bin/sh
# bundle.sh FILE: what ./bootstrap.sh --bundle FILE runs: this checkout with the packages and wheels that netlab needs.
#
# The packages are taken as if nothing were installed, so that FILE serves every machine of this distribution and
# architecture.  They come from the package manager's own sources, and nothing is installed here.
set -eu

say() { printf 'bundle: %s\n' "$*" >&2; }
cannot() { say "$*"; exit 3; }

here=$(CDPATH='' cd -P -- "$(dirname -- "$0")/.." && pwd)
file=$1
programs=$2

{ command -v apt-get && command -v dpkg-deb; } >/dev/null ||
  cannot "a bundle holds packages of Debian or Ubuntu, and this host has no apt: install on each machine over the network"
case $file in /*) ;; *) file=$PWD/$file ;; esac
[ -d "$(dirname "$file")" ] || cannot "there is no folder $(dirname "$file")"
[ ! -d "$file" ] || cannot "$file is a folder: give a file's name, such as netlab.tar"

umask 022
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
bundle=$work/netlab/bundle
mkdir -p "$bundle/wheels" "$work/lists/partial" "$work/debs/partial"

# -- packages ----------------------------------------------------------------------------------------------------------

# apt with lists, archives and a record of installed packages of its own: the record is empty.
: >"$work/status"
apt() {
  verb=$1
  shift
  apt-get -qq -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" \
    -o Dir::Cache::archives="$work/debs" -o Dir::Cache::pkgcache='' -o Dir::Cache::srcpkgcache='' \
    -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)" "$verb" "$@" >"$work/log" 2>&1 ||
    { tail -n 15 "$work/log" >&2; cannot "apt-get $verb failed (its own words are above): check the network"; }
}

# shellcheck disable=SC1091  # the host's own
. /etc/os-release
version=${VERSION_ID:-${VERSION_CODENAME-}} # a release that is still made has no number
say "packages of ${PRETTY_NAME:-$ID $version}"
apt update
minor=$(apt-cache -o Dir::State::Lists="$work/lists" -o Dir::State::status="$work/status" -o Dir::Cache::pkgcache='' \
  -o Dir::Cache::srcpkgcache='' show --no-all-versions python3 | sed -n 's/^Version: 3\.\([0-9]*\).*/\1/p')
if [ "${minor:-0}" -lt 11 ]; then minor=11; fi
# shellcheck disable=SC2086  # words, all bootstrap's
apt install -y --download-only --no-install-recommends $programs "python3.$minor" "python3.$minor-venv"

mkdir "$bundle/packages"
for deb in "$work"/debs/*.deb; do
  # An epoch's colon is %3a in the name, which a URI would turn back.
  name=$(basename "$deb" | tr % _)
  mv "$deb" "$bundle/packages/$name"
  dpkg-deb --field "$bundle/packages/$name"
  printf 'Filename: ./%s\nSize: %s\nSHA256: %s\n\n' "$name" "$(wc -c <"$bundle/packages/$name")" \
    "$(sha256sum "$bundle/packages/$name" | cut -d ' ' -f 1)"
done >"$bundle/packages/Packages"

# -- wheels ------------------------------------------------------------------------------------------------------------

say "wheels for Python 3.$minor"
"$here/.venv/bin/python" -I -m pip download -qq --disable-pip-version-check --no-input --no-cache-dir --require-hashes \
  --only-binary=:all: --python-version "3.$minor" --requirement "$here/requirements.lock" --dest "$bundle/wheels" >&2 ||
  cannot "pip could not download requirements.lock (its own words are above): check the network"

# Without npm the page of the bundle has no terminals; the program's own words are on stderr.
"$here/.venv/bin/python" -I "$here/scripts/terminal/foreign.py" >&2 || :

# -- the whole ---------------------------------------------------------------------------------------------------------

architecture=$(dpkg --print-architecture)
echo "$ID $version $architecture 3.$minor ${PRETTY_NAME:-$ID $version}" >"$bundle/about"
tar -C "$here" --exclude-vcs --exclude=./.venv --exclude=./bundle --exclude=./build --exclude=./dist \
  --exclude=./.hypothesis --exclude='./.*_cache' --exclude=__pycache__ -cf - . | tar -C "$work/netlab" -xf -
tar -C "$work" --owner=root --group=root --numeric-owner -cf "$file.part" netlab
mv "$file.part" "$file"
size=$(wc -c <"$file")
say "$file: ${PRETTY_NAME:-$ID $version}, $architecture, Python 3.$minor; $((size / 1000000)) MB"
say "there, without a network: tar xf ${file##*/} && cd netlab && sudo ./bootstrap.sh invoke lab up overlay"
