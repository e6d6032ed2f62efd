// SPDX-License-Identifier: Apache-2.0

/* Checks JSON Web Tokens. The caller frees what jwt_verify() returns. */
#include "jwt.h"

#include <openssl/hmac.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

/* Decodes base64url without padding (RFC 7515, section 2) into a new string; NULL if it is something else. */
static unsigned char *base64url_decode(const char *text, size_t length, size_t *decoded_length)
{
    static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    unsigned char *decoded = malloc(length + 1);
    unsigned int bits = 0, count = 0;

    *decoded_length = 0;
    for (size_t i = 0; decoded && i < length; i++) {
        const char *found = text[i] ? strchr(alphabet, text[i]) : NULL;
        if (!found) {
            free(decoded);
            return NULL;
        }
        bits = bits << 6 | (unsigned int)(found - alphabet);
        count += 6;
        if (count >= 8) {
            count -= 8;
            decoded[(*decoded_length)++] = (unsigned char)(bits >> count);
        }
    }
    if (decoded) decoded[*decoded_length] = 0;
    return decoded;
}

static cJSON *decode_object(const char *text, size_t length)
{
    size_t decoded_length;
    unsigned char *decoded = base64url_decode(text, length, &decoded_length);
    cJSON *object = decoded ? cJSON_ParseWithLength((char *)decoded, decoded_length) : NULL;

    free(decoded);
    if (cJSON_IsObject(object)) return object;
    cJSON_Delete(object);
    return NULL;
}

static bool is_text(const cJSON *value, const char *text)
{
    return cJSON_IsString(value) && strcmp(value->valuestring, text) == 0;
}

static bool is_signed_by(EVP_PKEY *key, const char *text, size_t length, const unsigned char *signature, size_t size)
{
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    bool valid = context && EVP_DigestVerifyInit(context, NULL, EVP_sha256(), NULL, key) == 1 &&
                 EVP_DigestVerify(context, signature, size, (const unsigned char *)text, length) == 1;

    EVP_MD_CTX_free(context);
    return valid;
}

/* A JWT has the two numbers of an ECDSA signature side by side (RFC 7518, section 3.4), OpenSSL wants them in DER. */
static bool is_signed_by_ec(EVP_PKEY *key, const char *text, size_t length,
                            const unsigned char *signature, size_t size)
{
    ECDSA_SIG *numbers = ECDSA_SIG_new();
    unsigned char *der = NULL;
    int der_size = -1;

    if (numbers && size == 64 &&
        ECDSA_SIG_set0(numbers, BN_bin2bn(signature, 32, NULL), BN_bin2bn(signature + 32, 32, NULL))) {
        der_size = i2d_ECDSA_SIG(numbers, &der);
    }
    bool valid = der_size > 0 && is_signed_by(key, text, length, der, (size_t)der_size);

    OPENSSL_free(der);
    ECDSA_SIG_free(numbers);
    return valid;
}

static bool is_signed_by_secret(const struct jwt_rules *rules, const char *text, size_t length,
                                const unsigned char *signature, size_t size)
{
    unsigned char expected[EVP_MAX_MD_SIZE];
    unsigned int expected_size = 0;

    HMAC(EVP_sha256(), rules->secret, (int)rules->secret_length, (const unsigned char *)text, length,
         expected, &expected_size);
    return size == expected_size && CRYPTO_memcmp(signature, expected, size) == 0;
}

/* The algorithm is the token's choice only among those whose key was configured: "none" is not. */
static const char *check_signature(const struct jwt_rules *rules, const cJSON *header,
                                   const char *text, size_t length, const unsigned char *signature, size_t size)
{
    const cJSON *algorithm = cJSON_GetObjectItemCaseSensitive(header, "alg");
    bool valid;

    if (is_text(algorithm, "RS256") && rules->rsa_key) {
        valid = is_signed_by(rules->rsa_key, text, length, signature, size);
    } else if (is_text(algorithm, "ES256") && rules->ec_key) {
        valid = is_signed_by_ec(rules->ec_key, text, length, signature, size);
    } else if (is_text(algorithm, "HS256") && rules->secret_length) {
        valid = is_signed_by_secret(rules, text, length, signature, size);
    } else {
        return "algorithm not allowed";
    }
    return valid ? NULL : "bad signature";
}

static bool is_meant_for(const char *audience, const cJSON *claim)
{
    const cJSON *element;

    cJSON_ArrayForEach(element, claim) {
        if (cJSON_IsArray(claim) && is_text(element, audience)) return true;
    }
    return is_text(claim, audience);
}

static const char *check_claims(const struct jwt_rules *rules, const cJSON *claims)
{
    const cJSON *expires = cJSON_GetObjectItemCaseSensitive(claims, "exp");
    const cJSON *not_before = cJSON_GetObjectItemCaseSensitive(claims, "nbf");
    const cJSON *audience = cJSON_GetObjectItemCaseSensitive(claims, "aud");
    const cJSON *issuer = cJSON_GetObjectItemCaseSensitive(claims, "iss");
    double now = (double)time(NULL);

    if (!cJSON_IsNumber(expires)) return "no exp";
    if (expires->valuedouble <= now) return "expired";
    if (not_before && (!cJSON_IsNumber(not_before) || not_before->valuedouble > now)) return "not yet valid";
    if (rules->audience && !is_meant_for(rules->audience, audience)) return "wrong audience";
    if (rules->issuer && !is_text(issuer, rules->issuer)) return "wrong issuer";
    return NULL;
}

cJSON *jwt_verify(const struct jwt_rules *rules, const char *token, size_t length, const char **reason)
{
    const char *first_dot = memchr(token, '.', length);
    const char *second_dot =
        first_dot ? memchr(first_dot + 1, '.', length - (size_t)(first_dot + 1 - token)) : NULL;

    *reason = "malformed";
    if (!second_dot) return NULL;

    size_t signed_length = (size_t)(second_dot - token), size;
    cJSON *header = decode_object(token, (size_t)(first_dot - token));
    cJSON *claims = decode_object(first_dot + 1, (size_t)(second_dot - first_dot - 1));
    unsigned char *signature = base64url_decode(second_dot + 1, length - signed_length - 1, &size);

    if (header && claims && signature) {
        *reason = check_signature(rules, header, token, signed_length, signature, size);
        if (!*reason) *reason = check_claims(rules, claims);
    }
    free(signature);
    cJSON_Delete(header);
    if (!*reason) return claims;
    cJSON_Delete(claims);
    return NULL;
}
