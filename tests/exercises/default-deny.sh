# step 1: Names first
netlab apply -f labs/default-deny/steps/allow-dns.yaml
# step 2: One path
netlab apply -f labs/default-deny/steps/front-out.yaml
netlab apply -f labs/default-deny/steps/api-in.yaml
# step 3: A port that looks right
netlab apply -f labs/default-deny/steps/front-out.yaml
