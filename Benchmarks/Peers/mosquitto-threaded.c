// SPDX-License-Identifier: Apache-2.0

// libmosquitto as most programs use it: mosquitto_loop_start gives it a thread, and the program's own publishes.
#include "mosquitto-client.h"

#include <stddef.h>
#include <stdlib.h>

static struct peer peer;
static struct peer_counter *connected, *acknowledged, *received;
static long arrived;

static void on_connect(struct mosquitto *client, void *context, int code) {
    (void)client, (void)context;
    if (code != 0) peer_fail("refused: %s", mosquitto_connack_string(code));
    peer_counter_add(connected);
}

// Called for QoS 0 too, when it has been written.
static void on_publish(struct mosquitto *client, void *context, int identifier) {
    (void)client, (void)context, (void)identifier;
    peer_counter_add(acknowledged);
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message) {
    (void)client, (void)context, (void)message;
    if (++arrived == 1) peer_begin();
    if (arrived < peer.messages) return;
    peer_end();
    peer_counter_add(received);
}

static void publish_qos0(struct mosquitto *client) {
    peer_begin();
    for (long i = 1; i < peer.messages; i++) client_publish(client, &peer, 0);
    client_publish(client, &peer, 1);
    peer_counter_wait(acknowledged, peer.messages);
    peer_end();
}

// Waits for half of the window, not for each acknowledgement: fewer wake-ups, which measures faster.
static void publish_qos1(struct mosquitto *client) {
    peer_begin();
    for (long sent = 0, half = (peer.window + 1) / 2; sent < peer.messages; sent++) {
        if (sent >= peer.window && (sent - peer.window) % half == 0) {
            peer_counter_wait(acknowledged, sent - peer.window + half);
        }
        client_publish(client, &peer, 1);
    }
    peer_counter_wait(acknowledged, peer.messages);
    peer_end();
}

static double *latency_qos1(struct mosquitto *client) {
    double *latencies = calloc((size_t)peer.messages, sizeof *latencies);
    if (latencies == NULL) peer_fail("out of memory");
    peer_begin();
    for (long i = 0; i < peer.messages; i++) {
        double start = peer_now();
        client_publish(client, &peer, 1);
        peer_counter_wait(acknowledged, i + 1);
        latencies[i] = peer_now() - start;
    }
    peer_end();
    return latencies;
}

int main(int argc, char **argv) {
    peer = peer_start("mosquitto-threaded", argc, argv);
    connected = peer_counter_make();
    acknowledged = peer_counter_make();
    received = peer_counter_make();
    struct mosquitto *client = client_make(&peer, NULL);
    mosquitto_connect_callback_set(client, on_connect);
    mosquitto_publish_callback_set(client, on_publish);
    mosquitto_message_callback_set(client, on_message);
    client_check(mosquitto_connect(client, "localhost", peer.port, 60), "mosquitto_connect");
    client_check(mosquitto_loop_start(client), "mosquitto_loop_start");
    peer_counter_wait(connected, 1);

    double *latencies = NULL;
    switch (peer.work) {
    case PUBLISH_QOS0: publish_qos0(client); break;
    case PUBLISH_QOS1: publish_qos1(client); break;
    case LATENCY_QOS1: latencies = latency_qos1(client); break;
    case RECEIVE_QOS0:
    case RECEIVE_QOS1:
        client_check(mosquitto_subscribe(client, NULL, peer.filter, peer.work == RECEIVE_QOS1), "mosquitto_subscribe");
        peer_counter_wait(received, 1);
    }
    peer_report(&peer, latencies);
    mosquitto_disconnect(client);
    mosquitto_loop_stop(client, false);
    mosquitto_destroy(client);
    mosquitto_lib_cleanup();
    free(latencies);
}
