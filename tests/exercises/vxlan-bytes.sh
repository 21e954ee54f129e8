# step 1: Catch a tunnel packet
netlab exec client -- ping -i 0.1 -c 10 10.244.2.2
# step 2: What the tunnel adds
answer 50 bytes
answer 8
# step 3: Where the inner MAC lives
answer $(bridge -n $LAB-node-1 fdb show dev vxlan0 | awk '{print $3; exit}')
answer 1
# step 4: Packets that get nowhere
bridge -n $LAB-node-1 fdb replace 0a:03:00:02:00:00 dev vxlan0 dst 172.18.0.3 self permanent
bridge -n $LAB-node-2 fdb replace 0a:03:00:01:00:00 dev vxlan0 dst 172.18.0.2 self permanent
ip -n $LAB-node-1 neigh replace 10.244.2.0 lladdr 0a:03:00:02:00:00 dev vxlan0 nud permanent
ip -n $LAB-node-2 neigh replace 10.244.1.0 lladdr 0a:03:00:01:00:00 dev vxlan0 nud permanent
# step 5: Two tunnels that do not match
for node in 1 2; do
  other=$((3 - node))
  ip -n $LAB-node-$node link del vxlan0
  ip -n $LAB-node-$node link add vxlan0 mtu 1450 address 0a:03:00:0$node:00:00 type vxlan id 1 local 172.18.0.$((node + 1)) dev eth0 dstport 4789 nolearning
  ip -n $LAB-node-$node addr add 10.244.$node.0/32 dev vxlan0
  ip -n $LAB-node-$node link set vxlan0 up
  ip -n $LAB-node-$node route replace 10.244.$other.0/24 via 10.244.$other.0 dev vxlan0 onlink
  ip -n $LAB-node-$node neigh replace 10.244.$other.0 lladdr 0a:03:00:0$other:00:00 dev vxlan0 nud permanent
  bridge -n $LAB-node-$node fdb replace 0a:03:00:0$other:00:00 dev vxlan0 dst 172.18.0.$((other + 1)) self permanent
done
