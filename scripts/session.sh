#!/bin/bash
# session.sh: the terminal session of the README, typed in a root shell with netlab on PATH.  `invoke pictures --session`
# records it.  With PACE=0 nothing is typed slowly: a test compares what it prints with the recorded picture.
pace=${PACE:-1}

pause() { if [ "$pace" != 0 ]; then sleep "$1"; fi; }

# say COMMAND SECONDS: the prompt, the command as it is typed, its output, and time to read it.
say() {
  printf '\033[1;34m$\033[0m '
  local at
  for ((at = 0; at < ${#1}; at++)); do
    printf '%s' "${1:at:1}"
    pause 0.02
  done
  pause 0.4
  echo
  eval "$1"
  pause "$2"
}

say 'netlab up policy | head -n 1' 0.7
say 'netlab reach' 1.5
say 'ip -n policy-node-1 route del 10.244.2.0/24      # break it' 0.3
say 'netlab trace client server' 5
say 'ip -n policy-node-1 route add 10.244.2.0/24 via 10.244.2.0 dev vxlan0 onlink' 0.3
say 'netlab diff' 1
say 'netlab down policy' 0.5
