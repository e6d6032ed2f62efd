#include "CMosquittoShim.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 // Darwin: SO_NOSIGPIPE is set on the socket instead
#endif

void cmq_error_reason(char *buffer, size_t size)
{
    unsigned long error = ERR_peek_last_error();
    const char *text = ERR_reason_error_string(error);
    if (error != 0 && text == NULL && ERR_SYSTEM_ERROR(error)) {
        text = strerror(ERR_GET_REASON(error));
    }
    strncpy(buffer, text != NULL ? text : "", size - 1);
    buffer[size - 1] = '\0';
    ERR_clear_error();
}

// ---- Callbacks ----

// Records the first check that fails; the result of the verification stays OpenSSL's.
static int verify_callback(int ok, X509_STORE_CTX *store)
{
    SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    cmq_tls *tls = ssl != NULL ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl)) : NULL;
    if (!ok && tls != NULL && tls->verify_error == 0) {
        tls->verify_error = X509_STORE_CTX_get_error(store);
        tls->verify_depth = X509_STORE_CTX_get_error_depth(store);
        X509 *certificate = X509_STORE_CTX_get_current_cert(store);
        BIO *line = certificate != NULL ? BIO_new(BIO_s_mem()) : NULL;
        if (line != NULL) {
            X509_NAME_print_ex(line, X509_get_subject_name(certificate), 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
            int length = BIO_read(line, tls->verify_subject, sizeof tls->verify_subject - 1);
            tls->verify_subject[length > 0 ? length : 0] = '\0';
            BIO_free(line);
        }
    }
    return ok;
}

static void info_callback(const SSL *ssl, int where, int value)
{
    cmq_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (tls == NULL) {
        return;
    }
    if (where & SSL_CB_HANDSHAKE_START) {
        // libmosquitto <= 2.0.14 calls SSL_connect inside mosquitto_connect_async: this is the last moment before its
        // first byte, so no TLS ever runs on the socket itself.
        cmq_tls_attach(tls, (SSL *)ssl);
    }
    if ((where & SSL_CB_ALERT) && tls->alert < 0) {
        int description = value & 0xff;
        if (description != SSL_AD_CLOSE_NOTIFY && description != SSL_AD_USER_CANCELLED) {
            tls->alert = description;
            tls->alert_received = (where & SSL_CB_READ) != 0;
        }
    }
}

// Keeps a copy: OpenSSL marks its own session as not resumable when the connection ends without close_notify.
static void keep_session(cmq_tls *tls, const SSL_SESSION *session)
{
    if (tls->resumes && SSL_SESSION_is_resumable(session)) {
        cmq_tls_forget_session(tls);
        tls->session = SSL_SESSION_dup(session);
    }
}

static int new_session_callback(SSL *ssl, SSL_SESSION *session)
{
    cmq_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(ssl));
    if (tls != NULL) {
        keep_session(tls, session);
    }
    return 0; // OpenSSL keeps its reference
}

// ---- Context ----

SSL_CTX *cmq_ctx_new(cmq_tls *tls)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());
    if (ctx == NULL) {
        return NULL;
    }
    SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
    SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
    SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, verify_callback);
    SSL_CTX_set_info_callback(ctx, info_callback);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(ctx, new_session_callback);
    SSL_CTX_set_app_data(ctx, tls);
    return ctx;
}

int cmq_ctx_verify_name(SSL_CTX *ctx, const char *name, bool is_address)
{
    X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    // The context may have been for another host: a name and an address that are both set are both required.
    if (is_address) {
        return X509_VERIFY_PARAM_set1_host(param, NULL, 0) == 1 && X509_VERIFY_PARAM_set1_ip_asc(param, name) == 1;
    }
    return X509_VERIFY_PARAM_set1_ip(param, NULL, 0) == 1 && X509_VERIFY_PARAM_set1_host(param, name, 0) == 1;
}

int cmq_ctx_trust_pem(SSL_CTX *ctx, const void *pem, size_t length)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    X509_STORE *store = SSL_CTX_get_cert_store(ctx);
    int count = 0;
    X509 *certificate;
    while (bio != NULL && (certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
        if (X509_STORE_add_cert(store, certificate) == 1) {
            count++;
        }
        X509_free(certificate);
    }
    BIO_free(bio);
    // The end of the text shows as "no start line"; anything else is a damaged certificate.
    unsigned long error = ERR_peek_last_error();
    if (error != 0 && !(ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)) {
        return -1;
    }
    ERR_clear_error();
    return count;
}

int cmq_ctx_use_certificate_pem(SSL_CTX *ctx, const void *pem, size_t length)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    X509 *certificate = bio != NULL ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : NULL;
    int ok = certificate != NULL && SSL_CTX_use_certificate(ctx, certificate) == 1;
    X509_free(certificate);
    if (ok) {
        SSL_CTX_clear_chain_certs(ctx);
        while ((certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
            if (SSL_CTX_add0_chain_cert(ctx, certificate) != 1) {
                X509_free(certificate);
                ok = 0;
                break;
            }
        }
        if (ok) {
            ERR_clear_error();
        }
    }
    BIO_free(bio);
    return ok;
}

