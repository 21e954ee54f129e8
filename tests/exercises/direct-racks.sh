# step 1: How far does it get
answer $(ip -n $LAB-node-1 route show default | awk '{print $3}')
# step 2: Teach the way there
ip -n $LAB-underlay route add 10.244.3.0/24 via 172.31.255.5
ip -n $LAB-rack-b route add 10.244.3.0/24 via 172.18.2.4
netlab exec client -- ping -i 0.2 -c 3 -W 1 10.244.3.2
# step 3: Teach the way back
ip -n $LAB-underlay route add 10.244.1.0/24 via 172.31.255.3
ip -n $LAB-rack-a route add 10.244.1.0/24 via 172.18.1.2
