// What Swift cannot write itself: OpenSSL's macros and callbacks, the TLS stream over memory BIOs, and a libmosquitto
// whose side effects on the process are undone. Nothing here decides anything; Sources/Mosquitto does.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

#include <mosquitto.h>
#include <mqtt_protocol.h>
#include <openssl/ssl.h>

// ---- libmosquitto ----

// mosquitto_new() that leaves the process's SIGPIPE disposition as it was: up to 2.0.14 it sets SIG_IGN.
// Returns NULL and sets errno on failure.
struct mosquitto *cmq_new(const char *client_id, bool clean_start, void *user_data);

// ---- Descriptors ----

// accept() of a socket that never blocks and is closed on exec, on Linux both from its first moment.
int cmq_accept(int listener);

// A descriptor of what is at a path, which need not be a file that can be opened: Linux alone. -1 elsewhere.
int cmq_open_inode(const char *path);

// Whether a Unix socket was connected by this process.
bool cmq_peer_is_this_process(int socket);

// ---- Threads ----

// Names the calling thread for debuggers; cut to 15 bytes on Linux.
void cmq_set_thread_name(const char *name);

// ---- TLS ----

// What one connection's TLS is to do, what OpenSSL's callbacks saw of it, and its memory BIOs. It is found through the
// SSL's app data, so a record serves one connection at a time, and an SSL_CTX any number of records. Used on one thread.
// What is not owned belongs to the creator and has to outlive the SSL.
typedef struct cmq_tls {
    // What to do
    const char *server_name;     // for SNI; NULL for none
    const char *verified_name;   // what the certificate has to name; NULL for no check
    bool verifies_address;       // it is an address, and no host name
    X509_STORE *trust;           // NULL for the context's
    bool skips_verification;     // of the certificate; pins and `asks` stay
    const unsigned char *pins;   // SHA-256 digests of public keys, one after the other
    size_t pin_count;
    bool asks;                   // somebody else has the last word on the certificate
    bool requires_staple;        // a good OCSP response
    const char *psk_identity;    // NULL for none
    const unsigned char *psk;
    size_t psk_length;
    int key_log;                 // a descriptor, or -1
    bool resumes;                // whether sessions are kept for the next connection
    SSL_SESSION *session;        // the newest one; NULL if none. Owned
    X509 *certificate;           // what to show to a broker that asks; NULL for nothing. Owned, like the next two
    STACK_OF(X509) *chain;
    EVP_PKEY *key;

    // What was seen
    BIO *inbound;                // ciphertext from the broker; owned
    BIO *outbound;               // ciphertext to the broker; owned
    int answer;                  // to `asks`: 0 none yet, 1 accepted, -1 refused
    long verify_error;           // X509_V_ERR_...; 0 if none
    int verify_depth;
    X509 *verify_certificate;    // the one that failed; NULL if there is none. Owned
    bool misses_pin;             // verify_error is because no pin matches
    bool certificate_requested;  // the broker asked for a client certificate
    bool session_offered;        // an earlier session
    int alert;                   // the fatal alert; -1 if none
    bool alert_received;
    int reason_code;             // ERR_GET_REASON of a failure of OpenSSL's TLS; 0 if none
    char reason[160];            // and its text; "" if none
} cmq_tls;

// Context (tls_context.c)

// A TLS client context with verification of the peer on, and the callbacks that fill the record of each connection. `tls`
// is such a record, and says whether there is a pre-shared key and a key log.
SSL_CTX *cmq_ctx_new(const cmq_tls *tls);

// 0 for no maximum. The others: NULL for OpenSSL's default. 1 on success.
int cmq_ctx_set_versions(SSL_CTX *ctx, int minimum, int maximum);
int cmq_ctx_set_groups(SSL_CTX *ctx, const char *groups);

// OpenSSL's reason for the last error of this thread as text, or for the first one; clears the error queue. Returns the
// reason's number if it is one of OpenSSL's TLS (SSL_R_...), else 0.
int cmq_error_reason(char *buffer, size_t size, bool first);

// Keys and certificates (tls_keys.c)

// What asks for a passphrase, and whether it was asked for one.
typedef struct cmq_passphrase {
    const void *bytes; // NULL if there is none
    size_t length;
    bool was_asked;
} cmq_passphrase;

// Adds certificates, in PEM or DER, to a trust store. Returns how many, or -1 if one cannot be read.
int cmq_store_add_certificates(X509_STORE *store, const void *bytes, size_t length);

// Adds certificate revocation lists, in PEM or DER. Returns how many, or -1 if one cannot be read.
int cmq_store_add_crls(X509_STORE *store, const void *bytes, size_t length);

// The identity is the record's and not the SSL_CTX's, which has a place for each kind of key and would go on showing a
// certificate of another kind. All return 1 on success; the reason of a failure is cmq_error_reason().

