// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

/// One row of the table: the kind of a reconnect.
struct HandshakeCase: Sendable, Hashable {
    enum Kind: Sendable, Hashable, CaseIterable {
        case full, resumed, fullWithClientCertificate, resumedWithClientCertificate

        var name: String {
            switch self {
            case .full: "full"
            case .resumed: "resumed"
            case .fullWithClientCertificate: "full, client certificate"
            case .resumedWithClientCertificate: "resumed, client certificate"
            }
        }

        var isResumed: Bool { self == .resumed || self == .resumedWithClientCertificate }
        var hasClientCertificate: Bool { self == .fullWithClientCertificate || self == .resumedWithClientCertificate }
    }

    /// A reconnect without TLS, whose cost is the baseline.
    static let plain = HandshakeCase(version: nil, algorithm: .p256, kind: .full)

    static let all: [HandshakeCase] =
        [plain]
        + [MQTTTLSConfiguration.Version.v1_3, .v1_2].flatMap { version in
            TestKeyAlgorithm.allCases.flatMap { algorithm in
                Kind.allCases.map { HandshakeCase(version: version, algorithm: algorithm, kind: $0) }
            }
        }

    /// `nil` for plain TCP.
    var version: MQTTTLSConfiguration.Version?
    /// The key algorithm of all certificates.
    var algorithm: TestKeyAlgorithm
    var kind: Kind

    /// The first columns of the row.
    var columns: [String] {
        guard let version else { return ["none", "–", "–"] }
        let key =
            switch algorithm {
            case .p256: "ECDSA P-256"
            case .rsa2048: "RSA 2048"
            case .ed25519: "Ed25519"
            }
        return [version == .v1_3 ? "1.3" : "1.2", key, kind.name]
    }
}
