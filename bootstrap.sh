#!/bin/sh
# bootstrap.sh [COMMAND...]: install what is missing, make .venv, run COMMAND in it.  Without COMMAND: a shell.
#
#   sudo ./bootstrap.sh invoke lab up overlay    the first time: it installs what is missing
#   ./bootstrap.sh invoke lab up overlay         without root: labs in namespaces of the user's own
#   ./bootstrap.sh netlab doctor                 which labs run on this host, and what to type where one does not
#   sudo ./bootstrap.sh invoke test              also installs what only the tests need
#   sudo ./bootstrap.sh                          a shell in which netlab, invoke and their completion are ready
#   ./bootstrap.sh --dry-run [COMMAND...]        says what it would install and run, and changes nothing
#   ./bootstrap.sh --bundle FILE                 all of it in one file, for machines without a network (Debian, Ubuntu)
#   ./bootstrap.sh --page                        fetch xterm.js, by npm, for the terminals of netlab serve
#
# Run again it does nothing but run COMMAND: its own checks start no Python, no pip and no package manager.
# It installs by apt, dnf, apk, pacman and pip alone (locked, with hashes), loads no kernel module, and changes nothing
# outside this checkout but the system packages that it names.  Exit status: COMMAND's; 3 where this host cannot.
set -eu

here=$(CDPATH='' cd -P -- "$(dirname -- "$0")" && pwd)
venv=$here/.venv
# Debian keeps ip, nft and tcpdump where a plain user's PATH does not look.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

dry=''
if [ "${1-}" = --dry-run ]; then dry=yes && shift; fi
case "${1-} ${2-}" in
  'invoke test' | 'test '*) lock=$here/requirements-test.lock tests=yes vm='' ;;
  'invoke vm-test') lock=$here/requirements-test.lock tests=yes vm=yes ;;
  *) lock=$here/requirements.lock tests='' vm='' ;;
esac
# `./bootstrap.sh test` is the same as `./bootstrap.sh invoke test`.
if [ "${1-}" = test ]; then set -- invoke "$@"; fi

# A checkout out of a bundle has its packages and wheels in bundle/; what only the tests need is not there.
bundle=''
if [ -z "$tests" ] && [ -r "$here/bundle/about" ]; then bundle=$here/bundle; fi

say() { printf 'bootstrap: %s\n' "$*" >&2; }
cannot() { say "$*"; exit 3; }
have() { command -v "$1" >/dev/null 2>&1; }
is_applet() { case $(readlink -f "$(command -v "$1")") in *busybox*) ;; *) return 1 ;; esac; }
root() { [ "$(id -u)" = 0 ]; }

# -- words that are no command -----------------------------------------------------------------------------------------

# A verb of netlab, typed without `netlab`; a program that is called so (`ls`, `diff`) is what was asked for.
is_verb() {
  case ${1-} in '' | */* | __init__) return 1 ;; esac
  [ -e "$here/netlab/cli/verbs/$1.py" ] || [ "$1" = lab ] || return 1
  case $(command -v "$1") in /*) return 1 ;; esac
}

case ${1-} in
  -h | --help)
    # The head of this file is the help: its own lines, without the marks.
    sed -n '2,/^set -eu$/{/^#/!d;s/^# \{0,1\}//;p;}' "$0"
    exit 0
    ;;
  --bundle) [ $# = 2 ] || { say "--bundle takes the name of a file: ./bootstrap.sh --bundle netlab.tar"; exit 2; } ;;
  --page) [ $# = 1 ] || { say "--page takes nothing more"; exit 2; } ;;
  -*)
    say "there is no option $1: ./bootstrap.sh --help shows what there is"
    exit 2
    ;;
esac
if is_verb "${1-}"; then
  if [ "$1" = lab ]; then line="invoke $*"; else line="netlab $*"; fi
  say "\"$1\" is no command; did you mean: ${SUDO_UID:+sudo }./bootstrap.sh $line"
  exit 2
fi

# -- system packages ---------------------------------------------------------------------------------------------------

programs='ip bridge nft ping tcpdump ethtool busybox curl dig flock knotd sysctl'

# What is missing, as words: a program's name or libnftables (find_python adds python3 and venv).
missing_programs() {
  for program in $programs ${tests:+git shellcheck tshark iperf3 openssl}; do
    have "$program" || printf '%s ' "$program"
  done
  # Alpine's ip and ping are busybox's: no netns, no VXLAN, no -M do.
  for program in ip ping; do
    if have $program && is_applet $program; then printf '%s ' $program; fi
  done
  # A test compares Pods with those of the real CNI plugins, on the distribution whose package they were compared on.
  if [ -n "$tests" ] && have apt-get && [ ! -x /usr/lib/cni/bridge ]; then printf 'cni-plugins '; fi
  # netlab commits rules through the library (0.1 ms a transaction; an nft process costs 16 ms).
  set -- /usr/lib/libnftables.so.1 /usr/lib64/libnftables.so.1 /usr/lib/*/libnftables.so.1 /lib/libnftables.so.1
  for library; do [ ! -e "$library" ] || return 0; done
  printf 'libnftables '
}

