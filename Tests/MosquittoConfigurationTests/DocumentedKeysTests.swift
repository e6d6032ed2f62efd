// SPDX-License-Identifier: Apache-2.0

import Configuration
import Mosquitto
import MosquittoConfiguration
import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

@Suite("The keys are documented", .turn(.configuration))
struct DocumentedKeysTests {
    /// The first cells of the page's tables.
    private func documented() throws -> Set<String> {
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let catalogue = root.appending(path: "Sources/MosquittoConfiguration/MosquittoConfiguration.docc")
        let page = try String(contentsOf: catalogue.appending(path: "MosquittoConfiguration.md"), encoding: .utf8)
        let rows = page.split(separator: "\n").filter { $0.hasPrefix("| `") }
        return Set(rows.compactMap { $0.split(separator: "`").dropFirst().first.map(String.init) })
    }

    @Test func `its front page has each key that is read, and no other`() throws {
        let reports = Reports()
        let provider = InMemoryProvider(values: ["host": "broker"])
        _ = try MQTTClientConfiguration(config: ConfigReader(provider: provider, accessReporter: reports))
        #expect(try documented() == reports.keys)
    }
}
