// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting

/// Certificates for all rows with TLS, minted once.
struct TestIdentities: Sendable {
    static let shared: TestIdentities? = try? TestIdentities()

    let authority: String
    let server: TestIdentity
    private let client: TestIdentity
    private let other: String

    private init() throws {
        let minter = try TestCertificateAuthority()
        authority = minter.certificatePEM
        // Not the address that clients connect to.
        server = try minter.serverIdentity(names: ["localhost"], addresses: [])
        client = try minter.clientIdentity(commonName: "side")
        other = try TestCertificateAuthority(commonName: "other").certificatePEM
    }

    func write(to folder: TemporaryDirectory) throws {
        try folder.write(authority, to: "ca.pem")
        try folder.write(other, to: "other.pem")
        try folder.write(client.certificatePEM, to: "client.pem")
        try folder.write(client.privateKeyPEM, to: "client.key")
    }
}
