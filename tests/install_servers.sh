#!/bin/sh
# Installs the broker, the reverse proxies and the browser that tests need, where that works without asking.
# Never fails: without one of them its tests are skipped (or fail, where CI=true).
set -u

PATH="$PATH:/usr/local/sbin:/usr/sbin"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "$@"
}

missing=
for program in mosquitto mosquitto_sub nginx haproxy caddy chromium; do
    command -v $program >/dev/null || missing="$missing $program"
done
if [ -z "$missing" ]; then exit 0; fi
if ! command -v apt-get >/dev/null || ! as_root true 2>/dev/null; then
    echo "Not installed:$missing; the tests that need them will not run."
    exit 0
fi

echo "Installing$missing for the tests (half a minute or so)..."
for program in $missing; do
    case $program in mosquitto_sub) package=mosquitto-clients ;; *) package=$program ;; esac
    if ! said=$({ install $package || { as_root apt-get update && install $package; }; } 2>&1 </dev/null); then
        echo "$said" | tail -n 5
        echo "$package could not be installed; the tests that need it will not run."
    # Debian starts it as a service and at each boot. Nobody asked for that: the tests start their own.
    elif [ -d /run/systemd/system ] && [ $package = $program ]; then
        as_root systemctl --quiet disable --now $program
        echo "The system service $program is off; to use it: sudo systemctl enable --now $program"
    fi
done
