#!/bin/sh
# Mininet as a whole command, with Linux bridges: mininet.sh BRIDGES HOSTS_A_BRIDGE
# It puts its bridges into the namespace that it is started in, raises system-wide limits, and leaves shells behind when
# it fails.  So it gets network, mount and PID namespaces of its own, with the system-wide sysctls read-only.
set -e
if [ "$3" != inside ]; then
    exec unshare -nmpf --propagation private --mount-proc --kill-child "$0" "$1" "$2" inside
fi
mount -t sysfs sysfs /sys
for part in kernel fs vm; do
    mount --bind "/proc/sys/$part" "/proc/sys/$part"
    mount -o remount,ro,bind "/proc/sys/$part"
done
ip link set lo up
exec mn --topo "linear,$1,$2" --switch lxbr --controller none --test none
