// SPDX-License-Identifier: Apache-2.0

// The C libraries that swift-mosquitto stands on, as one module: libmosquitto and OpenSSL.
#pragma once

#include <mosquitto.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
// mosquitto.h includes it from 2.1 on, and a warning is all that is left of this one.
#include <mqtt_protocol.h>
#endif
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>
