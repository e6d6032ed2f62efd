// SPDX-License-Identifier: Apache-2.0

import Foundation
import Mosquitto
import MosquittoTesting
import Synchronization
import Testing

extension TLSTests {
    @Suite("Certificates that are replaced on disk, under load", .serialized)
    struct CertificateRotationTests {
        /// 1,000 QoS 1 and 100 QoS 2 messages a second, while both sides get new certificates. The client's new keys
        /// also change their kind. mosquitto's do not: after a reload, mosquitto would keep the certificate of the old
        /// kind next to the new one.
        @Test(arguments: zip([TLSVersion.v1_2, .v1_3], [MQTTVersion.v3_1_1, .v5_0]))
        func `are used after rotateIdentity, and no message is lost`(tls: TLSVersion, mqtt: MQTTVersion) async throws {
            let files = try RotatedFiles(Certificates.current)
            let broker = try await LocalMosquitto.start(extraConfiguration: files.brokerConfiguration)
            let configuration = files.configuration(port: broker.port, tls, mqtt)
            let observer = files.observer(configuration)
            try await withMQTTClient(configuration, logger: quiet) { sender in
                try await withMQTTClient(observer, logger: quiet) { receiver in
                    let events = ClientLog(sender)
                    let names = ["client-renewed", "client-ecdsa", "client-rsa2048", "client-ed25519", "client-ecdsa"]
                    try await RotationLoad.run(from: sender, to: receiver) { load in
                        for (round, name) in names.enumerated() {
                            #expect(await load.advances(by: 500))
                            let server = round.isMultiple(of: 2) ? "server-renewed" : "server-ecdsa"
                            try files.replaceClient(name)
                            try files.replaceServer(server)
                            try await files.reload(broker)
                            try await sender.rotateIdentity()
                            let info = try await sender.waitUntilConnected(timeout: .seconds(30))
                            #expect(info.userSeen(by: broker) == name)
                            #expect(files.lastServer == "CN=\(server),O=swift-mosquitto")
                            // A resumed session would continue with the old certificates.
                            #expect(info.tls?.resumed == false)
                        }
                    }
                    #expect(events.gaps.count == names.count)
                    #expect(events.disconnections.isEmpty)
                }
            }
        }

        /// The broker ends the connections; nobody calls the client.
        @Test(arguments: [TLSVersion.v1_2, .v1_3])
        func `are used by the connection after one that was lost`(tls: TLSVersion) async throws {
            let files = try RotatedFiles(Certificates.current)
            let broker = try await LocalMosquitto.start(
                extraConfiguration: files.brokerConfiguration, persistence: true)
            let configuration = files.configuration(port: broker.port, tls, .v5_0)
            let observer = files.observer(configuration)
            try await withMQTTClient(configuration, logger: quiet) { sender in
                try await withMQTTClient(observer, logger: quiet) { receiver in
                    try await RotationLoad.run(from: sender, to: receiver) { load in
                        for (name, server) in [
                            ("client-renewed", "server-renewed"), ("client-ecdsa", "server-rsa2048"),
                            ("client-ed25519", "server-ecdsa"),
                        ] {
                            #expect(await load.advances(by: 500))
                            try files.replaceClient(name)
                            try files.replaceServer(server)
                            try await broker.restart()
                            #expect(await load.advances(by: 500))
                            let info = try await sender.waitUntilConnected(timeout: .seconds(30))
                            #expect(info.userSeen(by: broker) == name)
                            #expect(files.lastServer == "CN=\(server),O=swift-mosquitto")
                        }
                    }
                }
            }
        }

