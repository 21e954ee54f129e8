#!/bin/bash
# inside.sh [WORD...]: README's two commands in a pristine root, as a user with sudo; the words go to `invoke test`.
#
# Packages come by the host's network.  What makes namespaces runs in a network namespace of its own, without a way out.
set -eu

user=learner
if [ -n "$(ls /provision)" ]; then user=vagrant; fi
useradd --create-home --shell /bin/bash $user
echo "$user ALL=(ALL:ALL) NOPASSWD: ALL" >/etc/sudoers.d/$user
mv /netlab /home/$user/netlab
chown -R $user: /home/$user/netlab

step() { printf '\n-- %s\n' "$*"; }
learner() { su $user -c "cd ~/netlab && $1"; }
alone() { # the same in a network of its own
  # shellcheck disable=SC2016  # for the new shell to expand
  unshare -n -m bash -c 'umount -l /sys; mount -t sysfs sys /sys; mount -t cgroup2 cgroup /sys/fs/cgroup
    mount -t tracefs tracing /sys/kernel/tracing 2>/dev/null || :
    if command -v ip >/dev/null; then ip link set lo up; fi
    exec su "$0" -c "cd ~/netlab && $1"' $user "$1"
}

step 'versions'
# shellcheck disable=SC1091  # the root's own
. /etc/os-release
echo "$PRETTY_NAME, $(python3 -V), kernel $(uname -r)"

if [ $user = vagrant ]; then # each box has it, a minimal root has not
  apt-get -qq update && apt-get -qq -y install --no-install-recommends kmod >/dev/null
fi
for script in /provision/*.sh; do
  if [ ! -e "$script" ]; then continue; fi
  step "the Vagrantfile's ${script##*/}"
  sh "$script"
  tar --one-file-system -C / -cf /out/provisioned.tar .
done

# shellcheck disable=SC2016  # for the user's shell to expand
overlay='set -e; sudo ./bootstrap.sh invoke lab up overlay; sudo ./bootstrap.sh netlab check overlay
  sudo ./bootstrap.sh netlab diff overlay; sudo ./bootstrap.sh netlab down overlay; test -z "$(find . ! -user "$(id -un)")"'
passed() { echo "<testsuite><testcase classname=\"package\" name=\"$1\"/></testsuite>" >/out/junit.xml; }
case ${1-} in
  --make-bundle)
    step 'sudo ./bootstrap.sh --bundle netlab.tar'
    learner 'sudo ./bootstrap.sh --bundle ~/netlab.tar'
    mv /home/$user/netlab.tar /out/netlab.tar
    passed made
    exit
    ;;
  --use-bundle)
    step 'the same machine without Python, without a network: the bundle'
    rm -rf /home/$user/netlab
    apt-get -qq -y autoremove --purge python3 >/dev/null
    su $user -c 'tar -C ~ -xf /out/netlab.tar'
    alone "$overlay"
    passed used
    exit
    ;;
  --wheel)
    step "the wheel, with the packages that README's section on CI names"
    apt-get -qq update && apt-get -qq -y install --no-install-recommends iproute2 nftables knot python3-venv >/dev/null
    # shellcheck disable=SC2016  # for the user's shell to expand
    learner 'python3 -m venv ~/build && ~/build/bin/pip -q wheel --no-deps -w ~/wheel . && python3 -m venv ~/venv &&
      ~/venv/bin/pip -q install ~/wheel/*.whl && ls ~/venv/share/man/man1/netlab.1 && rm -r ~/build ~/wheel'
    find /home/$user/netlab -mindepth 1 -delete # what works without the checkout
    # shellcheck disable=SC2016  # same
    alone 'set -e; PATH=~/venv/bin:$PATH; lab() { sudo "$(command -v kubenetlab)" "$@"; }
      lab up overlay; lab check overlay; lab trace client server; lab exec client -- ls / >/dev/null; lab up dns; lab check dns
      lab down --all; kubenetlab up overlay; kubenetlab down overlay'
    passed installed
    exit
    ;;
esac

step 'sudo ./bootstrap.sh netlab --version'
learner 'sudo ./bootstrap.sh netlab --version'
echo "$(nft -V | head -n 1); $(ip -V); $(ping -V | head -n 1)"

step 'sudo ./bootstrap.sh invoke lab up overlay'
alone "$overlay"
echo up >/out/readme

step 'sudo ./bootstrap.sh invoke test: packages'
learner 'sudo ./bootstrap.sh invoke test --help' >/dev/null

words=${1:+$(printf " %q" "$@")} # printf without words would print an empty one
step "sudo ./bootstrap.sh invoke test$words"
alone "sudo PYTEST_ADDOPTS='--junitxml=/out/junit.xml -q -p no:cacheprovider' ./bootstrap.sh invoke test$words"
