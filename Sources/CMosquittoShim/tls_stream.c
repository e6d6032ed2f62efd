// SPDX-License-Identifier: Apache-2.0

#include "CMosquittoShim.h"

#include <openssl/err.h>

// SSL_get_error depends on the error queue. Clearing its 16 entries costs as much as decrypting a short record.
static void clear_errors(void)
{
    if (ERR_peek_error() != 0) {
        ERR_clear_error();
    }
}

void cmq_tls_reset(cmq_tls *tls)
{
    BIO_free(tls->inbound);
    BIO_free(tls->outbound);
    tls->inbound = NULL;
    tls->outbound = NULL;
    X509_free(tls->verify_certificate);
    tls->answer = 0;
    tls->verify_error = 0;
    tls->verify_depth = 0;
    tls->verify_certificate = NULL;
    tls->misses_pin = false;
    tls->is_verified = false;
    tls->is_stapled = false;
    tls->gave_psk = false;
    tls->certificate_requested = false;
    tls->session_offered = false;
    tls->alert = -1;
    tls->alert_received = false;
    tls->reason_code = 0;
    tls->reason[0] = '\0';
}

void cmq_tls_forget_session(cmq_tls *tls)
{
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
}

// A copy: OpenSSL marks its own session as not resumable when the connection ends without close_notify.
void cmq_tls_keep_session(cmq_tls *tls, const SSL_SESSION *session)
{
    if (tls->resumes && SSL_SESSION_is_resumable(session)) {
        cmq_tls_forget_session(tls);
        tls->session = SSL_SESSION_dup(session);
    }
}

void cmq_tls_free(cmq_tls *tls)
{
    cmq_tls_reset(tls);
    cmq_tls_forget_session(tls);
    cmq_tls_forget_identity(tls);
}

SSL *cmq_tls_start(cmq_tls *tls, SSL_CTX *ctx)
{
    cmq_tls_reset(tls);
    SSL *ssl = SSL_new(ctx);
    tls->inbound = BIO_new(BIO_s_mem());
    tls->outbound = BIO_new(BIO_s_mem());
    if (ssl == NULL || tls->inbound == NULL || tls->outbound == NULL || cmq_tls_set_verification(tls, ssl) != 1) {
        SSL_free(ssl);
        cmq_tls_reset(tls);
        return NULL;
    }
    BIO_set_mem_eof_return(tls->inbound, -1);
    // The SSL owns one reference.
    BIO_up_ref(tls->inbound);
    BIO_up_ref(tls->outbound);
    SSL_set_bio(ssl, tls->inbound, tls->outbound);
    SSL_set_app_data(ssl, tls);
    SSL_set_connect_state(ssl);
    SSL_set_tlsext_host_name(ssl, tls->server_name);
    if (tls->requires_staple) {
        SSL_set_tlsext_status_type(ssl, TLSEXT_STATUSTYPE_ocsp);
    }
    if (tls->session != NULL) {
        // RFC 8446, appendix C.4: a ticket is used only once, so that connections cannot be linked.
        tls->session_offered = SSL_set_session(ssl, tls->session) == 1;
        cmq_tls_forget_session(tls);
    }
    return ssl;
}

static void rest(BIO *bio)
{
    BUF_MEM *memory = NULL;
    if (bio == NULL || BIO_ctrl_pending(bio) > 0 || BIO_get_mem_ptr(bio, &memory) <= 0 || memory->max == 0) {
        return;
    }
    BUF_MEM *empty = BUF_MEM_new();
    if (empty != NULL) {
        BIO_set_mem_buf(bio, empty, BIO_CLOSE);
    }
}

void cmq_tls_rest(cmq_tls *tls, SSL *ssl)
{
    // OpenSSL checks only for undecrypted bytes; decrypted bytes that were not read yet are in the same buffer.
    if (SSL_pending(ssl) > 0 || SSL_in_init(ssl)) {
        return;
    }
    SSL_free_buffers(ssl);
    rest(tls->inbound);
    rest(tls->outbound);
}

static cmq_tls_status fail(cmq_tls *tls)
{
    tls->reason_code = cmq_error_reason(tls->reason, sizeof tls->reason, false);
    return CMQ_TLS_FAILED;
}

cmq_tls_status cmq_tls_handshake(cmq_tls *tls, SSL *ssl)
{
    clear_errors();
    int rc = SSL_do_handshake(ssl);
    if (rc == 1) {
        // In TLS 1.2 a session that was resumed without a new ticket can be used again.
        if (tls->session == NULL && SSL_version(ssl) < TLS1_3_VERSION) {
            cmq_tls_keep_session(tls, SSL_get_session(ssl));
        }
        return CMQ_TLS_DONE;
    }
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return CMQ_TLS_WANT_MORE;
    case SSL_ERROR_WANT_RETRY_VERIFY:
        return CMQ_TLS_ASKS;
    case SSL_ERROR_ZERO_RETURN:
        return CMQ_TLS_CLOSED;
    default:
        return fail(tls);
    }
}

const char *cmq_tls_group(SSL *ssl)
{
    // SSL_get0_group_name() is one of OpenSSL 3.2.
    int group = (int)SSL_get_negotiated_group(ssl);
    return group == NID_undef ? NULL : SSL_group_to_name(ssl, group);
}

int cmq_tls_read(cmq_tls *tls, SSL *ssl, void *buffer, int size)
{
    clear_errors();
    int rc = SSL_read(ssl, buffer, size);
    if (rc > 0) {
        return rc;
    }
    switch (SSL_get_error(ssl, rc)) {
    case SSL_ERROR_WANT_READ:
    case SSL_ERROR_WANT_WRITE:
        return CMQ_TLS_WANT_MORE;
    case SSL_ERROR_ZERO_RETURN:
        return CMQ_TLS_CLOSED;
    default:
        return fail(tls);
    }
}

bool cmq_tls_write(SSL *ssl, const void *bytes, int length)
{
    clear_errors();
    return SSL_write(ssl, bytes, length) == length;
}

bool cmq_tls_feed(cmq_tls *tls, const void *bytes, size_t length)
{
    return tls->inbound != NULL && BIO_write(tls->inbound, bytes, (int)length) == (int)length;
}

size_t cmq_tls_unsent(cmq_tls *tls)
{
    return tls->outbound != NULL ? BIO_ctrl_pending(tls->outbound) : 0;
}

size_t cmq_tls_output(cmq_tls *tls, const void **bytes)
{
    char *start = NULL;
    long length = tls->outbound != NULL ? BIO_get_mem_data(tls->outbound, &start) : 0;
    *bytes = start;
    return length > 0 ? (size_t)length : 0;
}

void cmq_tls_sent(cmq_tls *tls, size_t count)
{
    static _Thread_local char discarded[16384];
    while (count > 0 && tls->outbound != NULL) {
        int taken = BIO_read(tls->outbound, discarded, (int)(count < sizeof discarded ? count : sizeof discarded));
        if (taken <= 0) {
            return;
        }
        count -= (size_t)taken;
    }
}
