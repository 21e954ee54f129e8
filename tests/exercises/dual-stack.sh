# step 1: The second address
answer $(ip -n $LAB-node-1 -6 route show fd00:10:244:2::/64 | awk '{print $3}')
# step 2: No ARP
address=$(ip -n $LAB-neighbour -6 -o addr show dev eth0 scope global | awk '{print $4}' | cut -d/ -f1)
netlab exec client -- ping -6 -c 1 $address
# step 3: Half of the network
for node in 1 2; do ip netns exec $LAB-node-$node sysctl -qw net.ipv6.conf.all.forwarding=1; done
# step 4: The other half of the tables
ip -n $LAB-node-1 -6 route replace fd00:10:244:2::/64 via fd00:172:18::3
ip -n $LAB-node-2 -6 route replace fd00:10:244:1::/64 via fd00:172:18::2
