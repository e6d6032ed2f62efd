// SPDX-License-Identifier: Apache-2.0

/*
 * A plugin for mosquitto 2 (plugin API version 5) that lets clients in by a JSON Web Token:
 *
 *   - as the password of a CONNECT, whatever its user name;
 *   - by the enhanced authentication of MQTT 5 (section 4.12), with the methods
 *       "JWT"     one step: the authentication data is the token;
 *       "JWT-CR"  two steps: the broker sends a nonce, the client answers "TOKEN NONCE";
 *   - by a re-authentication with either method (AUTH with reason code 0x19).
 *
 * A client is kicked when its token expires, unless a re-authentication has brought a later one.
 *
 * Options:
 *   plugin_opt_public_key FILE  a public key in PEM: RSA for RS256, P-256 for ES256. At most one of each.
 *   plugin_opt_secret FILE      the key of HS256: all bytes of the file.
 *   plugin_opt_audience TEXT    what the claim "aud" must be or contain.
 *   plugin_opt_issuer TEXT      what the claim "iss" must be.
 *   plugin_opt_kick true|false  whether a client is kicked when its token expires; true by default.
 *
 * For tests: it is small, and strict, but it has not seen the world. All calls come from mosquitto's only thread.
 */
#include "jwt.h"

#include <mosquitto.h>
/* mosquitto.h includes these from 2.1 on. */
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
#include <mosquitto_broker.h>
#include <mosquitto_plugin.h>
#endif

#include <openssl/rand.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NONCE_LENGTH 16

/* The state of a client between its authentication and its end. */
struct client {
    struct client *next;
    const struct mosquitto *connection;
    char *id;           /* NULL until a token was accepted */
    double expires_at;  /* in seconds since 1970 */
    char nonce[NONCE_LENGTH + 1];
};

static mosquitto_plugin_id_t *plugin;
static struct client *clients;
static struct jwt_rules rules;
static bool kick = true;

/* The clients */

static void forget(struct client **link)
{
    struct client *client = *link;

    *link = client->next;
    free(client->id);
    free(client);
}

static struct client *remember(const struct mosquitto *connection)
{
    struct client *client = clients;

    while (client && client->connection != connection) client = client->next;
    if (!client && (client = calloc(1, sizeof *client))) {
        client->connection = connection;
        client->next = clients;
        clients = client;
    }
    return client;
}

/* Checks a token. A valid one decides how long its client may stay. */
static int admit(struct mosquitto *connection, const char *token, size_t length, bool is_username)
{
    const char *id = mosquitto_client_id(connection), *reason;
    cJSON *claims = jwt_verify(&rules, token, length, &reason);

    mosquitto_log_printf(MOSQ_LOG_NOTICE, "jwt: %s: %s", id ? id : "", claims ? "accepted" : reason);
    if (!claims) return MOSQ_ERR_AUTH;

    /* A client that reconnects replaces its old connection: the old expiry must not end the new one. */
    for (struct client **link = &clients; id && *link;) {
        bool is_old = (*link)->connection != connection && (*link)->id && strcmp((*link)->id, id) == 0;
        if (is_old) forget(link);
        else link = &(*link)->next;
    }
    struct client *client = remember(connection);
    if (client) {
        free(client->id);
        client->id = id ? strdup(id) : NULL;
        client->expires_at = cJSON_GetObjectItemCaseSensitive(claims, "exp")->valuedouble;
    }
    /* Enhanced authentication needs no user name in the CONNECT; "%u" in an ACL should still mean somebody. */
    const cJSON *subject = cJSON_GetObjectItemCaseSensitive(claims, "sub");
    if (is_username && cJSON_IsString(subject)) mosquitto_set_username(connection, subject->valuestring);
    cJSON_Delete(claims);
    return client ? MOSQ_ERR_SUCCESS : MOSQ_ERR_NOMEM;
}

/* mosquitto's events */

static int on_basic_auth(int event, void *data, void *context)
{
    struct mosquitto_evt_basic_auth *auth = data;
    (void)event, (void)context;

    if (!auth->password) return MOSQ_ERR_AUTH;
    return admit(auth->client, auth->password, strlen(auth->password), false);
}

/* Comes with a CONNECT, and again with each re-authentication of the same connection. */
static int on_auth_start(int event, void *data, void *context)
{
    struct mosquitto_evt_extended_auth *auth = data;
    (void)event, (void)context;

    if (strcmp(auth->auth_method, "JWT") == 0) {
        return auth->data_in ? admit(auth->client, auth->data_in, auth->data_in_len, true) : MOSQ_ERR_AUTH;
    }
    if (strcmp(auth->auth_method, "JWT-CR") != 0) return MOSQ_ERR_NOT_SUPPORTED;

    unsigned char random[NONCE_LENGTH / 2];
    struct client *client = remember(auth->client);
    auth->data_out = malloc(NONCE_LENGTH); /* mosquitto frees it, with free() */
    if (!client || !auth->data_out || RAND_bytes(random, sizeof random) != 1) return MOSQ_ERR_NOMEM;
    for (size_t i = 0; i < sizeof random; i++) snprintf(client->nonce + 2 * i, 3, "%02x", random[i]);
    memcpy(auth->data_out, client->nonce, NONCE_LENGTH);
    auth->data_out_len = NONCE_LENGTH;
    return MOSQ_ERR_AUTH_CONTINUE;
}

