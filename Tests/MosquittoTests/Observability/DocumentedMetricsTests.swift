// SPDX-License-Identifier: Apache-2.0

import MetricsTestKit
import Testing
import Turns

@testable import Mosquitto

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("What is told is documented", .turn(.units))
struct DocumentedMetricsTests {
    private let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent().deletingLastPathComponent()

    private func page() throws -> String {
        let article = root.appending(path: "Sources/Mosquitto/Mosquitto.docc/Observability.md")
        return try String(contentsOf: article, encoding: .utf8)
    }

    @Test func `the article has each metric, and no other`() throws {
        let system = TestMetrics()
        let metrics = try #require(ClientMetrics(MQTTMetricsConfiguration(factory: system)) { _, _ in })
        let endpoint = MQTTEndpoint(host: "h", port: 1)
        let error = MQTTError(.closed, "")
        for kind in [
            MQTTConnectionEvent.Kind.attemptFailed(
                .init(attempt: 1, endpoint: endpoint, error: error, decision: .stop)),
            .disconnected(.init(endpoint: endpoint, error: error, decision: .stop)),
            .credentialsRefreshed(.init(source: "")), .credentialsFailed(.init(error: MQTTError(.credentials, ""))),
        ] {
            metrics.happened(kind)
        }
        metrics.failed(error)
        let told = system.counters.map(\.label) + system.meters.map(\.label) + system.timers.map(\.label)
        let rows = try page().split(separator: "\n").filter { $0.hasPrefix("| `mqtt_client_") }
        #expect(Set(told) == Set(rows.map { String($0.split(separator: "`")[1]) }))
    }

    @Test func `the article has each key of the log`() throws {
        let page = try page()
        let sources = root.appending(path: "Sources/Mosquitto").path
        let files = try FileManager.default.subpathsOfDirectory(atPath: sources)
        var keys: Set<String> = []
        for file in files where file.hasSuffix(".swift") && !file.hasPrefix("Observability/") {
            let text = try String(contentsOfFile: sources + "/" + file, encoding: .utf8)
            for match in text.matches(of: #/"((?:mqtt|tls|error)\.[a-z_]+)"/#) { keys.insert(String(match.1)) }
        }
        try #require(keys.count > 10)
        for key in keys.sorted() { #expect(page.contains("`\(key)`"), "\(key)") }
    }
}
