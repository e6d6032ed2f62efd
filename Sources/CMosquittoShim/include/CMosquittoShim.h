// SPDX-License-Identifier: Apache-2.0

// Functions that Swift cannot express: OpenSSL's macros and callbacks, the TLS stream over memory BIOs, a libmosquitto
// whose side effects on the process are undone. Nothing here decides anything; Sources/Mosquitto does.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#ifdef __linux__
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#endif

#include <mosquitto.h>
#if LIBMOSQUITTO_VERSION_NUMBER < 2001000
// mosquitto.h includes it from 2.1 on, and a warning is all that is left of this one.
#include <mqtt_protocol.h>
#endif
#include <openssl/ssl.h>

// ---- libmosquitto ----

// mosquitto_new() that leaves the process's SIGPIPE disposition as it was: up to 2.0.14 it sets SIG_IGN.
// Returns NULL and sets errno on failure.
struct mosquitto *cmq_new(const char *client_id, bool clean_start, void *user_data);

// ---- Clocks ----

// Reading of a clock in nanoseconds.
int64_t cmq_clock(clockid_t clock);

// ---- Descriptors ----

// accept() of a non-blocking socket that is closed on exec; Linux sets both flags at its creation. On Darwin it raises no
// SIGPIPE.
int cmq_accept(int listener);

// Returns a descriptor of the inode at a path, which need not be an openable file. Linux only; -1 elsewhere.
int cmq_open_inode(const char *path);

// True if this process connected a Unix socket.
bool cmq_peer_is_this_process(int socket);

// Number of received bytes that were not read; 0 if unknown. Swift cannot import Darwin's FIONREAD.
int cmq_input_count(int socket);

// Number of bytes in the send buffer, including those that a TCP peer has not acknowledged; 0 if unknown.
int cmq_output_count(int socket);

// ---- Network ----

// The sequence number of the request for the state of all interfaces.
#define CMQ_NETWORK_REQUEST 1u

// Opens a socket that receives the kernel's notifications of links, addresses and routes (rtnetlink(7)), and requests the
// state of all interfaces. Linux only: -1 with ENOTSUP elsewhere.
int cmq_open_network_watch(void);

// Receives a datagram of the kernel. ENOBUFS: some were lost.
ssize_t cmq_receive_network_change(int watch, void *buffer, size_t size);

// ---- Randomness ----

// Fills at most 256 bytes from the system's random source.
bool cmq_random(void *bytes, size_t count);

// ---- Threads ----

// Names the calling thread for debuggers; cut to 15 bytes on Linux.
void cmq_set_thread_name(const char *name);

// ---- TLS ----

// The TLS settings of a connection, the observations of OpenSSL's callbacks, and the memory BIOs. The callbacks find
// the record through the SSL's app data: a record serves one connection at a time, an SSL_CTX any number of records.
// Used on one thread. Pointers that are not owned belong to the creator and must outlive the SSL.
typedef struct cmq_tls {
    // Settings
    const char *server_name;     // for SNI; NULL for none
    const char *verified_name;   // the name that the certificate must have; NULL for no check
    bool verifies_address;       // true if verified_name is an address
    X509_STORE *trust;           // NULL for the context's
    bool accepts_common_name;    // the common name counts if the certificate has no alternative name
    bool skips_verification;     // no check of the certificate, except for pins and `asks`
    const unsigned char *pins;   // SHA-256 digests of public keys, one after the other
    size_t pin_count;
    bool asks;                   // the handshake waits for `answer` to accept the certificate
    bool requires_staple;        // fails without a good OCSP response
    const char *psk_identity;    // NULL for none
    const unsigned char *psk;
    size_t psk_length;
    int key_log;                 // a descriptor, or -1
    bool resumes;                // keep sessions for the next connection
    SSL_SESSION *session;        // the newest one; NULL if none. Owned
    X509 *certificate;           // the client certificate; NULL for none. Owned, like the next two
    STACK_OF(X509) *chain;
    EVP_PKEY *key;

    // Observations
    BIO *inbound;                // ciphertext from the broker; owned
    BIO *outbound;               // ciphertext to the broker; owned
    int answer;                  // to `asks`: 0 none yet, 1 accepted, -1 refused
    long verify_error;           // X509_V_ERR_...; 0 if none
    int verify_depth;
    X509 *verify_certificate;    // the certificate that failed; NULL if none. Owned
    bool misses_pin;             // verify_error was set because no pin matches
    bool is_verified;            // a certificate has passed all checks in this handshake
    bool is_stapled;             // a good OCSP response has come in this handshake
    bool gave_psk;               // OpenSSL has taken the pre-shared key in this handshake
    bool certificate_requested;  // the broker asked for a client certificate
    bool session_offered;        // the client offered an earlier session
    int alert;                   // the fatal alert; -1 if none
    bool alert_received;
    int reason_code;             // ERR_GET_REASON of a failure of OpenSSL's TLS; 0 if none
    char reason[160];            // and its text; "" if none
} cmq_tls;

