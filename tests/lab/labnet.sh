#!/usr/bin/env bash
# labnet.sh: several test hosts on one machine. A host is a network namespace with its own address. A command that `exec` runs there
# sees its own hostname, IPC namespace, /etc/hosts and /sys; other files and PIDs are those of the machine. The hosts are connected by
# a bridge in a namespace of its own, so their traffic cannot reach the machine's network.
#
#   labnet.sh up DIR HOST...         create the hosts (addresses 10.77.0.1, .2, ...; LABNET names another 10.77.0)
#   labnet.sh down DIR               end every process on them, remove them
#   labnet.sh exec DIR HOST CMD...   run CMD on HOST in the same folder and environment
#   labnet.sh cut DIR HOST [port|nic|drop]    disconnect HOST:
#        port: its switch port goes down, HOST sees no carrier (default)
#        nic:  HOST's own eth0 goes down     drop: the carrier stays, frames are lost
#   labnet.sh heal DIR HOST          undo any cut
#   labnet.sh kill DIR HOST          SIGKILL all of HOST's processes
#   labnet.sh crash DIR HOST         power loss: cut (drop), then kill
#   labnet.sh pids DIR HOST          PIDs of HOST's processes
set -euo pipefail
cmd=${1:?the head of $0 lists the commands}; dir=$(realpath -m "${2:?DIR}"); shift 2
net=${LABNET:-10.77.0}
tag() { cat "$dir/tag" 2>/dev/null || { echo "no hosts are up in $dir" >&2; return 1; }; }
killall_in() { # NETNS: by PID, until none is left
  local k p
  for ((k = 0; k < 250; k++)); do
    p=$(ip netns pids "$1" 2>/dev/null) || return 0
    [ -n "$p" ] || return 0
    kill -KILL $p 2>/dev/null || true; sleep 0.02
  done; echo "processes are left in $1: $p" >&2; return 1
}
case $cmd in
up)
  [ -e "$dir/tag" ] && { echo "$dir/tag exists: take it down first" >&2; exit 1; }
  mkdir -p "$dir/sys"; t=lab$$; echo "$t" > "$dir/tag"; printf '%s\n' "$@" > "$dir/names"
  { echo "127.0.0.1 localhost"; i=1; for h in "$@"; do echo "$net.$i $h"; i=$((i + 1)); done; } > "$dir/hosts"
  ip netns add "$t-sw"
  ip -n "$t-sw" link add br0 type bridge forward_delay 0 stp_state 0
  ip -n "$t-sw" link set br0 up
  i=1
  for h in "$@"; do
    ip netns add "$t-$h"
    ip -n "$t-sw" link add "p$i" type veth peer name eth0 netns "$t-$h"
    ip -n "$t-sw" link set "p$i" master br0 up
    ip netns exec "$t-$h" sysctl -qw net.ipv6.conf.all.disable_ipv6=1 || true
    ip -n "$t-$h" addr add "$net.$i/24" dev eth0
    ip -n "$t-$h" link set lo up; ip -n "$t-$h" link set eth0 up
    echo "p$i" > "$dir/$h.port"; i=$((i + 1))
  done ;;
down)
  [ -e "$dir/tag" ] || { echo "no hosts are up in $dir"; exit 0; }
  t=$(tag)
  while read -r h; do
    killall_in "$t-$h"; ip netns del "$t-$h" 2>/dev/null || true
    rm -f "$dir/$h.port"
  done < "$dir/names"
  ip netns del "$t-sw" 2>/dev/null || true
  rm -f "$dir/tag" "$dir/names" "$dir/hosts"; rmdir "$dir/sys" ;;
exec) h=$1; shift; t=$(tag)
  # Like `ip netns exec`, but /sys/fs/cgroup stays visible: slurmd needs it.
  exec nsenter --net="/run/netns/$t-$h" unshare --uts --ipc --mount sh -c '
    h=$1 d=$2; shift 2; hostname "$h" && mount --bind "$d/hosts" /etc/hosts &&
    mount -t sysfs sysfs "$d/sys" && mount --rbind /sys/fs/cgroup "$d/sys/fs/cgroup" &&
    mount --rbind "$d/sys" /sys && exec "$@"' sh "$h" "$dir" "$@" ;;
cut) h=$1; port=$(cat "$dir/$h.port"); t=$(tag)
  case ${2:-port} in
  port) ip -n "$t-sw" link set "$port" down ;;
  nic)  ip -n "$t-$h" link set eth0 down ;;
  drop) ip netns exec "$t-sw" bridge link set dev "$port" state 0 ;;
  *) echo "cut how?" >&2; exit 2 ;;
  esac ;;
heal) h=$1; port=$(cat "$dir/$h.port"); t=$(tag)
  ip -n "$t-sw" link set "$port" up; ip -n "$t-$h" link set eth0 up
  ip netns exec "$t-sw" bridge link set dev "$port" state 3 ;;
kill) killall_in "$(tag)-$1" ;;
crash) "$0" cut "$dir" "$1" drop; killall_in "$(tag)-$1" ;;
pids) ip netns pids "$(tag)-$1" ;;
*) echo "unknown command $cmd" >&2; exit 2 ;;
esac