// Without it, OpenSSL would ask for the passphrase of an encrypted key on the terminal.
static int no_passphrase(char *buffer, int size, int writing, void *context)
{
    (void)buffer, (void)size, (void)writing, (void)context;
    return -1;
}

int cmq_ctx_use_key_pem(SSL_CTX *ctx, const void *pem, size_t length)
{
    BIO *bio = BIO_new_mem_buf(pem, (int)length);
    EVP_PKEY *key = bio != NULL ? PEM_read_bio_PrivateKey(bio, NULL, no_passphrase, NULL) : NULL;
    int ok = key != NULL && SSL_CTX_use_PrivateKey(ctx, key) == 1 && SSL_CTX_check_private_key(ctx) == 1;
    EVP_PKEY_free(key);
    BIO_free(bio);
    return ok;
}

// ---- Stream ----

void cmq_tls_reset(cmq_tls *tls)
{
    BIO_free(tls->inbound);
    BIO_free(tls->outbound);
    tls->inbound = NULL;
    tls->outbound = NULL;
    tls->verify_error = 0;
    tls->verify_depth = 0;
    tls->verify_subject[0] = '\0';
    tls->alert = -1;
    tls->alert_received = false;
    tls->reason[0] = '\0';
}

void cmq_tls_forget_session(cmq_tls *tls)
{
    SSL_SESSION_free(tls->session);
    tls->session = NULL;
}

void cmq_tls_attach(cmq_tls *tls, SSL *ssl)
{
    if (tls->inbound != NULL) {
        return;
    }
    tls->inbound = BIO_new(BIO_s_mem());
    tls->outbound = BIO_new(BIO_s_mem());
    if (tls->inbound == NULL || tls->outbound == NULL) {
        return; // out of memory; the handshake fails on the socket BIO
    }
    BIO_set_mem_eof_return(tls->inbound, -1);
    // One reference is the SSL's. Ours outlives it: libmosquitto frees the SSL right after it wrote a DISCONNECT.
    BIO_up_ref(tls->inbound);
    BIO_up_ref(tls->outbound);
    SSL_set0_rbio(ssl, tls->inbound);
    SSL_set0_wbio(ssl, tls->outbound);
    SSL_set_tlsext_host_name(ssl, tls->server_name);
    if (tls->session != NULL) {
        // RFC 8446, appendix C.4: a ticket is used once, so that connections cannot be linked.
        SSL_set_session(ssl, tls->session);
        cmq_tls_forget_session(tls);
    }
}

static cmq_tls_status fail(cmq_tls *tls)
{
    cmq_error_reason(tls->reason, sizeof tls->reason);
    return CMQ_TLS_FAILED;
}

cmq_tls_status cmq_tls_handshake(cmq_tls *tls, SSL *ssl)
{
    ERR_clear_error();
    int rc = SSL_do_handshake(ssl);
    if (rc == 1) {
        // In TLS 1.2 a session that was resumed without a new ticket is good for another time.
        if (tls->session == NULL && SSL_version(ssl) < TLS1_3_VERSION) {
            keep_session(tls, SSL_get_session(ssl));
        }
        return CMQ_TLS_DONE;
    }
    int error = SSL_get_error(ssl, rc);
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE ? CMQ_TLS_WANT_MORE : fail(tls);
}

int cmq_tls_peek(cmq_tls *tls, SSL *ssl, void *buffer, int size)
{
    ERR_clear_error();
    int rc = SSL_peek(ssl, buffer, size);
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

void cmq_tls_discard(SSL *ssl, void *buffer, int size)
{
    ERR_clear_error();
    (void)SSL_read(ssl, buffer, size);
}

bool cmq_tls_write(SSL *ssl, const void *bytes, int length)
{
    ERR_clear_error();
    return SSL_write(ssl, bytes, length) == length;
}

size_t cmq_tls_unread(cmq_tls *tls, SSL *ssl)
{
    return (size_t)SSL_pending(ssl) + (tls->inbound != NULL ? BIO_ctrl_pending(tls->inbound) : 0);
}

bool cmq_tls_feed(cmq_tls *tls, const void *bytes, size_t length)
{
    return tls->inbound != NULL && BIO_write(tls->inbound, bytes, (int)length) == (int)length;
}

size_t cmq_tls_unsent(cmq_tls *tls)
{
    return tls->outbound != NULL ? BIO_ctrl_pending(tls->outbound) : 0;
}

int cmq_tls_send(cmq_tls *tls, int socket)
{
    static _Thread_local char discarded[16384];
    while (tls->outbound != NULL) {
        char *bytes;
        long length = BIO_get_mem_data(tls->outbound, &bytes);
        if (length <= 0) {
            return 0;
        }
        ssize_t sent = send(socket, bytes, (size_t)length, MSG_NOSIGNAL);
        if (sent < 0) {
            if (errno == EINTR) {
                continue;
            }
            return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : errno;
        }
        for (ssize_t left = sent; left > 0;) {
            int chunk = left < (ssize_t)sizeof discarded ? (int)left : (int)sizeof discarded;
            int taken = BIO_read(tls->outbound, discarded, chunk);
            if (taken <= 0) {
                break;
            }
            left -= taken;
        }
    }
    return 0;
}
