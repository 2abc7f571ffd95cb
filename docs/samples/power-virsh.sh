#!/bin/sh
# Says whether a virtual machine of this libvirt host is off. An example for [power] in the agent's configuration: only looks,
# and changes nothing. Called as: power-virsh.sh <computer name> <domain UUID>. Run it by hand once before you rely on it.
#
# The agent's account needs to be allowed to read domains (group libvirt, or polkit's org.libvirt.api.domain.read).
set -eu
virsh=${SYNCFERRY_VIRSH:-/usr/bin/virsh}
machine=$1
uuid=$2
# The id must be one that libvirt gives back as it is: a name would be answered for whatever bears it now.
id=$("$virsh" --readonly --connect qemu:///system domuuid "$uuid" | tr -d '[:space:]')
[ "$id" = "$uuid" ] || { echo "libvirt knows '$uuid' as '$id'; give its UUID in lower case" >&2; exit 1; }
state=$(LC_ALL=C "$virsh" --readonly --connect qemu:///system domstate "$uuid" | tr -d '\n')
# "shut off" is the only state that counts. A paused or managed-saved machine goes on where it was: it is not off.
case $state in
    "shut off")
        saved=$(LC_ALL=C "$virsh" --readonly --connect qemu:///system dominfo "$uuid" | sed -n 's/^Managed save: *//p')
        [ "$saved" = no ] && state=off || state=saved ;;
esac
case $machine$state in *[!A-Za-z0-9._\ -]*) echo "an answer of an unknown shape: '$state'" >&2; exit 1 ;; esac
printf '{"syncferry":"power/1","id":"%s","state":"%s","machine":"%s"}\n' "$id" "$state" "$machine"
