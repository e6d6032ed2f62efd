// SPDX-License-Identifier: Apache-2.0

// ENGINE is deprecated, but the only way to many hardware keys; without it a named engine is an error.
#define OPENSSL_SUPPRESS_DEPRECATED

#include "CMosquittoShim.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/pkcs12.h>
#include <openssl/store.h>
#include <openssl/ui.h>
#ifndef OPENSSL_NO_ENGINE
#include <openssl/engine.h>
#endif

static bool is_pem(const char *bytes, size_t length)
{
    static const char begin[] = "-----BEGIN ";
    for (size_t i = 0; i + sizeof begin - 1 <= length; i++) {
        if (memcmp(bytes + i, begin, sizeof begin - 1) == 0) {
            return true;
        }
    }
    return false;
}

// OpenSSL reports the end of a PEM text as "no start line"; any other error means damage.
static bool is_end_of_pem(void)
{
    unsigned long error = ERR_peek_last_error();
    if (error != 0 && !(ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE)) {
        return false;
    }
    ERR_clear_error();
    return true;
}

// ---- Trust ----

static int add_certificate(X509_STORE *store, X509 *certificate)
{
    int ok = certificate != NULL && X509_STORE_add_cert(store, certificate) == 1;
    X509_free(certificate);
    return ok ? 1 : -1;
}

int cmq_store_add_certificates(X509_STORE *store, const void *bytes, size_t length)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    int count = bio != NULL ? 0 : -1;
    if (bio != NULL && length > 0 && !is_pem(bytes, length)) {
        count = ((const unsigned char *)bytes)[0] == 0x30 ? add_certificate(store, d2i_X509_bio(bio, NULL)) : 0;
    } else if (bio != NULL) {
        X509 *certificate;
        while ((certificate = PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL)) != NULL) {
            if (add_certificate(store, certificate) < 0) {
                break;
            }
            count++;
        }
        if (!is_end_of_pem()) {
            count = -1;
        }
    }
    BIO_free(bio);
    return count;
}

static int add_crl(X509_STORE *store, X509_CRL *crl)
{
    int ok = crl != NULL && X509_STORE_add_crl(store, crl) == 1;
    X509_CRL_free(crl);
    return ok ? 1 : -1;
}

int cmq_store_add_crls(X509_STORE *store, const void *bytes, size_t length)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    int count = bio != NULL ? 0 : -1;
    if (bio != NULL && length > 0 && !is_pem(bytes, length)) {
        count = ((const unsigned char *)bytes)[0] == 0x30 ? add_crl(store, d2i_X509_CRL_bio(bio, NULL)) : 0;
    } else if (bio != NULL) {
        X509_CRL *crl;
        while ((crl = PEM_read_bio_X509_CRL(bio, NULL, NULL, NULL)) != NULL) {
            if (add_crl(store, crl) < 0) {
                break;
            }
            count++;
        }
        if (!is_end_of_pem()) {
            count = -1;
        }
    }
    BIO_free(bio);
    return count;
}

// ---- Identity ----

void cmq_tls_forget_identity(cmq_tls *tls)
{
    X509_free(tls->certificate);
    sk_X509_pop_free(tls->chain, X509_free);
    EVP_PKEY_free(tls->key);
    tls->certificate = NULL;
    tls->chain = NULL;
    tls->key = NULL;
}

static int add_to_chain(cmq_tls *tls, X509 *certificate)
{
    if (tls->chain == NULL) {
        tls->chain = sk_X509_new_null();
    }
    if (certificate != NULL && tls->chain != NULL && sk_X509_push(tls->chain, certificate) > 0) {
        return 1;
    }
    X509_free(certificate);
    return 0;
}

