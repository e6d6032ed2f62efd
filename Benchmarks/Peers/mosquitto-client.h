// SPDX-License-Identifier: Apache-2.0

// The common part of both programs on libmosquitto.
#ifndef MOSQUITTO_CLIENT_H
#define MOSQUITTO_CLIENT_H

#include "peer.h"

#include <mosquitto.h>

/// A client as a user makes it: TLS with the authority's file, and as many in flight as the window. Not connected.
struct mosquitto *client_make(const struct peer *peer, void *context);
/// Fails unless `result` is MOSQ_ERR_SUCCESS.
void client_check(int result, const char *function);
void client_publish(struct mosquitto *client, const struct peer *peer, int qos);

#endif
