# step 1: Out and in again
netlab exec web -- wget -qO- -T 2 http://10.96.0.80
# step 2: Who is calling
answer $(netlab exec web -- wget -qO- -T 2 http://10.96.0.80 | sed 's/.*"client": "\([^"]*\)".*/\1/')
answer $(netlab exec other -- wget -qO- -T 2 http://10.96.0.80 | sed 's/.*"client": "\([^"]*\)".*/\1/')
# step 3: A call that never comes back
bridge -n $LAB-node-1 link set dev veth-web hairpin on