// Context (tls_context.c)

// Creates a TLS client context that verifies the peer, with the callbacks that fill the record of each connection.
// `tls` is such a record: its pre-shared key and key log determine the callbacks.
SSL_CTX *cmq_ctx_new(const cmq_tls *tls);

// 0 for no maximum. The others: NULL for OpenSSL's default. 1 on success.
int cmq_ctx_set_versions(SSL_CTX *ctx, int minimum, int maximum);
int cmq_ctx_set_groups(SSL_CTX *ctx, const char *groups);

// Limits the key exchange to groups with ML-KEM (FIPS 203), in this order of preference: those with a classical part
// first. Returns the number of groups that OpenSSL has, after which nothing else is offered; 0 changes nothing.
int cmq_ctx_require_post_quantum(SSL_CTX *ctx);

// OpenSSL's reason for the last error of this thread as text, or for the first one; clears the error queue. Returns the
// reason's number if it is one of OpenSSL's TLS (SSL_R_...), else 0.
int cmq_error_reason(char *buffer, size_t size, bool first);

// Keys and certificates (tls_keys.c)

// A passphrase, and a flag that is set when OpenSSL asks for it.
typedef struct cmq_passphrase {
    const void *bytes; // NULL if there is none
    size_t length;
    bool was_asked;
} cmq_passphrase;

// Adds certificates, in PEM or DER, to a trust store. Returns their number, or -1 if one cannot be read.
int cmq_store_add_certificates(X509_STORE *store, const void *bytes, size_t length);

// Adds certificate revocation lists, in PEM or DER. Returns their number, or -1 if one cannot be read.
int cmq_store_add_crls(X509_STORE *store, const void *bytes, size_t length);

// The record owns the identity, not the SSL_CTX: an SSL_CTX has a slot for each kind of key and would keep presenting
// an earlier certificate of another kind. All functions return 1 on success; cmq_error_reason() explains a failure.

// Sets the certificate, in PEM followed by its chain, or in DER. Replaces an earlier certificate and its key.
int cmq_tls_use_certificate(cmq_tls *tls, const void *bytes, size_t length);

// Adds a certificate in DER to the chain.
int cmq_tls_add_intermediate(cmq_tls *tls, const void *bytes, size_t length);

// Sets the private key, in PEM or DER. Fails if it does not match the certificate, or if `ctx` cannot use them.
int cmq_tls_use_key(cmq_tls *tls, SSL_CTX *ctx, const void *bytes, size_t length, cmq_passphrase *passphrase);

// Sets the certificate, chain and key from a PKCS #12 container.
int cmq_tls_use_pkcs12(cmq_tls *tls, SSL_CTX *ctx, const void *bytes, size_t length, cmq_passphrase *passphrase);

// Sets a private key that stays in a provider's store, or in an engine if one is named.
int cmq_tls_use_stored_key(
    cmq_tls *tls, SSL_CTX *ctx, const char *uri, const char *engine, cmq_passphrase *passphrase);

// True if this library was built for an OpenSSL with engines, which OpenSSL 4.0 has no more.
bool cmq_has_engines(void);

void cmq_tls_forget_identity(cmq_tls *tls);

// Verification (tls_verify.c)

// Installs the checks of the broker's certificate.
void cmq_ctx_install_verification(SSL_CTX *ctx);

// Returns 1 if a certificate can be verified against `name`, a host name or an address.
int cmq_is_verifiable(const char *name, bool is_address);

// Returns 1 if an OCSP response with these times is current, else 0. Without next_update it is valid for 7 days.
int cmq_staple_is_current(ASN1_GENERALIZEDTIME *this_update, ASN1_GENERALIZEDTIME *next_update);

// Applies the record's verification settings to a connection. Returns 1 on success.
int cmq_tls_set_verification(const cmq_tls *tls, SSL *ssl);

// Returns the size of a certificate sent by the broker, in DER; its own has index 0. *der is NULL after the last one.
size_t cmq_tls_peer_certificate(SSL *ssl, int index, unsigned char **der);

