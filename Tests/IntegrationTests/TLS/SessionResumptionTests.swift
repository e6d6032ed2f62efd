// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting
import Testing

extension TLSTests {
    @Suite("Resumption of a TLS session", .timeLimit(.minutes(1)))
    struct SessionResumptionTests {
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `happens at each connection after the first`(version: TLSVersion) async throws {
            try await expect([false, true, true, true], version)
        }

        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `happens with each of two endpoints in turn`(version: TLSVersion) async throws {
            try await expect([false, false, true, true, true, true], version, servers: 2)
        }

        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `does not happen if it is not wanted`(version: TLSVersion) async throws {
            try await expect([false, false, false], version) { tls, _ in tls.resumesSessions = false }
        }

        /// RFC 6066, section 8: a resumption brings no response.
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `does not happen if an OCSP response is required`(version: TLSVersion) async throws {
            try await expect([false, false, false], version, arguments: "-status_file good.ocsp") { tls, _ in
                tls.requiresOCSPStaple = true
            }
        }

        /// A thief of the broker's ticket key would go on for ever.
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `does not happen with a session of yesterday`(version: TLSVersion) async throws {
            try await expect([false, false, false], version) { tls, _ in tls.maximumSessionAge = .nanoseconds(1) }
        }

        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `does not happen with a custom verification, unless it is asked for`(version: TLSVersion) async throws {
            try await expect([false, false, false], version) { tls, _ in tls.customVerification = { _ in } }
            try await expect([false, true, true], version) { tls, _ in
                tls.customVerification = { _ in }
                tls.resumesSessions = true
            }
        }

        /// In TLS 1.2, a session identifier takes its place (RFC 5246, section 7.4.1.3).
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `does not need a ticket`(version: TLSVersion) async throws {
            try await expect([false, true, true], version, arguments: "-no_ticket")
        }

        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `happens with a client certificate`(version: TLSVersion) async throws {
            try await expect(
                [false, true, true], version, arguments: "-CAfile root.pem -Verify 2 -verify_return_error"
            ) {
                $0.identity = .files(certificate: $1.path("client-ecdsa.pem"), key: $1.path("client-ecdsa.key"))
            }
        }

        /// In TLS 1.3, OpenSSL reports a pre-shared key as a resumption (RFC 8446, section 2.2), which it is not.
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `happens with a pre-shared key`(version: TLSVersion) async throws {
            let key = "00112233445566778899aabbccddeeff"
            let arguments = "-nocert -psk_identity sensor -psk \(key)"
            try await expect([false, true, true], version, arguments: arguments) { tls, _ in
                tls.preSharedKey = try .init(identity: "sensor", hexadecimalKey: key)
            }
        }

        /// With the same files, a rotation changes nothing and is only a reconnect.
        @Test(arguments: [TLSVersion.v1_2, .v1_3], [false, true])
        func `happens with mosquitto`(version: TLSVersion, needsCertificate: Bool) async throws {
            let certificates = try Certificates.current
            let broker = try await LocalMosquitto.start(
                extraConfiguration: """
                    certfile \(certificates.path("server-ecdsa.pem"))
                    keyfile \(certificates.path("server-ecdsa.key"))
                    cafile \(certificates.path("root.pem"))
                    require_certificate \(needsCertificate)
                    """)
            var tls = MQTTTLSConfiguration(trust: .file(certificates.path("root.pem")))
            tls.maximumVersion = version
            tls.identity = .files(
                certificate: certificates.path("client-ecdsa.pem"), key: certificates.path("client-ecdsa.key"))
            let configuration = MQTTClientConfiguration(host: "localhost", port: broker.port, tls: tls)
            let resumed = try await withMQTTClient(configuration, logger: quiet) { client in
                var resumed: [Bool?] = []
                for _ in 0..<3 {
                    resumed.append(try await client.waitUntilConnected(timeout: .seconds(30)).tls?.resumed)
                    try await client.rotateIdentity()
                }
                return resumed
            }
            #expect(resumed == [false, true, true])
        }

        /// Makes connections, each of which the server ends, and compares which of them were resumed.
        private func expect(
            _ expected: [Bool], _ version: TLSVersion, servers count: Int = 1, arguments: String = "",
            client: @escaping TLSRow.Client = { _, _ in }
        ) async throws {
            let certificates = try Certificates.current
            let row = TLSRow("", server: showing("server-ecdsa", arguments), .connects(), client: client)
            var servers: [Int: OpenSSLServer] = [:]
            defer { for server in servers.values { server.stop() } }
            for _ in 0..<count {
                let server = try await OpenSSLServer.start(row.server, certificates)
                servers[server.port] = server
            }
            var configuration = try row.configuration(version, port: 1, certificates)
            configuration.endpoints = servers.keys.map { MQTTEndpoint(host: "localhost", port: $0) }
            configuration.retry.baseDelay = .milliseconds(10)
            configuration.retry.minimumDelay = .milliseconds(1)
            configuration.retry.maximumDelay = .milliseconds(20)
            let resumed = try await withRunningClient(configuration) { _, events in
                var resumed: [Bool] = []
                for await event in events {
                    if case .attemptFailed(let failed) = event.kind { Issue.record(failed.error) }
                    guard case .connected(let info) = event.kind else { continue }
                    resumed.append(info.tls?.resumed ?? false)
                    if resumed.count == expected.count { break }
                    servers[info.endpoint.port]?.command("q")
                }
                return resumed
            }
            #expect(resumed == expected)
        }
    }
}