# What only `invoke vm-test` needs: it says itself what it cannot do without.
missing_for_machines() {
  [ -n "$vm" ] || return 0
  for program in qemu-system-x86_64 depmod unshare; do have "$program" || printf '%s ' "$program"; done
  if have apt-get && [ ! -e /usr/share/keyrings/debian-archive-keyring.gpg ]; then printf 'debian-archive-keyring '; fi
}

manager() {
  for manager in apt-get dnf apk pacman; do
    if have $manager; then echo $manager; return; fi
  done
}

# One word of missing_programs -> the package of this distribution.  Python's own are here, all others in a table.
package() {
  case $1/$2 in
    apt-get/venv) echo "${python##*/}-venv" ;;
    dnf/venv) echo "${python##*/}" ;;
    pacman/python3 | pacman/venv) echo python ;;
    */venv) echo python3 ;;
    *) table_package "$1" "$2" ;;
  esac
}

table_package() {
  while read -r word apt dnf apk pacman; do
    [ "$word" = "$2" ] || continue
    case $1 in apt-get) echo "$apt" ;; dnf) echo "$dnf" ;; apk) echo "$apk" ;; pacman) echo "$pacman" ;; esac
    return
  done <"$here/netlab/runtime/host/packages.txt"
  echo "$2"
}

install_line() {
  case $1 in
    apt-get) echo "apt-get install -y --no-install-recommends $2" ;;
    dnf) echo "dnf install -y --setopt=install_weak_deps=False $2" ;;
    apk) echo "apk add $2" ;;
    pacman) echo "pacman -S --needed --noconfirm $2" ;;
  esac
}

# packages_of TOOL WORD...: the packages of those words, each once, in $packages.
packages_of() {
  tool=$1 packages=''
  shift
  for word; do
    name=$(package "$tool" "$word")
    case " $packages " in *" $name "*) ;; *) packages="$packages $name" ;; esac
  done
  packages=${packages# }
}

# install WORD...: the packages of those words.
install() {
  tool=$(manager)
  [ -n "$tool" ] || cannot "this host lacks $* and has none of apt, dnf, apk, pacman: install them, then run this again"
  packages_of "$tool" "$@"
  line=$(install_line "$tool" "$packages")
  if [ -n "$dry" ]; then
    echo "would install: $packages"
    echo "  $line"
    [ "$tool" = apt-get ] ||
      echo "  not tested: netlab's tests run on Debian and Ubuntu; a test of names alone holds this line for $tool"
    return
  fi
  root || cannot "this host lacks $*: type: sudo $line"
  for name in $packages; do say "installing $name"; done
  log=$(mktemp)
  if ! (export DEBIAN_FRONTEND=noninteractive && run_manager) >"$log" 2>&1 </dev/null; then
    tail -n 15 "$log" >&2
    rm -f "$log"
    cannot "could not install $packages: type: sudo $line"
  fi
  rm -f "$log"
  hash -r
  # Debian starts what it installs; labs run their own knotd, and the host shall have none that it did not ask for.
  case " $packages " in
    *' knot '*) ! have systemctl || systemctl --quiet disable --now knot >/dev/null 2>&1 || : ;;
  esac
}

# Fresh images have no package lists, old ones stale lists: refresh where the first try fails.
# shellcheck disable=SC2086  # words, all ours
run_manager() {
  case $tool in
    apt-get)
      # A fresh host is often still in its own first update: wait for dpkg's lock instead of failing.
      wait='-o DPkg::Lock::Timeout=300'
      if [ -n "$bundle" ]; then install_from_bundle; return; fi
      apt-get $wait install -y --no-install-recommends $packages ||
        { apt-get $wait update && apt-get $wait install -y --no-install-recommends $packages; }
      ;;
    apk) apk update && $line ;;
    pacman) $line || pacman -Sy --needed --noconfirm $packages ;;
    *) $line ;;
  esac
}