// Copies the certificates of the verified chain in the same way, the broker's own first. There are none if no chain
// was verified, which is also the case in a resumed session.
size_t cmq_tls_verified_certificate(SSL *ssl, int index, unsigned char **der);

// Returns the earliest notAfter of the verified chain, in seconds since 1970; INT64_MAX without such a chain.
int64_t cmq_tls_chain_not_after(SSL *ssl);

// Returns the earliest nextUpdate of the revocation lists that vouch for the broker's certificate, or, with
// `whole_chain`, for each certificate of the verified chain except the root. INT64_MAX without one.
int64_t cmq_tls_lists_next_update(SSL *ssl, X509_STORE *store, bool whole_chain);

// Write fields of a certificate as text in UTF-8 (RFC 2253), which may have any character beyond ASCII.
void cmq_certificate_subject(X509 *certificate, char *buffer, size_t size);
void cmq_certificate_issuer(X509 *certificate, char *buffer, size_t size);
void cmq_certificate_serial(X509 *certificate, char *buffer, size_t size);

// Calls `body` for each subject alternative name with its type (GEN_DNS and so on) and its bytes, which are valid during
// the call: the text of a DNS name, an e-mail address or a URI, the bytes of an address, the DER of any other.
typedef void (*cmq_name_body)(void *argument, int type, const unsigned char *bytes, size_t length);
void cmq_certificate_names(X509 *certificate, cmq_name_body body, void *argument);

// Seconds since 1970; 0 if the certificate has no valid time.
int64_t cmq_certificate_not_before(X509 *certificate);
int64_t cmq_certificate_not_after(X509 *certificate);

// Writes the SHA-256 digest of the public key. Returns 1 on success.
int cmq_certificate_pin(X509 *certificate, unsigned char digest[32]);

// Stream (tls_stream.c)

// Clears the observations of the last connection and frees its BIOs. Keeps the session.
void cmq_tls_reset(cmq_tls *tls);

// Frees everything that the record owns.
void cmq_tls_free(cmq_tls *tls);

// Discards the session: the next handshake is a full one, with all checks.
void cmq_tls_forget_session(cmq_tls *tls);

// Keeps a session for the next connection, if the record keeps sessions.
void cmq_tls_keep_session(cmq_tls *tls, const SSL_SESSION *session);

// Creates a connection on memory BIOs with the record's name, trust and session, and clears earlier observations.
// Returns NULL if memory runs out, or if the name cannot be verified.
SSL *cmq_tls_start(cmq_tls *tls, SSL_CTX *ctx);

typedef enum {
    CMQ_TLS_DONE = 1,       // the handshake is finished
    CMQ_TLS_WANT_MORE = 0,  // more ciphertext is needed
    CMQ_TLS_FAILED = -1,    // see the fields of cmq_tls
    CMQ_TLS_CLOSED = -2,    // the peer sent close_notify
    CMQ_TLS_ASKS = -3,      // `answer` must be set before the handshake resumes
} cmq_tls_status;

cmq_tls_status cmq_tls_handshake(cmq_tls *tls, SSL *ssl);

// Returns the name of the group of a finished handshake's key exchange, as OpenSSL has it; NULL if there was none, such
// as with finite-field Diffie-Hellman of TLS 1.2. A session of TLS 1.2 that was resumed has the group of its beginning.
const char *cmq_tls_group(SSL *ssl);

// Decrypts bytes of the next record. Returns their number if it is positive, else a cmq_tls_status.
int cmq_tls_read(cmq_tls *tls, SSL *ssl, void *buffer, int size);

// Encrypts all bytes into the memory BIO.
bool cmq_tls_write(SSL *ssl, const void *bytes, int length);

// Releases the memory that an idle connection does not need: OpenSSL's records and the memory BIOs' buffers.
void cmq_tls_rest(cmq_tls *tls, SSL *ssl);

// Adds ciphertext from the broker.
bool cmq_tls_feed(cmq_tls *tls, const void *bytes, size_t length);

// Returns the number of bytes of unsent ciphertext.
size_t cmq_tls_unsent(cmq_tls *tls);

// Returns the number of bytes of unsent ciphertext that *bytes points to, valid until the next call for `tls`.
size_t cmq_tls_output(cmq_tls *tls, const void **bytes);

// Discards so many bytes of it, which were sent.
void cmq_tls_sent(cmq_tls *tls, size_t count);
