// SPDX-License-Identifier: Apache-2.0

// The C libraries that swift-mosquitto stands on, as one module: libmosquitto and OpenSSL.
#pragma once

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
