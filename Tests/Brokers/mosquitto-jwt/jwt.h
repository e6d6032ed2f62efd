// SPDX-License-Identifier: Apache-2.0

#pragma once

#include <cjson/cJSON.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <stdbool.h>
#include <stddef.h>

/* The requirements for a token. An algorithm without its key is not allowed; a NULL field requires nothing. */
struct jwt_rules {
    EVP_PKEY *rsa_key;          /* for RS256 */
    EVP_PKEY *ec_key;           /* for ES256: P-256 */
    unsigned char secret[1024]; /* for HS256 */
    size_t secret_length;
    char *audience;             /* what "aud" must be or contain */
    char *issuer;               /* what "iss" must be */
};

/* Returns the claims of a valid token, among them a number "exp". Otherwise NULL, and in `reason` why. */
cJSON *jwt_verify(const struct jwt_rules *rules, const char *token, size_t length, const char **reason);
