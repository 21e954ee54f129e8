# step 1: The cable
answer veth-client
answer veth-server
# step 2: The largest packet
answer $(ip netns exec $LAB-client cat /sys/class/net/eth0/mtu 2>/dev/null || echo 1450)
# step 3: A Pod without a network
ip -n $LAB-server link set eth0 up
ip -n $LAB-server route replace default via 10.244.1.1
# step 4: A cable that is cut
ip -n $LAB-node-1 link set veth-server up
