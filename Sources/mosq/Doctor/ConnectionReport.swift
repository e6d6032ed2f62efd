// SPDX-License-Identifier: Apache-2.0

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// All findings about one endpoint, step by step.
struct ConnectionReport: Encodable, Sendable {
    /// The steps in order. The names are those of the JSON.
    enum Step: String, CodingKey, CaseIterable { case names, tcp, proxy, tls, token, upgrade, connack, loopback }

    let endpoint: String
    /// True if the steps names and tcp examine a proxy.
    let isThroughProxy: Bool
    /// True if the connection is upgraded to a WebSocket.
    let isWebSocket: Bool
    var names: Finding<NameFacts> = .skipped()
    var tcp: Finding<ConnectFacts> = .skipped()
    var proxy: Finding<ProxyFacts> = .skipped()
    var tls: Finding<TLSFacts> = .skipped()
    var token: Finding<TokenFacts> = .skipped()
    var upgrade: Finding<UpgradeFacts> = .skipped()
    var connack: Finding<ConnackFacts> = .skipped()
    var loopback: Finding<LoopBackFacts> = .skipped()

    init(endpoint: String, isThroughProxy: Bool = false, isWebSocket: Bool = false) {
        self.endpoint = endpoint
        self.isThroughProxy = isThroughProxy
        self.isWebSocket = isWebSocket
    }

    /// True if no step has failed and the broker has accepted the connection.
    var isOK: Bool {
        let statuses = Step.allCases.map(status)
        return !statuses.contains(.failed) && connack.status != .skipped
    }

    private enum Key: String, CodingKey { case endpoint, ok, names, tcp, proxy, tls, token, upgrade, connack, loopback }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(endpoint, forKey: .endpoint)
        try container.encode(isOK, forKey: .ok)
        try container.encode(names, forKey: .names)
        try container.encode(tcp, forKey: .tcp)
        try container.encode(proxy, forKey: .proxy)
        try container.encode(tls, forKey: .tls)
        try container.encode(token, forKey: .token)
        try container.encode(upgrade, forKey: .upgrade)
        try container.encode(connack, forKey: .connack)
        try container.encode(loopback, forKey: .loopback)
    }
}

/// The object of `--json`.
struct DoctorReport: Encodable {
    let ok: Bool
    let connections: [ConnectionReport]

    init(_ connections: [ConnectionReport]) {
        ok = connections.allSatisfy(\.isOK)
        self.connections = connections
    }

    var json: String {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            encoder.dateEncodingStrategy = .iso8601
            // A claim may be any number, and JSON has no infinity.
            encoder.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
            return JSONText.printable(String(decoding: try encoder.encode(self), as: UTF8.self))
        }
    }
}
