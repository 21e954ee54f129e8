# step 1: Make the bridge learn
netlab exec client -- ping -c 1 10.244.1.3
# step 2: Who resolved whom
answer $(ip -n $LAB-client neigh show 10.244.1.3 | awk '{print $5}')
# step 3: The other end of a cable
answer veth-client
answer veth-server
# step 4: No router
ip netns exec $LAB-node-1 sysctl -qw net.ipv4.ip_forward=0
# step 5: The proof in the packet
netlab exec client -- ping -i 0.2 -c 3 10.244.1.3
