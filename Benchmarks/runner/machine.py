# SPDX-License-Identifier: Apache-2.0

"""Where it was measured, and with which versions."""
import ctypes
import os
import pathlib
import platform
import re

from .programs import Failure, run


def describe(environment):
    return {"machine": machine(), "versions": versions(environment)}


def machine():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    model = re.search(r"model name\s*: (.*)", text)
    return {"cpu": model[1] if model else platform.machine(), "cores": len(os.sched_getaffinity(0)),
            "kernel": f"{platform.system()} {platform.release()}", "loadAtStart": round(os.getloadavg()[0], 2)}


def versions(environment):
    return {"Swift": first(r"Swift version (\S+)", ["swift", "--version"]),
            "OpenSSL": first(r"OpenSSL (\S+)", ["openssl", "version"]),
            "libmosquitto": libmosquitto(), "Paho C": paho(),
            "MQTT.js": first(r"(.+)", ["node", "-p", "require('mqtt/package.json').version"], environment),
            "Node.js": first(r"v?(.+)", ["node", "--version"])}


def first(pattern, arguments, environment=None):
    try:
        found = re.search(pattern, run(arguments, env=environment))
    except Failure:
        return None
    return found and found[1].strip()


def libmosquitto():
    try:
        library = ctypes.CDLL("libmosquitto.so.1")
    except OSError:
        return None
    parts = [ctypes.c_int() for _ in range(3)]
    library.mosquitto_lib_version(*map(ctypes.byref, parts))
    return ".".join(str(part.value) for part in parts)


def paho():
    class NameValue(ctypes.Structure):
        _fields_ = [("name", ctypes.c_char_p), ("value", ctypes.c_char_p)]

    try:
        library = ctypes.CDLL("libpaho-mqtt3as.so.1")
    except OSError:
        return None
    library.MQTTAsync_getVersionInfo.restype = ctypes.POINTER(NameValue)
    information = library.MQTTAsync_getVersionInfo()
    for pair in information:
        if pair.name is None:
            return None
        if pair.name == b"Version":
            return pair.value.decode()