# apt with the bundle as its only source; what the host has in the meantime stays as it is.
# shellcheck disable=SC2086  # words, all ours
install_from_bundle() {
  lists=$(mktemp -d)
  mkdir "$lists/lists" # apt removes what it does not know there
  printf 'deb [trusted=yes] file:%s/packages ./\n' "$(printf %s "$bundle" | sed 's/ /%20/g')" >"$lists/sources.list"
  set -- $wait -o Dir::Etc::SourceList="$lists/sources.list" -o Dir::Etc::SourceParts=/dev/null \
    -o Dir::State::Lists="$lists/lists" -o APT::Sandbox::User=root
  status=0
  { apt-get "$@" update && apt-get "$@" install -y --no-install-recommends $packages; } || status=$?
  rm -rf "$lists"
  return $status
}

# A bundle serves the distribution and architecture that it was made on; sets $minor, the Python of its wheels.
require_own_bundle() {
  ID='' VERSION_ID='' VERSION_CODENAME='' PRETTY_NAME='this system'
  # shellcheck disable=SC1091  # the host's own
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  read -r id version architecture minor title <"$bundle/about"
  mine=$(dpkg --print-architecture 2>/dev/null || uname -m)
  [ "$id $version $architecture" = "$ID ${VERSION_ID:-$VERSION_CODENAME} $mine" ] ||
    cannot "this bundle is for $title on $architecture, and this host is $PRETTY_NAME on $mine: make one on such a host," \
      "or remove the folder $bundle to install over the network"
}

# -- Python ------------------------------------------------------------------------------------------------------------

# -I everywhere: without it `-m` and `-c` import from the current directory first, and root may stand in anyone's.
is_new_enough() { "$1" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; }

# Sets $python to one that is 3.11 or newer, and adds to $words what it lacks to make environments.
find_python() {
  if [ -n "$bundle" ]; then
    python=python$minor
    { have "$python" && "$python" -I -c 'import venv, ensurepip' >/dev/null 2>&1; } || words="$words $python venv"
    return
  fi
  for python in python3 python3.14 python3.13 python3.12 python3.11; do
    if have "$python" && is_new_enough "$python"; then
      "$python" -I -c 'import venv, ensurepip' >/dev/null 2>&1 || words="$words venv"
      return
    fi
  done
  ! have python3 || python_is_old
  python=python3 words="$words python3 venv"
}

python_is_old() {
  cannot "Python 3.11 or newer is needed and this host has $(python3 -V 2>&1): $(newer_python_line)"
}

