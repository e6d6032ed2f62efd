// SPDX-License-Identifier: Apache-2.0

/// A record of TLS.
enum TLSRecord {
    /// The number of plaintext bytes in a full record (RFC 8446, section 5.1).
    static let size = 1 << 14
}
