#!/bin/bash
# box.sh ARCHIVE CHECKOUT OUT SETTINGS FOLDERS [WORD...]: unpack a pristine root and run netlab's README and suite in it.
#
# It is started in mount, pid, ipc and uts namespaces of its own, and the root lies in a tmpfs of that mount namespace:
# when this process ends, however it ends, the kernel removes the root and every process in it.
# OUT is the folder of the host for results; SETTINGS holds what pip, apt and the resolver of this host need.
set -eu
archive=$1 checkout=$2 out=$3 settings=$4 folders=$5
shift 5

root=$settings/root
mkdir "$root"
mount --make-rprivate /
mount -t tmpfs -o mode=755,size=6g root "$root"
tar -xf "$archive" -C "$root" --exclude='./dev/*'

cp "$settings/resolv.conf" "$root/etc/resolv.conf"
echo '127.0.0.1 localhost pristine' >"$root/etc/hosts"
hostname pristine
cp "$settings/pip.conf" "$root/etc/pip.conf"
cp "$settings/apt.conf" "$root/etc/apt/apt.conf.d/zz-host"
cp "$settings/certificates.crt" "$root/etc/ssl/certs/ca-certificates.crt"
for folder in $folders; do # where pip of this host finds packages
  mkdir -p "$root$folder"
  mount --bind -o ro "$folder" "$root$folder"
done
mkdir -p "$root/out"
mount --bind "$out" "$root/out"

git clone -q --no-local "file://$checkout" "$root/netlab"
cp "$(dirname "$0")/inside.sh" "$root/inside.sh"
mkdir "$root/provision"
for script in "$settings"/provision-*.sh; do
  if [ -e "$script" ]; then cp "$script" "$root/provision/"; fi
done

cd "$root"
mkdir -p old
mount -t proc proc proc
mount --rbind /sys sys
mount -t tmpfs -o mode=755 dev dev
for name in null zero full random urandom tty; do
  touch dev/$name
  mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 pts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
mount -t tmpfs -o mode=1777 shm dev/shm
mount -t tmpfs -o mode=755 run run
mkdir run/lock run/netns
mount -t tmpfs -o mode=1777 tmp tmp
pivot_root . old
umount -l /old
rmdir /old
exec env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 TERM=dumb HOME=/root \
  bash /inside.sh "$@"
