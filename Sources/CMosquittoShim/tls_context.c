// SPDX-License-Identifier: Apache-2.0

#include "CMosquittoShim.h"

#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

int cmq_error_reason(char *buffer, size_t size, bool first)
{
    unsigned long error = first ? ERR_peek_error() : ERR_peek_last_error();
    const char *text = ERR_reason_error_string(error);
    if (error != 0 && text == NULL && ERR_SYSTEM_ERROR(error)) {
        text = strerror(ERR_GET_REASON(error));
    }
    strncpy(buffer, text != NULL ? text : "", size - 1);
    buffer[size - 1] = '\0';
    ERR_clear_error();
    return ERR_GET_LIB(error) == ERR_LIB_SSL ? ERR_GET_REASON(error) : 0;
}

// ---- Callbacks ----

static void info_callback(const SSL *ssl, int where, int value)
{
    cmq_tls *tls = SSL_get_app_data(ssl);
    if (tls == NULL) {
        return;
    }
    if ((where & SSL_CB_ALERT) && tls->alert < 0) {
        int description = value & 0xff;
        // RFC 8446, section 6: in TLS 1.3 the level has no meaning. In TLS 1.2 a warning is not fatal.
        bool is_fatal = (value >> 8) == SSL3_AL_FATAL || SSL_version(ssl) >= TLS1_3_VERSION;
        if (is_fatal && description != SSL_AD_CLOSE_NOTIFY && description != SSL_AD_USER_CANCELLED) {
            tls->alert = description;
            tls->alert_received = (where & SSL_CB_READ) != 0;
        }
    }
}

static int new_session_callback(SSL *ssl, SSL_SESSION *session)
{
    cmq_tls *tls = SSL_get_app_data(ssl);
    if (tls != NULL) {
        cmq_tls_keep_session(tls, session);
    }
    return 0; // OpenSSL keeps its reference
}

// The broker has asked for a client certificate.
static int certificate_callback(SSL *ssl, void *argument)
{
    (void)argument;
    cmq_tls *tls = SSL_get_app_data(ssl);
    if (tls == NULL) {
        return 0;
    }
    tls->certificate_requested = true;
    return tls->key == NULL || SSL_use_cert_and_key(ssl, tls->certificate, tls->key, tls->chain, 1) == 1;
}

static unsigned int psk_callback(SSL *ssl, const char *hint, char *identity, unsigned int identity_size,
                                 unsigned char *key, unsigned int key_size)
{
    (void)hint;
    cmq_tls *tls = SSL_get_app_data(ssl);
    if (tls == NULL || tls->psk_identity == NULL || strlen(tls->psk_identity) >= identity_size
        || tls->psk_length > key_size) {
        return 0;
    }
    strcpy(identity, tls->psk_identity);
    memcpy(key, tls->psk, tls->psk_length);
    tls->gave_psk = true;
    return (unsigned int)tls->psk_length;
}

// A line is short and the file is for debugging: write errors are ignored.
static void key_log_callback(const SSL *ssl, const char *line)
{
    cmq_tls *tls = SSL_get_app_data(ssl);
    if (tls != NULL && tls->key_log >= 0) {
        char text[512];
        int length = snprintf(text, sizeof text, "%s\n", line);
        if (length > 0 && (size_t)length < sizeof text) {
            (void)!write(tls->key_log, text, (size_t)length);
        }
        OPENSSL_cleanse(text, sizeof text);
    }
}

// ---- Context ----

SSL_CTX *cmq_ctx_new(const cmq_tls *tls)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL) {
        return NULL;
    }
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    // Not SSL_MODE_RELEASE_BUFFERS, which allocates 16 KB anew for each record: see cmq_tls_rest.
    SSL_CTX_set_mode(ctx, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_info_callback(ctx, info_callback);
    SSL_CTX_set_cert_cb(ctx, certificate_callback, NULL);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, new_session_callback);
    if (tls->psk_identity != NULL) {
        SSL_CTX_set_psk_client_callback(ctx, psk_callback);
    }
    if (tls->key_log >= 0) {
        SSL_CTX_set_keylog_callback(ctx, key_log_callback);
    }
    cmq_ctx_install_verification(ctx);
    return ctx;
}

int cmq_ctx_set_versions(SSL_CTX *ctx, int minimum, int maximum)
{
    return SSL_CTX_set_min_proto_version(ctx, minimum) == 1 && SSL_CTX_set_max_proto_version(ctx, maximum) == 1;
}

int cmq_ctx_set_groups(SSL_CTX *ctx, const char *groups)
{
    return SSL_CTX_set1_groups_list(ctx, groups) == 1;
}

int cmq_ctx_require_post_quantum(SSL_CTX *ctx)
{
    static const char *const names[] = {"X25519MLKEM768", "SecP256r1MLKEM768", "SecP384r1MLKEM1024",
                                        "MLKEM1024",      "MLKEM768"};
    char list[128] = "";
    int count = 0;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        // OpenSSL before 3.3 fails for a whole list with one name that it does not know.
        if (SSL_CTX_set1_groups_list(ctx, names[i]) == 1) {
            if (count++ > 0) {
                strcat(list, ":");
            }
            strcat(list, names[i]);
        }
    }
    ERR_clear_error();
    return count > 0 && SSL_CTX_set1_groups_list(ctx, list) != 1 ? 0 : count;
}
