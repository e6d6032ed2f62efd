// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

#if canImport(FoundationEssentials)
import FoundationEssentials
#else
import Foundation
#endif

/// The installed header of libmosquitto.
private struct InstalledHeader {
    let functions: [String]
    let version: String

    static let installed: InstalledHeader? = ["/usr/include", "/usr/local/include", "/opt/homebrew/include"].lazy
        .compactMap { try? String(contentsOfFile: $0 + "/mosquitto.h", encoding: .utf8) }.first
        .flatMap(InstalledHeader.init)

    private init?(_ text: String) {
        let numbers = text.matches(of: #/#define LIBMOSQUITTO_(?:MAJOR|MINOR|REVISION) ([0-9]+)/#).map(\.1)
        guard numbers.count == 3 else { return nil }
        version = numbers.joined(separator: ".")
        functions = text.matches(of: #/libmosq_EXPORT[^;(#]*?(mosquitto_[a-z0-9_]+) *\(/#).map { String($0.1) }
    }
}

@Suite("The page of libmosquitto's functions is complete", .turn(.units))
struct DocumentedFunctionsTests {
    @Test(
        .enabled(
            if: InstalledHeader.installed?.version == "2.0.11", "the page is about the header of libmosquitto 2.0.11"))
    func `docs_mosquitto-functions_md has each function of mosquitto_h, in its order`() throws {
        let header = try #require(InstalledHeader.installed)
        #expect(header.functions.count == 107)
        let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent()
        let page = try String(contentsOf: root.appending(path: "docs/mosquitto-functions.md"), encoding: .utf8)
        let table = try #require(page.split(separator: "## Additions of libmosquitto 2.1").first)
        let rows = table.matches(of: #/\n\| `(mosquitto_[a-z0-9_]+)` \| ([^\n]+) \|/#)
        #expect(rows.map { String($0.1) } == header.functions)
    }
}
