// SPDX-License-Identifier: Apache-2.0

// Eclipse Paho C, the asynchronous client with TLS: threads of its own, the program's publishes.
#include "peer.h"

#include <MQTTAsync.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

static struct peer peer;
static struct peer_counter *connected, *acknowledged, *received;
static long arrived;

static void check(int result, const char *function) {
    if (result != MQTTASYNC_SUCCESS) peer_fail("%s: %s", function, MQTTAsync_strerror(result));
}

static void on_failure(void *context, MQTTAsync_failureData *data) {
    peer_fail("%s failed: %s", (const char *)context, data->message != NULL ? data->message : "no reason given");
}

static void on_connect(void *context, MQTTAsync_successData *data) {
    (void)context, (void)data;
    peer_counter_add(connected);
}

static void on_acknowledged(void *context, MQTTAsync_successData *data) {
    (void)context, (void)data;
    peer_counter_add(acknowledged);
}

static int on_message(void *context, char *topic, int length, MQTTAsync_message *message) {
    (void)context, (void)length;
    MQTTAsync_freeMessage(&message);
    MQTTAsync_free(topic);
    if (++arrived == 1) peer_begin();
    if (arrived == peer.messages) {
        peer_end();
        peer_counter_add(received);
    }
    return 1;
}

// QoS 0 has no acknowledgement: its publishes ask for no callback.
static void publish(MQTTAsync client, int qos) {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onFailure = on_failure;
    options.context = "publish";
    if (qos > 0) options.onSuccess = on_acknowledged;
    check(MQTTAsync_send(client, "bench", peer.size, peer.payload, qos, 0, &options), "MQTTAsync_send");
}

static void publish_qos0(MQTTAsync client) {
    peer_begin();
    for (long i = 1; i < peer.messages; i++) publish(client, 0);
    publish(client, 1);
    peer_counter_wait(acknowledged, 1);
    peer_end();
}

// Waits for half of the window, as the program on libmosquitto does.
static void publish_qos1(MQTTAsync client) {
    peer_begin();
    for (long sent = 0, half = (peer.window + 1) / 2; sent < peer.messages; sent++) {
        if (sent >= peer.window && (sent - peer.window) % half == 0) {
            peer_counter_wait(acknowledged, sent - peer.window + half);
        }
        publish(client, 1);
    }
    peer_counter_wait(acknowledged, peer.messages);
    peer_end();
}

static double *latency_qos1(MQTTAsync client) {
    double *latencies = calloc((size_t)peer.messages, sizeof *latencies);
    if (latencies == NULL) peer_fail("out of memory");
    peer_begin();
    for (long i = 0; i < peer.messages; i++) {
        double start = peer_now();
        publish(client, 1);
        peer_counter_wait(acknowledged, i + 1);
        latencies[i] = peer_now() - start;
    }
    peer_end();
    return latencies;
}

static void subscribe(MQTTAsync client, int qos) {
    MQTTAsync_responseOptions options = MQTTAsync_responseOptions_initializer;
    options.onFailure = on_failure;
    options.context = "subscribe";
    check(MQTTAsync_subscribe(client, peer.filter, qos, &options), "MQTTAsync_subscribe");
}

static MQTTAsync connect_client(void) {
    char uri[128];
    const char *plain = peer.path != NULL ? "ws" : "tcp", *secure = peer.path != NULL ? "wss" : "ssl";
    snprintf(uri, sizeof uri, "%s://localhost:%d%s", peer.cafile != NULL ? secure : plain, peer.port,
             peer.path != NULL ? peer.path : "");
    MQTTAsync_init_options initialization = MQTTAsync_init_options_initializer;
    initialization.do_openssl_init = 1;
    MQTTAsync_global_init(&initialization);
    MQTTAsync client;
    check(MQTTAsync_create(&client, uri, "paho-async", MQTTCLIENT_PERSISTENCE_NONE, NULL), "MQTTAsync_create");
    check(MQTTAsync_setCallbacks(client, NULL, NULL, on_message, NULL), "MQTTAsync_setCallbacks");

    MQTTAsync_SSLOptions tls = MQTTAsync_SSLOptions_initializer;
    tls.trustStore = peer.cafile;
    tls.verify = 1;
    MQTTAsync_connectOptions options = MQTTAsync_connectOptions_initializer;
    options.MQTTVersion = MQTTVERSION_3_1_1;
    options.maxInflight = peer.window;
    options.onSuccess = on_connect;
    options.onFailure = on_failure;
    options.context = "connect";
    if (peer.cafile != NULL) options.ssl = &tls;
    check(MQTTAsync_connect(client, &options), "MQTTAsync_connect");
    peer_counter_wait(connected, 1);
    return client;
}

int main(int argc, char **argv) {
    peer = peer_start("paho-async", argc, argv);
    connected = peer_counter_make();
    acknowledged = peer_counter_make();
    received = peer_counter_make();
    MQTTAsync client = connect_client();

    double *latencies = NULL;
    switch (peer.work) {
    case PUBLISH_QOS0: publish_qos0(client); break;
    case PUBLISH_QOS1: publish_qos1(client); break;
    case LATENCY_QOS1: latencies = latency_qos1(client); break;
    case RECEIVE_QOS0:
    case RECEIVE_QOS1:
        subscribe(client, peer.work == RECEIVE_QOS1);
        peer_counter_wait(received, 1);
    }
    peer_report(&peer, latencies);
    MQTTAsync_disconnectOptions farewell = MQTTAsync_disconnectOptions_initializer;
    MQTTAsync_disconnect(client, &farewell);
    MQTTAsync_destroy(&client);
    free(latencies);
}
