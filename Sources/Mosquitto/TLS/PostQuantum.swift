// SPDX-License-Identifier: Apache-2.0

/// The key exchanges that withstand a quantum computer.
enum PostQuantum {
    /// True if the group has a part of ML-KEM (FIPS 203): "X25519MLKEM768", "MLKEM1024". OpenSSL and its providers name
    /// these groups as IANA does, in lower or upper case.
    static func isGroup(_ name: String) -> Bool { name.lowercased().contains("mlkem") }
}
