// SPDX-License-Identifier: Apache-2.0

import Foundation
package import Mosquitto
import MosquittoTesting
import Synchronization

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// A cluster of three brokers that check tokens, each a process of its own on 127.0.0.1, which end with the last
/// reference.
///
/// `scripts/clusters` writes the configuration of the nodes, and becomes each of them.
package final class BrokerCluster: Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case rabbitMQ = "rabbitmq"
        case nats

        fileprivate var server: String { self == .nats ? "nats-server" : "rabbitmq-server" }

        /// True if the broker is installed (`scripts/setup --brokers`).
        package var isInstalled: Bool {
            let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":") + ["/usr/sbin"]
            return folders.contains { FileManager.default.isExecutableFile(atPath: "\($0)/\(server)") }
        }

        /// RabbitMQ before 3.13 and nats-server speak no MQTT 5.0.
        package var version: MQTTVersion { .v3_1_1 }
    }

    package struct Node: Sendable, Hashable {
        package var number: Int
        package var port: Int
    }

    package let kind: Kind
    package let nodes: [Node]

    private let tokens: any BrokerTokens
    private let authority: TestCertificateAuthority
    private let directory: TemporaryDirectory
    /// The processes of the nodes, by number; 0 is that of what all nodes need.
    private let processes = Mutex<[Int: ChildProcess]>([:])

    /// Starts the nodes and waits until each of them accepts clients.
    ///
    /// Throws ``PromiseFailure`` with the log of a node that does not start.
    package static func start(
        _ kind: Kind, onStart: (BrokerCluster) -> Void = { _ in }
    ) async throws -> BrokerCluster {
        let tokens: any BrokerTokens =
            kind == .nats ? NATSTokens() : try JWTSigner(scope: JWTSigner.rabbitMQScope)
        let authority = try TestCertificateAuthority()
        let directory = try TemporaryDirectory()
        let identity = try authority.serverIdentity()
        try directory.write(authority.certificatePEM, to: "ca.pem")
        try directory.write(identity.certificatePEM, to: "server.pem")
        try directory.write(identity.privateKeyPEM, to: "server.key")
        for (name, text) in tokens.brokerFiles { try directory.write(text, to: name) }
        try await run(["prepare", kind.rawValue, directory.path], log: directory.path + "/prepare.log")

        let lines = try String(contentsOfFile: directory.path + "/nodes", encoding: .utf8).split(separator: "\n")
        let nodes = lines.compactMap { line -> Node? in
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            return numbers.count == 2 ? Node(number: numbers[0], port: numbers[1]) : nil
        }
        let cluster = BrokerCluster(kind, nodes, tokens, authority, directory)
        onStart(cluster)
        if kind == .rabbitMQ { try cluster.launch(0) }
        for node in nodes {
            try cluster.launch(node.number)
            // RabbitMQ 3.10: a node that joins beside another one may never join the group that keeps the identifiers.
            if kind == .rabbitMQ { try await cluster.awaitReady(node) }
        }
        for node in nodes { try await cluster.awaitReady(node) }
        return cluster
    }

    private init(
        _ kind: Kind, _ nodes: [Node], _ tokens: any BrokerTokens, _ authority: TestCertificateAuthority,
        _ directory: TemporaryDirectory
    ) {
        (self.kind, self.nodes, self.tokens) = (kind, nodes, tokens)
        (self.authority, self.directory) = (authority, directory)
    }

    deinit { stop() }

    /// Kills all nodes.
    package func stop() {
        for process in processes.withLock({ Array($0.values) }) { process.kill() }
    }

    /// The file of the authority that has issued the nodes' certificates.
    package var authorityPath: String { directory.path + "/ca.pem" }

    /// A folder of the cluster, for files of those that use it.
    package var path: String { directory.path }

    /// The user name that goes with the tokens.
    package var username: String { tokens.username }

    /// Returns a new token. It is the password.
    package func token(lifetime: Duration) throws -> String { try tokens.token(lifetime: lifetime) }

    /// A client of these nodes, of all by default, with a token that is valid for `lifetime`.
    package func configuration(
        _ clientID: String, nodes: [Node]? = nil, lifetime: Duration
    ) -> MQTTClientConfiguration {
        let trust = MQTTTLSConfiguration(trust: .pem(authority.certificatePEM))
        var configuration = MQTTClientConfiguration(host: "localhost", port: 1, tls: trust)
        configuration.endpoints = (nodes ?? self.nodes).map { MQTTEndpoint(host: "localhost", port: $0.port) }
        configuration.version = kind.version
        configuration.clientID = clientID
        configuration.credentials = .closure { [tokens] _ in try tokens.credentials(lifetime: lifetime) }
        return configuration
    }

    // MARK: Faults

    /// Kills the process of a node (SIGKILL).
    package func kill(_ node: Node) { _ = process(node.number)?.kill() }

    /// Stops the process of a node until it is restored (SIGSTOP).
    package func suspend(_ node: Node) { process(node.number)?.send(SIGSTOP) }

    /// Makes a node send its clients away.
    package func drain(_ node: Node) async throws {
        try await Self.run(["drain", directory.path, "\(node.number)"], log: directory.path + "/drain.log")
    }

    /// Undoes a fault, and waits until the node accepts clients.
    package func restore(_ node: Node, after fault: ClusterFault) async throws {
        switch fault {
        case .stopped: process(node.number)?.send(SIGCONT)
        case .drained where kind == .rabbitMQ:
            try await Self.run(["restore", directory.path, "\(node.number)"], log: directory.path + "/drain.log")
        case .drained:
            // nats-server ends once its clients have gone, after its shortest time for that.
            _ = await process(node.number)?.exit(deadline: .seconds(60))
            try launch(node.number)
        case .killed: try launch(node.number)
        }
        try await awaitReady(node)
    }

    private func process(_ number: Int) -> ChildProcess? { processes.withLock { $0[number] } }

    private func launch(_ number: Int) throws {
        let log = directory.path + "/node\(number).log"
        let process = try ChildProcess(
            executable: Self.script, arguments: ["node", directory.path, "\(number)"], .init(output: log))
        processes.withLock { $0[number] = process }
    }

    /// Waits until a client can subscribe at the node.
    private func awaitReady(_ node: Node) async throws {
        var configuration = configuration("ready-\(node.number)", nodes: [node], lifetime: .seconds(120))
        // nats-server 2.9.10 may fail to store the first sessions, if several clients come at once: this one is the
        // first. RabbitMQ would keep the queue of a session that began before the other nodes on this node alone, and
        // cannot read that queue after a maintenance.
        if kind == .nats { configuration.session = .persistent }
        configuration.timeouts.attempt = .seconds(5)
        configuration.retry.baseDelay = .milliseconds(200)
        configuration.retry.maximumDelay = .seconds(1)
        configuration.retry.decide = { _ in .retry(.standard) }
        let client = MQTTClient(configuration, logger: .promises)
        let isReady = Flag()
        let waiting = Task {
            try await client.start()
            try await client.subscribe(to: "ready/\(node.number)") { _ in isReady.raise() }
        }
        let end = await eventually(timeout: .seconds(300), pollEvery: .milliseconds(50)) {
            isReady.isRaised || process(node.number)?.isRunning != true
        }
        waiting.cancel()
        try? await client.shutdown()
        if end, isReady.isRaised { return }
        throw PromiseFailure("node \(node.number) of \(kind.rawValue) does not accept clients:\n" + log(of: node))
    }

    private func log(of node: Node) -> String {
        let log = (try? String(contentsOfFile: directory.path + "/node\(node.number).log", encoding: .utf8)) ?? ""
        return log.split(separator: "\n").suffix(20).joined(separator: "\n")
    }

    // MARK: The script

    private static var script: String {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().deletingLastPathComponent()
        return root.appending(path: "scripts/clusters").path
    }

    private static func run(_ arguments: [String], log: String) async throws {
        let process = try ChildProcess(executable: script, arguments: arguments, .init(output: log))
        let exit = await process.exit(deadline: .seconds(60))
        if exit == .status(0) { return }
        let text = (try? String(contentsOfFile: log, encoding: .utf8)) ?? ""
        throw PromiseFailure("scripts/clusters \(arguments[0]) ended with \(exit): \(text)")
    }
}
