// SPDX-License-Identifier: Apache-2.0

internal import Crypto

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Writes mosquitto's `password_file` format without running mosquitto_passwd.
enum MosquittoPasswordFile {
    /// One line per user: `name:$7$iterations$salt$hash`, where the hash is PBKDF2 with HMAC SHA-512. mosquitto 1.6 and
    /// later read this format.
    static func text(users: [String: String]) -> String {
        users.sorted { $0.key < $1.key }
            .map { name, password in
                let salt = (0..<12).map { _ in UInt8.random(in: .min ... .max) }
                let hash = pbkdf2(password: password, salt: salt, iterations: iterations)
                let fields = ["7", "\(iterations)", Data(salt).base64EncodedString(), hash.base64EncodedString()]
                return "\(name):$\(fields.joined(separator: "$"))\n"
            }
            .joined()
    }

    /// The number of PBKDF2 iterations that mosquitto_passwd 2.0 uses.
    private static let iterations = 101

    /// RFC 8018, 5.2, for a key as long as one block of SHA-512.
    private static func pbkdf2(password: String, salt: [UInt8], iterations: Int) -> Data {
        let key = SymmetricKey(data: Array(password.utf8))
        var block = Array(HMAC<SHA512>.authenticationCode(for: salt + [0, 0, 0, 1], using: key))
        var result = block
        for _ in 1..<iterations {
            block = Array(HMAC<SHA512>.authenticationCode(for: block, using: key))
            for index in result.indices { result[index] ^= block[index] }
        }
        return Data(result)
    }
}