int cmq_tls_use_certificate(cmq_tls *tls, const void *bytes, size_t length)
{
    cmq_tls_forget_identity(tls);
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    if (bio == NULL) {
        return 0;
    }
    bool pem = is_pem(bytes, length);
    tls->certificate = pem ? PEM_read_bio_X509_AUX(bio, NULL, NULL, NULL) : d2i_X509_bio(bio, NULL);
    int ok = tls->certificate != NULL;
    if (ok && pem) {
        X509 *certificate;
        while (ok && (certificate = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
            ok = add_to_chain(tls, certificate);
        }
        ok = ok && is_end_of_pem();
    }
    BIO_free(bio);
    return ok;
}

int cmq_tls_add_intermediate(cmq_tls *tls, const void *bytes, size_t length)
{
    const unsigned char *start = bytes;
    return add_to_chain(tls, d2i_X509(NULL, &start, (long)length));
}

// Without a callback, OpenSSL would prompt on the terminal.
static int passphrase_callback(char *buffer, int size, int writing, void *context)
{
    (void)writing;
    cmq_passphrase *passphrase = context;
    passphrase->was_asked = true;
    if (passphrase->bytes == NULL || passphrase->length > (size_t)size) {
        return -1;
    }
    memcpy(buffer, passphrase->bytes, passphrase->length);
    return (int)passphrase->length;
}

// Takes ownership of the key.
static int use_key(cmq_tls *tls, SSL_CTX *ctx, EVP_PKEY *key)
{
    if (key == NULL || tls->certificate == NULL || X509_check_private_key(tls->certificate, key) != 1) {
        EVP_PKEY_free(key);
        return 0;
    }
    // OpenSSL's security level may refuse the key or the certificate.
    SSL *probe = SSL_new(ctx);
    int ok = probe != NULL && SSL_use_cert_and_key(probe, tls->certificate, key, tls->chain, 1) == 1;
    SSL_free(probe);
    EVP_PKEY_free(tls->key);
    tls->key = key;
    return ok;
}

int cmq_tls_use_key(cmq_tls *tls, SSL_CTX *ctx, const void *bytes, size_t length, cmq_passphrase *passphrase)
{
    BIO *bio = BIO_new_mem_buf(bytes, (int)length);
    EVP_PKEY *key = NULL;
    if (bio != NULL && is_pem(bytes, length)) {
        key = PEM_read_bio_PrivateKey(bio, NULL, passphrase_callback, passphrase);
    } else if (bio != NULL) {
        const unsigned char *start = bytes;
        key = d2i_AutoPrivateKey(NULL, &start, (long)length);
        if (key == NULL) {
            ERR_clear_error();
            key = d2i_PKCS8PrivateKey_bio(bio, NULL, passphrase_callback, passphrase);
        }
    }
    BIO_free(bio);
    return use_key(tls, ctx, key);
}

int cmq_tls_use_pkcs12(cmq_tls *tls, SSL_CTX *ctx, const void *bytes, size_t length, cmq_passphrase *passphrase)
{
    char text[1025] = "";
    if (passphrase->length >= sizeof text) {
        return 0;
    }
    if (passphrase->bytes != NULL) {
        memcpy(text, passphrase->bytes, passphrase->length);
    }
    const unsigned char *start = bytes;
    PKCS12 *container = d2i_PKCS12(NULL, &start, (long)length);
    EVP_PKEY *key = NULL;
    X509 *certificate = NULL;
    STACK_OF(X509) *chain = NULL;
    int ok = container != NULL && PKCS12_parse(container, text, &key, &certificate, &chain) == 1;
    OPENSSL_cleanse(text, sizeof text);
    if (container != NULL && !ok) {
        unsigned long error = ERR_peek_last_error();
        passphrase->was_asked = ERR_GET_LIB(error) == ERR_LIB_PKCS12
            && ERR_GET_REASON(error) == PKCS12_R_MAC_VERIFY_FAILURE;
    }
    PKCS12_free(container);
    cmq_tls_forget_identity(tls);
    tls->certificate = certificate;
    tls->chain = chain;
    return use_key(tls, ctx, key) && ok;
}

static EVP_PKEY *load_from_store(const char *uri, UI_METHOD *method, cmq_passphrase *passphrase)
{
    EVP_PKEY *key = NULL;
    OSSL_STORE_CTX *store = OSSL_STORE_open(uri, method, passphrase, NULL, NULL);
    if (store == NULL) {
        return NULL;
    }
    OSSL_STORE_expect(store, OSSL_STORE_INFO_PKEY);
    while (key == NULL && !OSSL_STORE_eof(store)) {
        OSSL_STORE_INFO *info = OSSL_STORE_load(store);
        if (info == NULL) {
            break;
        }
        if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY) {
            key = OSSL_STORE_INFO_get1_PKEY(info);
        }
        OSSL_STORE_INFO_free(info);
    }
    OSSL_STORE_close(store);
    return key;
}

static EVP_PKEY *load_from_engine(const char *uri, const char *name, UI_METHOD *method, cmq_passphrase *passphrase)
{
#ifdef OPENSSL_NO_ENGINE
    (void)uri, (void)name, (void)method, (void)passphrase;
    return NULL;
#else
    EVP_PKEY *key = NULL;
    ENGINE_load_builtin_engines();
    ENGINE *engine = ENGINE_by_id(name);
    if (engine != NULL && ENGINE_init(engine)) {
        // The key retains the engine.
        key = ENGINE_load_private_key(engine, uri, method, passphrase);
        ENGINE_finish(engine);
    }
    ENGINE_free(engine);
    return key;
#endif
}

bool cmq_has_engines(void)
{
#ifdef OPENSSL_NO_ENGINE
    return false;
#else
    return true;
#endif
}

int cmq_tls_use_stored_key(
    cmq_tls *tls, SSL_CTX *ctx, const char *uri, const char *engine, cmq_passphrase *passphrase)
{
    UI_METHOD *method = UI_UTIL_wrap_read_pem_callback(passphrase_callback, 0);
    if (method == NULL) {
        return 0;
    }
    EVP_PKEY *key = engine != NULL ? load_from_engine(uri, engine, method, passphrase)
                                   : load_from_store(uri, method, passphrase);
    UI_destroy_method(method);
    return use_key(tls, ctx, key);
}
