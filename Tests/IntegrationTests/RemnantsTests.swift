// SPDX-License-Identifier: Apache-2.0

import Testing
import Turns

@testable import Soak

#if os(Linux)
/// The memory of this process, searched as `strings` searches a core dump.
@Suite("Secrets in memory", .turn(.brokers), .timeLimit(.minutes(2)))
struct RemnantsTests {
    /// The client is still there; its owner may keep it for long.
    @Test func `are gone after shutdown(), but for what OpenSSL's decoder frees`() async throws {
        let (before, after) = try await Remnants.find(connections: 2)
        #expect(before.contains { $0.needle == "the token" }, "the search finds nothing: \(before)")
        #expect(before.contains { $0.needle == "the key, reversed" }, "the search finds nothing: \(before)")
        #expect(after.filter { !$0.isOfDecoder }.isEmpty, "\(after)")
    }
}
#endif
