# step 1: The route into the tunnel
answer $(ip -n $LAB-node-1 route show 10.244.2.0/24 | sed 's/.* dev \([^ ]*\).*/\1/')
# step 2: The MAC behind the gateway
answer $(ip -n $LAB-node-1 neigh show 10.244.2.0 | awk '{print $5}')
# step 3: The node behind the MAC
answer $(bridge -n $LAB-node-1 fdb show dev vxlan0 | awk '{print $3; exit}')
# step 4: A firewall that does not know tunnels
for node in 1 2; do
  ip netns exec $LAB-node-$node nft list ruleset | awk '/^table/ {print $2, $3}' | grep -v netlab | grep -v kube-proxy |
    while read -r table; do ip netns exec $LAB-node-$node nft delete table $table; done
done
