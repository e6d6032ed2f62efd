# The common part of the start scripts, which source this file. It takes their argument, DIRECTORY.
#
# A start script becomes its broker by exec, so that one signal to its process ends the broker: SIGTERM or SIGKILL. All
# files of the broker are below DIRECTORY, and it listens on 127.0.0.1 only.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[1]}")" && pwd)
if (($# != 1)) || [[ ! -d $1 ]]; then
    echo "usage: $0 DIRECTORY" >&2
    exit 64
fi
directory=$(cd "$1" && pwd)
# A dump of a crash goes to the current folder.
cd "$directory"
# Where Debian has its servers; a user's PATH leaves it out.
PATH=$PATH:/usr/sbin

# require FILE...: files that the caller must have put into DIRECTORY.
require() {
    local file
    for file in "$@"; do
        if [[ ! -r $directory/$file ]]; then
            echo "$0: no $file in $directory" >&2
            exit 66
        fi
    done
}

# free_port NAME: sets a variable to a port on which nobody listens: the next of $PORTS, which the caller has reserved.
# Without PORTS, scripts that start together have different process identifiers and so different ports. The ports are
# below those that the system gives to outgoing connections, and none of those that the tests reserve.
free_port() {
    if [[ -n ${PORTS:-} ]]; then
        read -r "$1" PORTS <<<"$PORTS"
        return
    fi
    while printf -v "$1" %s "$next_port" && next_port=$((next_port + 1)) &&
        (: <"/dev/tcp/127.0.0.1/${!1}") 2>/dev/null; do :; done
}
next_port=$((20000 + $$ % 1500 * 8))

# keep_ports NAME...: the same for several variables; a next start with the same DIRECTORY has the same ports.
keep_ports() {
    local name
    if [[ -e $directory/ports ]]; then
        source "$directory/ports"
    else
        for name in "$@"; do free_port "$name"; done
        for name in "$@"; do echo "$name=${!name}"; done >"$directory/ports"
    fi
}

# answers_tls PORT, answers_tcp PORT
answers_tls() {
    openssl s_client -connect "127.0.0.1:$1" -verify_return_error -verify_hostname localhost -CAfile "$directory/ca.pem"
}
answers_tcp() { (: <"/dev/tcp/127.0.0.1/$1"); }

# announce PORT [wss=PORT] [ws=PORT]: writes DIRECTORY/ready with these lines as soon as TLS answers on the port, and on
# the port of wss, and TCP on that of ws. Goes on when this process is the broker. It is not the broker's child, since no
# broker would wait for its end.
announce() { announce_when answers_tls "$@"; }

# announce_tcp PORT [wss=PORT] [ws=PORT]: the same for a server without TLS.
announce_tcp() { announce_when answers_tcp "$@"; }

announce_when() {
    local answers=$1 server=$$ lines=("port=$2" "${@:3}") line
    (
        {
            for line in "${lines[@]}"; do
                case $line in
                    wss=*) answers=answers_tls ;;
                    ws=*) answers=answers_tcp ;;
                esac
                until "$answers" "${line#*=}"; do
                    kill -0 "$server" || exit 1
                    sleep 0.1
                done
            done
            printf '%s\n' "${lines[@]}" >"$directory/ready.new"
            mv "$directory/ready.new" "$directory/ready"
        } </dev/null >/dev/null 2>&1 &
    )
}

umask 077
rm -f "$directory/ready"
