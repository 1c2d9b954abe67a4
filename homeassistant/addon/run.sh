#!/usr/bin/with-contenv bashio
# Writes the bridge's settings, from the options and Home Assistant's own broker, and runs it.
# CW_MQTT_DATA is where the add-on keeps its files.

DATA="${CW_MQTT_DATA:-/data}"
CONFIG="${DATA}/config.yaml"
umask 077

if ! bashio::services.available mqtt; then
    bashio::exit.nok "No MQTT broker: install the add-on 'Mosquitto broker', start it, and start this one again."
fi
MQTT_HOST="$(bashio::services mqtt host)"
MQTT_PORT="$(bashio::services mqtt port)"
MQTT_SSL="$(bashio::services mqtt ssl)"
MQTT_USERNAME="$(bashio::services mqtt username)"
MQTT_PASSWORD="$(bashio::services mqtt password)"
export MQTT_HOST MQTT_PORT MQTT_SSL MQTT_USERNAME MQTT_PASSWORD
python3 "$(dirname "${BASH_SOURCE[0]}")/settings.py" "${DATA}" > "${CONFIG}"

# who is already there stays as he is, and the log says so
if bashio::config.has_value login && bashio::config.has_value password; then
    bashio::log.info "$(cw-mqtt --config "${CONFIG}" user add "$(bashio::config login)" \
        --password "$(bashio::config password)" 2>&1)"
fi
exec cw-mqtt --config "${CONFIG}" run