newer_python_line() {
  ID='' VERSION_ID='' PRETTY_NAME='this system'
  # shellcheck disable=SC1091  # the host's own
  if [ -r /etc/os-release ]; then . /etc/os-release; fi
  case $ID/$VERSION_ID in
    ubuntu/22.*) echo "type: sudo apt-get install python3.11 python3.11-venv" ;;
    ubuntu/*) echo "$PRETTY_NAME has none, use Ubuntu 22.04 or newer" ;;
    debian/*) echo "$PRETTY_NAME has none, use Debian 12 or newer" ;;
    fedora/* | rhel/* | centos/* | rocky/* | almalinux/*) echo "type: sudo dnf install python3.12" ;;
    alpine/*) echo "$PRETTY_NAME has none, use Alpine 3.19 or newer" ;;
    arch/* | manjaro/*) echo "type: sudo pacman -Syu python" ;;
    *) echo "install it from $PRETTY_NAME's packages, as python3.11 or newer on PATH" ;;
  esac
}

# -- .venv -------------------------------------------------------------------------------------------------------------

# What .venv must have been made from: this place, this interpreter, these dependencies.  A moved checkout, an upgraded
# Python and a changed lock file all give another stamp.
stamp() {
  printf '%s\n%s\n' "$here" "$(readlink -f "$venv/bin/python" 2>/dev/null)"
  sha256sum <"$1"
}

is_ready() {
  [ -x "$venv/bin/python" ] && [ -x "$venv/bin/netlab" ] && [ -r "$venv/stamp" ] || return 1
  # The tests' lock holds all of the other one, so an environment for the tests serves everything.
  [ "$(cat "$venv/stamp")" = "$(stamp "$here/requirements-test.lock")" ] ||
    { [ -z "$tests" ] && [ "$(cat "$venv/stamp")" = "$(stamp "$here/requirements.lock")" ]; }
}

make_venv() {
  if [ -r "$venv/stamp" ] && [ -z "$tests" ] && grep -q '^tests$' "$venv/for" 2>/dev/null; then
    lock=$here/requirements-test.lock # an environment that had the tests' needs keeps them
  fi
  rm -f "$venv/stamp"
  # An interpreter that cannot run pip, or that lies in another place, is a half-made or a moved environment.
  if ! { [ "$(head -n 1 "$venv/place" 2>/dev/null)" = "$here" ] && is_new_enough "$venv/bin/python" &&
    "$venv/bin/python" -I -c 'import pip' >/dev/null 2>&1; }; then
    say "making .venv"
    "$python" -I -m venv --clear "$venv" >&2 || cannot "$python -m venv $venv failed"
    printf '%s\n' "$here" >"$venv/place"
  fi
  say "installing ${lock##*/} into .venv"
  set -- -qq --disable-pip-version-check --no-input --require-hashes --requirement "$lock"
  if [ -n "$bundle" ]; then set -- --no-index --find-links "$bundle/wheels" "$@"; fi
  # Behind sudo, pip's cache would be root's in the user's home.
  if [ -n "${SUDO_UID-}" ]; then set -- --no-cache-dir "$@"; fi
  "$venv/bin/python" -I -m pip install "$@" >&2 </dev/null ||
    cannot "pip could not install ${lock##*/} (its own words are above): check the network, then run this again"
  write_entry_points
  case $lock in *test*) echo tests ;; *) echo running ;; esac >"$venv/for"
  stamp "$lock" >"$venv/stamp.new"
  mv "$venv/stamp.new" "$venv/stamp"
}

# The checkout on the path by a .pth file and commands of our own: no build backend, no import hook at every start.
write_entry_points() {
  site=$("$venv/bin/python" -I -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
  printf '%s\n' "$here" >"$site/kubenetlab.pth"
  for name in netlab kubenetlab; do
    entry_point "$name" 'from netlab.cli.entry import main
sys.exit(main())'
  done
  # invoke looks for tasks.py from the working directory upwards; labs are looked up there too, so it must not change.
  for name in invoke inv; do
    entry_point "$name" "sys.argv[1:1] = ['--search-root', '''$here''']
from invoke.main import program
program.run()"
  done
}

# `#!/bin/sh` and exec, as pip itself does: a #! line takes neither spaces nor more than 127 bytes.
entry_point() {
  rm -f "$venv/bin/$1"
  cat >"$venv/bin/$1" <<TEXT
#!/bin/sh
'''exec' "$venv/bin/python" -I \${PYTHONDONTWRITEBYTECODE:+-B} "\$0" "\$@"
' '''
import sys
sys.argv[0] = "$1"
$2
TEXT
  chmod 755 "$venv/bin/$1"
}

# What root made here belongs to the user behind sudo.
give_back() {
  [ -n "${SUDO_UID-}" ] && root || return 0
  owner=$SUDO_UID:${SUDO_GID:-$SUDO_UID}
  if [ "${1-}" = all ]; then chown -hR "$owner" "$venv"; elif [ -e "$venv/compiled" ]; then chown "$owner" "$venv/compiled"; fi
  find "$here" -name .git -prune -o -path "$venv" -prune -o \( -name __pycache__ -o -name .pytest_cache -o \
    -name .mypy_cache -o -name .ruff_cache -o -name .import_linter_cache -o -name .hypothesis \) -prune \
    -exec chown -hR "$owner" {} + 2>/dev/null || :
}

# -- the whole ---------------------------------------------------------------------------------------------------------

words=$(missing_programs)
if [ -n "$words" ] || ! is_ready; then
  # One at a time: the lock is on the checkout itself, so it leaves no file and dies with its holder.
  exec 9<"$here"
  if have flock; then flock 9; fi
  if [ -n "$bundle" ]; then require_own_bundle; fi
  words=$(missing_programs)
  ready=yes
  is_ready || { ready=''; find_python; }
  # shellcheck disable=SC2086  # words, all ours
  if [ -n "$words" ]; then install $words; fi
  if [ -n "$dry" ]; then
    [ -n "$ready" ] || echo "would make: $venv, from ${lock##*/}"
    ready=yes
  fi
  if [ -z "$ready" ]; then
    is_new_enough "$python" || python_is_old
    [ -w "$here" ] || cannot "$(id -un) may not write to $here: type: sudo ./bootstrap.sh $*"
    make_venv
    give_back all
    [ "${2-}" = doctor ] || say "ready; ${SUDO_UID:+sudo }$0 netlab doctor shows which labs run on this host"
  fi
  exec 9<&-
fi
machines=$(missing_for_machines)
# shellcheck disable=SC2086  # words, all ours
if [ -n "$machines" ]; then (install $machines) || say "going on without $machines"; fi

if [ -n "$dry" ]; then
  if [ $# = 0 ]; then set -- 'a shell'; fi
  echo "would run: $*"
  exit 0
fi

if [ "${1-}" = --bundle ]; then
  # shellcheck disable=SC2086  # words, all ours
  packages_of apt-get $programs libnftables
  exec sh "$here/scripts/bundle.sh" "$2" "$packages"
fi
if [ "${1-}" = --page ]; then
  "$venv/bin/python" -I "$here/scripts/terminal/foreign.py" || exit 3
  if root && [ -n "${SUDO_UID-}" ]; then chown -R "$SUDO_UID" "$here/netlab/serve/foreign"; fi
  exit 0
fi

# A .venv of an earlier netlab starts it by another module, or not isolated.
commands=$(cat "$venv/bin/netlab")
case $commands in *'python" -I '*netlab.cli.entry*) ;; *) if [ -w "$venv/bin" ]; then write_entry_points; fi ;; esac

