// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// The tests of this folder, so that they can be run by the suite's name.
@Suite("The data path", .turn(.load))
enum DataPath {
    /// Tests that keep a processor busy for seconds. They run one after the other, since other tests have deadlines to
    /// meet.
    @Suite("Under load", .serialized)
    enum UnderLoad {}
}

/// Returns a tenth of the count under ThreadSanitizer, which is ten times as slow and finds no more in ten times the
/// work.
func scaled(_ count: Int) -> Int { dlsym(nil, "__tsan_init") == nil ? count : count / 10 }

/// The transport of a connection: plain TCP, a version of TLS, or WebSockets over plain TCP and over TLS 1.3.
enum Wire: String, Sendable, CaseIterable {
    case plain, tls12, tls13, ws, wss

    static let tls: [Wire] = [.tls12, .tls13]
    static let encrypted: [Wire] = tls + [.wss]
    static let webSockets: [Wire] = [.ws, .wss]

    var isTLS: Bool { self != .plain && self != .ws }
    var identity: TestIdentity? { isTLS ? TestTLS.identity : nil }
    var webSocket: ScriptedBroker.WebSocket? { Self.webSockets.contains(self) ? .init() : nil }

    /// Returns the endpoint of a broker, or of a proxy in front of one.
    func endpoint(_ endpoint: MQTTEndpoint) -> MQTTEndpoint {
        switch self {
        case .plain, .tls12, .tls13: endpoint
        case .ws: .webSocket(host: endpoint.host, port: endpoint.port)
        case .wss: .secureWebSocket(host: endpoint.host, port: endpoint.port)
        }
    }

    /// OpenSSL's name of the version.
    var versionName: String? {
        switch self {
        case .plain, .ws: nil
        case .tls12: "TLSv1.2"
        case .tls13, .wss: "TLSv1.3"
        }
    }
}

/// A client that ends with its first failure, at the other end of a proxy.
func configuration(of proxy: TCPProxy, _ wire: Wire) -> MQTTClientConfiguration {
    var configuration = testConfiguration(port: 1)
    configuration.endpoints = [wire.endpoint(proxy.endpoint)]
    if !wire.isTLS {
        configuration.tls = nil
    } else {
        configuration.tls?.serverName = "localhost"
        configuration.tls?.maximumVersion = wire == .tls12 ? .v1_2 : .v1_3
    }
    configuration.retry = .none
    return configuration
}

/// Runs a client on a loop of its own: its long work must not delay the clients of other tests.
func withBusyClient<R>(
    _ configuration: MQTTClientConfiguration, _ body: (MQTTClient, EventLog) async throws -> R
) async throws -> R {
    let loop = MosquittoEventLoop(name: "data-path")
    return try await withRunning(MQTTClient(configuration, eventLoop: loop, logger: quiet), body)
}

extension ConnectionScript {
    /// Closes, with close_notify if there is TLS, when the client has published something. A client of MQTT 3.1.1 is
    /// sent no packet before.
    static let goodbye = ConnectionScript.disconnectOn(.publish, reasonCode: 0)
}

/// A payload of 16 KiB that contains its number.
enum NumberedPayload {
    static let size = 16_384

    static func make(_ number: Int) -> [UInt8] {
        var payload = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: size)
        for index in 0..<4 { payload[index] = UInt8(truncatingIfNeeded: number >> (8 * index)) }
        return payload
    }

    /// The number, if the payload is complete.
    static func number(of payload: [UInt8]) -> Int? {
        guard payload.count == size else { return nil }
        let number = (0..<4).reduce(0) { $0 | Int(payload[$1]) << (8 * $1) }
        // The rest is one repeated byte, which memcmp(3) checks faster than a loop in a debug build.
        let isWhole = payload.withUnsafeBytes { bytes in
            bytes[4] == UInt8(truncatingIfNeeded: number)
                && bytes.baseAddress.map { memcmp($0 + 4, $0 + 5, size - 5) } == 0
        }
        return isWhole ? number : nil
    }
}

extension Session {
    /// The number of publishes that have not completed.
    var unsentMessages: Int { publisher.count }

    /// True if the event loop watches the socket for readability.
    var isReading: Bool { connection?.interest.contains(.readable) == true }

    /// True if reading from an established connection is paused because a consumer is full.
    var isPaused: Bool { connection?.isReadingPaused == true }

    /// Number of messages that wait for consumers.
    var waitingMessages: Int { subscriber.table.consumers.reduce(0) { $0 + $1.waiting } }

    /// True if all publishes were passed to the connection, and the socket does not accept more bytes.
    var isStuckInSocket: Bool { shared.queue.isEmpty && connection?.interest.contains(.writable) == true }
}

/// The value, once it has stayed the same for a while.
func settled<T: Equatable>(_ value: () async -> T) async throws -> T {
    var last = await value()
    var since = ContinuousClock.now
    while ContinuousClock.now - since < .milliseconds(300) {
        try await Task.sleep(for: .milliseconds(10))
        let next = await value()
        if next != last { (last, since) = (next, .now) }
    }
    return last
}