        /// A certificate and a key that do not match, as between two renames.
        @Test func `are not used while only one file of the pair is new`() async throws {
            let certificates = try Certificates.current
            let files = try RotatedFiles(certificates)
            let broker = try await LocalMosquitto.start(extraConfiguration: files.brokerConfiguration)
            let configuration = files.configuration(port: broker.port, .v1_3, .v5_0)
            try await withMQTTClient(configuration, logger: quiet) { client in
                try await client.waitUntilConnected(timeout: .seconds(30))
                let events = ClientLog(client)
                try files.directory.write(try certificates.text("client-renewed.pem"), to: "client.pem")
                let error = try #require(await #expect(throws: MQTTError.self) { try await client.rotateIdentity() })
                #expect(error.code == .tlsConfiguration)
                #expect(error.tls?.kind == .configuration)
                #expect(error.tls?.reason == "key values mismatch")
                // The connection is still the same.
                try await client.publish("still here", to: "a")
                #expect(events.disconnections.isEmpty && events.connections == 0)
                try files.directory.write(try certificates.text("client-renewed.key"), to: "client.key")
                try await client.rotateIdentity()
                let info = try await client.waitUntilConnected(timeout: .seconds(30))
                #expect(info.userSeen(by: broker) == "client-renewed")
            }
        }
    }
}

/// The replaced files and their users.
private final class RotatedFiles: Sendable {
    let certificates: Certificates
    let directory: TemporaryDirectory
    private let seen = Mutex("")

    /// The subject of the certificate that the broker presented last.
    var lastServer: String { seen.withLock { $0 } }

    init(_ certificates: Certificates) throws {
        self.certificates = certificates
        directory = try TemporaryDirectory()
        try replaceServer("server-ecdsa")
        try replaceClient("client-ecdsa")
    }

    func replaceServer(_ name: String) throws { try replace("server", name) }
    func replaceClient(_ name: String) throws { try replace("client", name) }

    private func replace(_ role: String, _ name: String) throws {
        for kind in ["key", "pem"] {
            try directory.write(try certificates.text("\(name).\(kind)"), to: "\(role).\(kind)")
        }
    }

    var brokerConfiguration: String {
        """
        certfile \(directory.path)/server.pem
        keyfile \(directory.path)/server.key
        cafile \(certificates.path("root.pem"))
        require_certificate true
        use_identity_as_username true
        pid_file \(directory.path)/pid
        max_queued_messages 0
        """
    }

    /// SIGHUP: mosquitto reads its certificates again.
    func reload(_ broker: LocalMosquitto) async throws {
        let text = try String(contentsOfFile: directory.path + "/pid", encoding: .utf8)
        let pid = try #require(Int32(text.trimmingCharacters(in: .whitespacesAndNewlines)))
        let known = broker.log.ranges(of: "Reloading config").count
        kill(pid, SIGHUP)
        #expect(await eventually { broker.log.ranges(of: "Reloading config").count > known })
    }

    func configuration(port: Int, _ tls: TLSVersion, _ mqtt: MQTTVersion) -> MQTTClientConfiguration {
        var configuration = MQTTClientConfiguration(
            host: "localhost", port: port,
            tls: .init(
                trust: .file(certificates.path("root.pem")),
                identity: .files(certificate: directory.path + "/client.pem", key: directory.path + "/client.key")))
        configuration.tls?.customVerification = { [self] peer in seen.withLock { $0 = peer.certificates[0].subject } }
        configuration.tls?.minimumVersion = tls
        configuration.tls?.maximumVersion = tls
        configuration.version = mqtt
        configuration.clientID = "rotated-\(UInt32.random(in: 0 ... .max))"
        configuration.session = .persistent
        configuration.retry.baseDelay = .milliseconds(50)
        configuration.retry.maximumDelay = .milliseconds(500)
        return configuration
    }

    /// A client whose own certificate does not change.
    func observer(_ configuration: MQTTClientConfiguration) -> MQTTClientConfiguration {
        var configuration = configuration
        configuration.clientID = "observer-\(configuration.clientID ?? "")"
        configuration.tls?.customVerification = nil
        configuration.tls?.identity = .files(
            certificate: certificates.path("client-ed25519.pem"), key: certificates.path("client-ed25519.key"))
        return configuration
    }
}

extension MQTTConnectionInfo {
    /// The user name that mosquitto took from the certificate of this client's newest connection.
    fileprivate func userSeen(by broker: LocalMosquitto) -> String? {
        let line = broker.log.split(separator: "\n").last {
            $0.contains("New client connected") && $0.contains(" as \(clientID) ")
        }
        return line.flatMap { $0.firstMatch(of: /u'([^']*)'/) }.map { String($0.1) }
    }
}
