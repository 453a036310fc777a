#!/usr/bin/env bash
# lab-sshd.sh DIR: starts an sshd on every host of labnet.sh's DIR; `labnet.sh down` ends them. After that Open MPI can use ssh:
#   export OMPI_MCA_plm_rsh_agent="ssh -F DIR/ssh_config"
set -euo pipefail
here=$(dirname "$(realpath "$0")"); dir=$(realpath "${1:?usage: $0 DIR}"); mkdir -p /run/sshd "$dir/ssh"; chmod 700 "$dir/ssh"
[ -e "$dir/ssh/id" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/id"
[ -e "$dir/ssh/host" ] || ssh-keygen -q -t ed25519 -N '' -f "$dir/ssh/host"
cat > "$dir/ssh_config" <<C
Host *
  User root
  IdentityFile $dir/ssh/id
  IdentitiesOnly yes
  StrictHostKeyChecking no
  UserKnownHostsFile /dev/null
  LogLevel ERROR
  BatchMode yes
C
while read -r h; do
  "$here/labnet.sh" exec "$dir" "$h" /usr/sbin/sshd -f /dev/null -h "$dir/ssh/host" \
    -o PidFile=none -o AuthorizedKeysFile="$dir/ssh/id.pub" -o StrictModes=no \
    -o PermitRootLogin=prohibit-password -o PasswordAuthentication=no -o UsePAM=no \
    -o AcceptEnv='LAB_* OMPI_* PMIX_*' -E "$dir/ssh/$h.log"
done < "$dir/names"
