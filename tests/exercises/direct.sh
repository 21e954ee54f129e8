# step 1: The next hop
answer $(ip -n $LAB-node-1 route show 10.244.2.0/24 | awk '{print $3}')
# step 2: Two routers
netlab exec client -- ping -i 0.2 -c 3 10.244.2.2
# step 3: A way that is lost
ip -n $LAB-node-1 route replace 10.244.2.0/24 via 172.18.0.3
ip -n $LAB-node-2 route replace 10.244.1.0/24 via 172.18.0.2
# step 4: A node that does not forward
ip netns exec $LAB-node-1 sysctl -qw net.ipv4.ip_forward=1
ip netns exec $LAB-node-2 sysctl -qw net.ipv4.ip_forward=1