/* The answer to the nonce. */
static int on_auth_continue(int event, void *data, void *context)
{
    struct mosquitto_evt_extended_auth *auth = data;
    struct client *client = remember(auth->client);
    const char *text = auth->data_in;
    (void)event, (void)context;

    if (!client || !client->nonce[0] || !text || auth->data_in_len < NONCE_LENGTH + 1) return MOSQ_ERR_AUTH;
    size_t length = (size_t)auth->data_in_len - NONCE_LENGTH - 1;
    bool is_answer = text[length] == ' ' && CRYPTO_memcmp(text + length + 1, client->nonce, NONCE_LENGTH) == 0;
    client->nonce[0] = 0; /* for one use */
    return is_answer ? admit(auth->client, text, length, true) : MOSQ_ERR_AUTH;
}

/* Once a second. */
static int on_tick(int event, void *data, void *context)
{
    double now = (double)time(NULL);
    (void)event, (void)data, (void)context;

    for (struct client **link = &clients; kick && *link;) {
        struct client *client = *link;
        if (!client->id || client->expires_at > now) {
            link = &client->next;
            continue;
        }
        char *id = client->id;
        client->id = NULL;
        mosquitto_log_printf(MOSQ_LOG_NOTICE, "jwt: %s: expired", id);
        /* Calls on_disconnect(), which changes the list, before it returns: begin again. */
        mosquitto_kick_client_by_clientid(id, true);
        free(id);
        link = &clients;
    }
    return MOSQ_ERR_SUCCESS;
}

static int on_disconnect(int event, void *data, void *context)
{
    struct mosquitto_evt_disconnect *disconnect = data;
    (void)event, (void)context;

    for (struct client **link = &clients; *link; link = &(*link)->next) {
        if ((*link)->connection == disconnect->client) {
            forget(link);
            break;
        }
    }
    return MOSQ_ERR_SUCCESS;
}

static const struct {
    int event;
    MOSQ_FUNC_generic_callback function;
} callbacks[] = {
    {MOSQ_EVT_BASIC_AUTH, on_basic_auth},
    {MOSQ_EVT_EXT_AUTH_START, on_auth_start},
    {MOSQ_EVT_EXT_AUTH_CONTINUE, on_auth_continue},
    {MOSQ_EVT_TICK, on_tick},
    {MOSQ_EVT_DISCONNECT, on_disconnect},
};

/* Loading */

static bool read_public_key(const char *path)
{
    FILE *file = fopen(path, "r");
    EVP_PKEY *key = file ? PEM_read_PUBKEY(file, NULL, NULL, NULL) : NULL;
    EVP_PKEY **place = key && EVP_PKEY_is_a(key, "RSA") ? &rules.rsa_key : &rules.ec_key;

    if (file) fclose(file);
    EVP_PKEY_free(*place);
    *place = key;
    return key && (EVP_PKEY_is_a(key, "RSA") || EVP_PKEY_is_a(key, "EC"));
}

static bool read_secret(const char *path)
{
    FILE *file = fopen(path, "r");

    rules.secret_length = file ? fread(rules.secret, 1, sizeof rules.secret, file) : 0;
    if (file) fclose(file);
    return rules.secret_length > 0;
}

static bool read_option(const char *key, const char *value)
{
    if (strcmp(key, "public_key") == 0) return read_public_key(value);
    if (strcmp(key, "secret") == 0) return read_secret(value);
    if (strcmp(key, "audience") == 0) return (rules.audience = strdup(value)) != NULL;
    if (strcmp(key, "issuer") == 0) return (rules.issuer = strdup(value)) != NULL;
    if (strcmp(key, "kick") != 0) return false;
    kick = strcmp(value, "true") == 0;
    return true;
}

int mosquitto_plugin_version(int count, const int *versions)
{
    for (int i = 0; i < count; i++) {
        if (versions[i] == 5) return 5;
    }
    return -1;
}

int mosquitto_plugin_init(mosquitto_plugin_id_t *id, void **context, struct mosquitto_opt *options, int count)
{
    (void)context;
    plugin = id;
    for (int i = 0; i < count; i++) {
        if (!read_option(options[i].key, options[i].value)) {
            mosquitto_log_printf(MOSQ_LOG_ERR, "jwt: cannot use plugin_opt_%s", options[i].key);
            return MOSQ_ERR_INVAL;
        }
    }
    for (size_t i = 0; i < sizeof callbacks / sizeof *callbacks; i++) {
        int result = mosquitto_callback_register(id, callbacks[i].event, callbacks[i].function, NULL, NULL);
        if (result != MOSQ_ERR_SUCCESS) return result;
    }
    return MOSQ_ERR_SUCCESS;
}

int mosquitto_plugin_cleanup(void *context, struct mosquitto_opt *options, int count)
{
    (void)context, (void)options, (void)count;
    for (size_t i = 0; i < sizeof callbacks / sizeof *callbacks; i++) {
        mosquitto_callback_unregister(plugin, callbacks[i].event, callbacks[i].function, NULL);
    }
    while (clients) forget(&clients);
    EVP_PKEY_free(rules.rsa_key);
    EVP_PKEY_free(rules.ec_key);
    free(rules.audience);
    free(rules.issuer);
    return MOSQ_ERR_SUCCESS;
}
