// SPDX-License-Identifier: Apache-2.0

import CMosquitto

/// Digests, computed by OpenSSL.
enum Digest {
    static func sha1(_ bytes: [UInt8]) -> [UInt8] { digest(bytes, EVP_sha1(), count: 20) }
    static func sha256(_ bytes: [UInt8]) -> [UInt8] { digest(bytes, EVP_sha256(), count: 32) }

    /// HMAC with SHA-256 (RFC 2104).
    static func hmacSHA256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        HMAC(EVP_sha256(), key, Int32(key.count), bytes, bytes.count, &result, &length)
        return result
    }

    private static func digest(_ bytes: [UInt8], _ kind: OpaquePointer?, count: Int) -> [UInt8] {
        var result = [UInt8](repeating: 0, count: count)
        var length: UInt32 = 0
        EVP_Digest(bytes, bytes.count, &result, &length, kind, nil)
        return result
    }
}
