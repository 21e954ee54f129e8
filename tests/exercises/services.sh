repair() {
  netlab apply -f - <<'END'
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.80
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
END
}
# step 1: Both Pods answer
for _ in $(seq 20); do netlab exec client -- wget -qO- -T 2 http://10.96.0.80 >/dev/null; done
# step 2: What the Pod sees
answer 8080
answer 10.244.1.2
# step 3: A Service without Pods
repair
# step 4: A Service with the wrong port
repair
