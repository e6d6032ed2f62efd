// SPDX-License-Identifier: Apache-2.0

// libmosquitto in one thread, which publishes and calls mosquitto_loop.
#include "mosquitto-client.h"

#include <stddef.h>
#include <stdlib.h>

static struct peer peer;
static bool is_connected;
static long acknowledged, arrived;

static void on_connect(struct mosquitto *client, void *context, int code) {
    (void)client, (void)context;
    if (code != 0) peer_fail("refused: %s", mosquitto_connack_string(code));
    is_connected = true;
}

// Called for QoS 0 too, when it has been written.
static void on_publish(struct mosquitto *client, void *context, int identifier) {
    (void)client, (void)context, (void)identifier;
    acknowledged++;
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message) {
    (void)client, (void)context, (void)message;
    if (++arrived == 1) peer_begin();
    if (arrived == peer.messages) peer_end();
}

static void loop(struct mosquitto *client) {
    client_check(mosquitto_loop(client, 1000, 1), "mosquitto_loop");
}

// Without a thread of its own the library writes in mosquitto_publish. So the loop is needed only when the socket is
// full (want_write), which costs least: a call of mosquitto_loop for each message would cost a select for each.
static void publish_qos0(struct mosquitto *client) {
    peer_begin();
    for (long i = 1; i < peer.messages; i++) {
        client_publish(client, &peer, 0);
        while (mosquitto_want_write(client)) loop(client);
    }
    client_publish(client, &peer, 1);
    while (acknowledged < peer.messages) loop(client);
    peer_end();
}

static void publish_qos1(struct mosquitto *client) {
    peer_begin();
    for (long sent = 0; acknowledged < peer.messages;) {
        while (sent < peer.messages && sent - acknowledged < peer.window) {
            client_publish(client, &peer, 1);
            sent++;
        }
        loop(client);
    }
    peer_end();
}

static double *latency_qos1(struct mosquitto *client) {
    double *latencies = calloc((size_t)peer.messages, sizeof *latencies);
    if (latencies == NULL) peer_fail("out of memory");
    peer_begin();
    for (long i = 0; i < peer.messages; i++) {
        double start = peer_now();
        client_publish(client, &peer, 1);
        while (acknowledged <= i) loop(client);
        latencies[i] = peer_now() - start;
    }
    peer_end();
    return latencies;
}

int main(int argc, char **argv) {
    peer = peer_start("mosquitto-loop", argc, argv);
    struct mosquitto *client = client_make(&peer, NULL);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_message_callback_set(client, on_message);
    client_check(mosquitto_connect(client, "localhost", peer.port, 60), "mosquitto_connect");
    while (!is_connected) loop(client);

    double *latencies = NULL;
    switch (peer.work) {
    case PUBLISH_QOS0: publish_qos0(client); break;
    case PUBLISH_QOS1: publish_qos1(client); break;
    case LATENCY_QOS1: latencies = latency_qos1(client); break;
    case RECEIVE_QOS0:
    case RECEIVE_QOS1:
        client_check(mosquitto_subscribe(client, NULL, peer.filter, peer.work == RECEIVE_QOS1), "mosquitto_subscribe");
        while (arrived < peer.messages) loop(client);
    }
    peer_report(&peer, latencies);
    mosquitto_disconnect(client);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    free(latencies);
}