// Takes a certificate, in PEM with its chain after it, or in DER, in the place of an earlier one and its key.
int cmq_tls_use_certificate(cmq_tls *tls, const void *bytes, size_t length);

// Adds a certificate in DER to its chain.
int cmq_tls_add_intermediate(cmq_tls *tls, const void *bytes, size_t length);

// Takes its private key, in PEM or DER, and checks that the two belong together and that `ctx` can use them.
int cmq_tls_use_key(cmq_tls *tls, SSL_CTX *ctx, const void *bytes, size_t length, cmq_passphrase *passphrase);

// Takes certificate, chain and key of a PKCS #12 container.
int cmq_tls_use_pkcs12(cmq_tls *tls, SSL_CTX *ctx, const void *bytes, size_t length, cmq_passphrase *passphrase);

// Takes a private key that stays where it is: in a provider's store, or in an engine if one is named.
int cmq_tls_use_stored_key(
    cmq_tls *tls, SSL_CTX *ctx, const char *uri, const char *engine, cmq_passphrase *passphrase);

void cmq_tls_forget_identity(cmq_tls *tls);

// Verification (tls_verify.c)

// Installs the checks of the broker's certificate.
void cmq_ctx_install_verification(SSL_CTX *ctx);

// Whether a certificate can be verified against this host name, or this address if it is one.
int cmq_is_verifiable(const char *name, bool is_address);

// Whether an OCSP response with these times can be used now: 1 or 0. next_update may be NULL; then it is good for 7 days.
int cmq_staple_is_current(ASN1_GENERALIZEDTIME *this_update, ASN1_GENERALIZEDTIME *next_update);

// Sets what one connection verifies its broker by. 1 on success.
int cmq_tls_set_verification(const cmq_tls *tls, SSL *ssl);

// The certificates that the broker has sent, its own first, in DER. NULL after the last one, or the number of bytes.
size_t cmq_tls_peer_certificate(SSL *ssl, int index, unsigned char **der);

// Fields of a certificate as text. `names` gives the subject alternative names, separated by line feeds.
void cmq_certificate_subject(X509 *certificate, char *buffer, size_t size);
void cmq_certificate_issuer(X509 *certificate, char *buffer, size_t size);
void cmq_certificate_serial(X509 *certificate, char *buffer, size_t size);
void cmq_certificate_names(X509 *certificate, char *buffer, size_t size);

// Seconds since 1970; 0 if the certificate has no valid time.
int64_t cmq_certificate_not_before(X509 *certificate);
int64_t cmq_certificate_not_after(X509 *certificate);

// The SHA-256 digest of its public key. 1 on success.
int cmq_certificate_pin(X509 *certificate, unsigned char digest[32]);

// Stream (tls_stream.c)

// Forgets what was seen of the last connection and frees its BIOs. The session stays.
void cmq_tls_reset(cmq_tls *tls);

// Frees all that the record owns.
void cmq_tls_free(cmq_tls *tls);

// Forgets the session: the next handshake is a full one, with all checks.
void cmq_tls_forget_session(cmq_tls *tls);

// Keeps a session for the next connection, if sessions are kept at all.
void cmq_tls_keep_session(cmq_tls *tls, const SSL_SESSION *session);

// A connection on memory BIOs, with the record's name, trust and session. What was seen of the last one is forgotten. NULL if there
// is no memory, or the name cannot be verified.
SSL *cmq_tls_start(cmq_tls *tls, SSL_CTX *ctx);

typedef enum {
    CMQ_TLS_DONE = 1,       // the handshake is finished
    CMQ_TLS_WANT_MORE = 0,  // more ciphertext is needed
    CMQ_TLS_FAILED = -1,    // see the fields of cmq_tls
    CMQ_TLS_CLOSED = -2,    // the peer sent close_notify
    CMQ_TLS_ASKS = -3,      // an answer has to be set before the handshake goes on
} cmq_tls_status;

cmq_tls_status cmq_tls_handshake(cmq_tls *tls, SSL *ssl);

// Decrypts what it can of the next record. > 0: the number of bytes.
int cmq_tls_read(cmq_tls *tls, SSL *ssl, void *buffer, int size);

// Encrypts; the memory BIO takes it whole.
bool cmq_tls_write(SSL *ssl, const void *bytes, int length);

// Gives back the memory that an idle connection does not need: OpenSSL's records and what passed the memory BIOs.
void cmq_tls_rest(cmq_tls *tls, SSL *ssl);

// Adds ciphertext from the broker.
bool cmq_tls_feed(cmq_tls *tls, const void *bytes, size_t length);

// Ciphertext that has not been sent yet.
size_t cmq_tls_unsent(cmq_tls *tls);

// Sends what can be sent without blocking or SIGPIPE. 0, or an errno other than EAGAIN.
int cmq_tls_send(cmq_tls *tls, int socket);