PATH=$venv/bin:$PATH VIRTUAL_ENV=$venv
export PATH VIRTUAL_ENV
# What netlab's hints begin with, so that they work as pasted: its own name is on PATH only while this runs.
NETLAB_TYPED=netlab
if [ $# != 0 ]; then
  NETLAB_TYPED="$0 netlab"
  if [ -n "${SUDO_UID-}" ] && root; then NETLAB_TYPED="sudo $NETLAB_TYPED"; fi
fi
export NETLAB_TYPED
unset PYTHONHOME

if [ $# = 0 ]; then
  if have bash && [ -t 0 ]; then
    rc=$(mktemp)
    {
      # shellcheck disable=SC2016  # for the new shell to expand
      printf '[ ! -r ~/.bashrc ] || . ~/.bashrc\nPATH=%s:$PATH\nrm -f %s\n' "'$venv/bin'" "$rc"
      # shellcheck disable=SC2016  # same
      echo 'PS1="(netlab) ${PS1-\$ }"'
      _NETLAB_COMPLETE=bash_source netlab 2>/dev/null || :
      invoke --print-completion-script bash 2>/dev/null || :
    } >"$rc"
    say "netlab and invoke are ready in this shell: try netlab labs; exit leaves it"
    set -- bash --rcfile "$rc"
  else
    set -- sh
  fi
fi

if ! have "$1"; then
  say "there is no command \"$1\": ./bootstrap.sh --help shows how to begin"
  exit 127
fi

# What netlab needs is compiled here, once: where Python is told to write no bytecode (containers often are), every
# command would compile all of it again (0.4 s).
if [ -w "$here/netlab" ] && [ -w "$venv" ] &&
  { [ ! -e "$venv/compiled" ] || [ -n "$(find "$here/netlab" -name '*.py' -newer "$venv/compiled" | head -n 1)" ]; }; then
  : >"$venv/compiled"
  "$venv/bin/python" -I -m compileall -q "$here/netlab" >/dev/null 2>&1 || :
  give_back
fi

if [ -n "${SUDO_UID-}" ] && root; then
  # Root leaves no bytecode of its own in the user's checkout.
  export PYTHONDONTWRITEBYTECODE=1
  case "${1-} ${2-}" in
    'netlab '* | 'kubenetlab '* | 'invoke lab') ;; # exec: a signal for sudo's child reaches netlab itself
    *)
      # ruff, mypy and their like leave caches: stay, to hand them over.
      status=0
      trap : INT
      "$@" || status=$?
      give_back
      exit "$status"
      ;;
  esac
fi
exec "$@"
