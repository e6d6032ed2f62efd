// SPDX-License-Identifier: Apache-2.0

#include "CMosquittoShim.h"

#include <string.h>
#include <time.h>

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <openssl/x509v3.h>

static cmq_tls *record_of(X509_STORE_CTX *store, SSL **ssl)
{
    *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
    return *ssl != NULL ? SSL_get_app_data(*ssl) : NULL;
}

// Records the first check that failed.
static void note(cmq_tls *tls, long error, int depth, X509 *certificate)
{
    if (tls->verify_error != 0) {
        return;
    }
    tls->verify_error = error;
    tls->verify_depth = depth;
    if (certificate != NULL && X509_up_ref(certificate) == 1) {
        tls->verify_certificate = certificate;
    }
}

// Leaves the result of each check of X509_verify_cert unchanged.
static int check_callback(int ok, X509_STORE_CTX *store)
{
    SSL *ssl;
    cmq_tls *tls = record_of(store, &ssl);
    if (!ok && tls != NULL) {
        note(tls, X509_STORE_CTX_get_error(store), X509_STORE_CTX_get_error_depth(store),
             X509_STORE_CTX_get_current_cert(store));
    }
    return ok;
}

// ---- Pins ----

int cmq_certificate_pin(X509 *certificate, unsigned char digest[32])
{
    unsigned char *der = NULL;
    int length = i2d_X509_PUBKEY(X509_get_X509_PUBKEY(certificate), &der);
    int ok = length > 0 && EVP_Digest(der, (size_t)length, digest, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return ok;
}

static bool is_pinned(const cmq_tls *tls, X509 *certificate)
{
    unsigned char digest[32];
    if (certificate == NULL || cmq_certificate_pin(certificate, digest) != 1) {
        return false;
    }
    for (size_t i = 0; i < tls->pin_count; i++) {
        if (memcmp(tls->pins + 32 * i, digest, 32) == 0) {
            return true;
        }
    }
    return false;
}

// A pin may match any certificate of a verified chain; of an unverified chain, only the broker's own.
static bool has_pin(const cmq_tls *tls, X509_STORE_CTX *store)
{
    if (tls->skips_verification) {
        return is_pinned(tls, X509_STORE_CTX_get0_cert(store));
    }
    STACK_OF(X509) *chain = X509_STORE_CTX_get0_chain(store);
    for (int i = 0; i < sk_X509_num(chain); i++) {
        if (is_pinned(tls, sk_X509_value(chain, i))) {
            return true;
        }
    }
    return false;
}

// ---- The broker's certificate ----

static int refuse(cmq_tls *tls, X509_STORE_CTX *store)
{
    note(tls, X509_V_ERR_APPLICATION_VERIFICATION, 0, X509_STORE_CTX_get0_cert(store));
    X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
    return 0;
}

static int verify_callback(X509_STORE_CTX *store, void *argument)
{
    (void)argument;
    SSL *ssl;
    cmq_tls *tls = record_of(store, &ssl);
    if (tls == NULL) {
        return 0;
    }
    if (!tls->skips_verification && X509_verify_cert(store) != 1) {
        note(tls, X509_STORE_CTX_get_error(store), 0, X509_STORE_CTX_get0_cert(store));
        return 0;
    }
    if (tls->pin_count > 0 && !has_pin(tls, store)) {
        tls->misses_pin = true;
        return refuse(tls, store);
    }
    if (tls->asks && tls->answer == 0) {
        // The handshake stops with CMQ_TLS_ASKS; these checks are repeated when it resumes.
        return SSL_set_retry_verify(ssl) == 1 ? 1 : refuse(tls, store);
    }
    if (tls->asks && tls->answer < 0) {
        return refuse(tls, store);
    }
    tls->is_verified = X509_STORE_CTX_get0_cert(store) != NULL;
    X509_STORE_CTX_set_error(store, X509_V_OK);
    return 1;
}

// ---- OCSP ----

// Number of seconds for which a response without nextUpdate is valid. Its absence means that newer information is
// always available (RFC 6960, section 4.2.2.1), so an old response may be a replay.
static const long longest_staple = 7 * 24 * 3600;

int cmq_staple_is_current(ASN1_GENERALIZEDTIME *this_update, ASN1_GENERALIZEDTIME *next_update)
{
    // Clocks may differ by five minutes.
    return OCSP_check_validity(this_update, next_update, 300, next_update != NULL ? -1 : longest_staple);
}

// Returns the status of `certificate` in a response, which may identify it with any digest.
static long status_in(OCSP_BASICRESP *basic, X509 *certificate, X509 *issuer)
{
    for (int i = 0; i < OCSP_resp_count(basic); i++) {
        OCSP_SINGLERESP *single = OCSP_resp_get0(basic, i);
        const OCSP_CERTID *found = OCSP_SINGLERESP_get0_id(single);
        ASN1_OBJECT *digest = NULL;
        OCSP_id_get0_info(NULL, &digest, NULL, NULL, (OCSP_CERTID *)found);
        const EVP_MD *md = EVP_get_digestbyobj(digest);
        OCSP_CERTID *wanted = md != NULL ? OCSP_cert_to_id(md, certificate, issuer) : NULL;
        bool matches = wanted != NULL && OCSP_id_cmp(wanted, (OCSP_CERTID *)found) == 0;
        OCSP_CERTID_free(wanted);
        if (!matches) {
            continue;
        }
        ASN1_GENERALIZEDTIME *this_update, *next_update;
        int status = OCSP_single_get0_status(single, NULL, NULL, &this_update, &next_update);
        if (status == V_OCSP_CERTSTATUS_REVOKED) {
            return X509_V_ERR_CERT_REVOKED;
        }
        if (status != V_OCSP_CERTSTATUS_GOOD) {
            return X509_V_ERR_OCSP_CERT_UNKNOWN;
        }
        return cmq_staple_is_current(this_update, next_update) == 1 ? X509_V_OK : X509_V_ERR_OCSP_VERIFY_FAILED;
    }
    return X509_V_ERR_OCSP_CERT_UNKNOWN;
}

static long check_staple(SSL *ssl, X509_STORE *trust)
{
    const unsigned char *bytes = NULL;
    long length = SSL_get_tlsext_status_ocsp_resp(ssl, &bytes);
    if (bytes == NULL || length <= 0) {
        return X509_V_ERR_OCSP_VERIFY_NEEDED;
    }
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    if (sk_X509_num(chain) < 2) {
        return X509_V_ERR_OCSP_VERIFY_FAILED;
    }
    long result = X509_V_ERR_OCSP_VERIFY_FAILED;
    OCSP_RESPONSE *response = d2i_OCSP_RESPONSE(NULL, &bytes, length);
    OCSP_BASICRESP *basic = response != NULL && OCSP_response_status(response) == OCSP_RESPONSE_STATUS_SUCCESSFUL
        ? OCSP_response_get1_basic(response)
        : NULL;
    if (basic != NULL && trust != NULL && OCSP_basic_verify(basic, chain, trust, 0) == 1) {
        result = status_in(basic, sk_X509_value(chain, 0), sk_X509_value(chain, 1));
    }
    OCSP_BASICRESP_free(basic);
    OCSP_RESPONSE_free(response);
    ERR_clear_error();
    return result;
}

// Returns 1 to continue, or 0 to send the alert bad_certificate_status_response.
static int staple_callback(SSL *ssl, void *argument)
{
    (void)argument;
    cmq_tls *tls = SSL_get_app_data(ssl);
    if (tls == NULL) {
        return 0;
    }
    if (!tls->requires_staple) {
        return 1;
    }
    long error = check_staple(ssl, tls->trust);
    if (error == X509_V_OK) {
        tls->is_stapled = true;
        return 1;
    }
    note(tls, error, 0, sk_X509_value(SSL_get_peer_cert_chain(ssl), 0));
    return 0;
}

static int set_name(X509_VERIFY_PARAM *param, const char *name, bool is_address, bool accepts_common_name)
{
    // RFC 9525, section 6.3: a common name is no name of a server.
    unsigned int subject = accepts_common_name ? 0 : X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | subject);
    return is_address ? X509_VERIFY_PARAM_set1_ip_asc(param, name) : X509_VERIFY_PARAM_set1_host(param, name, 0);
}

