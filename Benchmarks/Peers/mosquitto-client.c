// SPDX-License-Identifier: Apache-2.0

#include "mosquitto-client.h"

#include <stddef.h>

void client_check(int result, const char *function) {
    if (result != MOSQ_ERR_SUCCESS) peer_fail("%s: %s", function, mosquitto_strerror(result));
}

struct mosquitto *client_make(const struct peer *peer, void *context) {
    if (peer->path != NULL) peer_fail("libmosquitto 2.0 has no WebSockets");
    mosquitto_lib_init();
    struct mosquitto *client = mosquitto_new(NULL, true, context);
    if (client == NULL) peer_fail("mosquitto_new failed");
    if (peer->cafile != NULL) {
        client_check(mosquitto_tls_set(client, peer->cafile, NULL, NULL, NULL, NULL), "mosquitto_tls_set");
    }
    client_check(mosquitto_max_inflight_messages_set(client, (unsigned)peer->window), "max_inflight_messages");
    return client;
}

void client_publish(struct mosquitto *client, const struct peer *peer, int qos) {
    client_check(mosquitto_publish(client, NULL, "bench", peer->size, peer->payload, qos, false), "mosquitto_publish");
}
