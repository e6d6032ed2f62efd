// SPDX-License-Identifier: Apache-2.0

import MosquittoTesting
import Testing

/// The version of mosquitto's commands on this machine, which decides what differs from `mosq`.
enum ReferenceVersion: Int, Comparable, Sendable {
    /// 2.0.11, whose flags and output `mosq` has, and older.
    case v2_0_11
    /// A later 2.0, such as 2.0.21 of Debian 13.
    case v2_0_21
    /// 2.1 and newer.
    case v2_1

    static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    private static let asked = Task { try await ask() }

    static func current() async throws -> ReferenceVersion { try await asked.value }

    private static func ask() async throws -> ReferenceVersion {
        let program = try #require(Program.mosquitto(.pub), "mosquitto's clients are not installed (scripts/setup)")
        let process = try ClientProcess(program, ["--version"], input: [], configuration: "/nonexistent")
        let end = try await process.end(timeout: .seconds(30))
        // "mosquitto_pub version 2.0.11 running on libmosquitto 2.0.11."
        let text = String(decoding: end.output, as: UTF8.self) + end.errors
        let match = try #require(text.firstMatch(of: /version (\d+)\.(\d+)\.(\d+)/), "no version in \(text)")
        let version = (Int(match.1) ?? 0, Int(match.2) ?? 0, Int(match.3) ?? 0)
        return version >= (2, 1, 0) ? .v2_1 : version > (2, 0, 11) ? .v2_0_21 : .v2_0_11
    }
}
