#!/usr/bin/env bash
# ns.sh COMMAND...: runs COMMAND in a new network namespace that has only loopback, so that nothing it does can leave
# this machine and nothing else's ports are in its way. Works as root, and as a user where user namespaces are allowed.
# Firefox gathers no candidates without a default route, so there is one, through loopback.
set -eu
[ $# -gt 0 ] || { echo "usage: ns.sh COMMAND..." >&2; exit 2; }
command -v ip >/dev/null || { echo "ns.sh: ip is missing (Debian package iproute2)" >&2; exit 1; }
new=(unshare --net)
[ "$(id -u)" = 0 ] || new=(unshare --map-root-user --net)
"${new[@]}" true || { echo "ns.sh: this machine allows no network namespaces" >&2; exit 1; }
exec "${new[@]}" -- sh -ec '
  ip link set lo up
  ip route add default dev lo src 127.0.0.1
  exec "$@"' ns "$@"
