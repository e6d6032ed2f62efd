// What Swift cannot write itself: OpenSSL's macros and callbacks, the TLS stream over memory BIOs, and a libmosquitto
// whose side effects on the process are undone. Nothing here decides anything; Sources/Mosquitto/Native and TLS do.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#endif

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/ssl.h>

// ---- libmosquitto ----

// mosquitto_new() that leaves the process's SIGPIPE disposition as it was: up to 2.0.14 it sets SIG_IGN.
// Returns NULL and sets errno on failure.
struct mosquitto *cmq_new(const char *client_id, bool clean_start, void *user_data);

// Stores the CONNECT properties for the next mosquitto_connect_async(), which cannot take any itself: a blocking connect
// to an empty host fails at once, without I/O, but keeps them (libmosquitto 2.0.11 to 2.1.2).
void cmq_set_connect_properties(struct mosquitto *mosq, int keep_alive, const mosquitto_property *properties);

// mosquitto_connect_async() with the errno that it left in *error (Swift may clobber it).
int cmq_connect_async(struct mosquitto *mosq, const char *address, int port, int keep_alive, int *error);

// ---- Threads ----

// Names the calling thread for debuggers; cut to 15 bytes on Linux.
void cmq_set_thread_name(const char *name);

// ---- TLS ----

// What OpenSSL's callbacks saw of one connection, and its memory BIOs. It is found through the SSL_CTX's app data, so a
// context serves one connection at a time. Used on one thread.
typedef struct cmq_tls {
    const char *server_name;     // for SNI; NULL for none. Owned by the creator.
    BIO *inbound;                // ciphertext from the broker; owned
    BIO *outbound;               // ciphertext to the broker; owned
    long verify_error;           // X509_V_ERR_...; 0 if none
    int verify_depth;
    char verify_subject[256];
    int alert;                   // the fatal alert; -1 if none
    bool alert_received;
    char reason[160];            // OpenSSL's reason for a failure; "" if none
    bool resumes;                // whether sessions are kept for the next connection
    SSL_SESSION *session;        // the newest one; NULL if none. Owned
} cmq_tls;

// A TLS client context with minimum version 1.2, verification of the peer on, and the callbacks that fill `tls`.
SSL_CTX *cmq_ctx_new(cmq_tls *tls);

// Verifies the broker's certificate against this host name, or this address if it is one. 1 on success.
int cmq_ctx_verify_name(SSL_CTX *ctx, const char *name, bool is_address);

// Adds the PEM certificates in `pem` to the trust store. Returns how many, or -1 if one cannot be read.
int cmq_ctx_trust_pem(SSL_CTX *ctx, const void *pem, size_t length);

// Uses a certificate chain and a private key in PEM. 1 on success; the reason of a failure is cmq_error_reason().
int cmq_ctx_use_certificate_pem(SSL_CTX *ctx, const void *pem, size_t length);
int cmq_ctx_use_key_pem(SSL_CTX *ctx, const void *pem, size_t length);

// OpenSSL's reason for the last error of this thread as text; clears the error queue.
void cmq_error_reason(char *buffer, size_t size);

// Forgets what was seen of the last connection and frees its BIOs. The session stays.
void cmq_tls_reset(cmq_tls *tls);

// Forgets the session: the next handshake is a full one, with all checks.
void cmq_tls_forget_session(cmq_tls *tls);

// Puts memory BIOs under `ssl` and sets SNI, unless the handshake's start has done so already.
void cmq_tls_attach(cmq_tls *tls, SSL *ssl);

typedef enum {
    CMQ_TLS_DONE = 1,       // the handshake is finished
    CMQ_TLS_WANT_MORE = 0,  // more ciphertext is needed
    CMQ_TLS_FAILED = -1,    // see the fields of cmq_tls
    CMQ_TLS_CLOSED = -2,    // the peer sent close_notify
} cmq_tls_status;

cmq_tls_status cmq_tls_handshake(cmq_tls *tls, SSL *ssl);

// Decrypts the next record, if there is one, and copies its plaintext without consuming it. > 0: the number of bytes.
int cmq_tls_peek(cmq_tls *tls, SSL *ssl, void *buffer, int size);

// Consumes plaintext that was looked at and is not for libmosquitto.
void cmq_tls_discard(SSL *ssl, void *buffer, int size);

// Encrypts a packet of our own; the memory BIO takes it whole.
bool cmq_tls_write(SSL *ssl, const void *bytes, int length);

// Plaintext and ciphertext that libmosquitto has not consumed yet.
size_t cmq_tls_unread(cmq_tls *tls, SSL *ssl);

// Adds ciphertext from the broker.
bool cmq_tls_feed(cmq_tls *tls, const void *bytes, size_t length);

// Ciphertext that has not been sent yet.
size_t cmq_tls_unsent(cmq_tls *tls);

// Sends what can be sent without blocking or SIGPIPE. 0, or an errno other than EAGAIN.
int cmq_tls_send(cmq_tls *tls, int socket);
