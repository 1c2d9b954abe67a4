#!/bin/sh
# Installs the broker that the MQTT tests need, where that works without asking anybody.
# Never fails: without a broker those tests are skipped (or fail, where CI=true).
set -u

PATH="$PATH:/usr/local/sbin:/usr/sbin"

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

install() {
    as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y --no-install-recommends mosquitto mosquitto-clients
}

if command -v mosquitto >/dev/null && command -v mosquitto_sub >/dev/null; then exit 0; fi
if ! command -v apt-get >/dev/null || ! as_root true 2>/dev/null; then
    echo "Mosquitto is not installed; the tests that need it will not run."
    exit 0
fi

echo "Installing Mosquitto for the tests (half a minute or so)..."
if ! said=$({ install || { as_root apt-get update && install; }; } 2>&1 </dev/null); then
    echo "$said" | tail -n 5
    echo "Mosquitto could not be installed; the tests that need it will not run."
    exit 0
fi

# Debian starts it as a service and at each boot. Nobody asked for that: the tests start their own.
if [ -d /run/systemd/system ]; then
    as_root systemctl --quiet disable --now mosquitto
    echo "Its system service is off; to use it: sudo systemctl enable --now mosquitto"
fi
