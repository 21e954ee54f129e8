# step 1: How large is too large
answer 1372
# step 2: The device that is too small
answer $(ip -n $LAB-underlay -o link show br0 | sed 's/.* mtu \([0-9]*\) .*/\1/')
# step 3: Make large packets pass
ip -n $LAB-client link set eth0 mtu 1400
ip -n $LAB-server link set eth0 mtu 1400
