#!/bin/sh
# What cardwatch needs before its first start, made once: keys, secrets, topics, two simulated breaches and their
# incidents. Everything that is there already is left as it is, so it may run again and again.
#
#     setup.sh [HOME [CONFIG]]
#
# Where things are may be said, so that the same lines run outside of a container: a test does. (Not by variables
# CARDWATCH_…: those are settings, and cardwatch refuses one that it does not know.)
set -eu
umask 077

home=${1:-/var/lib/cardwatch}
config=${2:-/etc/cardwatch/cardwatch.toml}
cd "$home"

# First: from here on whatever changes something is written down on the topic too.
cardwatch topics --config "$config" --create --input-partitions 4

# 256 bits from the system's generator, in keys/k1.key, readable by this user alone.
[ -e keys/keyring.json ] || cardwatch key --config "$config" new k1

# What signs webhooks, shared with the receiver by the volume.
if [ ! -e webhooks/receiver.secret ]; then
    mkdir -p webhooks
    printf 'whsec_%s\n' "$(head -c 32 /dev/urandom | base64 | tr -d '\n')" > webhooks/receiver.secret
fi

# For /v1: the owner of this token may read alerts and decide about them.
[ -e tokens/desk.token ] || cardwatch token --config "$config" new desk --role decide --file "$home/tokens/desk.token" > /dev/null

# open ID SEED CARDS DAYS NAME PARTY: a world's first list, as the shop sent it, as an incident. The transactions come
# from `cardwatch simulate --kafka` with the same numbers (services `past` and `present`). Each world ends when it is
# made, so periods are taken from what is written beside its list.
open() {
    [ -e "worlds/$1/incident.txt" ] || cardwatch simulate --seed "$2" --cards "$3" --days "$4" --ends now --out "worlds/$1"
    # 65: there is no such incident yet.
    cardwatch incident --config "$config" show "$1" > /dev/null 2>&1 && return
    period=$(grep -m 1 -e --exposed-from "worlds/$1/incident.txt" | tr -d '\\')
    # shellcheck disable=SC2086 # options and their values
    cardwatch incident --config "$config" open "$1" --name "$5" --party "$6" --time-zone Asia/Tokyo $period \
        --list "worlds/$1/first-notice.csv" --column pan --expiry-column expiry --reference account=account
}
open asagiri-shop 7 3000 45 "Asagiri web shop" "Asagiri Health Foods KK"
open minato-books 8 1500 30 "Minato book shop" "Minato Books KK"