int cmq_is_verifiable(const char *name, bool is_address)
{
    X509_VERIFY_PARAM *param = X509_VERIFY_PARAM_new();
    int result = param != NULL && set_name(param, name, is_address, false) == 1;
    X509_VERIFY_PARAM_free(param);
    return result;
}

int cmq_tls_set_verification(const cmq_tls *tls, SSL *ssl)
{
    const char *name = tls->verified_name;
    if (name != NULL
        && set_name(SSL_get0_param(ssl), name, tls->verifies_address, tls->accepts_common_name) != 1) {
        return 0;
    }
    return tls->trust == NULL || SSL_set1_verify_cert_store(ssl, tls->trust) == 1;
}

void cmq_ctx_install_verification(SSL_CTX *ctx)
{
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, check_callback);
    SSL_CTX_set_cert_verify_callback(ctx, verify_callback, NULL);
    SSL_CTX_set_tlsext_status_cb(ctx, staple_callback);
}

// ---- Certificates ----

static size_t copy_certificate(const STACK_OF(X509) *chain, int index, unsigned char **der)
{
    *der = NULL;
    if (index >= sk_X509_num(chain)) {
        return 0;
    }
    int length = i2d_X509(sk_X509_value(chain, index), der);
    return length > 0 ? (size_t)length : 0;
}

