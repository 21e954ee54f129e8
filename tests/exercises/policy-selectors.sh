# step 1: Write the policy
netlab apply -f labs/policy-selectors/db.yaml
# step 2: One dash too much
answer chat
# step 3: Make it right again
netlab apply -f labs/policy-selectors/db.yaml