size_t cmq_tls_peer_certificate(SSL *ssl, int index, unsigned char **der)
{
    return copy_certificate(SSL_get_peer_cert_chain(ssl), index, der);
}

size_t cmq_tls_verified_certificate(SSL *ssl, int index, unsigned char **der)
{
    return copy_certificate(SSL_get0_verified_chain(ssl), index, der);
}

static void take_text(BIO *bio, char *buffer, size_t size)
{
    int length = bio != NULL ? BIO_read(bio, buffer, (int)size - 1) : 0;
    buffer[length > 0 ? length : 0] = '\0';
    BIO_free(bio);
}

static void name_line(const X509_NAME *name, char *buffer, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL) {
        X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
    }
    take_text(bio, buffer, size);
}

void cmq_certificate_subject(X509 *certificate, char *buffer, size_t size)
{
    name_line(X509_get_subject_name(certificate), buffer, size);
}

void cmq_certificate_issuer(X509 *certificate, char *buffer, size_t size)
{
    name_line(X509_get_issuer_name(certificate), buffer, size);
}

void cmq_certificate_serial(X509 *certificate, char *buffer, size_t size)
{
    BIO *bio = BIO_new(BIO_s_mem());
    if (bio != NULL) {
        i2a_ASN1_INTEGER(bio, X509_get0_serialNumber(certificate));
    }
    take_text(bio, buffer, size);
}

void cmq_certificate_names(X509 *certificate, cmq_name_body body, void *argument)
{
    GENERAL_NAMES *names = X509_get_ext_d2i(certificate, NID_subject_alt_name, NULL, NULL);
    for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
        GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);
        int type;
        void *content = GENERAL_NAME_get0_value(name, &type);
        if (type == GEN_DNS || type == GEN_EMAIL || type == GEN_URI || type == GEN_IPADD) {
            body(argument, type, ASN1_STRING_get0_data(content), (size_t)ASN1_STRING_length(content));
            continue;
        }
        unsigned char *der = NULL;
        int length = i2d_GENERAL_NAME(name, &der);
        if (length > 0) {
            body(argument, type, der, (size_t)length);
        }
        OPENSSL_free(der);
    }
    GENERAL_NAMES_free(names);
}

static int64_t seconds(const ASN1_TIME *time)
{
    struct tm tm;
    return ASN1_TIME_to_tm(time, &tm) == 1 ? (int64_t)timegm(&tm) : 0;
}

int64_t cmq_certificate_not_before(X509 *certificate) { return seconds(X509_get0_notBefore(certificate)); }

int64_t cmq_certificate_not_after(X509 *certificate) { return seconds(X509_get0_notAfter(certificate)); }

// ---- Limits of a verification ----

int64_t cmq_tls_chain_not_after(SSL *ssl)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    int64_t earliest = INT64_MAX;
    for (int i = 0; i < sk_X509_num(chain); i++) {
        int64_t end = cmq_certificate_not_after(sk_X509_value(chain, i));
        earliest = end < earliest ? end : earliest;
    }
    return earliest;
}

// Returns the latest nextUpdate of an issuer's lists; INT64_MAX if there is none.
static int64_t next_update_of(const X509_NAME *issuer, X509_STORE *store)
{
    int64_t latest = INT64_MIN;
    X509_STORE_lock(store);
    STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(store);
    for (int i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        X509_CRL *list = X509_OBJECT_get0_X509_CRL(sk_X509_OBJECT_value(objects, i));
        if (list != NULL && X509_NAME_cmp(X509_CRL_get_issuer(list), issuer) == 0) {
            const ASN1_TIME *next = X509_CRL_get0_nextUpdate(list);
            int64_t end = next != NULL ? seconds(next) : INT64_MAX;
            latest = end > latest ? end : latest;
        }
    }
    X509_STORE_unlock(store);
    return latest == INT64_MIN ? INT64_MAX : latest;
}

int64_t cmq_tls_lists_next_update(SSL *ssl, X509_STORE *store, bool whole_chain)
{
    STACK_OF(X509) *chain = SSL_get0_verified_chain(ssl);
    // The last certificate is trusted by itself; a chain may consist of it alone.
    int count = whole_chain ? sk_X509_num(chain) - 1 : 1;
    int64_t earliest = INT64_MAX;
    for (int i = 0; store != NULL && i < count && i < sk_X509_num(chain); i++) {
        int64_t end = next_update_of(X509_get_issuer_name(sk_X509_value(chain, i)), store);
        earliest = end < earliest ? end : earliest;
    }
    return earliest;
}
